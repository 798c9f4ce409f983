//! Strangers' text on its way to a log, a terminal or a table.

use std::borrow::Cow;

use super::video::turns_direction;

/// Longer text is cut: a line of the log is for reading.
const MOST_CHARS: usize = 500;

/// The text without what a terminal, a log or PostgreSQL would take for more than text: NUL, ESC and every other control
/// character, line ends, and what turns the direction of reading (Unicode TR36 3.1). Each becomes U+FFFD.
pub fn printable(text: &str) -> Cow<'_, str> {
    let is_long = text.len() > MOST_CHARS && text.chars().nth(MOST_CHARS).is_some();
    if !is_long && !text.chars().any(is_unprintable) {
        return Cow::Borrowed(text);
    }
    let shown = |c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c };
    let end = if is_long { "…" } else { "" };
    Cow::Owned(text.chars().take(MOST_CHARS).map(shown).chain(end.chars()).collect())
}

/// The same of bytes that may be no text at all.
pub fn printable_bytes(bytes: &[u8]) -> String {
    printable(&String::from_utf8_lossy(bytes)).into_owned()
}

/// It is no character to read, or changes how others are read.
pub fn is_unprintable(c: char) -> bool {
    c.is_control()
        || is_bidi_control(c)
        || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm (Unicode TR9 2).
pub fn is_bidi_control(c: char) -> bool {
    turns_direction(c) || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["", "H.264", "生态环境", "سياسة", "naïve — “quoted”"] {
            assert!(matches!(printable(text), Cow::Borrowed(same) if same == text), "{text}");
        }
    }

    #[test]
    fn what_a_terminal_a_log_or_a_database_would_obey_is_shown_instead() {
        assert_eq!(printable("a\0b\u{1b}[2Jc\nd\u{9b}e"), "a\u{fffd}b\u{fffd}[2Jc\u{fffd}d\u{fffd}e");
        assert_eq!(printable("gp\u{202e}4pm\u{2066}.\u{2028}"), "gp\u{fffd}4pm\u{fffd}.\u{fffd}");
        assert_eq!(printable_bytes(b"\xffavc1"), "\u{fffd}avc1");
    }

    #[test]
    fn a_long_text_is_cut_at_a_character() {
        let cut = printable(&"é".repeat(MOST_CHARS + 1)).into_owned();
        assert_eq!(cut, "é".repeat(MOST_CHARS) + "…");
        assert!(matches!(printable(&"é".repeat(MOST_CHARS)), Cow::Borrowed(_)));
    }
}
