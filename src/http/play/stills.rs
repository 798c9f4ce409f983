//! Poster, storyboard and the index of the storyboard.

use ::bytes::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::extract::{Path, Query};
use super::super::{App, Error};
use super::bytes::{Thing, etag};
use super::gate::{self, Bearer, Pass};
use super::media;
use crate::catalogue::revision::{self, Revision};
use crate::domain::{PosterId, VideoId};
use crate::media::storyboard;
use crate::publishing;
use crate::storage::{Folder, Key, Still};

/// Get a picture of a revision
///
/// `poster.jpg`, `storyboard.jpg` or `storyboard.vtt`, the index that says which part of the sheet shows which moment.
#[utoipa::path(get, path = "/play/{video}/{revision}/{file}", operation_id = "get_still", tag = "playback",
    params(("video" = String, Path, format = Uuid), ("revision" = u32, Path), ("file" = String, Path), Bearer),
    responses(
        (status = 200, description = "All of it", content((Vec<u8> = "image/jpeg"), (String = "text/vtt"))),
        (status = 206, description = "The range asked for", content((Vec<u8> = "image/jpeg"),
        (String = "text/vtt"))),
        (status = 304, description = "Not modified"),
        (status = 307, description = "It is at the CDN"),
        (status = 416, description = "The range lies outside", body = crate::http::problem::Problem,
            content_type = "application/problem+json")))]
pub async fn still(
    State(app): State<App>,
    Path((id, number, file)): Path<(VideoId, u32, String)>,
    Query(bearer): Query<Bearer>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let pass = gate::enter(&app, id, bearer).await?;
    let found = revision::find(app.read().await?.conn(), id, number).await?;
    let revision = found.ok_or(publishing::Error::NotFound("still"))?;
    let key = match file.as_str() {
        "poster.jpg" if let Some(row) = &revision.poster => still_key(&revision, row, Still::Poster),
        "storyboard.jpg" if let Some(row) = &revision.storyboard => {
            still_key(&revision, row, Still::Storyboard)
        }
        "storyboard.vtt" if revision.storyboard.is_some() => {
            return Ok(pass.tagged(index(&pass, &revision, &headers)?));
        }
        _ => return Err(publishing::Error::NotFound("still").into()),
    };
    picture(&app, &pass, &key, &headers).await
}

/// Get the uploaded poster
///
/// `poster-{id}.jpg`, as the video's `media.poster` says it.
#[utoipa::path(get, path = "/play/{video}/{file}", operation_id = "get_poster", tag = "playback",
    params(("video" = String, Path, format = Uuid), ("file" = String, Path), Bearer),
    responses(
        (status = 200, description = "All of it", content_type = "image/jpeg", body = Vec<u8>),
        (status = 206, description = "The range asked for", content_type = "image/jpeg", body = Vec<u8>),
        (status = 304, description = "Not modified"),
        (status = 307, description = "It is at the CDN"),
        (status = 416, description = "The range lies outside", body = crate::http::problem::Problem,
            content_type = "application/problem+json")))]
pub async fn poster(
    State(app): State<App>,
    Path((id, file)): Path<(VideoId, String)>,
    Query(bearer): Query<Bearer>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let pass = gate::enter(&app, id, bearer).await?;
    let shown = pass.video.poster.as_ref().map(|poster| poster.id);
    let shown = shown.filter(|poster| file == file_name(*poster));
    let key = Key::poster(id, shown.ok_or(publishing::Error::NotFound("still"))?);
    picture(&app, &pass, &key, &headers).await
}

fn still_key(revision: &Revision, row: &revision::Still, still: Still) -> Key {
    let number = u32::try_from(revision.number).unwrap_or(0);
    Key::still(Folder { video: revision.video_id, revision: number, nonce: row.nonce }, still)
}

/// What an uploaded poster is called below its video.
pub fn file_name(poster: PosterId) -> String {
    format!("poster-{poster}.jpg")
}

async fn picture(app: &App, pass: &Pass, key: &Key, headers: &HeaderMap) -> Result<Response, Error> {
    let response = match media::redirect(app, pass, key) {
        Some(elsewhere) => elsewhere,
        None => media::whole(app, pass, key, headers).await?,
    };
    Ok(pass.tagged(response))
}

/// Which part of the sheet shows which moment, by the same plan that made the sheet.
fn index(pass: &Pass, revision: &Revision, headers: &HeaderMap) -> Result<Response, Error> {
    let probe = revision.probe.as_ref().ok_or(publishing::Error::NotFound("still"))?;
    let plan = storyboard::plan(probe.duration, probe.video.width, probe.video.height);
    // Players count from the segment that is shown first.
    let starts = revision.timeline.iter().flat_map(|timeline| &timeline.starts);
    let trim = pass.video.trim();
    let start = trim.and_then(|trim| starts.take_while(|start| **start <= trim.start()).last()).copied();
    let shown = (start.unwrap_or(0), probe.duration);
    let text = storyboard::vtt(&plan, shown, &pass.with_token("storyboard.jpg"));
    let bytes = Bytes::from(text);
    let thing = Thing {
        etag: etag(&bytes),
        size: bytes.len() as u64,
        content_type: "text/vtt",
        cache_control: pass.cache_control(trim.is_none()),
    };
    thing.answer_from(headers, &bytes)
}
