//! The body of every refusal: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::printable::is_unprintable;

/// Why a request was refused.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Problem {
    /// Always `about:blank`; `code` is what programs look at.
    #[schema(example = "about:blank")]
    r#type: String,
    /// The words of the status.
    title: String,
    pub status: u16,
    /// Stable; never changes its meaning.
    #[schema(example = "title_too_long")]
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
    /// Finds the request in the log.
    request_id: Option<String>,
    /// Everything that is wrong, where a body or a query is.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(required = false)]
    pub errors: Vec<Fault>,
}

/// One thing that is wrong with a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Fault {
    /// Where in the body (RFC 6901); the empty one is the whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "/title/en")]
    pub pointer: Option<String>,
    /// Which parameter of the query or the address, or which value of `Upload-Metadata`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = String, required = false, example = "limit")]
    pub parameter: Option<String>,
    /// Stable; never changes its meaning.
    #[schema(example = "title_too_long")]
    pub code: String,
    /// One sentence for a person.
    pub detail: String,
}

impl Problem {
    pub(super) fn new(status: u16, title: &str, code: String, detail: String) -> Self {
        Self {
            r#type: "about:blank".to_owned(),
            title: title.to_owned(),
            status,
            code,
            detail,
            request_id: None,
            errors: Vec::new(),
        }
    }

    /// With all that is wrong.
    pub(super) fn with_errors(self, errors: Vec<Fault>) -> Self {
        Self { errors, ..self }
    }

    pub(super) fn with_request_id(self, id: &str) -> Self {
        Self { request_id: Some(id.to_owned()), ..self }
    }

    /// Writes itself into the response's body.
    pub(super) fn fill(self, mut response: Response) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_LENGTH, body.len().into());
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        *response.body_mut() = Body::from(body);
        response
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = self.clone().fill(Response::new(Body::empty()));
        // The outermost layer knows the request id and writes the body again.
        response.extensions_mut().insert(self);
        response
    }
}

/// The code of a refusal, for the line in the log.
#[derive(Debug, Clone)]
pub(super) struct Code(pub String);

/// Why this node isn't ready, with every cause, for whoever runs it.
#[derive(Debug, Clone)]
pub(super) struct Unreadiness(pub String);

/// An error with every cause, in which what a stranger sent is only shown.
pub(super) fn story(error: &dyn std::error::Error) -> String {
    let mut story = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        story.push_str(": ");
        story.push_str(&error.to_string());
        cause = error.source();
    }
    story.chars().map(|c| if is_unprintable(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// `offset is 1` becomes `Offset is 1.`
pub(super) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|c| c.to_uppercase().to_string()).unwrap_or_default();
    let end = if text.ends_with(['.', '?', '!']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
