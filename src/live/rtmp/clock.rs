//! Unwraps RTMP's 32-bit milliseconds into a time line without end.

/// The time line of one connection, shared by picture and sound.
#[derive(Debug, Default)]
pub(super) struct Clock {
    last_ms: Option<i64>,
}

impl Clock {
    /// The stamp nearest to the one before: a jump of hours stays a jump, 2^32 is passed without notice.
    pub(super) fn unwrap_ms(&mut self, stamp: u32) -> i64 {
        let unwrapped = match self.last_ms {
            None => i64::from(stamp),
            Some(last) => last + signed_difference(stamp, last),
        };
        self.last_ms = Some(unwrapped);
        unwrapped
    }
}

fn signed_difference(stamp: u32, last: i64) -> i64 {
    const ROUND: i64 = 1 << 32;
    let ahead = (i64::from(stamp) - last).rem_euclid(ROUND);
    if ahead >= ROUND / 2 { ahead - ROUND } else { ahead }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unwrapped(stamps: &[u32]) -> Vec<i64> {
        let mut clock = Clock::default();
        stamps.iter().map(|&stamp| clock.unwrap_ms(stamp)).collect()
    }

    #[test]
    fn time_goes_on_past_32_bits_and_back() {
        assert_eq!(unwrapped(&[u32::MAX - 10, 5, u32::MAX]), [4_294_967_285, 4_294_967_301, 4_294_967_295]);
    }

    #[test]
    fn jumps_of_hours_stay_jumps() {
        assert_eq!(unwrapped(&[1000, 18_000_000, 2000]), [1000, 18_000_000, 2000]);
    }

    #[test]
    fn a_stamp_before_the_start_is_negative() {
        assert_eq!(unwrapped(&[0, u32::MAX]), [0, -1]);
    }
}
