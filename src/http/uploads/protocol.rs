//! What every tus request and answer have in common (tus 1.0, core).

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::super::reply::Gone;
use super::super::{App, Error, headers};
use crate::catalogue::upload::Upload;
use crate::domain::UploadId;
use crate::domain::upload::Concat;
use crate::publishing::{self, Checksum, ChecksumKind};

const VERSION: HeaderValue = HeaderValue::from_static("1.0.0");
const EXTENSIONS: &str =
    "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,concatenation";
const ALGORITHMS: &str = "sha1,sha256,md5";
/// The type of a body of bytes.
pub const CONTENT_TYPE: &str = "application/offset+octet-stream";

const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");

/// Holds a request against the version, and marks the answer with it. Ours alone is the GET, which is not tus.
pub async fn speak(request: Request, next: Next) -> Response {
    let free = matches!(*request.method(), Method::OPTIONS | Method::GET);
    let version = request.headers().get(RESUMABLE);
    let mut response = if free || version == Some(&VERSION) {
        next.run(request).await
    } else {
        let said = version.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
        let mut refusal = Error::TusVersion(said.unwrap_or_default()).into_response();
        refusal.headers_mut().insert("tus-version", VERSION);
        refusal
    };
    response.headers_mut().insert(RESUMABLE, VERSION);
    response
}

/// Ask what the upload server can do
///
/// The versions, extensions and limits of tus 1.0.
#[utoipa::path(options, path = "/api/v1/uploads", operation_id = "get_upload_options", tag = "uploads",
    responses((status = 204,
        description = "Tus-Version, Tus-Extension, Tus-Max-Size, Tus-Checksum-Algorithm")))]
pub async fn discover(State(app): State<App>) -> Response {
    let mut response = Gone.into_response();
    let headers = response.headers_mut();
    headers.insert("tus-version", VERSION);
    headers.insert("tus-extension", HeaderValue::from_static(EXTENSIONS));
    headers.insert("tus-checksum-algorithm", HeaderValue::from_static(ALGORITHMS));
    headers.insert("tus-max-size", app.publishing.limits.max_upload_bytes.into());
    response
}

/// `Upload-Checksum` (tus 1.0, checksum).
pub fn checksum(headers: &HeaderMap) -> Result<Option<Checksum>, Error> {
    const NAME: &str = "upload-checksum";
    let Some(text) = headers::text(headers, NAME)? else { return Ok(None) };
    let (algorithm, encoded) = text.split_once(' ').unwrap_or((text, ""));
    match ChecksumKind::ALL.into_iter().find(|kind| kind.as_str() == algorithm) {
        Some(kind) => headers::decode(NAME, kind, encoded).map(Some),
        None => Err(Error::Header { name: NAME, message: format!("{algorithm:?} is none of {ALGORITHMS}") }),
    }
}

/// The body is bytes of an upload.
pub fn is_bytes(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|value| value == CONTENT_TYPE)
}

/// A wrong checksum has a status of its own in tus.
pub fn refuse(error: Error) -> Error {
    match error {
        Error::Publishing(error @ publishing::Error::Checksum { .. }) => {
            Error::TusChecksum(error.to_string())
        }
        other => other,
    }
}

/// `Upload-Concat` of a request (tus 1.0, concatenation).
#[derive(Debug, PartialEq, Eq)]
pub enum Concatenation {
    None,
    Partial,
    Final(Vec<UploadId>),
}

/// The concatenation that is asked for.
pub fn concatenation(headers: &HeaderMap) -> Result<Concatenation, Error> {
    const NAME: &str = "upload-concat";
    let wrong = |message: String| Error::Header { name: NAME, message };
    let Some(text) = headers::text(headers, NAME)? else { return Ok(Concatenation::None) };
    if text == "partial" {
        return Ok(Concatenation::Partial);
    }
    let urls =
        text.strip_prefix("final;").ok_or_else(|| wrong(format!("{text:?} is neither partial nor final")))?;
    let id = |url: &str| {
        let last = url.trim_end_matches('/').rsplit('/').next().unwrap_or_default();
        last.parse::<UploadId>().ok().ok_or_else(|| wrong(format!("{url:?} is no upload of this server")))
    };
    let ids = urls.split_whitespace().map(id).collect::<Result<Vec<_>, _>>()?;
    if ids.is_empty() {
        Err(wrong("it names no partial upload".to_owned()))
    } else {
        Ok(Concatenation::Final(ids))
    }
}

/// Where an upload is.
pub fn location(app: &App, id: UploadId) -> String {
    app.url(&format!("/api/v1/uploads/{id}"))
}

/// What an upload is in a concatenation, as a header.
pub fn concat_header(app: &App, upload: &Upload) -> Option<String> {
    match upload.concat {
        Concat::None => None,
        Concat::Partial => Some("partial".to_owned()),
        Concat::Final => {
            let urls: Vec<String> = upload.partials.0.iter().map(|id| location(app, *id)).collect();
            Some(format!("final;{}", urls.join(" ")))
        }
    }
}

/// When an unfinished upload is given up, in the form of RFC 9110 5.6.7.
pub fn expires(upload: &Upload) -> String {
    let time = time::OffsetDateTime::from_unix_timestamp(upload.expires_at.0 / 1000);
    let form = time::macros::format_description!(
        "[weekday repr:short], [day] [month repr:short] [year] [hour]:[minute]:[second] GMT"
    );
    time.ok().and_then(|time| time.format(form).ok()).unwrap_or_default()
}

/// Sets a header whose value was made here.
pub fn set(response: &mut Response, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        response.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Option<Concatenation> {
        let value = value.parse().expect("a value");
        concatenation(&HeaderMap::from_iter([(HeaderName::from_static("upload-concat"), value)])).ok()
    }

    #[test]
    fn partials_are_named_by_address_or_path() {
        let (one, two) = (UploadId::new(), UploadId::new());
        let header = format!("final;https://v.example/api/v1/uploads/{one} /api/v1/uploads/{two}");
        assert_eq!(asked(&header), Some(Concatenation::Final(vec![one, two])));
        assert_eq!(asked("partial"), Some(Concatenation::Partial));
        for wrong in ["", "final", "final;", "final;/etc/passwd"] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }
}
