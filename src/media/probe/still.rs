//! How long a source stands still: its length is only what it says, and each segment costs work whether anything comes
//! in it or not.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// A pause up to this long is nothing unusual, as between two slides.
const PAUSE: Ticks = 30 * TICKS_PER_SECOND;

/// From the end of what came last to the beginning of what comes next.
pub(super) type Gap = (Ticks, Ticks);

/// Whether nothing came for longer than a pause.
pub(super) fn is_long((from, to): Gap) -> bool {
    to.saturating_sub(from) > PAUSE
}

/// The long gaps between times that rise, from `start` to `end`.
pub(super) fn gaps(times: impl Iterator<Item = Ticks>, (start, end): (Ticks, Ticks)) -> Vec<Gap> {
    let (mut gaps, mut last) = (Vec::new(), start);
    for at in times.chain([end]) {
        gaps.extend(Some((last, at)).filter(|gap| is_long(*gap)));
        last = last.max(at);
    }
    gaps
}

/// How long in all there is nothing in either of two tracks, pauses not counted.
pub(super) fn held(one: &[Gap], other: &[Gap]) -> Ticks {
    let (mut held, mut from) = (0_i64, 0);
    for (start, end) in one {
        while other.get(from).is_some_and(|gap| gap.1 <= *start) {
            from += 1;
        }
        let shared = other[from..].iter().take_while(|gap| gap.0 < *end);
        let shared = shared.map(|gap| gap.1.min(*end).saturating_sub(gap.0.max(*start)));
        held = shared.fold(held, |held, length| held.saturating_add((length - PAUSE).max(0)));
    }
    held
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Ticks = TICKS_PER_SECOND;

    fn seconds(times: &[Ticks]) -> Vec<Gap> {
        gaps(times.iter().map(|at| at * S), (0, 1000 * S))
    }

    #[test]
    fn what_lies_between_far_times_is_a_gap_and_so_is_what_follows_the_last() {
        assert_eq!(seconds(&[0, 20, 60, 970]), [(20 * S, 60 * S), (60 * S, 970 * S)]);
        assert_eq!(seconds(&[500, 400, 520]), [(0, 500 * S), (520 * S, 1000 * S)]);
    }

    #[test]
    fn sound_fills_the_time_in_which_a_picture_stands() {
        let picture = seconds(&[0]);
        assert_eq!(held(&picture, &seconds(&[])), 970 * S);
        let sound: Vec<Ticks> = (0..1000).collect();
        assert_eq!(held(&picture, &seconds(&sound)), 0);
        assert_eq!(held(&picture, &seconds(&sound[..500])), (1000 - 499 - 30) * S);
    }

    #[test]
    fn only_what_neither_track_fills_is_held() {
        let (picture, sound) = (vec![(0, 100 * S), (200 * S, 400 * S)], vec![(50 * S, 300 * S)]);
        assert_eq!(held(&picture, &sound), (50 - 30) * S + (100 - 30) * S);
    }
}
