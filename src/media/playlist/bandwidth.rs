//! Bit rates as playlists declare them (RFC 8216bis 4.4.6.2).

use crate::domain::media::{Segment, TICKS_PER_SECOND, Ticks};

/// Bits a second of the densest run of segments that lasts 0.5 to 1.5 target durations; `target` in seconds.
/// Where no run lasts that long, of the whole rendition.
pub fn peak(segments: &[Segment], target: u32) -> u64 {
    let target = Ticks::from(target) * TICKS_PER_SECOND;
    let mut peak = 0;
    for first in 0..segments.len() {
        let (mut bytes, mut lasted) = (0, 0);
        for segment in &segments[first..] {
            bytes += segment.size_bytes;
            lasted += segment.duration;
            if lasted * 2 > target * 3 {
                break;
            }
            if lasted * 2 >= target {
                peak = peak.max(rate(bytes, lasted));
            }
        }
    }
    if peak == 0 { average(segments) } else { peak }
}

/// Bits a second of all segments together.
pub fn average(segments: &[Segment]) -> u64 {
    let bytes = segments.iter().map(|segment| segment.size_bytes).sum();
    rate(bytes, segments.iter().map(|segment| segment.duration).sum())
}

/// Rounded up: a declared rate is never below the real one.
fn rate(bytes: u64, lasted: Ticks) -> u64 {
    let lasted = u128::try_from(lasted).unwrap_or(0).max(1);
    let bits = u128::from(bytes) * 8 * u128::from(TICKS_PER_SECOND.unsigned_abs());
    u64::try_from(bits.div_ceil(lasted)).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Ticks = TICKS_PER_SECOND;

    fn run(segments: &[(Ticks, u64)]) -> Vec<Segment> {
        let whole = |&(duration, size_bytes)| Segment { start: 0, duration, size_bytes, key_bytes: 0 };
        segments.iter().map(whole).collect()
    }

    #[test]
    fn the_densest_segment_is_the_peak() {
        let segments = run(&[(4 * SECOND, 1000), (4 * SECOND, 9000), (4 * SECOND, 2000)]);
        assert_eq!(peak(&segments, 4), 18_000);
        assert_eq!(average(&segments), 8000);
    }

    #[test]
    fn a_short_burst_counts_only_together_with_its_neighbours() {
        // One second of 10,000 bytes in segments of 4 s: too short alone, 5 s with a neighbour is not too long.
        let segments = run(&[(4 * SECOND, 1000), (SECOND, 10_000), (4 * SECOND, 1000)]);
        assert_eq!(peak(&segments, 4), 11_000 * 8 / 5);
    }

    #[test]
    fn two_halves_together_may_be_denser_than_each_allowed_run() {
        let segments = run(&[(SECOND, 500), (2 * SECOND, 4000), (2 * SECOND, 4000), (SECOND, 500)]);
        assert_eq!(peak(&segments, 4), 16_000);
    }

    #[test]
    fn a_clip_shorter_than_any_run_has_its_average() {
        let segments = run(&[(SECOND, 1000)]);
        assert_eq!(peak(&segments, 4), 8000);
    }

    #[test]
    fn nothing_has_no_rate() {
        assert_eq!((peak(&[], 4), average(&[])), (0, 0));
    }

    #[test]
    fn a_rate_is_rounded_up() {
        assert_eq!(average(&run(&[(3 * SECOND, 1)])), 3);
    }
}
