//! Videos: their states and the limits on what is said of them.

use std::time::Duration;

use super::text::Texts;
use super::words::words;

/// Characters a title may have; a longer one breaks pages and cards.
pub const MAX_TITLE_CHARS: usize = 200;
/// Characters a description may have.
pub const MAX_DESCRIPTION_CHARS: usize = 10_000;
/// Characters a name, a reason or an alternative text may have.
pub const MAX_NAME_CHARS: usize = 300;
/// A node that is cut off from its database may play what it knows for no longer: it would not hear of a withdrawal.
pub const MOST_STALE: Duration = Duration::from_hours(1);

words! {
    /// Who may see a video.
    VideoState {
        /// Its account and whoever holds a signed address.
        Draft = "draft",
        /// Everybody.
        Published = "published",
        /// Taken back, with a public reason.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// What has become of the picture uploaded last.
    PosterState {
        Processing = "processing",
        /// It is shown.
        Ready = "ready",
        /// What was shown before stays.
        Refused = "refused",
    }
}

/// A text that can't be taken.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TextError {
    #[error("{field} is empty")]
    Empty { field: &'static str },
    #[error("{field} has {chars} characters, at most {most} are allowed")]
    TooLong { field: &'static str, chars: usize, most: usize },
    #[error("{field} has a control character")]
    Control { field: &'static str },
}

/// Some language has a text, and none is longer than `most` characters.
pub fn check_texts(field: &'static str, texts: &Texts, most: usize) -> Result<(), TextError> {
    if texts.is_empty() {
        return Err(TextError::Empty { field });
    }
    check_length(field, texts, most)
}

/// None is longer than `most` characters, and each can be stored and shown.
pub fn check_length(field: &'static str, texts: &Texts, most: usize) -> Result<(), TextError> {
    texts.0.values().try_for_each(|text| check_line(field, text, most))
}

/// At most `most` characters, none of them a control character but tab and line feed (PostgreSQL stores no NUL).
pub fn check_line(field: &'static str, text: &str, most: usize) -> Result<(), TextError> {
    let chars = text.chars().count();
    if chars > most {
        return Err(TextError::TooLong { field, chars, most });
    }
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(control) { Err(TextError::Control { field }) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::super::Language;
    use super::*;

    #[test]
    fn length_is_counted_in_characters_not_bytes() {
        let texts = |text: String| Texts::one(Language::english(), text);
        assert_eq!(check_texts("title", &texts("政".repeat(200)), 200), Ok(()));
        assert!(check_texts("title", &texts("政".repeat(201)), 200).is_err());
        assert!(check_texts("title", &texts("  ".to_owned()), 200).is_err());
    }
}
