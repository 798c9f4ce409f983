//! Texts as people send them: by language, or one plain string.

use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::openapi::schema::{AdditionalProperties, Object, ObjectBuilder, SchemaType, Type};
use utoipa::openapi::{RefOr, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::domain::video::{MAX_DESCRIPTION_CHARS, MAX_LANGUAGES, MAX_NAME_CHARS, MAX_TITLE_CHARS};
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

/// Texts by language, in the document's words.
#[derive(Debug, Serialize)]
pub struct ByLanguage;

impl PartialSchema for ByLanguage {
    fn schema() -> RefOr<Schema> {
        let text = ObjectBuilder::new().schema_type(Type::String);
        let texts = ObjectBuilder::new()
            .schema_type(Type::Object)
            .property_names(tag())
            .additional_properties(Some(AdditionalProperties::RefOr(text.build().into())))
            .description(Some("A text by the BCP 47 tags of its languages"))
            .examples([json!({"en": "Clean air", "zh-Hans": "清洁空气"})]);
        Schema::Object(texts.build()).into()
    }
}

impl ToSchema for ByLanguage {}

fn tag() -> Option<Schema> {
    match Language::schema() {
        RefOr::T(schema) => Some(schema),
        RefOr::Ref(_) => None,
    }
}

/// A title, in the document's words.
pub fn title() -> Object {
    texts(&[Type::String, Type::Object], 1, MAX_TITLE_CHARS)
}

/// A title that may be left out.
pub fn new_title() -> Object {
    texts(&[Type::String, Type::Object, Type::Null], 1, MAX_TITLE_CHARS)
}

/// A description.
pub fn description() -> Object {
    texts(&[Type::String, Type::Object, Type::Null], 0, MAX_DESCRIPTION_CHARS)
}

/// A name or a reason.
pub fn name() -> Object {
    texts(&[Type::String, Type::Object], 1, MAX_NAME_CHARS)
}

/// A name that may be left out.
pub fn new_name() -> Object {
    texts(&[Type::String, Type::Object, Type::Null], 1, MAX_NAME_CHARS)
}

/// What is said in place of a picture.
pub fn alternative() -> Object {
    texts(&[Type::String, Type::Object, Type::Null], 0, MAX_NAME_CHARS)
}

/// A plain text, or one by language; characters are counted in each.
fn texts(types: &[Type], least: usize, most: usize) -> Object {
    let text = ObjectBuilder::new().schema_type(Type::String).max_length(Some(most));
    let least = Some(least).filter(|least| *least > 0);
    ObjectBuilder::new()
        .schema_type(SchemaType::Array(types.to_vec()))
        .min_length(least)
        .max_length(Some(most))
        .property_names(tag())
        .min_properties(least)
        .max_properties(Some(MAX_LANGUAGES))
        .additional_properties(Some(AdditionalProperties::RefOr(text.build().into())))
        .build()
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
