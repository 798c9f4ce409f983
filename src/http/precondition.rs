//! `If-Match` and `ETag`: a change is made to the version that its author has seen, or not at all (RFC 9110 13.1.1).

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};

use super::{Error, headers};
use crate::domain::version::{Expected, Guarded};
use utoipa::IntoParams;

const NAME: &str = "if-match";

/// The header in the document's words.
#[derive(Debug, IntoParams)]
#[into_params(parameter_in = Header)]
pub struct IfMatchHeader {
    /// The `ETag` of the version that is changed, so that nothing unseen is overwritten; `*`: any.
    #[param(rename = "If-Match", example = "\"3\"")]
    #[expect(dead_code, reason = "named for the document only")]
    version: Option<String>,
}

/// The versions a request is meant for; without the header any.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IfMatch(Expected);

impl IfMatch {
    /// The thing of this id, in one of these versions.
    pub fn of<I>(self, id: I) -> Guarded<I> {
        Guarded { id, expected: self.0 }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for IfMatch {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        expected(&parts.headers).map(Self)
    }
}

/// `*`, or tags (RFC 9110 8.8.3). A weak tag is compared with nothing, and one that we never gave matches nothing.
fn expected(headers: &HeaderMap) -> Result<Expected, Error> {
    let Some(text) = headers::text(headers, NAME)? else { return Ok(Expected::Any) };
    if text == "*" {
        return Ok(Expected::Any);
    }
    let mut versions = Vec::new();
    for tag in text.split(',').map(str::trim).filter(|tag| !tag.is_empty()) {
        let (weak, quoted) = tag.strip_prefix("W/").map_or((false, tag), |rest| (true, rest));
        let opaque = quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
        let opaque = opaque.filter(|opaque| !opaque.contains(['"', ' ']));
        let wrong = || Error::Header { name: NAME, message: format!("{tag:?} is no entity tag") };
        let opaque = opaque.ok_or_else(wrong)?;
        versions.extend(opaque.parse::<i64>().ok().filter(|_| !weak));
    }
    Ok(Expected::OneOf(versions))
}

/// An answer with the version of what it shows as its `ETag`. The tag is strong and stands for what people change: how
/// far the media is, how many are watching and the tokens in addresses come and go under the same one.
pub struct Versioned<T>(pub i64, pub T);

impl<T: IntoResponse> IntoResponse for Versioned<T> {
    fn into_response(self) -> Response {
        let mut response = self.1.into_response();
        if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", self.0)) {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &'static str) -> Option<Expected> {
        expected(&HeaderMap::from_iter([(header::IF_MATCH, HeaderValue::from_static(value))])).ok()
    }

    #[test]
    fn tags_are_read_as_the_standard_writes_them() {
        assert_eq!(asked("*"), Some(Expected::Any));
        assert_eq!(asked("\"7\""), Some(Expected::OneOf(vec![7])));
        assert_eq!(asked("\"7\", \"8\" ,\"x\""), Some(Expected::OneOf(vec![7, 8])));
        assert_eq!(asked("W/\"7\""), Some(Expected::OneOf(vec![])), "a weak one matches nothing");
        for wrong in ["7", "\"7", "7\"", "w/\"7\"", "*, \"7\"", "\"7\" \"8\""] {
            assert_eq!(asked(wrong), None, "{wrong}");
        }
    }
}
