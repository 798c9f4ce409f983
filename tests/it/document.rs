//! The document of the API: whole, true to the code, and the same that is committed.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use policast::domain::account::Handle;
use policast::domain::topic::Slug;
use policast::domain::trim::Trim;
use policast::domain::{Language, VideoId};
use policast::http::openapi;
use proptest::prelude::*;
use regex::Regex;
use serde_json::Value;

static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);
const METHODS: [&str; 7] = ["get", "head", "options", "post", "put", "patch", "delete"];

/// Every operation with its path and method.
fn operations() -> impl Iterator<Item = (&'static str, &'static str, &'static Value)> {
    DOCUMENT["paths"].as_object().expect("paths").iter().flat_map(|(path, item)| {
        METHODS.into_iter().filter_map(move |method| Some((path.as_str(), method, item.get(method)?)))
    })
}

/// The template an address belongs to, by its steps; the one with the most fixed steps.
fn operation_of(method: &str, path: &str) -> Option<&'static Value> {
    let steps: Vec<&str> = path.split('?').next()?.split('/').collect();
    let fits = |template: &str| {
        let known: Vec<&str> = template.split('/').collect();
        let open = template.ends_with("{slug}") && steps.len() >= known.len();
        let same = |(known, step): (&&str, &&str)| known.starts_with('{') || known == step;
        (open || known.len() == steps.len()) && known.iter().zip(&steps).all(same)
    };
    let fixed = |template: &str| template.split('/').filter(|step| !step.starts_with('{')).count();
    let method = if method == "HEAD" { "get".to_owned() } else { method.to_lowercase() };
    let found = operations().filter(|(template, known, _)| *known == method && fits(template));
    found.max_by_key(|(template, ..)| fixed(template)).map(|(_, _, operation)| operation)
}

/// A refusal that the document does not say of its operation is a fault of the document.
pub fn assert_refusal_is_documented(method: &str, path: &str, status: u16, problem: &Value) {
    let code = problem["code"].as_str().unwrap_or_default();
    if ["route_not_found", "method_not_allowed"].contains(&code) {
        return;
    }
    let Some(operation) = operation_of(method, path) else { return };
    let told = &operation["responses"][status.to_string()]["x-codes"];
    let known = told.as_array().is_some_and(|codes| codes.iter().any(|known| known == code));
    assert!(
        known,
        "{method} {path} ({}) refuses with {status} {code}, known are {told}",
        operation["operationId"]
    );
}

#[test]
fn the_committed_document_is_the_generated_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/openapi.json");
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    let committed: Value = serde_json::from_str(&committed).unwrap_or_default();
    assert!(committed == *DOCUMENT, "docs/openapi.json is old: `make document` writes it again");
}

#[test]
fn every_operation_has_a_name_of_its_own_and_says_what_it_does() {
    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations() {
        let id = operation["operationId"].as_str().unwrap_or_default();
        assert!(id.contains('_') && ids.insert(id), "{method} {path}: {id:?}");
        for field in ["summary", "description"] {
            assert!(operation[field].as_str().is_some_and(|text| text.len() > 5), "{id} has no {field}");
        }
        let tags = DOCUMENT["tags"].as_array().expect("tags");
        assert!(tags.iter().any(|tag| tag["name"] == operation["tags"][0]), "{id}");
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let described = parameter["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described && parameter["schema"].is_object(), "{id}: {parameter}");
        }
    }
    assert!(ids.len() > 50, "{} operations", ids.len());
}

#[test]
fn every_answer_is_described_and_every_refusal_has_its_codes() {
    let errors = include_str!("../../src/http/error.rs");
    // A header's, a field's or a thing's name goes before these.
    let composed = ["_invalid", "_missing", "_empty", "_too_long", "_too_many_languages", "_not_found"];
    for (path, method, operation) in operations() {
        let id = &operation["operationId"];
        let responses = operation["responses"].as_object().expect("responses");
        assert!(responses.keys().any(|status| status.starts_with('2')), "{id} never succeeds");
        for (status, response) in responses {
            let described = response["description"].as_str().is_some_and(|text| !text.is_empty());
            assert!(described, "{method} {path} {status}");
            if status.as_str() < "400" {
                continue;
            }
            let codes =
                response["x-codes"].as_array().unwrap_or_else(|| panic!("{id} {status} has no codes"));
            for code in codes.iter().map(|code| code.as_str().expect("a code")) {
                let known =
                    errors.contains(&format!("\"{code}\"")) || composed.iter().any(|end| code.ends_with(end));
                assert!(known, "{id} {status}: nobody says {code}");
            }
        }
    }
}

#[test]
fn a_body_of_bytes_is_one_text_and_no_list_of_numbers() {
    for (path, method, operation) in operations() {
        let responses = operation["responses"].as_object().expect("responses").values();
        for whole in responses.chain([&operation["requestBody"]]) {
            for (kind, media) in whole["content"].as_object().into_iter().flatten() {
                assert_ne!(media["schema"]["type"], "array", "{method} {path} {kind}");
                let is_text =
                    kind.ends_with("json") || kind.starts_with("text/") || kind.ends_with("mpegurl");
                assert!(is_text || media["schema"]["format"] == "binary", "{method} {path} {kind}");
            }
        }
    }
}

#[test]
fn what_a_body_asks_for_comes_with_an_example_that_it_takes() {
    let schemas = &DOCUMENT["components"]["schemas"];
    for (_, _, operation) in operations() {
        let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
        let Some(name) = schema["$ref"].as_str().and_then(|at| at.rsplit('/').next()) else { continue };
        let example = &schemas[name]["examples"][0];
        let fields = example.as_object().unwrap_or_else(|| panic!("{name} has no example"));
        for field in fields.keys() {
            assert!(schemas[name]["properties"].get(field).is_some(), "{name} has no {field}");
        }
    }
}

fn pattern(schema: &str) -> Regex {
    let pattern = DOCUMENT["components"]["schemas"][schema]["pattern"].as_str().expect("a pattern");
    Regex::new(pattern).expect("a regular expression")
}

static HANDLE: LazyLock<Regex> = LazyLock::new(|| pattern("Handle"));
static SLUG: LazyLock<Regex> = LazyLock::new(|| pattern("Slug"));
static LANGUAGE: LazyLock<Regex> = LazyLock::new(|| pattern("Language"));
static TRIM: LazyLock<Regex> = LazyLock::new(|| {
    let operation =
        operation_of("GET", &format!("/play/{}/master.m3u8", VideoId::new())).expect("an operation");
    let trim = operation["parameters"].as_array().and_then(|all| all.iter().find(|it| it["name"] == "trim"));
    Regex::new(trim.and_then(|trim| trim["schema"]["pattern"].as_str()).expect("a pattern"))
        .expect("a pattern")
});

proptest! {
    #[test]
    fn patterns_are_as_wide_as_the_server(
        handle in "[a-zA-Z0-9-]{0,4}|[a-z0-9-]{60,66}",
        slug in "([a-z0-9-]{0,3}/){0,7}[a-z0-9-]{0,3}|[a-z0-9-]{62,66}",
        language in "[a-zA-Z0-9]{1,9}(-[a-zA-Z0-9]{0,9}){0,5}|(en|x|zh)(-[a-z0-9]{1,4}){0,4}|i-[a-z]{3}|sgn-BE-FR|en-GB-oed",
        trim in "[0-9]{0,14}-?[+0-9]{0,14}",
    ) {
        prop_assert_eq!(HANDLE.is_match(&handle), handle.parse::<Handle>().is_ok(), "{}", handle);
        prop_assert_eq!(SLUG.is_match(&slug), slug.parse::<Slug>().is_ok(), "{}", slug);
        prop_assert_eq!(LANGUAGE.is_match(&language), language.parse::<Language>().is_ok(), "{}", language);
        // Which of the two is later no pattern can say.
        prop_assert!(TRIM.is_match(&trim) || trim.parse::<Trim>().is_err(), "{}", trim);
    }
}
