//! Times between a stream's own time base and the timeline's ticks.

use ffmpeg_next::Rational;

use crate::domain::media::{Fraction, TICKS_PER_SECOND, Ticks};

/// Microseconds, the base of a container's own times.
pub(super) const CONTAINER_BASE: Rational = Rational(1, 1_000_000);

/// A time in the stream's base as ticks, rounded to the nearest; saturates where the input lies.
pub(super) fn to_ticks(time: i64, base: Rational) -> Ticks {
    let (num, den) = (i128::from(base.numerator()), i128::from(base.denominator()).max(1));
    let scaled = i128::from(time) * num * i128::from(TICKS_PER_SECOND);
    let rounded = (scaled + scaled.signum() * den / 2) / den;
    Ticks::try_from(rounded).unwrap_or(if rounded < 0 { Ticks::MIN } else { Ticks::MAX })
}

/// A positive ratio; 0/1 where it is none.
pub(in crate::media) fn fraction(ratio: Rational) -> Fraction {
    match (u32::try_from(ratio.numerator()), u32::try_from(ratio.denominator())) {
        (Ok(num), Ok(den)) if num > 0 && den > 0 => Fraction { num, den },
        _ => Fraction { num: 0, den: 1 },
    }
}

/// A ratio of ours as one of libav's.
pub(super) fn rational(fraction: Fraction) -> Rational {
    let part = |part: u32| i32::try_from(part).unwrap_or(i32::MAX);
    Rational(part(fraction.num), part(fraction.den))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_millisecond_is_ninety_ticks_on_both_sides_of_zero() {
        assert_eq!(to_ticks(1, Rational(1, 1000)), 90);
        assert_eq!(to_ticks(-1, Rational(1, 1000)), -90);
    }

    #[test]
    fn a_time_that_lies_saturates() {
        assert_eq!(to_ticks(i64::MAX, Rational(1, 1)), Ticks::MAX);
    }
}
