//! Everything below a revision's rung: its playlists, its initialisation segment and its packs.

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::response::Response;

use super::super::extract::{Path, Query};
use super::super::{App, Error};
use super::bytes::{Asked, Thing, etag, etag_of};
use super::gate::{self, Bearer, Pass};
use super::live::{self, Reload};
use super::playlists;
use super::revision::Shown;
use crate::catalogue::pack;
use crate::domain::VideoId;
use crate::media::playlist;
use crate::publishing::{self, pack_key};
use crate::storage::Key;

/// Get a playlist or media of a rung
///
/// `playlist.m3u8`, `iframes.m3u8`, `init.mp4` or `{first segment}-{attempt}.m4s`. Media is immutable and served by
/// range.
#[utoipa::path(get, path = "/play/{video}/{revision}/{rung}/{file}", operation_id = "get_media_file",
    tag = "playback",
    params(("video" = String, Path, format = Uuid), ("revision" = u32, Path), ("rung" = String, Path),
        ("file" = String, Path), Bearer, Reload),
    responses(
        (status = 200, description = "All of it", content(
            (String = "application/vnd.apple.mpegurl"), (Vec<u8> = "video/mp4"), (Vec<u8> = "audio/mp4"))),
        (status = 206, description = "The range asked for", content(
            (String = "application/vnd.apple.mpegurl"), (Vec<u8> = "video/mp4"), (Vec<u8> = "audio/mp4"))),
        (status = 304, description = "Not modified"),
        (status = 307, description = "It is at the CDN"),
        (status = 416, description = "The range lies outside", body = crate::http::problem::Problem,
            content_type = "application/problem+json")))]
pub async fn file(
    State(app): State<App>,
    Path((id, number, rung, file)): Path<(VideoId, u32, String, String)>,
    Query(bearer): Query<Bearer>,
    Query(reload): Query<Reload>,
    request: Request,
) -> Result<Response, Error> {
    let (method, headers) = (request.method().clone(), request.headers());
    let pass = gate::enter(&app, id, bearer).await?;
    if let Some(channel) =
        live::running(&app, &pass.video).await.filter(|channel| channel.about.revision == number)
        && let Some(response) = live::file(&channel, &pass, (&rung, &file, &reload), headers).await?
    {
        return Ok(pass.tagged(response));
    }
    if let Some(response) = live::farewell(&app, &pass, (number, &rung, &file, &reload), headers).await {
        return Ok(pass.tagged(response));
    }
    // On the heap: at the live edge thousands wait here, and need none of it.
    let response = Box::pin(recorded(&app, &pass, (number, &rung, &file), (method, headers))).await?;
    Ok(pass.tagged(response))
}

/// What the rows and the bucket have of it.
async fn recorded(
    app: &App,
    pass: &Pass,
    (number, rung, file): (u32, &str, &str),
    (method, headers): (Method, &HeaderMap),
) -> Result<Response, Error> {
    let render: fn(&playlist::Media) -> String = match file {
        "playlist.m3u8" => playlist::media,
        "iframes.m3u8" => playlist::iframes,
        _ if let Some(which) = parse_init(file) => {
            return init(app, pass, (number, rung, which), headers).await;
        }
        _ => {
            return segments(app, pass, (number, rung, file), (method, headers)).await;
        }
    };
    let (text, cache_control) = playlists::rung(app, pass, (number, rung), render).await?;
    playlists::answer(&text.into(), cache_control, headers)
}

async fn init(
    app: &App,
    pass: &Pass,
    (number, rung, which): (u32, &str, u32),
    headers: &HeaderMap,
) -> Result<Response, Error> {
    if !is_name(rung) {
        return Err(publishing::Error::NotFound("rung").into());
    }
    let shown = Shown::find(app, (pass.video.id, number), Some(rung)).await?;
    let key = shown.init_key(rung, which);
    if let Some(elsewhere) = redirect(app, pass, &key) {
        return Ok(elsewhere);
    }
    whole(app, pass, &key, headers).await
}

/// A small immutable object.
pub(super) async fn whole(app: &App, pass: &Pass, key: &Key, headers: &HeaderMap) -> Result<Response, Error> {
    let bytes = app.cache.read_all(key).await?;
    let thing = Thing {
        etag: etag(&bytes),
        size: bytes.len() as u64,
        content_type: content_type(key),
        cache_control: pass.cache_control(true),
    };
    thing.answer_from(headers, &bytes)
}

/// Where the CDN has an object that everybody may see.
pub(super) fn redirect(app: &App, pass: &Pass, key: &Key) -> Option<Response> {
    let cdn = app.settings.cdn_url.as_ref().filter(|_| pass.is_public())?;
    let location = format!("{}/{}", cdn.trim_end_matches('/'), key.as_str());
    let response = Response::builder().status(307).header(header::LOCATION, location);
    response.header(header::CACHE_CONTROL, "no-cache").body(Body::empty()).ok()
}

struct Pack {
    key: Key,
    size: u64,
    etag: String,
}

/// What is known of it lately is enough, unless its object has another name by now.
async fn segments(
    app: &App,
    pass: &Pass,
    (number, rung, file): (u32, &str, &str),
    (method, headers): (Method, &HeaderMap),
) -> Result<Response, Error> {
    let gone = || Error::from(publishing::Error::NotFound("segment"));
    let name = parse_pack(file).filter(|_| is_name(rung)).ok_or_else(gone)?;
    let id = (pass.video.id, number);
    let pack = |(size, key): (i64, Key)| Pack {
        key,
        size: u64::try_from(size).unwrap_or(0),
        etag: etag_of(number, rung, file),
    };
    if let Some(known) = Shown::known_pack(app, id, rung, name).await {
        match send(app, pass, pack(known), (method.clone(), headers)).await {
            Err(error) if error.is_object_missing() => {}
            answer => return answer,
        }
    }
    let found = pack::find(app.read().await?.conn(), id, rung, name.0).await?;
    let row = found.filter(|row| row.attempt == i64::from(name.1)).ok_or_else(gone)?;
    send(app, pass, pack((row.size_bytes, pack_key(id, &row))), (method, headers)).await
}

async fn send(
    app: &App,
    pass: &Pass,
    pack: Pack,
    (method, headers): (Method, &HeaderMap),
) -> Result<Response, Error> {
    if let Some(elsewhere) = redirect(app, pass, &pack.key) {
        return Ok(elsewhere);
    }
    let thing = Thing {
        etag: pack.etag,
        size: pack.size,
        content_type: content_type(&pack.key),
        cache_control: pass.cache_control(true),
    };
    let asked = thing.asked(headers)?;
    let range = match &asked {
        Asked::Nothing => return Ok(thing.answer(&asked, Body::empty())),
        Asked::Whole => 0..pack.size,
        Asked::Part(range) => range.clone(),
    };
    let body = if method == Method::HEAD || range.is_empty() {
        Body::empty()
    } else if app.cache.takes(&range) {
        Body::from(app.cache.read(&pack.key, range).await?)
    } else {
        Body::from_stream(app.publishing.storage.stream(&pack.key, Some(range)).await?)
    };
    Ok(thing.answer(&asked, body))
}

/// By the name alone: what is in the bucket was put there by us.
fn content_type(key: &Key) -> &'static str {
    let name = key.as_str();
    match name.rsplit('.').next() {
        Some("jpg") => "image/jpeg",
        _ if name.contains("/audio/") => "audio/mp4",
        _ => "video/mp4",
    }
}

/// `init.mp4`, or `init-{number}.mp4` from 1 on, exactly as playlists say it.
pub(super) fn parse_init(file: &str) -> Option<u32> {
    if file == "init.mp4" {
        return Some(0);
    }
    let number: u32 = file.strip_prefix("init-")?.strip_suffix(".mp4")?.parse().ok()?;
    (number > 0 && file == format!("init-{number}.mp4")).then_some(number)
}

/// `{first}-{attempt}.m4s`, exactly as playlists say it.
pub(super) fn parse_pack(file: &str) -> Option<(u32, u32)> {
    let (first, attempt) = file.strip_suffix(".m4s")?.split_once('-')?;
    let (first, attempt) = (first.parse().ok()?, attempt.parse().ok()?);
    (file == format!("{first}-{attempt}.m4s")).then_some((first, attempt))
}

fn is_name(rung: &str) -> bool {
    !rung.is_empty()
        && rung.len() <= 32
        && rung.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pack_has_one_name_only() {
        assert_eq!(parse_pack("21-2.m4s"), Some((21, 2)));
        for wrong in ["021-2.m4s", "21-+2.m4s", "21.m4s", "21-2.mp4", "-1-2.m4s", "../21-2.m4s"] {
            assert_eq!(parse_pack(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn a_rungs_name_can_not_climb() {
        assert!(is_name("720p") && is_name("audio"));
        assert!(!is_name("..") && !is_name("a/b") && !is_name(""));
    }
}
