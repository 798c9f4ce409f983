//! What stands before the router: it answers while what the router needs is still away, and says when this node leaves.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, header};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use super::problem::{Code, Unreadiness};
use super::{Error, Pages, health, layers, pages};

pub(super) const LIVE: &str = "/health/live";
pub(super) const READY: &str = "/health/ready";

/// The gate of one process; cheap to clone.
#[derive(Clone)]
pub struct Gate(Arc<Inner>);

struct Inner {
    status: Arc<Status>,
    /// Answers while the router can't.
    closed: Router,
    router: OnceLock<Router>,
}

#[derive(Default)]
struct Status {
    missing: Mutex<&'static str>,
    is_leaving: AtomicBool,
    /// What `/health/ready` answered last; `None` before it was asked.
    was_ready: Mutex<Option<bool>>,
}

impl Status {
    /// Tells of an answer to `/health/ready` where it is another than the one before.
    fn note(&self, response: &Response) {
        let is_ready = response.status().is_success();
        let before = self.was_ready.lock().unwrap_or_else(PoisonError::into_inner).replace(is_ready);
        if before == Some(is_ready) {
            return;
        }
        let code = response.extensions().get::<Code>().map(|code| code.0.as_str());
        match response.extensions().get::<Unreadiness>() {
            Some(Unreadiness(cause)) => tracing::warn!(code, cause, "not ready"),
            None if is_ready => tracing::info!("ready: the database and the object store answer"),
            None => tracing::info!(code, "not ready"),
        }
    }
}

impl Default for Gate {
    fn default() -> Self {
        Self::new(Router::new())
    }
}

impl Gate {
    /// A closed gate; the pages are what people see of it.
    pub fn new(pages: impl Into<Pages>) -> Self {
        let Pages { routes, refusal } = pages.into();
        let status = Arc::new(Status { missing: Mutex::new("its parts"), ..Status::default() });
        let closed = Router::new()
            .fallback(refuse)
            .with_state(status.clone())
            .merge(routes)
            .layer(from_fn(layers::cors))
            .layer(from_fn(layers::harden))
            .layer(from_fn(layers::identify))
            .layer(from_fn_with_state(refusal, pages::tell_people));
        Self(Arc::new(Inner { status, closed, router: OnceLock::new() }))
    }

    /// What the start waits for, as `/health/ready` tells it.
    pub fn wait_for(&self, missing: &'static str) {
        *self.0.status.missing.lock().unwrap_or_else(PoisonError::into_inner) = missing;
    }

    /// From now on the router answers.
    pub fn open(&self, router: Router) {
        // Whoever opened it first has its place.
        let _ = self.0.router.set(router.with_state(()));
    }

    /// Everything is answered as before, but no balancer shall send more, and no connection is kept.
    pub fn leave(&self) {
        self.0.status.is_leaving.store(true, Ordering::Relaxed);
    }

    /// Answers a request.
    pub async fn answer(self, request: Request) -> Response {
        let is_leaving = self.0.status.is_leaving.load(Ordering::Relaxed);
        let path = request.uri().path();
        let is_readiness = path == READY;
        let router = match self.0.router.get() {
            Some(router) if !(is_leaving && is_readiness) => router,
            _ => &self.0.closed,
        };
        let mut response = match router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        if is_readiness {
            self.0.status.note(&response);
        }
        if is_leaving {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response
    }
}

async fn refuse(State(status): State<Arc<Status>>, request: Request) -> Response {
    if request.uri().path() == LIVE {
        return health::live().await.into_response();
    }
    if status.is_leaving.load(Ordering::Relaxed) {
        return Error::Leaving.into_response();
    }
    let missing = *status.missing.lock().unwrap_or_else(PoisonError::into_inner);
    Error::Starting { missing }.into_response()
}

#[cfg(test)]
mod tests {
    use axum::body::{Body, to_bytes};
    use axum::routing::get;

    use super::*;

    async fn ask(gate: &Gate, path: &str) -> (u16, Option<String>, String) {
        let request = Request::builder().uri(path).body(Body::empty()).expect("a request");
        let response = gate.clone().answer(request).await;
        let (parts, body) = response.into_parts();
        let retry =
            parts.headers.get(header::RETRY_AFTER).map(|value| value.to_str().expect("text").to_owned());
        let body = to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status.as_u16(), retry, String::from_utf8_lossy(&body).into_owned())
    }

    fn router() -> Router {
        Router::new().route(READY, get(async || "ready")).route("/", get(async || "home"))
    }

    #[tokio::test]
    async fn a_closed_gate_says_what_is_missing_and_when_to_come_back() {
        let gate = Gate::default();
        gate.wait_for("the database");
        for path in [READY, "/", "/api/v1/videos"] {
            let (status, retry, body) = ask(&gate, path).await;
            assert_eq!((status, retry.as_deref()), (503, Some("5")), "{path}");
            assert!(body.contains("the database") && body.contains(r#""request_id":""#), "{body}");
        }
        assert_eq!(ask(&gate, LIVE).await.0, 200);
        gate.open(router());
        assert_eq!(ask(&gate, READY).await.2, "ready");
    }

    #[tokio::test]
    async fn who_leaves_is_not_ready_and_still_serves() {
        let gate = Gate::default();
        gate.open(router());
        gate.leave();
        assert_eq!(ask(&gate, READY).await.0, 503);
        assert_eq!(ask(&gate, "/").await.2, "home");
    }
}
