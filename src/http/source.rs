//! The plain door: a video's bytes in one `PUT`, for curl.

use std::collections::BTreeMap;

use axum::body::Body;
use axum::extract::{FromRequestParts, Request, State};
use axum::http::{HeaderMap, header};
use serde::Deserialize;
use utoipa::IntoParams;

use super::auth::{Member, Viewer};
use super::body::{Remains, pour};
use super::extract::{self, Json, Path, Query};
use super::video::{Video, look};
use super::{App, Error, headers};
use crate::catalogue::upload::Upload;
use crate::domain::VideoId;
use crate::domain::key::Caller;
use crate::domain::upload::Door;
use crate::publishing::{Checksum, Incoming, Target};

/// How the types of forms with files begin (RFC 7578).
const FORM: &str = "multipart/";

/// What the file was called.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Named {
    /// Where `Content-Disposition` doesn't say it.
    filename: Option<String>,
}

/// Upload a video in one request
///
/// The body is the file. `Content-MD5` or `Repr-Digest: sha-256=:…:` is checked where it is there.
#[utoipa::path(put, path = "/api/v1/videos/{id}/source", operation_id = "upload_source", tag = "uploads",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), Named),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"),
    responses((status = 200, description = "The video, whose processing begins", body = Video)))]
pub async fn put(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
    request: Request,
) -> Result<Json<Video>, Error> {
    let (mut parts, body) = request.into_parts();
    let Query(named) = Query::<Named>::from_request_parts(&mut parts, &app).await?;
    let headers = parts.headers;
    refuse_form(&headers)?;
    let checksum = headers::digest(&headers)?;
    let incoming = Incoming {
        door: Door::Put,
        target: Target::Video(id),
        partials: Vec::new(),
        length: headers::number(&headers, header::CONTENT_LENGTH.as_str())?,
        filename: headers::filename(&headers).or(named.filename).unwrap_or_default(),
        metadata: BTreeMap::new(),
    };
    let upload = app.publishing.begin_upload(caller, incoming).await?;
    let received = receive(&app, caller, &upload, (checksum, body)).await;
    if received.is_err() {
        let (publishing, upload) = (app.publishing.clone(), upload.clone());
        app.tasks.spawn(async move { publishing.abandon_failed(&upload).await });
    }
    received?;
    Ok(Json(look(&app, Viewer(Some(caller)), None, id).await?.1))
}

/// A form wraps the file in parts of its own, and would be kept with them.
fn refuse_form(headers: &HeaderMap) -> Result<(), Error> {
    let got = extract::content_type(headers);
    let is_form = got.get(..FORM.len()).is_some_and(|start| start.eq_ignore_ascii_case(FORM));
    let expected = "the file itself, as application/octet-stream or its own type";
    if is_form { Err(Error::ContentType { got, expected }) } else { Ok(()) }
}

async fn receive(
    app: &App,
    caller: Caller,
    upload: &Upload,
    (checksum, body): (Option<Checksum>, Body),
) -> Result<(), Error> {
    let receiver = app.publishing.receive(caller, upload.id, 0, checksum).await?;
    let length = pour(app, receiver, body, Remains::Drop).await?;
    if upload.length.is_none() {
        // Sent in chunks: the length is known only now.
        app.publishing.declare_length(upload, length).await?;
        app.publishing.receive(caller, upload.id, length, None).await?.close().await?;
    }
    Ok(())
}
