//! Chooses the poster: the picture most like all the others that is neither dark nor empty.

use ffmpeg_next::frame;

/// A picture darker or more uniform than this says nothing.
const DARK: f64 = 32.0;
const EMPTY: f64 = 10.0;

type Histogram = [f64; 64];

/// Pictures to choose from.
#[derive(Default)]
pub(super) struct Candidates {
    pictures: Vec<(Look, frame::Video)>,
}

/// What a picture looks like, by its luma.
#[derive(Debug, Clone, PartialEq)]
struct Look {
    histogram: Histogram,
    mean: f64,
    spread: f64,
}

impl Candidates {
    /// A picture of the poster's size.
    pub fn add(&mut self, picture: Option<frame::Video>) {
        self.pictures.extend(picture.map(|picture| (look(&picture), picture)));
    }

    pub fn is_empty(&self) -> bool {
        self.pictures.is_empty()
    }

    /// The best one, with its size.
    pub fn best(mut self) -> Option<(frame::Video, (u32, u32))> {
        let looks = self.pictures.iter().map(|(look, _)| look.clone()).collect::<Vec<_>>();
        let at = choose(&looks)?;
        let (_, picture) = self.pictures.swap_remove(at);
        let size = (picture.width(), picture.height());
        Some((picture, size))
    }
}

fn choose(looks: &[Look]) -> Option<usize> {
    let telling = |look: &Look| look.mean >= DARK && look.spread >= EMPTY;
    let any = looks.iter().any(telling);
    if !any {
        return (0..looks.len()).max_by(|a, b| looks[*a].spread.total_cmp(&looks[*b].spread));
    }
    let chosen = looks.iter().enumerate().filter(|(_, look)| telling(look)).collect::<Vec<_>>();
    let average = average(&chosen);
    let distance =
        |look: &Look| look.histogram.iter().zip(&average).map(|(a, b)| (a - b).powi(2)).sum::<f64>();
    chosen.iter().min_by(|a, b| distance(a.1).total_cmp(&distance(b.1))).map(|(at, _)| *at)
}

fn average(looks: &[(usize, &Look)]) -> Histogram {
    let mut sum = [0.0; 64];
    let count = f64::from(u32::try_from(looks.len()).unwrap_or(u32::MAX));
    for (_, look) in looks {
        for (total, share) in sum.iter_mut().zip(&look.histogram) {
            *total += share / count;
        }
    }
    sum
}

fn look(picture: &frame::Video) -> Look {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let (luma, stride) = (picture.data(0), picture.stride(0));
    let rows = (0..height).filter_map(|row| luma.get(row * stride..row * stride + width));
    of_samples(rows.flatten().copied())
}

fn of_samples(samples: impl Iterator<Item = u8>) -> Look {
    let (mut histogram, mut count, mut sum, mut squares) = ([0.0; 64], 0.0, 0.0, 0.0);
    for sample in samples {
        let value = f64::from(sample);
        histogram[usize::from(sample / 4)] += 1.0;
        (count, sum, squares) = (count + 1.0, sum + value, squares + value * value);
    }
    let count = f64::max(count, 1.0);
    let mean = sum / count;
    for bin in &mut histogram {
        *bin /= count;
    }
    Look { histogram, mean, spread: (squares / count - mean * mean).max(0.0).sqrt() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_black_nor_plain_pictures_are_chosen() {
        let black = of_samples([16; 100].into_iter());
        let plain = of_samples([128; 100].into_iter());
        let scene = of_samples((0..100).map(|at| 40 + at));
        assert_eq!(choose(&[black.clone(), plain.clone(), scene]), Some(2));
        assert_eq!(choose(&[black, plain]), Some(1).or(Some(0)));
        assert_eq!(choose(&[]), None);
    }

    #[test]
    fn the_picture_most_like_the_others_is_chosen() {
        let usual = || of_samples((0..100).map(|at| 60 + at));
        let odd = of_samples((0..100).map(|at| 155 + at));
        assert_ne!(choose(&[odd, usual(), usual()]), Some(0));
    }
}
