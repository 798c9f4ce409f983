//! Texts by language, and the checks on words that people write.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words::{as_text, described};

/// A word that is none of those expected.
#[derive(Debug, thiserror::Error)]
#[error("{word:?} is none of {}", expected.join(", "))]
pub struct UnknownWord {
    pub word: String,
    pub expected: &'static [&'static str],
}

/// The text is not a well-formed language tag.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a BCP 47 language tag")]
pub struct ParseLanguageError(String);

/// A well-formed tag (RFC 5646 2.1): language, script, region, variants, extensions, private use.
const LANGUAGE: &str = concat!(
    "^(([A-Za-z]{2,3}(-[A-Za-z]{3}){0,3}|[A-Za-z]{4,8})(-[A-Za-z]{4})?(-([A-Za-z]{2}|[0-9]{3}))?",
    "(-([A-Za-z][A-Za-z0-9]{4,7}|[0-9][A-Za-z0-9]{3,7}))*",
    "(-[0-9A-WYZa-wyz](-[A-Za-z0-9]{2,8})+)*(-[Xx](-[A-Za-z0-9]{1,8})+)?",
    "|[Xx](-[A-Za-z0-9]{1,8})+)$",
);
/// Tags of the time before RFC 4646 that keep no rule; all are deprecated (RFC 5646 2.2.8).
const IRREGULAR: [&str; 4] = ["en-GB-oed", "sgn-BE-FR", "sgn-BE-NL", "sgn-CH-DE"];

/// A BCP 47 language tag, canonically cased (`zh-Hans`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Language(String);

impl Language {
    /// English, what a text is taken for where nothing else is known.
    pub fn english() -> Self {
        Self("en".to_owned())
    }

    /// The tag as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The primary subtag: `zh` of `zh-Hans-CN`.
    pub fn primary(&self) -> &str {
        self.0.split('-').next().unwrap_or_default()
    }
}

impl FromStr for Language {
    type Err = ParseLanguageError;

    fn from_str(text: &str) -> Result<Self, ParseLanguageError> {
        match oxilangtag::LanguageTag::parse_and_normalize(text) {
            Ok(tag) if !is_irregular(tag.as_str()) => Ok(Self(tag.into_inner())),
            _ => Err(ParseLanguageError(text.to_owned())),
        }
    }
}

fn is_irregular(tag: &str) -> bool {
    tag.starts_with("i-") || IRREGULAR.contains(&tag)
}

impl TryFrom<String> for Language {
    type Error = ParseLanguageError;

    fn try_from(text: String) -> Result<Self, ParseLanguageError> {
        text.parse()
    }
}

impl From<Language> for String {
    fn from(language: Language) -> Self {
        language.0
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Language);
described!(Language, "language", Some(LANGUAGE), "zh-Hans", "A BCP 47 language tag");

/// One text in several languages: `{"en": "…", "zh-Hans": "…"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Texts(pub BTreeMap<Language, String>);

impl Texts {
    /// A text in one language.
    pub fn one(language: Language, text: impl Into<String>) -> Self {
        Self(BTreeMap::from([(language, text.into())]))
    }

    /// No language has a text.
    pub fn is_empty(&self) -> bool {
        self.0.values().all(|text| text.trim().is_empty())
    }

    /// The best text for a reader: the language itself, then one with the same primary subtag, then English, then any.
    pub fn pick(&self, wanted: &Language) -> &str {
        self.0
            .get(wanted)
            .or_else(|| self.find_primary(wanted.primary()))
            .or_else(|| self.find_primary("en"))
            .or_else(|| self.0.values().next())
            .map_or("", String::as_str)
    }

    fn find_primary(&self, primary: &str) -> Option<&String> {
        let mut texts = self.0.iter();
        texts.find_map(|(language, text)| (language.primary() == primary).then_some(text))
    }
}

/// What is said of a text: in every language anew, or in its thing's own language alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TextChange {
    All(Texts),
    Own(String),
}

impl TextChange {
    /// In place of the `old` ones; a text in the `own` language leaves the others as they are.
    pub fn apply(self, old: &Texts, own: &Language) -> Texts {
        match self {
            Self::All(texts) => texts,
            Self::Own(text) => {
                let mut texts = old.clone();
                texts.0.insert(own.clone(), text);
                texts
            }
        }
    }
}

impl From<Texts> for TextChange {
    fn from(texts: Texts) -> Self {
        Self::All(texts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn language(tag: &str) -> Language {
        tag.parse().expect("a tag")
    }

    #[test]
    fn a_tag_is_cased_as_the_standard_says() {
        assert_eq!(language("ZH-hans").as_str(), "zh-Hans");
        assert!("not a tag".parse::<Language>().is_err());
    }

    #[test]
    fn a_reader_gets_the_nearest_language() {
        let texts = Texts(BTreeMap::from([
            (language("en"), "air".to_owned()),
            (language("zh-Hans"), "空气".to_owned()),
        ]));
        assert_eq!(texts.pick(&language("zh-CN")), "空气");
        assert_eq!(texts.pick(&language("fr")), "air");
    }
}
