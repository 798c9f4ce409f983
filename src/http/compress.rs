//! Compression of what is text: pages, JSON and playlists. Media is compressed already, and answers by range stay as they
//! are.

use std::convert::Infallible;

use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use tower::{Layer, ServiceExt, service_fn};
use tower_http::compression::CompressionLayer;
use tower_http::compression::predicate::Predicate;

/// Below this an answer fits into one packet as it is.
const LEAST_BYTES: u64 = 860;
/// What is text; events are not: they would wait for each other in the compressor.
const TEXTS: &[&str] = &[
    "text/html",
    "text/css",
    "text/javascript",
    "text/plain",
    "text/vtt",
    "application/json",
    "application/problem+json",
    "application/javascript",
    "application/vnd.apple.mpegurl",
    "image/svg+xml",
];

/// The handler has decided what goes out, whatever that is.
#[derive(Clone, Copy)]
struct Decided;

impl Predicate for Decided {
    fn should_compress<B>(&self, _: &axum::http::Response<B>) -> bool
    where
        B: axum::body::HttpBody,
    {
        true
    }
}

/// Compresses the answer where its reader understands that and it is worth it.
pub(super) async fn compress(request: Request, next: Next) -> Response {
    if !may_be_measured(&request) {
        return next.run(request).await;
    }
    let accepted = request.headers().get(header::ACCEPT_ENCODING).cloned();
    let playback = request.uri().path().starts_with("/play/");
    let response = next.run(request).await;
    if !is_text(response.headers()) {
        return response;
    }
    let mut response = packed(response, accepted).await;
    // Another coding is another representation (RFC 9110 8.8.3). The tags of the API stand for a version, not for bytes.
    if playback && response.headers().contains_key(header::CONTENT_ENCODING) {
        weaken(response.headers_mut());
    }
    response
}

/// Whether the size of the answer may be seen. Compressed, it would tell something of a secret that stands beside what
/// the reader sent (BREACH): secrets are in the answers to what changes something, and in whatever has a token in its
/// address, which anybody can be made to open. Keys come in a header, which nobody's page can make a browser send.
fn may_be_measured(request: &Request) -> bool {
    let query = request.uri().query().unwrap_or_default();
    let names = || query.split('&').map(|pair| pair.split('=').next().unwrap_or_default());
    // A reload of what is live waits for its part, and is small or packed by the channel itself.
    *request.method() == Method::GET && !names().any(|name| name == "token" || name.starts_with("_HLS_"))
}

fn is_text(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    let size = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let whole =
        [header::CONTENT_ENCODING, header::CONTENT_RANGE].iter().all(|name| !headers.contains_key(name));
    TEXTS.contains(&kind) && whole && size.is_none_or(|size| size >= LEAST_BYTES)
}

async fn packed(response: Response, accepted: Option<HeaderValue>) -> Response {
    let mut asking = Request::new(Body::empty());
    asking.headers_mut().extend(accepted.map(|value| (header::ACCEPT_ENCODING, value)));
    let mut response = Some(response);
    let ready = service_fn(move |_: Request| {
        let response = response.take().unwrap_or_default();
        async move { Ok::<_, Infallible>(response) }
    });
    match CompressionLayer::new().compress_when(Decided).layer(ready).oneshot(asking).await {
        Ok(response) => response.map(Body::new),
        Err(never) => match never {},
    }
}

fn weaken(headers: &mut HeaderMap) {
    let strong =
        headers.get(header::ETAG).and_then(|tag| tag.to_str().ok()).filter(|tag| !tag.starts_with("W/"));
    if let Some(weak) = strong.and_then(|tag| HeaderValue::from_str(&format!("W/{tag}")).ok()) {
        headers.insert(header::ETAG, weak);
    }
}
