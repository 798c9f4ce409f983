//! What the pictures of a whole source are like, by samples of it: they may change on the way.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::util::color::{Range, Space, TransferCharacteristic as Transfer};

use crate::domain::media::{Fraction, Ticks};

/// Pictures whose shapes differ by less are of one shape, coded in different sizes.
const ALIKE: f64 = 0.02;
/// So much longer than the first shape another one has to be shown, to be taken for the source's own.
const PREVAILS: f64 = 1.25;

/// What one picture is like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Look {
    pub width: u32,
    pub height: u32,
    /// The shape of a pixel; square where nobody says.
    pub aspect: Fraction,
    pub format: Pixel,
    pub space: Space,
    pub range: Range,
    pub transfer: Transfer,
    pub interlaced: bool,
}

impl Look {
    pub fn is_hdr(&self) -> bool {
        matches!(self.transfer, Transfer::SMPTE2084 | Transfer::ARIB_STD_B67)
    }

    fn shape(&self) -> f64 {
        f64::from(self.width) * self.aspect.as_f64() / f64::from(self.height.max(1))
    }

    fn area(&self) -> f64 {
        f64::from(self.width) * self.aspect.as_f64() * f64::from(self.height)
    }
}

/// The look of a source's pictures from `at` on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    pub at: Ticks,
    pub look: Look,
}

/// The largest look among those of the shape that is shown longest until `end`; the first shape, where none is shown
/// much longer. Samples are in order of time.
pub(super) fn prevailing(samples: &[Sample], end: Ticks) -> Option<Look> {
    let mut shapes: Vec<(f64, f64, Look)> = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let until = samples.get(at + 1).map_or(end, |next| next.at);
        #[expect(clippy::cast_precision_loss, reason = "a share of the time")]
        let lasts = until.saturating_sub(sample.at).max(1) as f64;
        let shape = sample.look.shape();
        match shapes.iter_mut().find(|known| (known.0 / shape - 1.0).abs() < ALIKE) {
            Some((_, shown, largest)) => {
                *shown += lasts;
                if sample.look.area() > largest.area() {
                    *largest = sample.look;
                }
            }
            None => shapes.push((shape, lasts, sample.look)),
        }
    }
    let mut best = *shapes.first()?;
    for shape in &shapes[1..] {
        if shape.1 > best.1 * PREVAILS {
            best = *shape;
        }
    }
    Some(best.2)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at: Ticks, width: u32, height: u32, aspect: (u32, u32)) -> Sample {
        let aspect = Fraction { num: aspect.0, den: aspect.1 };
        let look = Look {
            width,
            height,
            aspect,
            format: Pixel::YUV420P,
            space: Space::Unspecified,
            range: Range::Unspecified,
            transfer: Transfer::Unspecified,
            interlaced: false,
        };
        Sample { at, look }
    }

    fn size(samples: &[Sample]) -> Option<(u32, u32)> {
        prevailing(samples, 100).map(|look| (look.width, look.height))
    }

    #[test]
    fn the_largest_size_of_one_shape_is_the_source_s_own() {
        let ramp = [sample(0, 320, 180, (1, 1)), sample(3, 426, 240, (1, 1)), sample(9, 1280, 720, (1, 1))];
        assert_eq!(size(&ramp), Some((1280, 720)));
        assert_eq!(size(&[ramp[2], ramp[0]]), Some((1280, 720)));
    }

    #[test]
    fn the_shape_that_is_shown_longest_prevails_and_the_first_where_it_is_close() {
        let (lying, standing) = ((640, 360), (360, 640));
        let turned = |at| [sample(0, lying.0, lying.1, (1, 1)), sample(at, standing.0, standing.1, (1, 1))];
        assert_eq!(size(&turned(50)), Some(lying));
        assert_eq!(size(&turned(48)), Some(lying));
        assert_eq!(size(&turned(20)), Some(standing));
    }

    #[test]
    fn a_shape_is_told_by_that_of_its_pixels_too() {
        let wide = sample(10, 720, 576, (64, 45));
        let prevails = prevailing(&[sample(0, 720, 576, (16, 15)), wide], 100);
        assert_eq!(prevails.map(|look| look.aspect), Some(wide.look.aspect));
        assert_eq!(prevailing(&[], 100), None);
    }
}
