//! Spans of time in settings.

use std::str::FromStr;
use std::time::Duration;

/// A span of time as people write it: `90s`, `15m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// The text is no span of time.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ParseSpanError {
    #[error("no unit; write {0}s for seconds, or m, h, d")]
    Unit(String),
    #[error("expected a number and s, m, h or d, such as 90s")]
    Syntax,
    #[error("too long")]
    TooLong,
}

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let (count, unit) = text.split_at(split);
        let seconds = match (count, unit) {
            ("", _) => return Err(ParseSpanError::Syntax),
            (_, "") => return Err(ParseSpanError::Unit(count.to_owned())),
            (_, "s") => 1,
            (_, "m") => 60,
            (_, "h") => 3600,
            (_, "d") => 86_400,
            _ => return Err(ParseSpanError::Syntax),
        };
        let seconds = count.parse::<u64>().ok().and_then(|count| count.checked_mul(seconds));
        seconds.map(|seconds| Self(Duration::from_secs(seconds))).ok_or(ParseSpanError::TooLong)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        let parse = |text: &str| text.parse::<Span>();
        assert_eq!(parse("15m"), Ok(Span(Duration::from_mins(15))));
        assert_eq!(parse("90"), Err(ParseSpanError::Unit("90".to_owned())));
        for wrong in ["soon", "", "1.5h", "500ms", "-1s", "1h30m"] {
            assert_eq!(parse(wrong), Err(ParseSpanError::Syntax), "{wrong}");
        }
        assert_eq!(parse("99999999999999999999d"), Err(ParseSpanError::TooLong));
    }
}
