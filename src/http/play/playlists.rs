//! The master playlist of a video, its one address.

use ::bytes::Bytes;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::extract::{Path, Query};
use super::super::{App, Error};
use super::bytes::{Thing, etag};
use super::gate::{self, Bearer, Pass};
use super::live;
use super::revision::Shown;
use crate::domain::VideoId;
use crate::domain::media::MediaState;
use crate::media::playlist;
use crate::publishing;

/// RFC 8216 4.
const CONTENT_TYPE: &str = "application/vnd.apple.mpegurl";

/// Play a video
///
/// The multivariant playlist: before, during and after processing. Short-lived; everything below it is immutable.
#[utoipa::path(get, path = "/play/{video}/master.m3u8", operation_id = "get_master_playlist", tag = "playback",
    params(("video" = String, Path, format = Uuid), Bearer),
    responses((status = 200, description = "The multivariant playlist (RFC 8216)",
        content_type = "application/vnd.apple.mpegurl", body = String),
        (status = 304, description = "Not modified")))]
pub async fn master(
    State(app): State<App>,
    Path(id): Path<VideoId>,
    Query(bearer): Query<Bearer>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let pass = gate::enter(&app, id, bearer).await?;
    if let Some(channel) = live::running(&app, &pass.video).await
        && let Some(answer) = live::master(&channel, &pass, &headers)
    {
        return answer.map(|response| pass.tagged(response));
    }
    let plays =
        matches!(pass.video.media_state, MediaState::Playable | MediaState::Ready | MediaState::Degraded);
    let number = pass.video.revision.filter(|_| plays).and_then(|number| u32::try_from(number).ok());
    let number = number.ok_or(publishing::Error::NotFound("media"))?;
    let shown = Shown::find(&app, (id, number), None).await?;
    let master = shown.master(&pass);
    if master.variants.is_empty() {
        return Err(publishing::Error::NotFound("media").into());
    }
    let text = playlist::master(&master).into();
    Ok(pass.tagged(answer(&text, pass.cache_control(false), &headers)?))
}

/// One rung's playlist, or that of its keyframes alone.
pub(super) async fn rung(
    app: &App,
    pass: &Pass,
    (number, rung): (u32, &str),
    render: fn(&playlist::Media) -> String,
) -> Result<(String, &'static str), Error> {
    let shown = Shown::find(app, (pass.video.id, number), Some(rung)).await?;
    let media = shown.media(pass, rung)?;
    Ok((render(&media), pass.cache_control(shown.is_settled())))
}

/// A rendered playlist as an answer.
pub(super) fn answer(
    text: &Bytes,
    cache_control: &'static str,
    headers: &HeaderMap,
) -> Result<Response, Error> {
    let thing =
        Thing { etag: etag(text), size: text.len() as u64, content_type: CONTENT_TYPE, cache_control };
    thing.answer_from(headers, text)
}
