//! axum's extractors, refusing with a problem that names what is wrong.

use std::error::Error as _;

use axum::body::Bytes;
use axum::extract::rejection::{JsonRejection, QueryRejection};
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::error::Category;

use super::Error;
use super::body::broken;
use super::check::is_name;
use super::problem::Fault;
use super::strict::JsonSchema;

/// A JSON body, in and out.
#[derive(Debug)]
pub struct Json<T>(pub T);

/// A JSON body that may be left out.
#[derive(Debug)]
pub struct MaybeJson<T>(pub T);

/// The variable parts of the address.
#[derive(Debug)]
pub struct Path<T>(pub T);

/// The query of the address.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let got = content_type(request.headers());
        if !is_json(&got) {
            return Err(Error::ContentType { got, expected: "application/json" });
        }
        let schema = request.extensions().get::<JsonSchema>().cloned();
        let bytes = bytes(request, state).await?;
        read(&bytes, schema.as_ref()).map(Self)
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let schema = request.extensions().get::<JsonSchema>().cloned();
        let bytes = bytes(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        read(&bytes, schema.as_ref()).map(Self)
    }
}

/// The whole body.
async fn bytes<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    match Bytes::from_request(request, state).await {
        Ok(bytes) => Ok(bytes),
        Err(rejection) if rejection.status().as_u16() == 413 => Err(Error::BodyTooLarge),
        Err(rejection) => Err(broken(&rejection)),
    }
}

/// What the body is said to be.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let header = headers.get(axum::http::header::CONTENT_TYPE);
    header.and_then(|value| value.to_str().ok()).unwrap_or("of no declared type").to_owned()
}

/// `application/json`, or something that says it is written in JSON (RFC 6839 3.1).
fn is_json(content_type: &str) -> bool {
    let essence = content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json" || (essence.starts_with("application/") && essence.ends_with("+json"))
}

/// Held against the document, where the route is in it, before it becomes what the handler takes.
fn read<T: DeserializeOwned>(bytes: &[u8], schema: Option<&JsonSchema>) -> Result<T, Error> {
    let body: Value = serde_json::from_slice(bytes).map_err(|error| Error::Syntax(syntax(&error)))?;
    let faults = schema.map(|schema| schema.check(&body)).unwrap_or_default();
    if !faults.is_empty() {
        return Err(Error::Body(faults));
    }
    match axum::Json::<T>::from_bytes(bytes) {
        Ok(axum::Json(body)) => Ok(body),
        Err(rejection) => Err(refuse(&rejection)),
    }
}

/// Where JSON ends to be JSON.
fn syntax(error: &serde_json::Error) -> String {
    let (line, column) = (error.line(), error.column());
    match error.classify() {
        Category::Eof => format!("it breaks off in line {line}, column {column}"),
        _ => format!("something else stands in line {line}, column {column}"),
    }
}

/// What the schema can't say: a field that is there twice, a number that no machine holds.
fn refuse(rejection: &JsonRejection) -> Error {
    let cause = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    let message = cause.split(" at line ").next().unwrap_or(&cause);
    let named = |before: &str| message.split_once(before)?.1.split_once('`').map(|(name, _)| name);
    let (field, code, detail) = if let Some(field) = named("duplicate field `") {
        (field, "invalid", format!("{field} is there twice"))
    } else if let Some(field) = named("missing field `") {
        (field, "missing", format!("{field} is missing"))
    } else {
        let path = message.split_once(": ").map_or("", |(path, _)| path);
        let field = path.split(['.', '[']).next().filter(|name| is_name(name)).unwrap_or("body");
        (field, "invalid", format!("{field} can't be taken as it is"))
    };
    let pointer = if field == "body" { String::new() } else { format!("/{field}") };
    let code = format!("{field}_{code}");
    Error::Body(vec![Fault { pointer: Some(pointer), parameter: None, code, detail }])
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            // The document is narrower than the type: what gets here was made by hand.
            Err(_) => Err(Error::Path("the address is malformed".to_owned())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::Query(wrong_parameter(&rejection))),
        }
    }
}

/// The parameter that is wrong; twice is wrong too.
fn wrong_parameter(rejection: &QueryRejection) -> String {
    let cause = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    let twice = cause.split_once("duplicate field `").and_then(|(_, rest)| rest.split_once('`'));
    match (twice, cause.split_once(": ")) {
        (Some((name, _)), _) => format!("{name} is there twice"),
        (None, Some((name, _))) if is_name(name) => format!("{name} can't be taken as it is"),
        _ => "the query can't be taken as it is".to_owned(),
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        axum::Json(self.0).into_response()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told<T: DeserializeOwned + std::fmt::Debug>(json: &str) -> Vec<(String, String)> {
        match read::<T>(json.as_bytes(), None) {
            Err(Error::Body(faults)) => faults.into_iter().map(|it| (it.code, it.detail)).collect(),
            Err(other) => vec![(String::new(), other.to_string())],
            Ok(read) => vec![(String::new(), format!("{read:?}"))],
        }
    }

    #[derive(Debug, serde::Deserialize)]
    #[expect(dead_code, reason = "read only")]
    struct Body {
        size: u32,
    }

    #[test]
    fn what_no_schema_says_is_told_without_the_words_of_the_parser() {
        let one = |json: &str| told::<Body>(json).remove(0);
        let fault = |code: &str, detail: &str| (code.to_owned(), detail.to_owned());
        assert_eq!(one(r#"{"size": 1, "size": 2}"#), fault("size_invalid", "size is there twice"));
        assert_eq!(one(r#"{"size": 5000000000}"#), fault("size_invalid", "size can't be taken as it is"));
        assert_eq!(one("{}"), fault("size_missing", "size is missing"));
        assert_eq!(one("[]").0, "body_invalid");
        assert_eq!(one(r#"{"size""#).1, "the body is no JSON: it breaks off in line 1, column 7");
        assert_eq!(one("{'size': 1}").1, "the body is no JSON: something else stands in line 1, column 2");
    }
}
