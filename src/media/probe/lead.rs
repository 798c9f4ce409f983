//! Where a video begins: with its first picture or, where that comes earlier, with its sound.

use super::still::Gap;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Sound up to this much before the first picture is the run-up of its encoder, which most containers can't tell: 1024
/// samples of AAC at 22.05 kHz are 46 ms.
const RUN_UP: Ticks = TICKS_PER_SECOND / 20;
/// Less sound than this before a long pause is a packet with a time that lies, as some recorders begin with.
const STRAY: Ticks = TICKS_PER_SECOND;

/// How long before the first picture the sound begins that starts at `start` and has these long gaps; 0 where it doesn't.
pub(super) fn lead(picture: Ticks, start: Ticks, gaps: &[Gap]) -> Ticks {
    let begin = gaps.iter().fold(start, |begin, (from, to)| {
        if *from < picture && from.saturating_sub(begin) < STRAY { *to } else { begin }
    });
    let lead = picture.saturating_sub(begin);
    if lead > RUN_UP { lead } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Ticks = TICKS_PER_SECOND;

    #[test]
    fn a_video_begins_with_its_sound_where_that_is_earlier_than_its_pictures() {
        assert_eq!(lead(7 * S, S, &[]), 6 * S);
        assert_eq!(lead(7 * S, 8 * S, &[]), 0);
    }

    #[test]
    fn the_run_up_of_an_encoder_is_no_beginning() {
        assert_eq!(lead(S, S - 1920, &[]), 0);
        assert_eq!(lead(S, S - S / 10, &[]), S / 10);
    }

    #[test]
    fn a_single_packet_long_before_all_others_is_no_beginning_and_speech_before_a_pause_is_one() {
        assert_eq!(lead(5000 * S, 0, &[(S / 50, 4999 * S)]), S);
        assert_eq!(lead(5000 * S, 0, &[(S / 50, 5001 * S)]), 0);
        assert_eq!(lead(90 * S, 0, &[(20 * S, 80 * S)]), 90 * S);
    }
}
