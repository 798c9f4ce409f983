//! Answers to conditional and range requests (RFC 9110 13 and 14).

use std::ops::Range;

use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, header};
use axum::response::Response;
use sha2::{Digest, Sha256};

use super::super::Error;

/// What is at an address now.
#[derive(Debug, Clone)]
pub struct Thing {
    /// With its quotes.
    pub etag: String,
    pub size: u64,
    pub content_type: &'static str,
    pub cache_control: &'static str,
}

/// What a request asks of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The client has it already.
    Nothing,
    Whole,
    Part(Range<u64>),
}

/// The strong entity tag of these bytes.
pub fn etag(bytes: &[u8]) -> String {
    format!("\"{}\"", &hex::encode(Sha256::digest(bytes))[..32])
}

/// The strong entity tag of media, which never changes under its name: hashing it for every viewer would cost more than
/// sending it.
pub fn etag_of(revision: u32, rung: &str, file: &str) -> String {
    format!("\"{revision}-{rung}-{file}\"")
}

impl Thing {
    /// What these request headers ask for.
    pub fn asked(&self, headers: &HeaderMap) -> Result<Asked, Error> {
        let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
        if text(header::IF_NONE_MATCH).is_some_and(|tags| self.matches(tags)) {
            return Ok(Asked::Nothing);
        }
        let stale = text(header::IF_RANGE).is_some_and(|tag| tag.trim() != self.etag);
        match text(header::RANGE).filter(|_| !stale).and_then(|range| parse(range, self.size)) {
            None => Ok(Asked::Whole),
            Some(range) if range.is_empty() => Err(Error::Range { size: self.size }),
            Some(range) => Ok(Asked::Part(range)),
        }
    }

    fn matches(&self, tags: &str) -> bool {
        tags.split(',').map(str::trim).any(|tag| tag == "*" || tag.trim_start_matches("W/") == self.etag)
    }

    /// The answer with this body, which is the part asked for.
    pub fn answer(&self, asked: &Asked, body: Body) -> Response {
        let mut response = Response::builder()
            .header(header::ETAG, &self.etag)
            .header(header::CACHE_CONTROL, self.cache_control)
            .header(header::ACCEPT_RANGES, "bytes");
        if *asked != Asked::Nothing {
            response = response.header(header::CONTENT_TYPE, self.content_type);
        }
        response = match asked {
            Asked::Nothing => response.status(304),
            Asked::Whole => response.header(header::CONTENT_LENGTH, self.size),
            Asked::Part(Range { start, end }) => response
                .status(206)
                .header(header::CONTENT_LENGTH, end - start)
                .header(header::CONTENT_RANGE, format!("bytes {start}-{}/{}", end - 1, self.size)),
        };
        // Every part of it is made here, and well-formed.
        response.body(body).unwrap_or_default()
    }

    /// The answer where all bytes are at hand.
    pub fn answer_from(&self, headers: &HeaderMap, bytes: &bytes::Bytes) -> Result<Response, Error> {
        let asked = self.asked(headers)?;
        let body = match &asked {
            Asked::Nothing => Body::empty(),
            Asked::Whole => Body::from(bytes.clone()),
            Asked::Part(range) => {
                let at = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX).min(bytes.len());
                Body::from(bytes.slice(at(range.start)..at(range.end)))
            }
        };
        Ok(self.answer(&asked, body))
    }
}

/// The one range asked for; empty where it can't be satisfied, `None` where the header is to be ignored: it is
/// malformed, or asks for several ranges.
fn parse(range: &str, size: u64) -> Option<Range<u64>> {
    let (first, last) = range.trim().strip_prefix("bytes=")?.split_once('-')?;
    let number =
        |text: &str| text.chars().all(|c| c.is_ascii_digit()).then(|| text.parse().unwrap_or(u64::MAX));
    match (first.trim(), last.trim()) {
        ("", "") => None,
        ("", suffix) => Some(size.saturating_sub(number(suffix)?)..size),
        (first, "") => Some(number(first)?.min(size)..size),
        (first, last) => {
            let (first, last) = (number(first)?, number(last)?);
            (first <= last).then(|| first.min(size)..last.saturating_add(1).min(size))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn thing() -> Thing {
        Thing { etag: "\"a\"".to_owned(), size: 100, content_type: "video/mp4", cache_control: "no-cache" }
    }

    fn asked(headers: &[(HeaderName, &str)]) -> Option<Asked> {
        let headers =
            headers.iter().map(|(name, value)| (name.clone(), value.parse().expect("a value"))).collect();
        thing().asked(&headers).ok()
    }

    #[test]
    fn every_form_of_one_range_is_understood() {
        assert_eq!(parse("bytes=0-9", 100), Some(0..10));
        assert_eq!(parse("bytes=90-", 100), Some(90..100));
        assert_eq!(parse("bytes=-10", 100), Some(90..100));
        assert_eq!(parse("bytes=90-200", 100), Some(90..100));
        assert_eq!(parse("bytes=-200", 100), Some(0..100));
    }

    #[test]
    fn a_malformed_range_is_ignored_and_one_outside_is_refused() {
        for ignored in ["bytes=9-0", "bytes=a-b", "bytes=-", "lines=0-1", "bytes=0-1,3-4", "bytes=+1-2"] {
            assert_eq!(parse(ignored, 100), None, "{ignored}");
        }
        assert_eq!(asked(&[(header::RANGE, "bytes=100-")]), None);
        assert_eq!(asked(&[(header::RANGE, "bytes=-0")]), None);
    }

    #[test]
    fn a_part_of_something_else_is_not_sent() {
        let range = (header::RANGE, "bytes=0-9");
        assert_eq!(asked(&[range.clone(), (header::IF_RANGE, "\"a\"")]), Some(Asked::Part(0..10)));
        assert_eq!(asked(&[range, (header::IF_RANGE, "\"b\"")]), Some(Asked::Whole));
    }

    #[test]
    fn who_has_it_already_gets_nothing() {
        assert_eq!(asked(&[(header::IF_NONE_MATCH, "\"x\", W/\"a\"")]), Some(Asked::Nothing));
        assert_eq!(asked(&[(header::IF_NONE_MATCH, "\"x\"")]), Some(Asked::Whole));
    }
}
