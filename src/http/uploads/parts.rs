//! Parts straight to the bucket: presigned addresses, and the end.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Member, Viewer};
use super::super::extract::{Json, MaybeJson, Path};
use super::super::video::{Video, look};
use super::super::{App, Error};
use crate::domain::upload::MAX_PARTS;
use crate::domain::{Timestamp, UploadId};
use crate::publishing;
use crate::storage::{Part as StoredPart, PartTag};

/// Addresses signed in one request at most.
const MAX_NUMBERS: usize = 1000;

/// Which parts' addresses are wanted.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = PartsRequest)]
pub struct Wanted {
    /// Bytes of the whole file. Room is kept for them, they decide the size of a part, and each address takes exactly
    /// its part's bytes. As long as nobody has said it, each address takes exactly `part_size` bytes and room is kept for
    /// every part up to the last one asked for; a shorter last part is asked for with it.
    #[schema(minimum = 0)]
    size_bytes: Option<u64>,
    /// 1 to 10,000; at most 1,000 of them.
    #[schema(max_items = 1000)]
    numbers: Vec<u32>,
}

/// Where the parts go, each by one `PUT`.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartAddresses)]
pub struct Addresses {
    /// Bytes of every part but the last.
    part_size: i64,
    parts: Vec<Part>,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

/// One part's address.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PartAddress)]
pub struct Part {
    number: u32,
    url: String,
}

/// What the client knows of its parts, for a check.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UploadCompletion)]
pub struct Finish {
    #[serde(default)]
    parts: Vec<Sent>,
}

/// A part that was sent.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = UploadedPart)]
pub struct Sent {
    number: u32,
    /// As the bucket answered.
    etag: String,
}

/// Ask for addresses to put parts to
///
/// Each takes one part by one `PUT`, straight to the object store.
#[utoipa::path(post, path = "/api/v1/uploads/{id}/parts", operation_id = "presign_parts", tag = "uploads",
    security(("key" = [])),
    request_body = Wanted, params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "Where the parts go", body = Addresses)))]
pub async fn parts(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
    Json(wanted): Json<Wanted>,
) -> Result<Json<Addresses>, Error> {
    if wanted.numbers.len() > MAX_NUMBERS {
        let message = format!("{} are too many, at most {MAX_NUMBERS} at a time", wanted.numbers.len());
        return Err(Error::Invalid { field: "numbers", message });
    }
    // Checked before the bucket is asked for anything.
    if let Some(&number) =
        wanted.numbers.iter().find(|number| !(1..=MAX_PARTS).contains(&u64::from(**number)))
    {
        return Err(publishing::Error::PartNumber { number, most: MAX_PARTS }.into());
    }
    let expires_at = app.publishing.clock.now().plus(app.publishing.limits.part_url_ttl);
    let (upload, urls) = app.publishing.part_urls(caller, id, wanted.size_bytes, &wanted.numbers).await?;
    let parts = urls.into_iter().map(|part| Part { number: part.number, url: part.url }).collect();
    Ok(Json(Addresses { part_size: upload.part_size, parts, expires_at }))
}

/// Finish an upload in parts
///
/// The parts are all there: processing begins.
#[utoipa::path(post, path = "/api/v1/uploads/{id}/finish", operation_id = "finish_upload", tag = "uploads",
    security(("key" = [])),
    request_body(content = Option<Finish>), params(("id" = String, Path, format = Uuid)),
    responses((status = 200, description = "The video, whose processing begins", body = Video)))]
pub async fn finish(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
    MaybeJson(finish): MaybeJson<Finish>,
) -> Result<Json<Video>, Error> {
    let claim = |sent: Sent| StoredPart { number: sent.number, size_bytes: 0, tag: tag(&sent.etag) };
    let claimed: Vec<StoredPart> = finish.parts.into_iter().map(claim).collect();
    let upload = app.publishing.finish_parts(caller, id, &claimed).await?;
    let video = upload.video_id.ok_or(publishing::Error::NotFound("video"))?;
    Ok(Json(look(&app, Viewer(Some(caller)), None, video).await?.1))
}

/// With or without its quotes, as clients send it.
fn tag(etag: &str) -> PartTag {
    PartTag(etag.trim_matches('"').to_owned())
}
