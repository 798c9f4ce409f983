//! Spans of time in settings.

use std::str::FromStr;
use std::time::Duration;

/// A span of time as people write it: `90s`, `15m`, `24h`, `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span(pub Duration);

/// The text is no span of time.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no span of time: a number and s, m, h or d")]
pub struct ParseSpanError(String);

impl FromStr for Span {
    type Err = ParseSpanError;

    fn from_str(text: &str) -> Result<Self, ParseSpanError> {
        let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
        let seconds = match &text[split..] {
            "s" | "" => 1,
            "m" => 60,
            "h" => 3600,
            "d" => 86_400,
            _ => return Err(ParseSpanError(text.to_owned())),
        };
        match text[..split].parse::<u64>().ok().and_then(|count| count.checked_mul(seconds)) {
            Some(seconds) => Ok(Self(Duration::from_secs(seconds))),
            None => Err(ParseSpanError(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_has_a_unit() {
        assert_eq!("15m".parse::<Span>().map(|span| span.0).ok(), Some(Duration::from_mins(15)));
        assert!("soon".parse::<Span>().is_err());
        assert!("99999999999999999999d".parse::<Span>().is_err());
    }
}
