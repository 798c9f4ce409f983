//! A broadcast while it runs, from its channel: blocking reloads, parts, and segments that are not in the bucket yet.

use std::sync::Arc;

use ::bytes::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;

use super::super::{App, Error};
use super::bytes::{Thing, etag_of};
use super::gate::Pass;
use super::media::{parse_init, parse_pack};
use super::playlists::answer;
use crate::catalogue::video::Video;
use crate::domain::media::MediaState;
use crate::live::channel::{Channel, Place, Unanswered};

/// Delivery directives (RFC 8216bis 6.2.5): only a running broadcast heeds them.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Reload {
    /// Answer once the playlist holds this media sequence number.
    #[serde(rename = "_HLS_msn")]
    #[param(rename = "_HLS_msn")]
    msn: Option<u32>,
    /// And of it this part.
    #[serde(rename = "_HLS_part")]
    #[param(rename = "_HLS_part")]
    part: Option<u32>,
    /// `YES` or `v2`: leave out what is old.
    #[serde(rename = "_HLS_skip")]
    #[param(rename = "_HLS_skip")]
    skip: Option<String>,
}

/// The broadcast that runs at a video, whichever node takes it in. A video that is whole has none.
pub(super) async fn running(app: &App, video: &Video) -> Option<Arc<Channel>> {
    match app.live.find(video.id) {
        None if video.media_state == MediaState::Playable => app.live.find_anywhere(video.id).await,
        found => found,
    }
}

/// What a reload gets that waited for, or came just after, the end.
pub(super) async fn farewell(
    app: &App,
    pass: &Pass,
    (number, rung, file, reload): (u32, &str, &str, &Reload),
    headers: &HeaderMap,
) -> Option<Response> {
    let asks = file == "playlist.m3u8" && reload.msn.is_some();
    let channel =
        app.live.find_over(pass.video.id).filter(|channel| asks && channel.about.revision == number)?;
    let text = playlist(&channel, pass, (rung, reload)).await.ok()??;
    answer(&text, pass.cache_control(false), headers).ok()
}

/// The multivariant playlist; `None` before anything can be played.
pub(super) fn master(channel: &Channel, pass: &Pass, headers: &HeaderMap) -> Option<Result<Response, Error>> {
    let text = channel.master(pass.video.language.as_str(), &pass.query())?;
    Some(answer(&text.into(), pass.cache_control(false), headers))
}

/// What the channel has of a file; `None` where the bucket has it.
pub(super) async fn file(
    channel: &Channel,
    pass: &Pass,
    (rung, file, reload): (&str, &str, &Reload),
    headers: &HeaderMap,
) -> Result<Option<Response>, Error> {
    if file == "playlist.m3u8" {
        let Some(text) = playlist(channel, pass, (rung, reload)).await? else { return Ok(None) };
        return answer(&text, pass.cache_control(false), headers).map(Some);
    }
    let bytes = if let Some(number) = parse_init(file) {
        channel.init(rung, number)
    } else if let Some(place) = parse_media(file) {
        channel.media(rung, place).await
    } else {
        None
    };
    let Some(bytes) = bytes.filter(|bytes| !bytes.is_empty()) else { return Ok(None) };
    let thing = Thing {
        etag: etag_of(channel.about.revision, rung, file),
        size: bytes.len() as u64,
        content_type: if rung == "audio" { "audio/mp4" } else { "video/mp4" },
        cache_control: pass.cache_control(true),
    };
    thing.answer_from(headers, &bytes).map(Some)
}

async fn playlist(
    channel: &Channel,
    pass: &Pass,
    (rung, reload): (&str, &Reload),
) -> Result<Option<Bytes>, Error> {
    let until = match (reload.msn, reload.part) {
        (None, Some(_)) => return Err(Error::Query("_HLS_part needs _HLS_msn beside it".to_owned())),
        (msn, part) => msn.map(|msn| (msn, part)),
    };
    let skip = matches!(reload.skip.as_deref(), Some("YES" | "v2"));
    match channel.playlist(rung, (until, skip), &pass.query()).await {
        Ok(text) => Ok(Some(text)),
        Err(Unanswered::NoRung) => Ok(None),
        Err(Unanswered::TooFarAhead) => {
            Err(Error::Query("_HLS_msn is too far ahead of the playlist".to_owned()))
        }
        Err(Unanswered::Stalled) => Err(Error::Stalled),
    }
}

/// `{segment}-{epoch}.m4s` or `{segment}-{epoch}.{part}.m4s`, exactly as playlists say it.
pub(super) fn parse_media(file: &str) -> Option<(u32, Place)> {
    if let Some((segment, epoch)) = parse_pack(file) {
        return Some((epoch, (segment, None)));
    }
    let (pack, part) = file.strip_suffix(".m4s")?.rsplit_once('.')?;
    let (segment, epoch) = parse_pack(&format!("{pack}.m4s"))?;
    let number: u32 = part.parse().ok()?;
    (part == number.to_string()).then_some((epoch, (segment, Some(number))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_parts_have_one_name_only() {
        assert_eq!(parse_media("7-2.m4s"), Some((2, (7, None))));
        assert_eq!(parse_media("7-2.11.m4s"), Some((2, (7, Some(11)))));
        for wrong in ["7-2.011.m4s", "7.m4s", "7-2.1.2.m4s", "07-2.1.m4s", "7-2..m4s"] {
            assert_eq!(parse_media(wrong), None, "{wrong}");
        }
    }
}
