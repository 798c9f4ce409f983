//! Which of several claims about the frame rate to believe.

use crate::domain::media::Fraction;

/// Above this a rate is a time base in disguise; real cameras stay below.
const MAX_RATE: f64 = 300.0;
/// What is left to assume where nothing is known.
const FALLBACK: Fraction = Fraction { num: 25, den: 1 };
/// How far the container's claim may be from what was counted: a few pictures dropped or late.
const LENIENT: f64 = 0.05;
/// How far a common rate may be from it: times rounded to milliseconds.
const STRICT: f64 = 0.005;

const COMMON: [Fraction; 12] = [
    Fraction { num: 24_000, den: 1001 },
    Fraction { num: 24, den: 1 },
    Fraction { num: 25, den: 1 },
    Fraction { num: 30_000, den: 1001 },
    Fraction { num: 30, den: 1 },
    Fraction { num: 50, den: 1 },
    Fraction { num: 60_000, den: 1001 },
    Fraction { num: 60, den: 1 },
    Fraction { num: 120, den: 1 },
    Fraction { num: 15, den: 1 },
    Fraction { num: 10, den: 1 },
    Fraction { num: 12, den: 1 },
];

/// The average rate: the container's claim where the counted packets bear it out, or else what was counted.
pub(super) fn choose(average: Fraction, base: Fraction, counted: Option<f64>) -> Fraction {
    let sane = |claim: &Fraction| is_sane(claim.as_f64());
    let (average, base) = (Some(average).filter(sane), Some(base).filter(sane));
    let Some(counted) = counted.filter(|rate| is_sane(*rate)) else {
        return average.or(base).unwrap_or(FALLBACK);
    };
    let near = |within: f64| move |claim: &Fraction| (claim.as_f64() / counted - 1.0).abs() < within;
    let exact = average.filter(near(STRICT)).or_else(|| nearest(counted).filter(near(STRICT)));
    let rough = || average.filter(near(LENIENT)).or(base.filter(near(LENIENT)));
    exact.or_else(rough).unwrap_or_else(|| thousandths(counted))
}

fn nearest(rate: f64) -> Option<Fraction> {
    let far = |claim: &Fraction| (claim.as_f64() - rate).abs();
    COMMON.into_iter().min_by(|one, other| far(one).total_cmp(&far(other)))
}

fn is_sane(rate: f64) -> bool {
    rate > 0.0 && rate <= MAX_RATE
}

fn thousandths(rate: f64) -> Fraction {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "sane rates are small and positive"
    )]
    let num = (rate * 1000.0).round() as u32;
    Fraction { num: num.max(1), den: 1000 }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Fraction = Fraction { num: 0, den: 1 };

    fn whole(num: u32) -> Fraction {
        Fraction { num, den: 1 }
    }

    #[test]
    fn a_time_base_posing_as_a_rate_gives_way_to_the_packets() {
        assert_eq!(choose(whole(1000), whole(1000), Some(29.96)), Fraction { num: 30_000, den: 1001 });
    }

    #[test]
    fn the_containers_word_stands_where_the_packets_agree() {
        let ntsc = Fraction { num: 30_000, den: 1001 };
        assert_eq!(choose(ntsc, ntsc, Some(29.99)), ntsc);
        assert_eq!(choose(whole(24), whole(24), None), whole(24));
    }

    #[test]
    fn a_slideshow_keeps_its_slow_rate() {
        assert_eq!(choose(NONE, whole(90_000), Some(0.5)), Fraction { num: 500, den: 1000 });
    }

    #[test]
    fn nothing_known_is_taken_for_twenty_five() {
        assert_eq!(choose(NONE, NONE, None), whole(25));
    }
}
