//! The pages for people as the router gets them: their routes, and what a person sees in place of a problem.

use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Uri, header};
use axum::middleware::Next;
use axum::response::Response;

use super::layers::PROGRAMS;

/// Makes a page of a refusal of this status, for who asked this.
pub type Refusal = Arc<dyn Fn(&Uri, &HeaderMap, u16) -> Response + Send + Sync>;

/// Routes for people, and the page that tells them of a refusal.
#[derive(Clone, Default)]
pub struct Pages {
    pub routes: Router,
    /// `None`: everybody gets problems.
    pub refusal: Option<Refusal>,
}

impl From<Router> for Pages {
    fn from(routes: Router) -> Self {
        Self { routes, refusal: None }
    }
}

/// A person who opens an address in a browser reads a page where a program reads a problem.
pub(super) async fn tell_people(
    State(refusal): State<Option<Refusal>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(refusal) = refusal.filter(|_| is_person(&request)) else { return next.run(request).await };
    let (uri, headers) = (request.uri().clone(), request.headers().clone());
    let response = next.run(request).await;
    let kind = response.headers().get(header::CONTENT_TYPE);
    if kind.is_none_or(|kind| kind != "application/problem+json") {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let (page, body) = refusal(&uri, &headers, parts.status.as_u16()).into_parts();
    parts.headers.remove(header::CONTENT_LENGTH);
    for (name, value) in page.headers.iter().filter(|(name, _)| *name != header::CACHE_CONTROL) {
        parts.headers.insert(name, value.clone());
    }
    Response::from_parts(parts, body)
}

/// Browsers ask for HTML where somebody follows a link, and never for what a script or a player asks.
fn is_person(request: &Request) -> bool {
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    reads && !request.uri().path().starts_with(PROGRAMS) && accept.contains("text/html")
}
