//! Where decoded sound belongs: gaps filled, overlaps dropped, counted in samples so nothing drifts.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// A gap or overlap up to this much is the jitter of the container's clock.
const JITTER: Ticks = TICKS_PER_SECOND / 10;
/// A step back beyond this is a clock set anew, not an overlap.
const RESET: Ticks = 10 * TICKS_PER_SECOND;

/// What is done with a block of samples, in its own sampling rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Place {
    /// Silence that goes before it.
    pub silence: u64,
    /// Samples of it that are left out.
    pub skip: usize,
}

/// Counts the samples placed since time 0.
#[derive(Debug)]
pub(super) struct Placer {
    begun: bool,
    rate: u32,
    base: Ticks,
    samples: u64,
    shift: Ticks,
}

impl Placer {
    pub fn new() -> Self {
        Self { begun: false, rate: 48_000, base: 0, samples: 0, shift: 0 }
    }

    /// Where the next sample goes.
    pub fn position(&self) -> Ticks {
        self.base + ticks(self.samples, self.rate)
    }

    /// Places a block of `count` samples that says it starts at `at`.
    pub fn place(&mut self, at: Option<Ticks>, count: usize, rate: u32) -> Place {
        if rate != self.rate {
            self.base = self.position();
            (self.samples, self.rate) = (0, rate.max(1));
        }
        let off = at.map_or(0, |at| at + self.shift - self.position());
        let place = self.correct(off, count);
        self.begun |= place.skip < count;
        self.samples += place.silence + (count - place.skip) as u64;
        place
    }

    fn correct(&mut self, off: Ticks, count: usize) -> Place {
        if self.begun && off.abs() <= JITTER {
            return Place::default();
        }
        if self.begun && off < -RESET {
            self.shift -= off;
            return Place::default();
        }
        let samples = samples(off.unsigned_abs(), self.rate);
        if off > 0 {
            Place { silence: samples, skip: 0 }
        } else {
            Place { silence: 0, skip: usize::try_from(samples).unwrap_or(count).min(count) }
        }
    }
}

fn ticks(samples: u64, rate: u32) -> Ticks {
    let ticks = u128::from(samples) * 90_000 / u128::from(rate.max(1));
    Ticks::try_from(ticks).unwrap_or(Ticks::MAX)
}

/// How many samples last that long.
pub(super) fn samples(ticks: u64, rate: u32) -> u64 {
    let samples = (u128::from(ticks) * u128::from(rate) + 45_000) / 90_000;
    u64::try_from(samples).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Ticks = TICKS_PER_SECOND;

    fn placed(blocks: &[(Ticks, usize)]) -> Vec<(u64, usize)> {
        let mut placer = Placer::new();
        let done = blocks.iter().map(|(at, count)| placer.place(Some(*at), *count, 1000));
        done.map(|place| (place.silence, place.skip)).collect()
    }

    #[test]
    fn sound_that_starts_late_is_preceded_by_silence() {
        assert_eq!(placed(&[(S / 100, 500), (S / 2, 500)]), [(10, 0), (0, 0)]);
    }

    #[test]
    fn sound_from_before_the_first_picture_is_left_out() {
        assert_eq!(placed(&[(-S, 400), (-S * 6 / 10, 1000), (S * 4 / 10, 10)]), [(0, 400), (0, 600), (0, 0)]);
    }

    #[test]
    fn a_gap_is_filled_an_overlap_dropped_and_jitter_left_alone() {
        let blocks = [(0, 1000), (S + S / 20, 1000), (4 * S, 1000), (4 * S, 1000), (5 * S, 10)];
        assert_eq!(placed(&blocks), [(0, 0), (0, 0), (2000, 0), (0, 1000), (0, 0)]);
    }

    #[test]
    fn a_clock_set_anew_is_followed() {
        assert_eq!(placed(&[(0, 20_000), (0, 1000), (S, 10)]), [(0, 0); 3]);
    }

    #[test]
    fn another_rate_goes_on_at_the_same_time() {
        let mut placer = Placer::new();
        placer.place(Some(0), 1000, 1000);
        placer.place(Some(S), 4000, 8000);
        assert_eq!(placer.position(), S * 3 / 2);
    }
}
