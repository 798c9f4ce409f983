//! Where decoded sound belongs: gaps filled, overlaps dropped, drift made up; counted in samples so nothing adds up.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// A gap or overlap up to this much may be the jitter of the container's clock.
const JITTER: Ticks = TICKS_PER_SECOND / 10;
/// Up to this much nobody notices: sound may be 45 ms early (ITU-R BT.1359).
const SLIGHT: Ticks = TICKS_PER_SECOND / 50;
/// Sound that is off to one side for this long is off for good.
const STAYS: Ticks = TICKS_PER_SECOND / 4;
/// An overlap beyond this is a time that can't be meant.
const NONSENSE: Ticks = 10 * TICKS_PER_SECOND;

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
    drift: Option<Drift>,
}

/// Sound that has been off to one side.
#[derive(Debug, Clone, Copy)]
struct Drift {
    /// By this much at least.
    least: Ticks,
    since: Ticks,
}

impl Placer {
    pub fn new() -> Self {
        Self { begun: false, rate: 48_000, base: 0, samples: 0, shift: 0, drift: None }
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
        let off = at.map(|at| at.saturating_add(self.shift).saturating_sub(self.position()));
        let place = off.map_or_else(Place::default, |off| self.correct(off, count));
        self.begun |= place.skip < count;
        self.samples += place.silence + (count - place.skip) as u64;
        place
    }

    fn correct(&mut self, off: Ticks, count: usize) -> Place {
        let off = if self.begun && off.abs() <= JITTER { self.made_up(off) } else { off };
        if self.begun && off < -NONSENSE {
            self.shift -= off;
            return Place::default();
        }
        if off.abs() > SLIGHT {
            self.drift = None;
        }
        let samples = samples(off.unsigned_abs(), self.rate);
        if off > 0 {
            Place { silence: samples, skip: 0 }
        } else {
            Place { silence: 0, skip: usize::try_from(samples).unwrap_or(count).min(count) }
        }
    }

    /// What is to be made up of a small difference: nothing before it has stayed.
    fn made_up(&mut self, off: Ticks) -> Ticks {
        if off.abs() <= SLIGHT {
            self.drift = None;
            return 0;
        }
        let position = self.position();
        let same_side = self.drift.filter(|drift| drift.least.signum() == off.signum());
        let mut drift = same_side.unwrap_or(Drift { least: off, since: position });
        drift.least = if off.abs() < drift.least.abs() { off } else { drift.least };
        self.drift = Some(drift);
        if position - drift.since >= STAYS { drift.least } else { 0 }
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
    fn sound_whose_times_go_back_further_than_can_be_meant_goes_on() {
        assert_eq!(placed(&[(0, 20_000), (0, 1000), (S, 10)]), [(0, 0); 3]);
    }

    /// How far off each block of a tenth of a second ends up that comes at these moments, in milliseconds.
    fn off(moments: impl Iterator<Item = i64>) -> Vec<i64> {
        let mut placer = Placer::new();
        let moments = moments.map(|at| at * S / 1000);
        moments
            .map(|at| {
                let place = placer.place(Some(at), 100, 1000);
                let begins = placer.position() - ticks(100 - place.skip as u64, 1000);
                (begins - at - ticks(place.skip as u64, 1000)) * 1000 / S
            })
            .collect()
    }

    #[test]
    fn a_gap_of_83_ms_is_made_up_within_half_a_second() {
        let off = off((0..20).map(|at| if at < 5 { at * 100 } else { at * 100 + 83 }));
        assert_eq!((off[4], off[5], &off[10..]), (0, -83, [0; 10].as_slice()));
    }

    #[test]
    fn an_overlap_that_stays_is_made_up_too() {
        let off = off((0..20).map(|at| if at < 5 { at * 100 } else { at * 100 - 60 }));
        assert_eq!((off[5], &off[10..]), (60, [0; 10].as_slice()));
    }

    #[test]
    fn a_clock_that_runs_slowly_away_is_followed() {
        let off = off((0..1000).map(|at| at * 101));
        assert!(off.iter().all(|off| off.abs() <= 30), "{off:?}");
    }

    #[test]
    fn times_that_jitter_to_both_sides_are_left_alone() {
        let jitter = [0, 40, -35, 80, -90, 30];
        let off = off((0..60).map(|at: i64| at * 100 + jitter[usize::try_from(at).expect("few") % 6]));
        assert!(off.iter().zip(jitter.iter().cycle()).all(|(off, jitter)| *off == -jitter), "{off:?}");
    }

    proptest::proptest! {
        /// Whatever gaps sound has, it is where its times say soon after each, and never further off than jitter.
        #[test]
        fn sound_is_where_its_times_say(gaps in proptest::collection::vec((0_i64..200, -99_i64..3000), 1..12)) {
            let mut moments = Vec::new();
            let mut at = 0;
            for (blocks, gap) in gaps {
                moments.extend((0..blocks).map(|block| at + block * 100));
                at += blocks * 100 + gap;
            }
            for (since_gap, off) in since_gaps(&moments).zip(off(moments.iter().copied())) {
                proptest::prop_assert!(off.abs() <= 100, "{off}");
                proptest::prop_assert!(since_gap < 8 || off.abs() <= 20, "{off} after {since_gap}");
            }
        }
    }

    /// How many blocks before each followed each other without a gap.
    fn since_gaps(moments: &[i64]) -> impl Iterator<Item = usize> {
        let mut since = 0;
        let steps = std::iter::once(100).chain(moments.windows(2).map(|pair| pair[1] - pair[0]));
        steps.collect::<Vec<_>>().into_iter().map(move |step| {
            since = if step == 100 { since + 1 } else { 0 };
            since
        })
    }

    #[test]
    fn another_rate_goes_on_at_the_same_time() {
        let mut placer = Placer::new();
        placer.place(Some(0), 1000, 1000);
        placer.place(Some(S), 4000, 8000);
        assert_eq!(placer.position(), S * 3 / 2);
    }
}
