//! axum's extractors, refusing with a problem that names what is wrong.

use std::error::Error as _;

use axum::body::{Body, Bytes};
use axum::extract::rejection::JsonRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::Error;
use super::body::broken;

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
        let headers = request.headers().clone();
        let mut checked = Request::new(Body::from(text(request, state).await?));
        *checked.headers_mut() = headers;
        match axum::Json::<T>::from_request(checked, state).await {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(JsonRejection::MissingJsonContentType(_)) => {
                Err(Error::ContentType { got, expected: "application/json" })
            }
            Err(rejection) => Err(refuse(&rejection)),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for MaybeJson<T> {
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let bytes = text(request, state).await?;
        if bytes.is_empty() {
            return Ok(Self(T::default()));
        }
        match axum::Json::<T>::from_bytes(&bytes) {
            Ok(axum::Json(body)) => Ok(Self(body)),
            Err(rejection) => Err(refuse(&rejection)),
        }
    }
}

/// The whole body; one with a NUL in a text is refused, as PostgreSQL keeps none.
async fn text<S: Send + Sync>(request: Request, state: &S) -> Result<Bytes, Error> {
    match Bytes::from_request(request, state).await {
        Ok(bytes) => field_with_nul(&bytes).map_or(Ok(bytes), |field| {
            let message = format!("{field}: a text may not hold the character U+0000");
            Err(Error::Body { code: format!("{field}_invalid"), message })
        }),
        Err(rejection) if rejection.status().as_u16() == 413 => Err(Error::BodyTooLarge),
        Err(rejection) => Err(broken(&rejection)),
    }
}

/// The field whose texts hold a NUL; `None` also where the body is no JSON, which is told otherwise.
fn field_with_nul(json: &[u8]) -> Option<String> {
    if !holds_nul(json) {
        return None;
    }
    let body: serde_json::Value = serde_json::from_slice(json).ok()?;
    let fields = body.as_object().into_iter().flatten();
    let mut holding = fields.filter(|(_, value)| holds_nul(value.to_string().as_bytes()));
    let field = holding.next().map(|(name, _)| name.as_str()).filter(|name| is_name(name));
    Some(field.unwrap_or("body").to_owned())
}

/// Whether JSON has an escaped U+0000; a bare one is no JSON (RFC 8259 7).
fn holds_nul(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        let escape = &rest[at + 1..];
        if escape.starts_with(b"u0000") {
            return true;
        }
        rest = escape.get(1..).unwrap_or_default();
    }
    false
}

/// What the body is said to be.
pub(super) fn content_type(headers: &HeaderMap) -> String {
    let header = headers.get(axum::http::header::CONTENT_TYPE);
    header.and_then(|value| value.to_str().ok()).unwrap_or("of no declared type").to_owned()
}

fn refuse(rejection: &JsonRejection) -> Error {
    let cause = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
    match rejection {
        JsonRejection::JsonDataError(_) => data_error(&cause),
        JsonRejection::JsonSyntaxError(_) => Error::Syntax(cause),
        // The only other things that go wrong with a body are its size and its connection.
        other if other.status().as_u16() == 413 => Error::BodyTooLarge,
        other => broken(other),
    }
}

/// `title: invalid type…` gives the code `title_invalid`, a missing field `title_missing`.
fn data_error(cause: &str) -> Error {
    let message = cause.split(" at line ").next().unwrap_or(cause).to_owned();
    let missing = message.split_once("missing field `").and_then(|(_, rest)| rest.split_once('`'));
    let code = if let Some((field, _)) = missing {
        format!("{field}_missing")
    } else if message.contains("unknown field `") {
        "field_unknown".to_owned()
    } else {
        let path = message.split_once(": ").map_or("", |(path, _)| path);
        let field = path.split(['.', '[']).next().filter(|name| is_name(name)).unwrap_or("body");
        format!("{field}_invalid")
    };
    Error::Body { code, message }
}

fn is_name(field: &str) -> bool {
    !field.is_empty() && field.chars().all(|letter| letter.is_ascii_lowercase() || letter == '_')
}

impl<S: Send + Sync, T: DeserializeOwned + Send> FromRequestParts<S> for Path<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Path::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(path)) => Ok(Self(path)),
            Err(rejection) => Err(Error::Path(rejection.body_text())),
        }
    }
}

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => {
                let cause = rejection.source().map_or_else(|| rejection.to_string(), ToString::to_string);
                Err(Error::Query(format!("the query is wrong: {cause}")))
            }
        }
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

    #[test]
    fn the_code_names_the_field() {
        let code = |cause: &str| match data_error(cause) {
            Error::Body { code, .. } => code,
            other => other.to_string(),
        };
        assert_eq!(code("missing field `title` at line 1 column 2"), "title_missing");
        assert_eq!(code("handle: \"A\" is not a handle at line 1 column 14"), "handle_invalid");
        assert_eq!(code("title.en: invalid type: null at line 1"), "title_invalid");
        assert_eq!(code("invalid type: sequence, expected struct Draft"), "body_invalid");
    }

    #[test]
    fn a_nul_is_found_where_json_escapes_it_and_nowhere_else() {
        for held in [r#"{"a": "\u0000"}"#, r#"{"a": "b\\\u0000"}"#, r#"{"\u0000": 1}"#] {
            assert!(holds_nul(held.as_bytes()), "{held}");
        }
        for free in [r#"{"a": "\\u0000"}"#, r#"{"a": "\u00e9\n"}"#, "u0000", r"\", ""] {
            assert!(!holds_nul(free.as_bytes()), "{free}");
        }
    }

    #[test]
    fn a_nul_is_told_by_its_field() {
        let field = |json: &str| field_with_nul(json.as_bytes());
        assert_eq!(field(r#"{"a": "b", "title": {"en": "x\u0000"}}"#).as_deref(), Some("title"));
        assert_eq!(field(r#"{"\u0000": 1}"#).as_deref(), Some("body"));
        assert_eq!(field(r#"["\u0000"]"#).as_deref(), Some("body"));
        assert_eq!(field(r#"{"title": "\u0000"#), None, "no JSON is told as such");
    }
}
