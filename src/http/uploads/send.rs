//! Sending an upload's bytes and giving it up (tus 1.0, core, checksum, termination).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};

use super::super::auth::Member;
use super::super::body::{Remains, check_open, pour};
use super::super::extract::Path;
use super::super::reply::Gone;
use super::super::{App, Error, headers};
use super::{look, protocol};
use crate::catalogue::upload::Upload;
use crate::domain::UploadId;
use crate::domain::key::Caller;
use crate::domain::upload::Door;
use crate::publishing;

const OFFSET: &str = "upload-offset";

/// Send bytes of an upload
///
/// From `Upload-Offset` on. What came before a broken connection is kept; a newer request takes over from an older one.
#[utoipa::path(patch, path = "/api/v1/uploads/{id}", operation_id = "append_upload", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("Tus-Resumable" = String, Header, example = "1.0.0"),
        ("Upload-Offset" = u64, Header), ("Upload-Length" = Option<u64>, Header),
        ("Upload-Checksum" = Option<String>, Header)),
    request_body(content = Vec<u8>, content_type = "application/offset+octet-stream"),
    responses((status = 204, description = "Kept up to Upload-Offset", headers(("Upload-Offset" = u64)))))]
pub async fn send(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let headers = parts.headers;
    if !protocol::is_bytes(&headers) {
        let got = headers::text(&headers, "content-type")?.unwrap_or("of no declared type").to_owned();
        return Err(Error::ContentType { got, expected: protocol::CONTENT_TYPE });
    }
    let missing = || Error::Header { name: OFFSET, message: "it is missing".to_owned() };
    let offset = headers::number(&headers, OFFSET)?.ok_or_else(missing)?;
    let checksum = protocol::checksum(&headers)?;
    let upload = open(&app, caller, id, &headers).await?;
    refuse_early(&upload, offset, &headers)?;
    app.writers.interrupt(id).await;
    let receiver = app.publishing.receive(caller, id, offset, checksum).await?;
    let reached = pour(&app, receiver, body, Remains::Keep).await.map_err(protocol::refuse)?;
    let upload = app.publishing.find_upload(caller, id).await?;
    let mut response = Gone.into_response();
    protocol::set(&mut response, OFFSET, &reached.to_string());
    protocol::set(&mut response, "upload-expires", &protocol::expires(&upload));
    Ok(response)
}

/// The upload, with its length where that comes only now.
async fn open(app: &App, caller: Caller, id: UploadId, headers: &HeaderMap) -> Result<Upload, Error> {
    let upload = app.publishing.find_upload(caller, id).await?;
    check_open(upload.state)?;
    if upload.door != Door::Tus {
        return Err(publishing::Error::WrongDoor(upload.door.as_str()).into());
    }
    match headers::number(headers, "upload-length")? {
        Some(length) => {
            app.publishing.check_sender(caller, &upload).await?;
            app.publishing.declare_length(&upload, length).await?;
            Ok(app.publishing.find_upload(caller, id).await?)
        }
        None => Ok(upload),
    }
}

/// More bytes than there is room for are refused before they come.
fn refuse_early(upload: &Upload, offset: u64, headers: &HeaderMap) -> Result<(), Error> {
    let coming = headers::number(headers, header::CONTENT_LENGTH.as_str())?.unwrap_or(0);
    match upload.length.and_then(|length| u64::try_from(length).ok()) {
        Some(length) if offset.saturating_add(coming) > length => {
            Err(publishing::Error::PastLength { length }.into())
        }
        _ => Ok(()),
    }
}

/// Give an upload up
///
/// tus 1.0, termination. Its bytes are deleted.
#[utoipa::path(delete, path = "/api/v1/uploads/{id}", operation_id = "delete_upload", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("Tus-Resumable" = String, Header, example = "1.0.0")),
    responses((status = 204, description = "Its bytes are gone")))]
pub async fn terminate(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
) -> Result<Gone, Error> {
    let upload = app.publishing.find_upload(caller, id).await?;
    app.publishing.abandon_upload(&upload).await?;
    Ok(Gone)
}

/// Send another method through a POST
///
/// Where nothing but `POST` gets through. `X-HTTP-Method-Override` says `PATCH`, `DELETE` or `HEAD` (tus 1.0, core).
#[utoipa::path(post, path = "/api/v1/uploads/{id}", operation_id = "override_upload_method", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("Tus-Resumable" = String, Header, example = "1.0.0"),
        ("X-HTTP-Method-Override" = String, Header)),
    request_body(content = Option<Vec<u8>>, content_type = "application/offset+octet-stream"),
    responses((status = 200, description = "As HEAD"), (status = 204, description = "As PATCH or DELETE"),
        (status = 405, description = "No method that can be stood for", body = crate::http::problem::Problem,
            content_type = "application/problem+json")))]
pub async fn overridden(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<UploadId>,
    request: Request,
) -> Result<Response, Error> {
    let (state, member, path) = (State(app), Member(caller), Path(id));
    match headers::text(request.headers(), "x-http-method-override")? {
        Some("PATCH") => send(state, member, path, request).await,
        Some("DELETE") => Ok(terminate(state, member, path).await?.into_response()),
        Some("HEAD") => look::head(state, member, path).await,
        _ => Err(Error::Method),
    }
}
