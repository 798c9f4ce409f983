//! Texts as people send them: by language, or one plain string.

use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, OneOfBuilder, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::{Language, TextChange, Texts};

/// A text in one language or in several.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged, expecting = "expected a text, or texts by BCP 47 language tag")]
pub enum Words {
    Plain(String),
    ByLanguage(Texts),
}

impl Words {
    /// By language; a plain text is in `language`.
    pub fn into_texts(self, language: &Language) -> Texts {
        match self {
            Self::Plain(text) => Texts::one(language.clone(), text),
            Self::ByLanguage(texts) => texts,
        }
    }
}

impl From<Words> for TextChange {
    fn from(words: Words) -> Self {
        match words {
            Words::Plain(text) => Self::Own(text),
            Words::ByLanguage(texts) => Self::All(texts),
        }
    }
}

impl PartialSchema for Words {
    fn schema() -> RefOr<Schema> {
        let plain = ObjectBuilder::new().schema_type(Type::String);
        OneOfBuilder::new().item(plain).item(by_language()).into()
    }
}

impl ToSchema for Words {}

/// Texts by language, in the document's words.
#[derive(Debug, Serialize)]
pub struct ByLanguage;

impl PartialSchema for ByLanguage {
    fn schema() -> RefOr<Schema> {
        by_language()
    }
}

impl ToSchema for ByLanguage {}

fn by_language() -> RefOr<Schema> {
    let text = ObjectBuilder::new().schema_type(Type::String);
    let name = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[a-z]{2}(-[A-Z][a-z]{3})?(-[A-Z]{2})?$"));
    let texts = ObjectBuilder::new()
        .schema_type(Type::Object)
        .property_names(Some(name.build()))
        .additional_properties(Some(AdditionalProperties::RefOr(text.build().into())))
        .examples([serde_json::json!({"en": "Clean air", "zh-Hans": "清洁空气"})]);
    Schema::Object(texts.build()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_text_changes_one_language_and_a_map_all() {
        let english = Language::english();
        let old: Texts = serde_json::from_str(r#"{"en": "air", "zh-Hans": "空气"}"#).expect("texts");
        let words: Words = serde_json::from_str(r#""clean air""#).expect("words");
        assert_eq!(TextChange::from(words).apply(&old, &english).0.len(), 2);
        let words: Words = serde_json::from_str(r#"{"en": "clean air"}"#).expect("words");
        assert_eq!(TextChange::from(words).apply(&old, &english), Texts::one(english, "clean air"));
    }
}
