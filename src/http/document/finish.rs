//! What the routes' annotations can't say by themselves: bodies of bytes, descriptions that repeat, refusals, examples.

use serde_json::{Map, Value, json};
use utoipa::openapi::OpenApi;

use super::{refusals, words};

/// Examples by the name of their schema.
const EXAMPLES: &str = include_str!("examples.json");

const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];

/// The document as it is published.
pub fn finish(document: &OpenApi) -> Value {
    let mut document = serde_json::to_value(document).unwrap_or_default();
    let mut schemas = document["components"]["schemas"].take();
    add_examples(&mut schemas);
    widen(&mut schemas);
    widen(&mut document["paths"]);
    let paths = document["paths"].take();
    let paths = paths.as_object().cloned().unwrap_or_default().into_iter().map(|(path, mut item)| {
        // axum writes a step that holds slashes with a star.
        let path = path.replace("{*", "{");
        for method in METHODS {
            if let Some(operation) = item.get_mut(method) {
                finish_operation(operation, method, &path, &schemas);
            }
        }
        (path, item)
    });
    let paths: Map<String, Value> = paths.collect();
    document["paths"] = paths.into();
    document["components"]["schemas"] = schemas;
    document
}

fn finish_operation(operation: &mut Value, method: &str, path: &str, schemas: &Value) {
    if method == "post" {
        add_idempotency_key(operation);
    }
    let parameters = operation.get_mut("parameters").and_then(Value::as_array_mut);
    for parameter in parameters.into_iter().flatten() {
        finish_parameter(parameter, path);
    }
    if let Some(content) = operation.pointer_mut("/requestBody/content") {
        finish_content(content);
    }
    for response in operation["responses"].as_object_mut().into_iter().flat_map(Map::values_mut) {
        if let Some(content) = response.get_mut("content") {
            finish_content(content);
        }
        let headers = response.get_mut("headers").and_then(Value::as_object_mut);
        for (name, header) in headers.into_iter().flatten() {
            header["description"] = words::of(words::HEADERS, name).into();
        }
    }
    refusals::add(operation, method, path, schemas);
}

/// Every `POST` takes one, whether or not something is made.
fn add_idempotency_key(operation: &mut Value) {
    const NAME: &str = "Idempotency-Key";
    if !operation["parameters"].is_array() {
        operation["parameters"] = json!([]);
    }
    let Some(parameters) = operation["parameters"].as_array_mut() else { return };
    if parameters.iter().all(|parameter| parameter["name"] != NAME) {
        parameters.push(json!({"name": NAME, "in": "header", "required": false, "schema": {}}));
    }
    for parameter in parameters.iter_mut().filter(|parameter| parameter["name"] == NAME) {
        parameter["schema"] = json!({"type": "string", "minLength": 1, "maxLength": 255});
    }
}

/// A parameter is a text in an address: it is there or not, and never null.
fn finish_parameter(parameter: &mut Value, path: &str) {
    let schema = not_null(parameter["schema"].take());
    parameter["schema"] = schema;
    if parameter["description"].is_string() {
        return;
    }
    let name = parameter["name"].as_str().unwrap_or_default();
    let described = match name {
        "id" => words::IDS.iter().find(|(step, _)| path.contains(step)).map(|(_, words)| *words),
        _ => words::of(words::PARAMETERS, name),
    };
    parameter["description"] = described.into();
}

/// Bytes are one text (3.1.1, `format: binary` as generators of clients know it), not a list of numbers; and a body that
/// may be left out is no null.
fn finish_content(content: &mut Value) {
    for media in content.as_object_mut().into_iter().flat_map(Map::values_mut) {
        let schema = not_null(media["schema"].take());
        let bytes = schema["type"] == "array" && schema["items"]["type"] == "integer";
        media["schema"] = if bytes { json!({"type": "string", "format": "binary"}) } else { schema };
    }
}

/// The schema without null among its types.
fn not_null(mut schema: Value) -> Value {
    if let Some(types) = schema["type"].as_array() {
        let mut others = types.iter().filter(|kind| *kind != "null");
        if let (Some(only), None) = (others.next().cloned(), others.next()) {
            schema["type"] = only;
        }
    }
    let mut choices = schema["oneOf"].as_array().into_iter().flatten().filter(|it| it["type"] != "null");
    match (choices.next().cloned(), choices.next()) {
        (Some(only), None) => only,
        _ => schema,
    }
}

/// A number of 32 bits without a sign is more than the signed one it is described as.
fn widen(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(widen),
        Value::Object(fields) => {
            let is_unsigned = fields.get("minimum").and_then(Value::as_i64).is_some_and(|least| least >= 0);
            if is_unsigned && fields.get("format").is_some_and(|format| format == "int32") {
                fields.insert("format".to_owned(), "int64".into());
                fields.entry("maximum").or_insert_with(|| u32::MAX.into());
            }
            fields.values_mut().for_each(widen);
        }
        _ => {}
    }
}

fn add_examples(schemas: &mut Value) {
    let examples: Map<String, Value> = serde_json::from_str(EXAMPLES).unwrap_or_default();
    for (name, example) in examples {
        if schemas[&name].is_object() {
            schemas[&name]["examples"] = json!([example]);
        }
    }
}
