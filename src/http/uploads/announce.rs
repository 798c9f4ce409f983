//! Announcing an upload (tus 1.0, creation, creation-with-upload, concatenation).

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};

use super::super::auth::Member;
use super::super::body::{Remains, pour};
use super::super::problem::Fault;
use super::super::{App, Error, headers, videos};
use super::metadata;
use super::protocol::{self, Concatenation};
use crate::catalogue::upload::Upload;
use crate::domain::account::Handle;
use crate::domain::key::Caller;
use crate::domain::upload::Door;
use crate::domain::{Language, Texts};
use crate::publishing::{Incoming, Target, VideoDraft};

/// Announce an upload
///
/// `Upload-Metadata` has `filename`, and either `video` or `account`, `topic`, `title`, `language` and perhaps
/// `description`. The video's id is in `Policast-Video`.
#[utoipa::path(post, path = "/api/v1/uploads", operation_id = "create_upload", tag = "uploads",
    security(("key" = [])),
    params(("Tus-Resumable" = String, Header, example = "1.0.0"), ("Upload-Length" = Option<u64>, Header),
        ("Upload-Defer-Length" = Option<u8>, Header), ("Upload-Metadata" = Option<String>, Header),
        ("Upload-Concat" = Option<String>, Header), ("Upload-Checksum" = Option<String>, Header),
        ("Idempotency-Key" = Option<String>, Header)),
    request_body(content = Option<Vec<u8>>, content_type = "application/offset+octet-stream"),
    responses((status = 201, description = "Announced; Location is where its bytes go",
        headers(("Location" = String), ("Policast-Video" = String), ("Upload-Expires" = String))),
        (status = 404, description = "The video or a partial upload isn't there",
        body = crate::http::problem::Problem,
            content_type = "application/problem+json")))]
pub async fn announce(
    State(app): State<App>,
    Member(caller): Member,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Error> {
    let incoming = incoming(&app, caller, &headers).await?;
    let checksum = protocol::checksum(&headers)?;
    let upload = app.publishing.begin_upload(caller, incoming).await?;
    let with_bytes = protocol::is_bytes(&headers) || upload.length == Some(0);
    let offset = if with_bytes && upload.partials.is_empty() {
        let receiver = app.publishing.receive(caller, upload.id, 0, checksum).await?;
        Some(pour(&app, receiver, body, Remains::Keep).await.map_err(protocol::refuse)?)
    } else {
        None
    };
    Ok(announced(&app, &upload, offset))
}

fn announced(app: &App, upload: &Upload, offset: Option<u64>) -> Response {
    let mut response = super::super::error::CREATED.into_response();
    protocol::set(&mut response, "location", &protocol::location(app, upload.id));
    protocol::set(&mut response, "upload-expires", &protocol::expires(upload));
    if let Some(video) = upload.video_id {
        protocol::set(&mut response, "policast-video", &video.to_string());
    }
    if let Some(offset) = offset {
        protocol::set(&mut response, "upload-offset", &offset.to_string());
    }
    response
}

async fn incoming(app: &App, caller: Caller, headers: &HeaderMap) -> Result<Incoming, Error> {
    let metadata = metadata::parse(headers::text(headers, metadata::NAME)?.unwrap_or_default())?;
    let (target, partials) = match protocol::concatenation(headers)? {
        Concatenation::Partial => (Target::Partial, Vec::new()),
        Concatenation::None => (target(app, caller, &metadata).await?, Vec::new()),
        Concatenation::Final(partials) => (target(app, caller, &metadata).await?, partials),
    };
    let length = if partials.is_empty() { length(headers)? } else { None };
    let filename = metadata.get("filename").or_else(|| metadata.get("name")).cloned().unwrap_or_default();
    Ok(Incoming { door: Door::Tus, target, partials, length, filename, metadata })
}

/// Declared, or deferred with good reason.
fn length(headers: &HeaderMap) -> Result<Option<u64>, Error> {
    const LENGTH: &str = "upload-length";
    const DEFER: &str = "upload-defer-length";
    let wrong = |name, message: &str| Err(Error::Header { name, message: message.to_owned() });
    match (headers::number(headers, LENGTH)?, headers::text(headers, DEFER)?) {
        (Some(length), None) => Ok(Some(length)),
        (None, Some("1")) => Ok(None),
        (None, None) => wrong(LENGTH, "it is missing, and Upload-Defer-Length is too"),
        (Some(_), Some(_)) => wrong(LENGTH, "the length is both declared and deferred"),
        (None, Some(_)) => wrong(DEFER, "it can only be 1"),
    }
}

/// The video the metadata names, or the draft it describes.
async fn target(app: &App, caller: Caller, metadata: &BTreeMap<String, String>) -> Result<Target, Error> {
    let mut fields = Fields { metadata, faults: Vec::new() };
    if metadata.contains_key("video") {
        return fields.read("video").map(Target::Video).ok_or(Error::Body(fields.faults));
    }
    let (language, topic) = (fields.need::<Language>("language"), fields.need("topic"));
    let (title, named) = (fields.need::<String>("title"), fields.read::<Handle>("account"));
    let (Some(language), Some(topic), Some(title), true) = (language, topic, title, fields.faults.is_empty())
    else {
        return Err(Error::Body(fields.faults));
    };
    let text = |text: &str| Texts::one(language.clone(), text);
    let draft = VideoDraft {
        account: videos::account_of(app, caller, named).await?,
        topic,
        title: text(&title),
        description: metadata.get("description").map(|said| text(said)).unwrap_or_default(),
        language,
    };
    Ok(Target::New(Box::new(draft)))
}

/// The values of `Upload-Metadata`, and all that is wrong with them.
struct Fields<'a> {
    metadata: &'a BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl Fields<'_> {
    /// A value that has to be there.
    fn need<T: FromStr<Err: Display>>(&mut self, field: &str) -> Option<T> {
        if !self.metadata.contains_key(field) {
            self.add(field, "missing", format!("{field} is missing"));
        }
        self.read(field)
    }

    fn read<T: FromStr<Err: Display>>(&mut self, field: &str) -> Option<T> {
        let read = self.metadata.get(field)?.parse::<T>();
        read.map_err(|error| self.add(field, "invalid", format!("{field}: {error}"))).ok()
    }

    fn add(&mut self, field: &str, fault: &str, detail: String) {
        let code = format!("{field}_{fault}");
        self.faults.push(Fault { pointer: None, parameter: Some(field.to_owned()), code, detail });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(headers: &[(&'static str, &str)]) -> Result<Option<u64>, String> {
        let pair = |(name, value): &(&'static str, &str)| {
            (axum::http::HeaderName::from_static(name), value.parse().expect("a value"))
        };
        length(&headers.iter().map(pair).collect()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_length_is_declared_or_deferred_but_not_both() {
        assert_eq!(declared(&[("upload-length", "42")]), Ok(Some(42)));
        assert_eq!(declared(&[("upload-defer-length", "1")]), Ok(None));
        assert!(declared(&[("upload-length", "42"), ("upload-defer-length", "1")]).is_err());
        assert!(declared(&[("upload-defer-length", "2")]).is_err());
        assert!(declared(&[]).is_err());
    }
}
