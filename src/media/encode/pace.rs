//! Repairs the times of decoded pictures: monotonic, without strays, and no more of them a second than the rung takes.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Times that stay behind by up to this much are missing ones, and their pictures are laid out.
const STRAY: Ticks = TICKS_PER_SECOND / 2;
/// Pictures behind by more than that and up to this much overlap with what was shown; beyond it their times can't be
/// meant, and the rest goes on from here.
const OVERLAP: Ticks = 10 * TICKS_PER_SECOND;
/// Strays in a row after which the times are taken for missing.
const MAX_STRAYS: u32 = 3;

/// Makes a strictly rising time for each picture.
#[derive(Debug)]
pub(super) struct Pace {
    nominal: Ticks,
    shift: Ticks,
    last: Option<Ticks>,
    strays: u32,
}

impl Pace {
    /// `nominal` is a picture's usual duration.
    pub fn new(nominal: Ticks) -> Self {
        Self { nominal: nominal.max(1), shift: 0, last: None, strays: 0 }
    }

    /// The time at which a picture is shown; `None` where it's a stray to be dropped.
    pub fn time(&mut self, stamp: Option<Ticks>) -> Option<Ticks> {
        let Some(last) = self.last else {
            self.last = Some(stamp.unwrap_or(0));
            return self.last;
        };
        let Some(at) = stamp.map(|stamp| stamp + self.shift) else { return self.follow(last) };
        if at > last {
            self.strays = 0;
            self.last = Some(at);
            return self.last;
        }
        self.strays = self.strays.saturating_add(1);
        match last.saturating_sub(at) {
            _ if self.strays < MAX_STRAYS => None,
            behind if behind > OVERLAP => {
                self.shift = self.shift.saturating_add(behind).saturating_add(self.nominal);
                self.follow(last)
            }
            behind if behind > STRAY => None,
            _ => self.follow(last),
        }
    }

    fn follow(&mut self, last: Ticks) -> Option<Ticks> {
        self.last = Some(last + self.nominal);
        self.last
    }
}

/// The place of a picture among those a rung takes, counted from its segment's start; one picture a place is kept.
pub(super) fn place(since_start: Ticks, rate: f64) -> i64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_precision_loss,
        reason = "a segment has few places"
    )]
    // The eighth keeps pictures that fall on the edge of a place from jittering over it.
    let place = (since_start as f64 * rate / 90_000.0 + 0.125).floor() as i64;
    place
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paced(stamps: &[Option<Ticks>]) -> Vec<Option<Ticks>> {
        let mut pace = Pace::new(3000);
        stamps.iter().map(|stamp| pace.time(*stamp)).collect()
    }

    #[test]
    fn a_good_clock_is_left_alone() {
        assert_eq!(paced(&[Some(0), Some(3000), Some(900_000)]), [Some(0), Some(3000), Some(900_000)]);
    }

    #[test]
    fn a_missing_time_follows_the_last() {
        assert_eq!(paced(&[Some(0), None, None]), [Some(0), Some(3000), Some(6000)]);
    }

    #[test]
    fn a_lone_stray_is_dropped_and_a_run_is_laid_out() {
        let times = paced(&[Some(0), Some(0), Some(3000), Some(3000), Some(3000), Some(3000)]);
        assert_eq!(times, [Some(0), None, Some(3000), None, None, Some(6000)]);
    }

    #[test]
    fn pictures_that_overlap_with_those_shown_are_left_out_until_they_are_past_them() {
        let seconds = [0, 1, 5, 2, 3, 4, 6].map(|at| Some(at * TICKS_PER_SECOND));
        let shown = [Some(0), Some(1), Some(5), None, None, None, Some(6)];
        assert_eq!(paced(&seconds), shown.map(|at| at.map(|at: i64| at * TICKS_PER_SECOND)));
    }

    #[test]
    fn times_that_fall_back_further_than_can_be_meant_go_on_from_where_they_were() {
        let fallen = [Some(2_000_000), Some(0), Some(3000), Some(6000), Some(9000)];
        assert_eq!(paced(&fallen), [Some(2_000_000), None, None, Some(2_003_000), Some(2_006_000)]);
    }

    #[test]
    fn every_second_picture_has_a_place_at_half_the_rate() {
        let places = (0..6).map(|picture| place(picture * 750, 60.0)).collect::<Vec<_>>();
        assert_eq!(places, [0, 0, 1, 1, 2, 2]);
    }
}
