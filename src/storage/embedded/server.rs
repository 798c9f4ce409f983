//! The embedded server on a port of its own, with CORS so that browsers may use presigned addresses.

use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use axum::http::{HeaderName, Method};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

use super::guard::Guarded;

/// How long a browser may remember the answer to a preflight.
pub(super) const CORS_MAX_AGE: Duration = Duration::from_hours(1);
/// What a browser may do, having an address for it.
pub(super) const METHODS: [Method; 5] =
    [Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE];
/// What a script may read of an answer.
pub(super) const EXPOSED: [HeaderName; 5] =
    [ETAG, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, LAST_MODIFIED];

/// The signature covers the whole path: mount it on a port, never under a prefix.
pub(super) async fn run(
    service: Guarded,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let service = HandleError::new(service, |error: s3s::HttpError| async move {
        tracing::error!(?error, "the embedded object store can't answer");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    let router = Router::new().fallback_service(service).layer(cors());
    axum::serve(listener, router.into_make_service()).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn cors() -> CorsLayer {
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods(METHODS)
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(EXPOSED)
        .max_age(CORS_MAX_AGE)
}
