//! The embedded server on a port of its own, with CORS so that browsers may use presigned addresses.

use std::time::Duration;

use axum::Router;
use axum::error_handling::HandleError;
use axum::http::StatusCode;
use axum::http::header::{ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, ETAG, LAST_MODIFIED};
use axum::http::{HeaderName, Method};
use s3s::service::S3Service;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::cors::{AllowHeaders, Any, CorsLayer};

/// How long a browser may remember the answer to a preflight.
const CORS_MAX_AGE: Duration = Duration::from_hours(1);

/// The signature covers the whole path: mount it on a port, never under a prefix.
pub(super) async fn run(
    service: S3Service,
    listener: TcpListener,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    let service = HandleError::new(service, |error: s3s::HttpError| async move {
        tracing::error!(?error, "the embedded object store can't answer");
        StatusCode::INTERNAL_SERVER_ERROR
    });
    let router = Router::new().fallback_service(service).layer(cors());
    axum::serve(listener, router).with_graceful_shutdown(shutdown.cancelled_owned()).await
}

fn cors() -> CorsLayer {
    let exposed = [ETAG, ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, LAST_MODIFIED];
    let amazon = ["x-amz-request-id", "x-amz-checksum-crc32"].map(HeaderName::from_static);
    CorsLayer::new()
        .allow_origin(Any)
        .allow_methods([Method::GET, Method::HEAD, Method::PUT, Method::POST, Method::DELETE])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.into_iter().chain(amazon).collect::<Vec<_>>())
        .max_age(CORS_MAX_AGE)
}
