//! Holds what a request says against its schema in the document. Everything that is wrong is told at once, in words for
//! people: what is there, what was expected, and where.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::error::FIELD_UNKNOWN;
use super::problem::Fault;
use crate::domain::account::Handle;
use crate::domain::push::PushUrl;
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::video::check_line;
use crate::domain::{Language, Timestamp, VideoId, printable};

/// More would tell nobody more, and cost a page.
const MAX_FAULTS: usize = 100;
/// Characters of a wrong value that are repeated.
const MAX_REPEATED: usize = 60;

/// Texts with rules of their own: the schema's `format`, the rule, and what it asks for.
type Format = (&'static str, fn(&str) -> bool, &'static str);
const FORMATS: [Format; 7] = [
    ("uuid", is::<VideoId>, "an id: a UUID"),
    ("date-time", is_time, "a time as RFC 3339 writes it, such as 2026-05-04T10:00:00Z"),
    (
        "handle",
        is::<Handle>,
        "a handle: 2 to 64 of a-z, 0-9 and -, beginning and ending with a letter or digit",
    ),
    ("topic", is::<Slug>, "a topic: up to 6 labels of a-z, 0-9 and - joined by /"),
    ("language", is::<Language>, "a BCP 47 language tag, such as en or zh-Hans"),
    ("trim", is::<Trim>, "two numbers of milliseconds with - between, such as 1000-59000"),
    ("rtmp-url", |_| true, "an address"),
];

fn is<T: FromStr>(text: &str) -> bool {
    text.parse::<T>().is_ok()
}

fn is_time(text: &str) -> bool {
    Timestamp::from_rfc3339(text).is_some()
}

/// The schemas of the document.
#[derive(Debug, Default)]
pub struct Schemas(Value);

/// Where in a body a value is: as a JSON pointer, as people write it, and the field at the top that its codes name.
#[derive(Debug, Clone, Default)]
struct Place {
    pointer: String,
    name: String,
    field: Option<String>,
}

impl Place {
    fn below(&self, step: &str, is_item: bool) -> Self {
        let escaped = step.replace('~', "~0").replace('/', "~1");
        let shown = printable(step).to_string();
        let name = match (self.name.is_empty(), is_item) {
            (true, true) => format!("item {shown}"),
            (true, false) => shown,
            (false, true) => format!("{}[{shown}]", self.name),
            (false, false) => format!("{}.{shown}", self.name),
        };
        let field = self.field.clone().or_else(|| (!is_item).then(|| step.to_owned()));
        Self { pointer: format!("{}/{escaped}", self.pointer), name, field }
    }

    /// As a sentence begins with it.
    fn subject(&self) -> &str {
        if self.name.is_empty() { "the body" } else { &self.name }
    }

    /// `title_invalid`, `body_invalid`.
    fn code(&self, fault: &str) -> String {
        let field = self.field.as_deref().filter(|name| is_name(name)).unwrap_or("body");
        format!("{field}_{fault}")
    }

    fn fault(&self, code: String, detail: String) -> Fault {
        Fault { pointer: Some(self.pointer.clone()), parameter: None, code, detail }
    }
}

/// A field as codes may name it.
pub fn is_name(field: &str) -> bool {
    !field.is_empty() && field.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

impl Schemas {
    /// Those of this document.
    pub fn of(document: &Value) -> Self {
        Self(document["components"]["schemas"].clone())
    }

    fn resolved<'a>(&'a self, schema: &'a Value) -> &'a Value {
        match schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) {
            Some(name) => self.resolved(&self.0[name]),
            None => schema,
        }
    }

    /// All that is wrong with a body, fields that nobody reads first.
    pub fn check(&self, schema: &Value, body: &Value) -> Vec<Fault> {
        let mut faults = Vec::new();
        self.hold(schema, body, &Place::default(), &mut faults);
        faults.sort_by_key(|fault| fault.code != FIELD_UNKNOWN);
        faults.truncate(MAX_FAULTS);
        faults
    }

    /// What is wrong with a parameter of the address.
    pub fn check_parameter(&self, schema: &Value, (name, text): (&str, &str), code: &str) -> Option<Fault> {
        let schema = self.resolved(schema);
        // An address has texts only: they count as what they are to be read as.
        let value = if is_of(schema, "integer") {
            text.parse::<u64>().map_or_else(|_| text.into(), Value::from)
        } else if is_of(schema, "boolean") {
            text.parse::<bool>().map_or_else(|_| text.into(), Value::from)
        } else {
            text.into()
        };
        let mut faults = Vec::new();
        self.hold(schema, &value, &Place::default().below(name, false), &mut faults);
        // How much may be asked for is the handler's to say.
        let fault = faults.into_iter().find(|_| schema["maximum"].is_null() || !value.is_u64())?;
        Some(Fault { pointer: None, parameter: Some(name.to_owned()), code: code.to_owned(), ..fault })
    }

    fn hold(&self, schema: &Value, value: &Value, at: &Place, faults: &mut Vec<Fault>) {
        let schema = self.resolved(schema);
        if let Some(choices) = schema["oneOf"].as_array() {
            let null = choices.iter().any(|choice| choice["type"] == "null");
            if null && value.is_null() {
                return;
            }
            // The document has no other choices than a thing or null.
            for choice in choices.iter().filter(|choice| choice["type"] != "null") {
                self.hold(choice, value, at, faults);
            }
            return;
        }
        if !is_of(schema, kind(value)) {
            let expected = self.describe(schema);
            let detail = format!("{} is {}, expected {expected}", at.subject(), shown(value));
            faults.push(at.fault(at.code("invalid"), detail));
            return;
        }
        match value {
            Value::String(text) => hold_text(schema, text, at, faults),
            Value::Number(_) => self.hold_number(schema, value, at, faults),
            Value::Array(items) => self.hold_items(schema, items, at, faults),
            Value::Object(fields) => self.hold_fields(schema, fields, at, faults),
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn hold_number(&self, schema: &Value, value: &Value, at: &Place, faults: &mut Vec<Fault>) {
        let number = value.as_f64().unwrap_or_default();
        let below = schema["minimum"].as_f64().is_some_and(|least| number < least);
        let above = schema["maximum"].as_f64().is_some_and(|most| number > most);
        if below || above {
            let detail = format!("{} is {value}, expected {}", at.subject(), self.describe(schema));
            faults.push(at.fault(at.code("invalid"), detail));
        }
    }

    fn hold_items(&self, schema: &Value, items: &[Value], at: &Place, faults: &mut Vec<Fault>) {
        let most = schema["maxItems"].as_u64().filter(|most| items.len() as u64 > *most);
        if let Some(most) = most {
            let detail = format!("{} has {} items, at most {most} are allowed", at.subject(), items.len());
            faults.push(at.fault(at.code("invalid"), detail));
            return;
        }
        for (index, item) in items.iter().enumerate().take_while(|(index, _)| *index < MAX_FAULTS * 100) {
            self.hold(&schema["items"], item, &at.below(&index.to_string(), true), faults);
        }
    }

    fn hold_fields(&self, schema: &Value, fields: &Map<String, Value>, at: &Place, faults: &mut Vec<Fault>) {
        let known = &schema["properties"];
        for (name, value) in fields {
            let below = at.below(name, false);
            match (known.get(name), &schema["additionalProperties"]) {
                (Some(schema), _) => self.hold(schema, value, &below, faults),
                (None, Value::Bool(false)) => {
                    let detail = format!("there is no field {} here", printable(&below.name));
                    faults.push(below.fault(FIELD_UNKNOWN.to_owned(), detail));
                }
                (None, others) => {
                    self.hold_name(&schema["propertyNames"], name, &below, faults);
                    self.hold(others, value, &below, faults);
                }
            }
        }
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if !fields.contains_key(name) {
                let below = at.below(name, false);
                let detail = format!("{} is missing", below.name);
                faults.push(below.fault(format!("{name}_missing"), detail));
            }
        }
        hold_count(schema, fields.len() as u64, at, faults);
    }

    fn hold_name(&self, schema: &Value, name: &str, at: &Place, faults: &mut Vec<Fault>) {
        if schema.is_object() {
            self.hold(schema, &name.into(), at, faults);
        }
    }

    /// What a schema asks for, after "expected".
    fn describe(&self, schema: &Value) -> String {
        let schema = self.resolved(schema);
        if let Some(words) = schema["enum"].as_array() {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return format!("one of {}", words.join(", "));
        }
        if let Some((_, _, asked)) = FORMATS.iter().find(|(name, ..)| schema["format"] == *name) {
            return (*asked).to_owned();
        }
        match (is_of(schema, "string"), is_of(schema, "object")) {
            (true, true) => "a text, or texts by language".to_owned(),
            (true, false) => "a text".to_owned(),
            (false, true) => "an object with fields".to_owned(),
            _ if is_of(schema, "boolean") => "true or false".to_owned(),
            _ if is_of(schema, "array") => format!("a list, each item {}", self.describe(&schema["items"])),
            _ => describe_number(schema),
        }
    }
}

fn hold_count(schema: &Value, count: u64, at: &Place, faults: &mut Vec<Fault>) {
    if let Some(most) = schema["maxProperties"].as_u64().filter(|most| count > *most) {
        let detail = format!("{} is in {count} languages, at most {most} are allowed", at.subject());
        faults.push(at.fault(at.code("too_many_languages"), detail));
    }
    if schema["minProperties"].as_u64().is_some_and(|least| count < least) {
        faults.push(at.fault(at.code("empty"), format!("{} is empty", at.subject())));
    }
}

fn describe_number(schema: &Value) -> String {
    match (schema["minimum"].as_i64(), schema["maximum"].as_i64()) {
        (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
        (Some(least), None) => format!("a whole number, {least} or more"),
        _ => "a whole number".to_owned(),
    }
}

fn hold_text(schema: &Value, text: &str, at: &Place, faults: &mut Vec<Fault>) {
    if let Some(words) = schema["enum"].as_array() {
        if words.iter().all(|word| word != text) {
            let words: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            let detail =
                format!("{} is {}, expected one of {}", at.subject(), quoted(text), words.join(", "));
            faults.push(at.fault(at.code("invalid"), detail));
        }
        return;
    }
    if let Some((name, rule, asked)) = FORMATS.iter().find(|(name, ..)| schema["format"] == *name) {
        // An address is not repeated: people paste their keys into it.
        if let ("rtmp-url", Err(error)) = (*name, text.parse::<PushUrl>()) {
            faults.push(at.fault(at.code("invalid"), error.to_string()));
        } else if !rule(text) {
            let detail = format!("{} is {}, expected {asked}", at.subject(), quoted(text));
            faults.push(at.fault(at.code("invalid"), detail));
        }
        return;
    }
    let chars = text.chars().count() as u64;
    if schema["minLength"].as_u64().is_some_and(|least| least > 0) && text.trim().is_empty() {
        faults.push(at.fault(at.code("empty"), format!("{} is empty", at.subject())));
    } else if let Some(most) = schema["maxLength"].as_u64().filter(|most| chars > *most) {
        let detail = format!("{} has {chars} characters, at most {most} are allowed", at.subject());
        faults.push(at.fault(at.code("too_long"), detail));
    } else if let Err(error) = check_line("text", text, usize::MAX) {
        let detail = error.to_string().replacen("text", at.subject(), 1);
        faults.push(at.fault(at.code("invalid"), detail));
    }
}

/// The JSON types of the schema have this one; a schema without a type takes all.
fn is_of(schema: &Value, kind: &str) -> bool {
    match &schema["type"] {
        Value::String(only) => only == kind || (only == "number" && kind == "integer"),
        Value::Array(types) => types.iter().any(|of| of == kind || (of == "number" && kind == "integer")),
        _ => true,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

/// A wrong value as a sentence repeats it.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        other => other.to_string(),
    }
}

fn quoted(text: &str) -> String {
    if text.chars().count() > MAX_REPEATED {
        let begin: String = text.chars().take(MAX_REPEATED).collect();
        return format!("{begin:?} and so on");
    }
    format!("{text:?}")
}
