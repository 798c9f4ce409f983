//! A picture of one's own in place of the frame that stands for a video.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};

use super::auth::{Member, Viewer};
use super::body::gather;
use super::extract::{self, Path};
use super::precondition::{IfMatch, IfMatchHeader, Versioned};
use super::reply::{Accepted, Gone};
use super::video::{Video, describe};
use super::{App, Error, headers};
use crate::domain::VideoId;
use crate::publishing;

const TYPES: [&str; 3] = ["image/jpeg", "image/png", "image/webp"];

/// Upload a poster
///
/// The body is a JPEG, PNG or WebP. It is made fit by a job, which `poster_upload` follows; what was shown before stays
/// until then.
#[utoipa::path(put, path = "/api/v1/videos/{id}/poster", operation_id = "upload_poster", tag = "videos",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    request_body(content((Vec<u8> = "image/jpeg"), (Vec<u8> = "image/png"), (Vec<u8> = "image/webp"))),
    responses((status = 202, description = "It is being processed", body = Video, headers(("ETag" = String)))))]
pub async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
    version: IfMatch,
    request: Request,
) -> Result<Versioned<Accepted<Video>>, Error> {
    let of = version.of(id);
    app.publishing.check_changeable(caller, of.clone()).await?;
    check_type(request.headers())?;
    let most = app.publishing.limits.max_poster_bytes;
    let declared = headers::number(request.headers(), header::CONTENT_LENGTH.as_str())?;
    let bytes = match declared {
        Some(length) if length > most => None,
        _ => gather(&app, request.into_body(), most).await?,
    };
    let bytes = bytes.ok_or(publishing::Error::PosterTooLarge { most })?;
    let video = app.publishing.upload_poster(caller, of, bytes).await?;
    Ok(Versioned(video.version, Accepted(describe(&app, Viewer(Some(caller)), &video).await?)))
}

/// Remove the poster
///
/// A frame of the video is shown again.
#[utoipa::path(delete, path = "/api/v1/videos/{id}/poster", operation_id = "delete_poster", tag = "videos",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 204, description = "There is none")))]
pub async fn remove(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
    version: IfMatch,
) -> Result<Gone, Error> {
    app.publishing.remove_poster(caller, version.of(id)).await?;
    Ok(Gone)
}

fn check_type(headers: &HeaderMap) -> Result<(), Error> {
    let got = extract::content_type(headers);
    let essence = got.split(';').next().unwrap_or_default().trim();
    let known = TYPES.iter().any(|known| known.eq_ignore_ascii_case(essence));
    let expected = "image/jpeg, image/png or image/webp";
    if known { Ok(()) } else { Err(Error::ContentType { got, expected }) }
}
