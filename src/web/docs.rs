//! The page about the API, rendered from its document: every operation with its parameters, its body, its answers and a
//! command to try it; what anybody may read can be asked from a form. No script.

use std::fmt::Write as _;

use askama::Template;
use serde_json::{Map, Value};

use super::assets;
use super::frame::{Frame, Reader};

/// The page as HTML; `base` is the address of the server for its commands.
pub fn render(document: &Value, base: &str, reader: Reader<'_>) -> Result<String, askama::Error> {
    let info = &document["info"];
    let about = text(&info["description"]).split("\n\n").map(prose).collect();
    let groups = list(&document["tags"]).map(|tag| group(document, tag, base)).collect();
    let schemas = fields(&document["components"]["schemas"]);
    let schemas = schemas.map(|(name, schema)| Schema {
        name: name.clone(),
        about: prose(text(&schema["description"])),
        words: list(&schema["enum"]).map(|word| text(word).to_owned()).collect(),
        fields: fields_of(schema),
    });
    let frame = Frame::new(reader);
    Docs { frame, version: text(&info["version"]), about, groups, schemas: schemas.collect() }.render()
}

#[derive(Template)]
#[template(path = "docs.html")]
struct Docs<'a> {
    frame: Frame<'a>,
    version: &'a str,
    about: Vec<Prose>,
    groups: Vec<Group>,
    schemas: Vec<Schema>,
}

/// A text in pieces, each plain or code.
type Prose = Vec<(bool, String)>;

struct Group {
    name: String,
    about: String,
    operations: Vec<Operation>,
}

struct Operation {
    id: String,
    method: String,
    path: String,
    summary: String,
    description: Prose,
    key: &'static str,
    parameters: Vec<Field>,
    body: Option<Body>,
    answers: Vec<Answer>,
    refusals: Vec<Answer>,
    command: String,
    form: bool,
}

struct Field {
    name: String,
    place: String,
    required: bool,
    kind: Kind,
    about: Prose,
}

/// A type in words, perhaps with the schema that says more.
struct Kind {
    words: String,
    link: Option<String>,
}

struct Body {
    types: String,
    kind: Kind,
    example: Option<String>,
}

struct Answer {
    status: String,
    about: Prose,
    kind: Option<Kind>,
}

struct Schema {
    name: String,
    about: Prose,
    words: Vec<String>,
    fields: Vec<Field>,
}

impl Operation {
    /// What a form may send empty: a form without a script sends every field it has.
    fn asked(&self) -> impl Iterator<Item = &Field> {
        self.parameters.iter().filter(|field| ["limit", "q"].contains(&field.name.as_str()))
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn fields(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten()
}

/// Markdown's code between backticks.
fn prose(text: &str) -> Prose {
    let pieces = text.split('`').enumerate().map(|(index, piece)| (index % 2 == 1, piece.to_owned()));
    pieces.filter(|(_, piece)| !piece.is_empty()).collect()
}

fn group(document: &Value, tag: &Value, base: &str) -> Group {
    let operations = fields(&document["paths"]).flat_map(|(path, item)| {
        let here = fields(item).filter(|(_, operation)| operation["tags"][0] == tag["name"]);
        here.map(|(method, it)| operation(document, (method, path, it), base))
    });
    Group {
        name: text(&tag["name"]).to_owned(),
        about: text(&tag["description"]).to_owned(),
        operations: operations.collect(),
    }
}

fn operation(document: &Value, (method, path, operation): (&str, &str, &Value), base: &str) -> Operation {
    let answers = || fields(&operation["responses"]).map(|(status, response)| answer(status, response));
    let body = body(document, &operation["requestBody"]);
    let key = key(operation);
    let form = method == "get" && key != KEYED && !path.contains('{');
    Operation {
        id: text(&operation["operationId"]).to_owned(),
        command: command((method, path, operation), body.as_ref(), base),
        method: method.to_uppercase(),
        path: path.to_owned(),
        summary: text(&operation["summary"]).to_owned(),
        description: prose(text(&operation["description"])),
        key,
        parameters: list(&operation["parameters"]).map(parameter).collect(),
        body,
        answers: answers().filter(|answer| answer.status.as_str() < "400").collect(),
        refusals: answers().filter(|answer| answer.status.as_str() >= "400").collect(),
        form,
    }
}

const KEYED: &str = "A key is needed.";

fn key(operation: &Value) -> &'static str {
    let ways = operation["security"].as_array();
    match ways.map(|ways| ways.iter().any(|way| way.as_object().is_some_and(Map::is_empty))) {
        None => "No key is needed.",
        Some(true) => "No key is needed; with one there may be more to see.",
        Some(false) => KEYED,
    }
}

fn parameter(parameter: &Value) -> Field {
    Field {
        name: text(&parameter["name"]).to_owned(),
        place: text(&parameter["in"]).to_owned(),
        required: parameter["required"] == true,
        kind: kind(&parameter["schema"]),
        about: prose(text(&parameter["description"])),
    }
}

fn fields_of(schema: &Value) -> Vec<Field> {
    let required = |name: &str| list(&schema["required"]).any(|known| known == name);
    let field = |(name, of): (&String, &Value)| Field {
        name: name.clone(),
        place: String::new(),
        required: required(name),
        kind: kind(of),
        about: prose(text(&of["description"])),
    };
    fields(&schema["properties"]).map(field).collect()
}

fn kind(schema: &Value) -> Kind {
    if let Some(name) = text(&schema["$ref"]).rsplit('/').next().filter(|name| !name.is_empty()) {
        return Kind { words: name.to_owned(), link: Some(format!("#schema-{name}")) };
    }
    if let Some(choice) = list(&schema["oneOf"]).find(|choice| choice["type"] != "null") {
        let inner = kind(choice);
        return Kind { words: format!("{} or null", inner.words), link: inner.link };
    }
    if schema["type"] == "array" {
        let inner = kind(&schema["items"]);
        return Kind { words: format!("list of {}", inner.words), link: inner.link };
    }
    let types: Vec<&str> = match &schema["type"] {
        Value::String(only) => vec![only],
        several => list(several).map(text).collect(),
    };
    let words = match schema["format"].as_str() {
        Some(format) => format!("{} ({format})", types.join(" or ")),
        None => types.join(" or "),
    };
    Kind { words, link: None }
}

fn body(document: &Value, body: &Value) -> Option<Body> {
    let types: Vec<&str> = fields(&body["content"]).map(|(kind, _)| kind.as_str()).collect();
    let (_, media) = fields(&body["content"]).next()?;
    let kind = kind(&media["schema"]);
    let named = &document["components"]["schemas"][&kind.words]["examples"][0];
    let example = named.is_object().then(|| serde_json::to_string_pretty(named).unwrap_or_default());
    Some(Body { types: types.join(", "), kind, example })
}

fn answer(status: &str, response: &Value) -> Answer {
    let media = fields(&response["content"]).next().map(|(_, media)| &media["schema"]);
    let kind = media.filter(|schema| !schema["$ref"].is_null()).map(kind);
    Answer { status: status.to_owned(), about: prose(text(&response["description"])), kind }
}

/// A command for a shell that has the key in `$KEY` and, where a file goes up, its name in `$FILE`.
fn command((method, path, operation): (&str, &str, &Value), body: Option<&Body>, base: &str) -> String {
    let mut command = String::from("curl");
    match method {
        "get" => {}
        "head" => command.push_str(" --head"),
        other => write!(command, " -X {}", other.to_uppercase()).unwrap_or_default(),
    }
    write!(command, " '{base}{path}'").unwrap_or_default();
    let mut header = |text: &str| write!(command, " \\\n  -H {text}").unwrap_or_default();
    if key(operation) == KEYED {
        header("\"Authorization: Bearer $KEY\"");
    }
    let needed = list(&operation["parameters"]).filter(|it| it["in"] == "header" && it["required"] == true);
    for parameter in needed {
        let value = parameter["example"].as_str().unwrap_or("…");
        header(&format!("'{}: {value}'", text(&parameter["name"])));
    }
    if let Some(body) = body {
        let first = body.types.split(", ").next().unwrap_or_default();
        header(&format!("'Content-Type: {first}'"));
        match &body.example {
            Some(example) => write!(command, " \\\n  -d '{}'", example.replace('\'', "'\\''")),
            None => write!(command, " \\\n  --data-binary @\"$FILE\""),
        }
        .unwrap_or_default();
    }
    command
}

#[cfg(test)]
mod tests {
    use super::super::frame::tests::reader;
    use super::*;
    use crate::domain::Language;

    #[test]
    fn every_operation_is_there_with_a_command_and_nothing_runs() {
        let document = crate::http::openapi();
        let html = render(&document, "https://video.example", reader(&Language::english())).expect("a page");
        for (_, item) in fields(&document["paths"]) {
            for (_, operation) in fields(item) {
                let id = text(&operation["operationId"]);
                assert!(html.contains(&format!("id=\"{id}\"")), "{id}");
            }
        }
        assert!(html.contains("curl -X PUT &#39;https://video.example/api/v1/videos/{id}/source&#39;"));
        assert!(html.contains("<form action=\"/api/v1/videos\""));
        assert!(!html.contains("<script") && !html.contains(" style="));
    }
}
