//! A text with the language it is in, for the `lang` attribute beside it.

use crate::domain::{Language, Texts};

/// The text a reader gets, and its language where that is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spoken<'a> {
    pub text: &'a str,
    pub lang: &'a str,
}

/// The best of `texts` for a reader; the reader's own language where there is no text at all.
pub fn spoken<'a>(texts: &'a Texts, reader: &'a Language) -> Spoken<'a> {
    let text = texts.pick(reader);
    let own = texts.0.iter().find(|(_, candidate)| std::ptr::eq(candidate.as_str(), text));
    Spoken { text, lang: own.map_or(reader, |(language, _)| language).as_str() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_in_another_language_says_so() {
        let english = Language::english();
        let texts = Texts::one("zh-Hans".parse().expect("a tag"), "空气");
        assert_eq!(spoken(&texts, &english), Spoken { text: "空气", lang: "zh-Hans" });
        assert_eq!(spoken(&Texts::default(), &english), Spoken { text: "", lang: "en" });
    }
}
