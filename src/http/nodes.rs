//! What nodes ask each other. Not part of the public document.

use axum::body::Body;
use axum::extract::{FromRequestParts, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use super::extract::{Json, Path};
use super::reply::Gone;
use super::{App, Error};
use crate::domain::VideoId;
use crate::live::mirror::{self, Report};
use crate::publishing;

/// Another node of the same instance.
pub struct Node;

impl FromRequestParts<App> for Node {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Error> {
        let pass = bearer(&parts.headers).ok_or(Error::KeyMissing)?;
        if app.live.pass.check(pass) { Ok(Self) } else { Err(Error::KeyInvalid) }
    }
}

fn bearer(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()?.strip_prefix("Bearer ")
}

/// The routes of this file.
pub(super) fn routes() -> axum::Router<App> {
    axum::Router::new().route("/internal/live/{video}", get(news).post(hear))
}

/// A running broadcast as the node that takes it in tells it.
async fn news(State(app): State<App>, _node: Node, Path(video): Path<VideoId>) -> Result<Response, Error> {
    let channel = app.live.find(video).ok_or(publishing::Error::NotFound("broadcast"))?;
    let kind = [(header::CONTENT_TYPE, "application/octet-stream")];
    Ok((kind, Body::from_stream(mirror::tell(&channel))).into_response())
}

/// How many watch at another node.
async fn hear(
    State(app): State<App>,
    _node: Node,
    Path(video): Path<VideoId>,
    Json(report): Json<Report>,
) -> Result<Gone, Error> {
    let channel = app.live.find(video).ok_or(publishing::Error::NotFound("broadcast"))?;
    channel.audience.hear(&report.node, report.viewers);
    Ok(Gone)
}
