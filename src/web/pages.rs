//! The pages' handlers: each loads what its page shows, renders it, and answers with its content security policy.

use std::sync::LazyLock;

use axum::Router;
use axum::extract::{FromRequestParts, Path, Query, State};
use axum::http::request::Parts;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::Value;

use super::{docs, embed, error, home, language, load, studio, watch};
use crate::domain::{BroadcastId, Language, VideoId};
use crate::http::csp::{self, Framing};
use crate::http::{App, Error, openapi};

/// What any page may be asked with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    pub token: Option<String>,
    pub q: Option<String>,
    pub account: Option<String>,
    pub topic: Option<String>,
    pub cursor: Option<String>,
    lang: Option<String>,
}

/// The reader's language: by `?lang=`, else by `Accept-Language`.
struct Reader(Language);

impl<S: Send + Sync> FromRequestParts<S> for Reader {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let asked: Option<Query<Asked>> = Query::try_from_uri(&parts.uri).ok();
        let accept = parts.headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Ok(Self(language::pick(asked.as_ref().and_then(|asked| asked.lang.as_deref()), accept)))
    }
}

/// Every page and asset.
pub fn router(app: App) -> Router {
    Router::new()
        .route("/", get(home_page))
        .route("/watch/{id}", get(|visit: Visit| video_page(visit, Framing::Own, watch::render)))
        .route("/embed/{id}", get(|visit: Visit| video_page(visit, Framing::Anyone, embed::render)))
        .route("/api/docs", get(docs_page))
        .route("/api/docs/", get(docs_page))
        .route("/studio", get(studio_page))
        .route("/studio/broadcasts/{id}", get(broadcast_page))
        .with_state(app)
        .merge(super::assets::router())
}

async fn home_page(State(app): State<App>, Reader(reader): Reader, Query(asked): Query<Asked>) -> Response {
    let page = load::home(&app, &asked).await;
    answer(&app, &reader, Framing::Own, page, home::render)
}

/// The API's document never changes while a server runs.
static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// For developers, in English as the document is. No page has it in a frame.
async fn docs_page(State(app): State<App>) -> Response {
    answer(&app, &Language::english(), Framing::Nobody, Ok(()), |(), _| {
        docs::render(&DOCUMENT, &app.settings.public_url)
    })
}

/// The studio's pages hold nothing of anybody: their script asks the API, with the key of who signs in.
async fn studio_page(State(app): State<App>, Reader(reader): Reader) -> Response {
    answer(&app, &reader, Framing::Nobody, Ok(()), |(), language| studio::render_list(language))
}

async fn broadcast_page(State(app): State<App>, Reader(reader): Reader, Path(id): Path<String>) -> Response {
    let id = id.parse::<BroadcastId>().ok();
    let found = id.ok_or_else(|| crate::publishing::Error::NotFound("broadcast").into());
    answer(&app, &reader, Framing::Nobody, found, |id, language| studio::render_broadcast(*id, language))
}

/// A visit to a page of one video.
type Visit = (State<App>, Reader, Path<String>, Query<Asked>);

async fn video_page(
    (State(app), Reader(language), Path(id), Query(asked)): Visit,
    framing: Framing,
    render: fn(&watch::Page, &Language) -> askama::Result<String>,
) -> Response {
    let page = find(&app, &id, asked.token).await;
    let private = page.as_ref().is_ok_and(|page| page.token.is_some());
    let mut response = answer(&app, &language, framing, page, render);
    if private {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("private, no-store"));
    }
    response
}

async fn find(app: &App, id: &str, token: Option<String>) -> Result<watch::Page, Error> {
    match id.parse::<VideoId>() {
        Ok(id) => load::watch(app, id, token).await,
        Err(_) => Err(crate::publishing::Error::NotFound("video").into()),
    }
}

fn answer<P>(
    app: &App,
    language: &Language,
    framing: Framing,
    found: Result<P, Error>,
    render: impl FnOnce(&P, &Language) -> Result<String, askama::Error>,
) -> Response {
    let (status, html) = match found {
        Ok(page) => (StatusCode::OK, render(&page, language)),
        Err(error) => {
            // The API's table of errors says which status it is.
            let status = error.into_response().status();
            (status, error::render(&error::Page { status: status.as_u16() }, language))
        }
    };
    let Ok(html) = html else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let policy = csp::policy(&load::media_origins(app), framing);
    let mut response = (status, Html(html)).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(header::VARY, HeaderValue::from_static("Accept-Language"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("strict-origin-when-cross-origin"));
    response
}
