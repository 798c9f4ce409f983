//! What of a video is shown: its ends may be cut off without encoding anything again, and put back.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize};

use super::media::{Segment, TICKS_PER_SECOND, Ticks};

/// Milliseconds from the true start. Written `1000-59000`, or `1000-` up to the end, in addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Trim {
    #[schema(minimum = 0)]
    pub start_ms: i64,
    /// Null: to the end.
    pub end_ms: Option<i64>,
}

/// The text is no trim.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no trim: two numbers of milliseconds with a hyphen between, the second may be left out")]
pub struct ParseTrimError(String);

impl Trim {
    /// Something is left between its ends.
    pub fn is_sound(self) -> bool {
        self.start_ms >= 0 && self.end_ms.is_none_or(|end| end > self.start_ms)
    }

    /// Some of a segment is shown: then all of it is.
    pub fn keeps(self, segment: &Segment) -> bool {
        let begins = self.end_ms.is_none_or(|end| segment.start < ticks(end));
        begins && segment.start + segment.duration > self.start()
    }

    /// Where it starts, in ticks.
    pub fn start(self) -> Ticks {
        ticks(self.start_ms)
    }

    /// How long a video of this length is shown, in ticks.
    pub fn duration(self, whole: Ticks) -> Ticks {
        let end = self.end_ms.map_or(whole, |end| ticks(end).min(whole));
        (end - self.start()).max(0)
    }
}

/// 1 to 12 digits, as the document has it; a sign is none.
fn milliseconds(text: &str) -> Option<i64> {
    let digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

fn ticks(ms: i64) -> Ticks {
    ms.saturating_mul(TICKS_PER_SECOND / 1000)
}

impl fmt::Display for Trim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-", self.start_ms)?;
        self.end_ms.map_or(Ok(()), |end| write!(f, "{end}"))
    }
}

impl FromStr for Trim {
    type Err = ParseTrimError;

    fn from_str(text: &str) -> Result<Self, ParseTrimError> {
        let wrong = || ParseTrimError(text.to_owned());
        let (start, end) = text.split_once('-').ok_or_else(wrong)?;
        let start_ms = milliseconds(start).ok_or_else(wrong)?;
        let end_ms = if end.is_empty() { None } else { Some(milliseconds(end).ok_or_else(wrong)?) };
        Some(Self { start_ms, end_ms }).filter(|trim| trim.is_sound()).ok_or_else(wrong)
    }
}

impl<'de> Deserialize<'de> for Trim {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_is_shown_where_some_of_it_is() {
        let trim: Trim = "3000-8000".parse().expect("a trim");
        let segment =
            |at: i64| Segment { start: ticks(at), duration: ticks(2000), size_bytes: 1, key_bytes: 1 };
        let kept: Vec<i64> =
            [0, 2000, 4000, 6000, 8000].into_iter().filter(|at| trim.keeps(&segment(*at))).collect();
        assert_eq!(kept, [2000, 4000, 6000]);
        assert_eq!((trim.duration(ticks(20_000)), trim.duration(ticks(5000))), (ticks(5000), ticks(2000)));
    }

    #[test]
    fn it_reads_what_it_writes() {
        for text in ["0-1", "1000-", "1000-59000"] {
            assert_eq!(text.parse::<Trim>().expect("a trim").to_string(), text);
        }
        for wrong in ["", "-", "5", "9-3", "-1-5", "a-b", "+1-5", "1-+5", "1234567890123-"] {
            assert!(wrong.parse::<Trim>().is_err(), "{wrong}");
        }
    }
}
