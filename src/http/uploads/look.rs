//! How far an upload is.

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderValue, header};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Member;
use super::super::extract::{Json, Path};
use super::super::{App, Error};
use super::{metadata, protocol};
use crate::catalogue::upload::Upload as Row;
use crate::domain::upload::{Concat, Door, UploadState};
use crate::domain::{Timestamp, UploadId, VideoId};
use crate::publishing;

/// Bytes arriving, and the finished source they become.
#[derive(Debug, Serialize, ToSchema)]
pub struct Upload {
    #[schema(value_type = String, format = Uuid)]
    id: UploadId,
    #[schema(value_type = Option<String>, format = Uuid)]
    video: Option<VideoId>,
    door: Door,
    state: UploadState,
    /// Bytes that are durable.
    offset: i64,
    /// Null while it is not declared.
    length: Option<i64>,
    filename: String,
    #[schema(value_type = String, format = DateTime)]
    expires_at: Timestamp,
}

impl From<&Row> for Upload {
    fn from(row: &Row) -> Self {
        Self {
            id: row.id,
            video: row.video_id,
            door: row.door,
            state: row.state,
            offset: offset(row),
            length: row.length,
            filename: row.filename.clone(),
            expires_at: row.expires_at,
        }
    }
}

/// A final upload has all its bytes from the beginning: they came with its partials.
fn offset(row: &Row) -> i64 {
    let whole = row.concat == Concat::Final && row.state != UploadState::Abandoned;
    row.length.filter(|_| whole).unwrap_or(row.received)
}

/// Look at an upload, in JSON
///
/// Not part of tus: for programs that don't read headers.
#[utoipa::path(get, path = "/api/v1/uploads/{id}", operation_id = "get_upload", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200,
        description = "How far the upload is", body = Upload)))]
pub async fn find(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
) -> Result<Json<Upload>, Error> {
    let row = app.publishing.find_upload(caller, id).await?;
    Ok(Json(Upload::from(&row)))
}

/// Ask where an upload goes on
///
/// tus 1.0, core. The answer is in headers.
#[utoipa::path(head, path = "/api/v1/uploads/{id}", operation_id = "get_upload_offset", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("Tus-Resumable" = String, Header, example = "1.0.0")),
    responses((status = 200, description = "Where to go on",
        headers(("Upload-Offset" = u64), ("Upload-Length" = u64), ("Upload-Expires" = String)))))]
pub async fn head(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
) -> Result<Response, Error> {
    app.publishing.find_upload(caller, id).await?;
    // Who asks is about to go on: a connection that died unnoticed must not move the offset after it was told.
    app.writers.interrupt(id).await;
    let row = app.publishing.find_upload(caller, id).await?;
    if row.state == UploadState::Abandoned {
        return Err(publishing::Error::UploadGone("it was given up or has expired").into());
    }
    let mut response = Response::new(Body::empty());
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    protocol::set(&mut response, "upload-offset", &offset(&row).to_string());
    match row.length {
        Some(length) => protocol::set(&mut response, "upload-length", &length.to_string()),
        None => protocol::set(&mut response, "upload-defer-length", "1"),
    }
    if !row.metadata.is_empty() {
        protocol::set(&mut response, "upload-metadata", &metadata::render(&row.metadata));
    }
    if let Some(concat) = protocol::concat_header(&app, &row) {
        protocol::set(&mut response, "upload-concat", &concat);
    }
    if row.state == UploadState::Open {
        protocol::set(&mut response, "upload-expires", &protocol::expires(&row));
    }
    if let Some(video) = row.video_id {
        protocol::set(&mut response, "policast-video", &video.to_string());
    }
    Ok(response)
}
