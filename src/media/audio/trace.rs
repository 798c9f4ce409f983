//! What the first reading heard, second by second, so that the second one can be held against it.

use ffmpeg_next::frame;

use super::filters::RATE;
use super::program::finite;
use crate::media::error::Error;

/// A second may differ by this share of its power: decoders of damaged sound don't always make up the same.
const TOLERANCE: f64 = 0.25;
/// Power that nobody hears: 80 dB below full scale.
const INAUDIBLE: f64 = 1e-8;

/// Mean square of each second of the sound, all channels together.
#[derive(Debug, Default)]
pub(super) struct Trace {
    seconds: Vec<f32>,
    sum: f64,
    samples: u32,
}

impl Trace {
    /// Takes the next block of planar floats at 48 kHz.
    pub fn take(&mut self, block: &frame::Audio) {
        self.take_planes(&(0..block.planes()).map(|plane| block.plane::<f32>(plane)).collect::<Vec<_>>());
    }

    fn take_planes(&mut self, planes: &[&[f32]]) {
        for at in 0..planes.first().map_or(0, |plane| plane.len()) {
            self.sum += planes.iter().map(|plane| f64::from(finite(plane[at])).powi(2)).sum::<f64>();
            self.samples += 1;
            if self.samples == RATE {
                self.end();
            }
        }
    }

    /// Ends the second at hand.
    pub fn end(&mut self) {
        if self.samples > 0 {
            #[expect(
                clippy::cast_possible_truncation,
                reason = "a quarter of a tolerance is all that is needed"
            )]
            self.seconds.push((self.sum / f64::from(RATE)) as f32);
        }
        (self.sum, self.samples) = (0.0, 0);
    }

    /// Nothing was heard, not even silence.
    pub fn is_empty(&self) -> bool {
        self.seconds.is_empty() && self.samples == 0
    }

    /// The seconds heard so far are those of the first reading.
    pub fn check(&self, first: &Self, from: usize) -> Result<usize, Error> {
        for (at, power) in self.seconds.iter().enumerate().skip(from) {
            let expected = first.seconds.get(at).copied().map_or(0.0, f64::from);
            let off = (expected - f64::from(*power)).abs();
            if off > INAUDIBLE + TOLERANCE * expected.max(f64::from(*power)) {
                return Err(Error::OtherSound { second: at });
            }
        }
        Ok(self.seconds.len())
    }

    /// The second reading ended where the first did.
    pub fn check_whole(&self, first: &Self) -> Result<(), Error> {
        let heard = |seconds: &[f32]| seconds.iter().any(|power| f64::from(*power) > INAUDIBLE);
        let missing = first.seconds.get(self.seconds.len()..).unwrap_or_default();
        if heard(missing) { Err(Error::OtherSound { second: self.seconds.len() }) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trace(seconds: &[f32]) -> Trace {
        let mut trace = Trace::default();
        for level in seconds {
            trace.take_planes(&[&vec![*level; 48_000]]);
        }
        trace.end();
        trace
    }

    #[test]
    fn the_same_sound_passes_and_silence_noise_and_an_early_end_do_not() {
        let first = trace(&[0.1, 0.0, 0.2]);
        let said = |second: &Trace| second.check(&first, 0).and_then(|_| second.check_whole(&first)).is_ok();
        assert!(said(&trace(&[0.1, 0.0, 0.2])));
        assert!(said(&trace(&[0.101, 0.000_01, 0.2])));
        assert!(!said(&trace(&[0.0, 0.0, 0.0])));
        assert!(!said(&trace(&[0.1, 0.5, 0.2])));
        assert!(!said(&trace(&[0.1])));
        assert!(!said(&trace(&[0.1, 0.0, 0.2, 0.3])));
    }
}
