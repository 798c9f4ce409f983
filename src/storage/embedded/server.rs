//! The embedded server on a port of its own, with CORS so that browsers may use presigned addresses.

use std::borrow::Cow;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::error_handling::HandleError;
use axum::extract::Request;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use axum::http::{HeaderName, Method};
use axum::middleware::{Next, from_fn};
use axum::response::Response;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::guard::Guarded;
use crate::domain::printable;

/// S3's error documents are far smaller.
const MAX_REFUSAL_BYTES: usize = 64 << 10;
/// How long a browser may remember the answer to a preflight.
pub(super) const CORS_MAX_AGE: Duration = Duration::from_hours(1);
/// What a browser may do, having an address for it.
pub(super) const METHODS: [Method; 5] =
    [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];
/// What a script may read of an answer.
pub(super) const EXPOSED: [HeaderName; 5] =
    [ETAG, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, LAST_MODIFIED];

/// The signature covers the whole path: serve it on a port, never under a prefix.
pub(super) fn router(service: Guarded) -> Router {
    let service = HandleError::new(service, |error: s3s::HttpError| async move {
        tracing::error!(?error, "the embedded object store can't answer");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    Router::new().fallback_service(service).layer(from_fn(tell)).layer(cors())
}

/// A line for each refusal, with its cause. Faults of ours have a line of their own.
async fn tell(request: Request, next: Next) -> Response {
    let method = printable(request.method().as_str()).into_owned();
    let path = printable(request.uri().path()).into_owned();
    let response = next.run(request).await;
    if !response.status().is_client_error() {
        return response;
    }
    let (parts, body) = response.into_parts();
    let document = to_bytes(body, MAX_REFUSAL_BYTES).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&document);
    let (code, cause) = (element(&text, "Code"), element(&text, "Message"));
    let (code, cause) = (code.as_deref(), cause.as_deref());
    tracing::info!(
        method,
        path,
        status = parts.status.as_u16(),
        code,
        cause,
        "the embedded object store refused"
    );
    Response::from_parts(parts, Body::from(document))
}

/// What an element of S3's error document holds; an answer to HEAD has none.
fn element<'a>(document: &'a str, name: &str) -> Option<Cow<'a, str>> {
    let (_, rest) = document.split_once(&format!("<{name}>"))?;
    let (text, _) = rest.split_once(&format!("</{name}>"))?;
    Some(printable(text))
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(CORS_MAX_AGE)
}
