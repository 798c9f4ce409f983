//! The pages' handlers: each loads what its page shows, renders it, and answers with its content security policy.

use std::sync::{Arc, LazyLock};

use axum::Router;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;
use serde_json::Value;

use super::frame::Reader;
use super::{docs, embed, error, home, language, load, studio, watch, ways};
use crate::domain::site::Site;
use crate::domain::{BroadcastId, Language, VideoId};
use crate::http::csp::{self, Framing};
use crate::http::extract::{Path, Query};
use crate::http::{App, Error, Pages, openapi};

/// What any page may be asked with.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Asked {
    pub token: Option<String>,
    pub q: Option<String>,
    pub account: Option<String>,
    pub topic: Option<String>,
    pub cursor: Option<String>,
    pub level: Option<String>,
    lang: Option<String>,
}

/// The reader's language: by `?lang=`, else by `Accept-Language`.
struct Spoken(Language);

impl Spoken {
    fn of(uri: &Uri, headers: &HeaderMap) -> Self {
        let asked: Option<axum::extract::Query<Asked>> = axum::extract::Query::try_from_uri(uri).ok();
        let accept = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        Self(language::pick(asked.as_ref().and_then(|asked| asked.lang.as_deref()), accept))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Spoken {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        Ok(Self::of(&parts.uri, &parts.headers))
    }
}

/// Every page and asset, and the page that a person gets in place of a problem.
pub fn router(app: App) -> Pages {
    let refusing = app.clone();
    let refusal = move |uri: &Uri, headers: &HeaderMap, status: u16| {
        let Spoken(language) = Spoken::of(uri, headers);
        let reader = Reader { site: &refusing.settings.site, language: &language };
        refusal(reader, &load::media_origins(&refusing), code(status), Framing::Nobody)
    };
    Pages { routes: routes(app), refusal: Some(Arc::new(refusal)) }
}

/// What people see while nothing can be answered yet: the page of the refusal, and what it looks like.
pub fn closed(site: &Site) -> Pages {
    let site = Site { crest: None, ..site.clone() };
    let refusal = move |uri: &Uri, headers: &HeaderMap, status: u16| {
        let Spoken(language) = Spoken::of(uri, headers);
        refusal(Reader { site: &site, language: &language }, &[], code(status), Framing::Nobody)
    };
    Pages { routes: super::assets::router(), refusal: Some(Arc::new(refusal)) }
}

fn code(status: u16) -> StatusCode {
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

fn routes(app: App) -> Router {
    Router::new()
        .route("/", get(home_page))
        .route("/watch/{id}", get(|visit: Visit| video_page(visit, Framing::Own, watch::render)))
        .route("/embed/{id}", get(|visit: Visit| video_page(visit, Framing::Anyone, embed::render)))
        .route("/api/docs", get(docs_page))
        .route("/api/docs/", get(docs_page))
        .route("/topics", get(topics_page))
        .route("/agencies", get(agencies_page))
        .route("/site/crest", get(crest))
        .route("/studio", get(studio_page))
        .route("/studio/broadcasts/{id}", get(broadcast_page))
        .with_state(app)
        .merge(super::assets::router())
}

async fn home_page(State(app): State<App>, Spoken(language): Spoken, Query(asked): Query<Asked>) -> Response {
    let page = load::home(&app, &asked).await;
    answer(&app, &language, Framing::Own, page, home::render)
}

async fn topics_page(
    State(app): State<App>,
    Spoken(language): Spoken,
    Query(asked): Query<Asked>,
) -> Response {
    let page = load::topics(&app, &asked).await;
    answer(&app, &language, Framing::Own, page, ways::render_topics)
}

async fn agencies_page(
    State(app): State<App>,
    Spoken(language): Spoken,
    Query(asked): Query<Asked>,
) -> Response {
    let page = load::agencies(&app, &asked).await;
    answer(&app, &language, Framing::Own, page, ways::render_agencies)
}

/// The picture beside the site's name; an SVG that is opened by itself runs nothing.
async fn crest(State(app): State<App>) -> Response {
    let Some(crest) = &app.settings.site.crest else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [
        (header::CONTENT_TYPE, crest.content_type),
        (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'; sandbox"),
    ];
    (headers, crest.bytes.clone()).into_response()
}

/// The API's document never changes while a server runs.
static DOCUMENT: LazyLock<Value> = LazyLock::new(openapi);

/// For developers, in English as the document is. No page has it in a frame.
async fn docs_page(State(app): State<App>) -> Response {
    answer(&app, &Language::english(), Framing::Nobody, Ok(()), |(), reader| {
        docs::render(&DOCUMENT, &app.settings.public_url, reader)
    })
}

/// The studio's pages hold nothing of anybody: their script asks the API, with the key of who signs in.
async fn studio_page(State(app): State<App>, Spoken(language): Spoken) -> Response {
    answer(&app, &language, Framing::Nobody, Ok(()), |(), reader| studio::render_list(reader))
}

async fn broadcast_page(
    State(app): State<App>,
    Spoken(language): Spoken,
    Path(id): Path<String>,
) -> Response {
    let id = id.parse::<BroadcastId>().ok();
    let found = id.ok_or_else(|| crate::publishing::Error::NotFound("broadcast").into());
    answer(&app, &language, Framing::Nobody, found, |id, reader| studio::render_broadcast(*id, reader))
}

/// A visit to a page of one video.
type Visit = (State<App>, Spoken, Path<String>, Query<Asked>);

async fn video_page(
    (State(app), Spoken(language), Path(id), Query(asked)): Visit,
    framing: Framing,
    render: fn(&watch::Page, Reader<'_>) -> askama::Result<String>,
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
    render: impl FnOnce(&P, Reader<'_>) -> Result<String, askama::Error>,
) -> Response {
    let (whom, origins) = (Reader { site: &app.settings.site, language }, load::media_origins(app));
    match found.map(|page| render(&page, whom)) {
        Ok(html) => respond(&origins, StatusCode::OK, framing, html),
        // The API's table of errors says which status it is.
        Err(error) => {
            let refused = error.into_response();
            let mut page = refusal(whom, &origins, refused.status(), framing);
            if let Some(after) = refused.headers().get(header::RETRY_AFTER) {
                page.headers_mut().insert(header::RETRY_AFTER, after.clone());
            }
            page
        }
    }
}

/// The page for what can't be shown.
fn refusal(reader: Reader<'_>, origins: &[String], status: StatusCode, framing: Framing) -> Response {
    let html = error::render(&error::Page { status: status.as_u16() }, reader);
    respond(origins, status, framing, html)
}

fn respond(
    origins: &[String],
    status: StatusCode,
    framing: Framing,
    html: askama::Result<String>,
) -> Response {
    let Ok(html) = html else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let policy = csp::policy(origins, framing);
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
