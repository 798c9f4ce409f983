//! Which of several claims about the frame rate to believe.

use crate::domain::media::Fraction;

/// Above this a rate is a time base in disguise; real cameras stay below.
const MAX_RATE: f64 = 300.0;
/// What is left to assume where nothing is known.
const FALLBACK: Fraction = Fraction { num: 25, den: 1 };
/// How far a claim may be from what was counted and still be the same rate, rounded.
const TOLERANCE: f64 = 0.01;

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
    let claims = [average, base].into_iter().filter(|claim| is_sane(claim.as_f64()));
    match counted.filter(|rate| is_sane(*rate)) {
        Some(counted) => {
            let near = |claim: &Fraction| (claim.as_f64() / counted - 1.0).abs() < TOLERANCE;
            claims.chain(COMMON).find(near).unwrap_or_else(|| thousandths(counted))
        }
        None => claims.into_iter().next().unwrap_or(FALLBACK),
    }
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
