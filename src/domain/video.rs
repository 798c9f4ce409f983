//! Videos: their states and the limits on what is said of them.

use std::time::Duration;

use super::text::Texts;
use super::words::words;

/// Characters a title may have; a longer one breaks pages and cards.
pub const MAX_TITLE_CHARS: usize = 200;
/// Characters a description may have.
pub const MAX_DESCRIPTION_CHARS: usize = 10_000;
/// Languages one text may be given in; more of them would only fill pages' tables and the index.
pub const MAX_LANGUAGES: usize = 20;
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

words! {
    /// What has become of the source that came last.
    SourceState {
        /// What was there before plays until it is done.
        Processing = "processing",
        Playing = "playing",
        /// What was there before plays on, if anything.
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
    #[error("{field} has a character that turns the direction of what is around it")]
    Direction { field: &'static str },
    #[error("{field} is in {languages} languages, at most {most} are allowed")]
    Languages { field: &'static str, languages: usize, most: usize },
}

/// Some language has a text, and none is longer than `most` characters.
pub fn check_texts(field: &'static str, texts: &Texts, most: usize) -> Result<(), TextError> {
    if texts.is_empty() {
        return Err(TextError::Empty { field });
    }
    check_length(field, texts, most)
}

/// None is longer than `most` characters, there are not too many, and each can be stored and shown.
pub fn check_length(field: &'static str, texts: &Texts, most: usize) -> Result<(), TextError> {
    let languages = texts.0.len();
    if languages > MAX_LANGUAGES {
        return Err(TextError::Languages { field, languages, most: MAX_LANGUAGES });
    }
    texts.0.values().try_for_each(|text| check_line(field, text, most))
}

/// At most `most` characters, none of them a control character but tab and line feed (PostgreSQL stores no NUL), and
/// none that embeds, overrides or isolates a direction (Unicode UAX 9 2): a text is shown beside others and cut to
/// length, where such a character would turn what follows it. The marks (LRM, RLM, ALM) may stand.
pub fn check_line(field: &'static str, text: &str, most: usize) -> Result<(), TextError> {
    let chars = text.chars().count();
    if chars > most {
        return Err(TextError::TooLong { field, chars, most });
    }
    let control = |c: char| c.is_control() && !matches!(c, '\n' | '\r' | '\t');
    if text.contains(control) {
        return Err(TextError::Control { field });
    }
    if text.contains(turns_direction) { Err(TextError::Direction { field }) } else { Ok(()) }
}

/// LRE, RLE, PDF, LRO, RLO; LRI, RLI, FSI, PDI.
pub fn turns_direction(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
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

    #[test]
    fn a_text_turns_no_direction_and_is_in_twenty_languages_at_most() {
        for turning in ["\u{202e}4pm.exe", "a\u{2066}b\u{2069}", "\u{202a}"] {
            assert_eq!(check_line("title", turning, 200), Err(TextError::Direction { field: "title" }));
        }
        assert_eq!(check_line("title", "ئاپتونوم\u{200f} (2026)", 200), Ok(()), "a mark is no override");
        let tag = |n: usize| format!("x{}", char::from(b'a' + u8::try_from(n).unwrap_or(0)));
        let texts =
            |count| Texts((0..count).map(|n| (tag(n).parse().expect("a tag"), "x".to_owned())).collect());
        assert_eq!(check_texts("name", &texts(MAX_LANGUAGES), 200), Ok(()));
        assert!(matches!(
            check_length("name", &texts(MAX_LANGUAGES + 1), 200),
            Err(TextError::Languages { .. })
        ));
    }
}
