//! What happens around every request: its id, its line in the log, panics, CORS, security headers, time limits.

use std::any::Any;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use tower::{Layer, ServiceExt};
use tower_http::cors::{AllowHeaders, Any as Anyone, CorsLayer};
use tracing::Instrument;
use tracing::field::Empty;
use uuid::Uuid;

use super::problem::Code;
use super::{Error, error, gate};
use crate::catalogue::one_connection;
use crate::domain::printable;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// What players ask for.
const PLAYBACK: &str = "/play/";
/// Answers carry keys, stream keys and tokens, and differ by who asks: no cache keeps one.
const API: &str = "/api/v1/";
/// What answers programs: nothing of it is a page.
pub(super) const PROGRAMS: &str = "/api/";
/// A longer request id is somebody's idea of a joke.
const MAX_REQUEST_ID: usize = 128;
/// How long an answer that isn't a stream may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long a browser may remember what CORS allows.
const CORS_AGE: Duration = Duration::from_hours(24);

/// Gives the request its id, its span and its line in the log, and every problem its request id.
pub async fn identify(request: Request, next: Next) -> Response {
    let id = request_id(&request);
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let playback = path.starts_with(PLAYBACK);
    // Asked for every few seconds for ever; the gate tells when the answer changes.
    let is_poll = path == gate::LIVE || path == gate::READY;
    let shown = printable(method.as_str());
    // The key's id is filled in by whoever looks it up.
    let span = tracing::info_span!("request", %id, method = %shown, path = %printable(&path), key = Empty);
    async move {
        let begun = Instant::now();
        let mut response = error::complete(next.run(request).await, &id);
        if let Ok(value) = HeaderValue::from_str(&id) {
            response.headers_mut().insert(REQUEST_ID, value);
        }
        let (status, latency) = (response.status().as_u16(), begun.elapsed());
        let latency_ms = u64::try_from(latency.as_millis()).unwrap_or(u64::MAX);
        let code = response.extensions().get::<Code>().map(|code| code.0.as_str());
        // Each player asks several times a second.
        if is_poll || (playback && status < 400) {
            tracing::debug!(status, code, latency_ms, "answered");
        } else if status < 400 {
            tracing::info!(status, latency_ms, "answered");
        } else {
            tracing::info!(status, code, latency_ms, "refused");
        }
        let labels = [("method", label(&method).to_owned()), ("status", status.to_string())];
        metrics::counter!("policast_http_requests_total", &labels).increment(1);
        metrics::histogram!("policast_http_request_seconds", &labels).record(latency);
        response
    }
    .instrument(span)
    .await
}

/// Lets no handler hold a connection to the database and ask for another.
pub async fn hold_one_connection(request: Request, next: Next) -> Response {
    one_connection(next.run(request)).await
}

/// The method as a metric's label: a stranger may invent as many as he likes, and each would be a series for ever.
fn label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

/// The caller's own where it is well-formed, or a new one.
fn request_id(request: &Request) -> String {
    let own = request.headers().get(REQUEST_ID).and_then(|value| value.to_str().ok());
    let plain = |id: &&str| {
        (1..=MAX_REQUEST_ID).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
    };
    own.filter(plain).map_or_else(|| Uuid::now_v7().to_string(), ToOwned::to_owned)
}

/// A panic in a handler, as a problem.
#[expect(clippy::needless_pass_by_value, reason = "the layer hands it over")]
pub fn catch(panic: Box<dyn Any + Send + 'static>) -> Response {
    let said = panic.downcast_ref::<String>().cloned();
    let said = said.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
    Error::Panic(said.unwrap_or_default()).into_response()
}

/// Any page may call us; none does so with a reader's cookies. An `OPTIONS` that is no preflight goes through to tus.
pub async fn cors(request: Request, next: Next) -> Response {
    static LAYER: LazyLock<CorsLayer> = LazyLock::new(cors_layer);
    let preflight = request.headers().contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    if request.method() == Method::OPTIONS && !preflight {
        return next.run(request).await;
    }
    match LAYER.layer(next).oneshot(request).await {
        Ok(response) => response,
        Err(never) => match never {},
    }
}

fn cors_layer() -> CorsLayer {
    let exposed = [
        "location",
        "etag",
        "x-request-id",
        "retry-after",
        "ratelimit",
        "ratelimit-policy",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "content-range",
        "idempotent-replayed",
        "policast-video",
        "upload-offset",
        "upload-length",
        "upload-defer-length",
        "upload-metadata",
        "upload-concat",
        "upload-expires",
        "tus-resumable",
        "tus-version",
        "tus-extension",
        "tus-max-size",
        "tus-checksum-algorithm",
    ];
    CorsLayer::new()
        .allow_origin(Anyone)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PUT, Method::PATCH, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(CORS_AGE)
}

/// Headers that keep a browser from reading more into an answer than there is. Pages set their own.
pub async fn harden(request: Request, next: Next) -> Response {
    let playback = request.uri().path().starts_with(PLAYBACK);
    let api = request.uri().path().starts_with(API);
    let program = request.uri().path().starts_with(PROGRAMS);
    let mut response = next.run(request).await;
    let refused = response.status().is_client_error() || response.status().is_server_error();
    let headers = response.headers_mut();
    if api || refused {
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    let mut set = |name: HeaderName, value: &'static str| {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    };
    set(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(header::REFERRER_POLICY, "strict-origin-when-cross-origin");
    if program {
        set(header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'");
    }
    if playback {
        set(HeaderName::from_static("cross-origin-resource-policy"), "cross-origin");
    }
    response
}

/// An answer that isn't a stream comes in time.
pub async fn hurry(request: Request, next: Next) -> Response {
    match tokio::time::timeout(PATIENCE, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Error::TooSlow.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_invented_method_is_no_series_of_its_own() {
        let invented = Method::from_bytes(b"BREW").expect("a token");
        assert_eq!(
            (label(&invented), label(&Method::TRACE), label(&Method::PATCH)),
            ("other", "other", "PATCH")
        );
    }
}
