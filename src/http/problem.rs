//! The body of every refusal: `application/problem+json` (RFC 9457).

use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

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
        }
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
