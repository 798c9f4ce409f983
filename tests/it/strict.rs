//! What nobody reads is refused: on every route of the document.

use axum::body::Body;
use policast::http::openapi;
use serde_json::Value;

use crate::app::{App, request};

const ID: &str = "0197a0f0-0000-7000-8000-000000000001";

fn somewhere(path: &str) -> String {
    path.replace("{handle}", "agency")
        .replace("{slug}", "health")
        .replace("{revision}", "1")
        .replace("{rung}", "720p")
        .replace("{file}", "none")
        .split('/')
        .map(|step| if step.starts_with('{') { ID } else { step })
        .collect::<Vec<_>>()
        .join("/")
}

/// Method, path and operation of each route.
fn routes() -> Vec<(String, String, Value)> {
    let document = serde_json::to_value(openapi()).expect("JSON");
    let paths = document["paths"].as_object().expect("paths").clone();
    let methods = ["get", "head", "options", "post", "put", "patch", "delete"];
    let of = |(path, item): (String, Value)| {
        let known = methods
            .into_iter()
            .filter_map(move |method| Some((method.to_uppercase(), path.clone(), item.get(method)?.clone())));
        known.collect::<Vec<_>>()
    };
    paths.into_iter().flat_map(of).collect()
}

fn headers(kind: &str) -> [(&str, &str); 2] {
    [("tus-resumable", "1.0.0"), ("content-type", kind)]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_query_parameter_that_nobody_reads_is_refused_on_every_route() {
    let app = App::small().await;
    for (method, path, _) in routes() {
        let path = format!("{}?at=2030-01-01", somewhere(&path));
        let reply =
            app.ask(request(&method, &path, &headers("application/json"), ""), Some(&app.operator)).await;
        if method == "HEAD" {
            assert_eq!(reply.status, 400, "{method} {path}");
        } else {
            assert_eq!(reply.problem(), (400, "parameter_unknown".to_owned()), "{method} {path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_of_programs_outside_the_document_take_no_parameter_and_pages_take_any() {
    let app = App::small().await;
    for (method, path) in [
        ("GET", "/api/openapi.json".to_owned()),
        ("GET", format!("/internal/live/{ID}")),
        ("POST", format!("/internal/live/{ID}")),
    ] {
        let asking = request(method, &format!("{path}?format=yaml"), &headers("application/json"), "{}");
        let reply = app.ask(asking, None).await;
        assert_eq!(reply.problem(), (400, "parameter_unknown".to_owned()), "{method} {path}");
    }
    assert_eq!(app.get("/api/openapi.json", None).await.status, 200);
    // Links to pages are shared with what newsletters and networks add to them.
    for page in ["/", "/topics", "/agencies", "/studio", "/api/docs"] {
        let reply = app.get(&format!("{page}?utm_source=newsletter&fbclid=x"), None).await;
        assert_eq!(reply.status, 200, "{page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_nobody_reads_is_refused_on_every_route() {
    let app = App::small().await;
    let mut asked = 0;
    for (method, path, operation) in routes() {
        let content = operation["requestBody"]["content"].as_object();
        let reads = content.is_none_or(|content| content.contains_key("application/json"));
        if !reads || ["GET", "HEAD", "OPTIONS"].contains(&method.as_str()) {
            continue;
        }
        let body = Body::from(r#"{"embargo": "2030-01-01T00:00:00Z"}"#);
        let asking = request(&method, &somewhere(&path), &headers("application/json"), body);
        let reply = app.ask(asking, Some(&app.operator)).await;
        assert_eq!(reply.problem(), (422, "field_unknown".to_owned()), "{method} {path}");
        asked += 1;
    }
    assert!(asked > 20, "{asked} routes");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_date_to_publish_at_publishes_nothing() {
    for app in App::both().await {
        let path = format!("/api/v1/videos/{}", app.draft().await);
        let at = serde_json::json!({"at": "2030-01-01T00:00:00Z"});
        let reply = app.send("POST", &format!("{path}/publish"), Some(&app.publisher), at).await;
        assert_eq!(reply.problem(), (422, "field_unknown".to_owned()));
        let text = request("POST", &format!("{path}/publish"), &headers("text/plain"), "tomorrow");
        assert_eq!(app.ask(text, Some(&app.publisher)).await.problem(), (400, "body_unexpected".to_owned()));
        assert_eq!(app.get(&path, Some(&app.editor)).await.json()["state"], "draft");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn players_and_lists_are_asked_with_all_they_know() {
    let app = App::small().await;
    let master = format!("/play/{ID}/master.m3u8");
    for query in ["token=a", "trim=1000-2000", "CMCD=br%3D3200"] {
        let reply = app.get(&format!("{master}?{query}"), None).await;
        assert_eq!(reply.problem(), (404, "video_not_found".to_owned()), "{query}");
    }
    let media = format!("/play/{ID}/1/720p/media.m3u8?_HLS_msn=1&_HLS_part=2&_HLS_skip=YES&token=a&trim=1-2");
    assert_eq!(app.get(&media, None).await.problem(), (404, "video_not_found".to_owned()));
    let list = "/api/v1/videos?account=agency&topic=health&state=draft&q=air&limit=2";
    assert_eq!(app.get(list, Some(&app.editor)).await.status, 200);
}

/// What PostgreSQL stores in no text, and what a terminal or a parser takes for more than text.
const CONTROLS: [&str; 5] = ["\u{0}", "\u{1}", "\u{1b}[2J", "\u{7f}", "\u{85}"];

fn resolved<'a>(document: &'a Value, schema: &'a Value) -> &'a Value {
    match schema["$ref"].as_str() {
        Some(at) => resolved(document, document.pointer(at.trim_start_matches('#')).expect("a schema")),
        None => schema,
    }
}

/// A value that the schema describes, with everything in it that may be.
fn example(document: &Value, schema: &Value) -> Value {
    let schema = resolved(document, schema);
    for several in ["oneOf", "anyOf", "allOf"] {
        let choices = schema[several].as_array().into_iter().flatten();
        let examples = choices.map(|choice| example(document, choice)).filter(|choice| !choice.is_null());
        if let Some(richest) = examples.max_by_key(|example| example.to_string().len()) {
            return richest;
        }
    }
    let kinds = [&schema["type"]].into_iter().chain(schema["type"].as_array().into_iter().flatten());
    let kind = kinds.filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or_default();
    match kind {
        "string" => schema["enum"].get(0).cloned().unwrap_or_else(|| Value::from("text")),
        "integer" | "number" => schema["minimum"].as_i64().unwrap_or(1).into(),
        "boolean" => true.into(),
        "array" => Value::from(vec![example(document, &schema["items"])]),
        _ => {
            let named = schema["properties"].as_object().into_iter().flatten();
            let mut fields: serde_json::Map<_, _> =
                named.map(|(name, of)| (name.clone(), example(document, of))).collect();
            if schema["additionalProperties"].is_object() {
                fields.insert("en".to_owned(), example(document, &schema["additionalProperties"]));
            }
            fields.into()
        }
    }
}

/// Where the texts of a value are, as JSON pointers.
fn texts(value: &Value, at: &str) -> Vec<String> {
    match value {
        Value::String(_) => vec![at.to_owned()],
        Value::Array(items) => {
            items.iter().enumerate().flat_map(|(i, item)| texts(item, &format!("{at}/{i}"))).collect()
        }
        Value::Object(fields) => {
            fields.iter().flat_map(|(name, field)| texts(field, &format!("{at}/{name}"))).collect()
        }
        _ => Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_character_in_any_text_of_any_route_is_no_fault_of_ours() {
    let document = serde_json::to_value(openapi()).expect("JSON");
    for app in App::both().await {
        let mut asked = 0;
        for (method, path, operation) in routes() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            if schema.is_null() {
                continue;
            }
            let at = crate::pool::somewhere(&app, &path).await;
            let known = crate::pool::body(&method.to_lowercase(), &path);
            let known: serde_json::Map<String, Value> = serde_json::from_str(known).expect("JSON");
            let whole = example(&document, schema);
            for text in texts(&whole, "") {
                let first = text.split('/').nth(1).expect("a field").to_owned();
                for control in CONTROLS {
                    let mut body = Value::from(known.clone());
                    body[&first] = whole[&first].clone();
                    *body.pointer_mut(&text).expect("the text") = format!("a{control}b").into();
                    let sent = request(&method, &at, &headers("application/json"), body.to_string());
                    let reply = app.ask(sent, Some(&app.operator)).await;
                    assert!(reply.status < 500, "{method} {path} {body}: {reply:?}");
                    let is_nul = control == "\u{0}";
                    assert!(!is_nul || reply.status >= 400, "{method} {path} {body}: {reply:?}");
                    asked += 1;
                }
            }
        }
        assert!(asked > 100, "{asked} texts");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_control_character_in_any_address_is_no_fault_of_ours() {
    for app in App::both().await {
        for (method, path, operation) in routes() {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let of = |place: &'static str| {
                parameters.clone().filter(move |it| it["in"] == place).filter_map(|it| it["name"].as_str())
            };
            let at = somewhere(&path);
            let queries = of("query").map(|name| format!("{at}?{name}=a%00b"));
            let steps = of("path").map(|name| somewhere(&path.replace(&format!("{{{name}}}"), "a%00b")));
            let strange: Vec<String> = queries.chain(steps).collect();
            for strange in strange {
                let asking = request(&method, &strange, &headers("application/json"), "");
                let key = format!("Bearer {}", app.operator);
                let (mut parts, body) = asking.into_parts();
                parts.headers.insert("authorization", key.parse().expect("a header"));
                let asking = axum::http::Request::from_parts(parts, body);
                // Events go on for long: the answer's head says enough.
                let answer = tower::ServiceExt::oneshot(app.router.clone(), asking).await.expect("an answer");
                assert!(answer.status().as_u16() < 500, "{method} {strange}: {}", answer.status());
            }
        }
    }
}
