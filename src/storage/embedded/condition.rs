//! Conditional requests (RFC 9110 13): the request's conditions against the object there is.

use s3s::dto::{ETag, ETagCondition, Timestamp as HttpTime};
use s3s::{S3Error, S3Result, s3_error};
use time::OffsetDateTime;

use super::index::Stored;

/// `If-Match`, `If-None-Match`, `If-Modified-Since` and `If-Unmodified-Since` of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Conditions {
    pub wanted: Option<ETagCondition>,
    pub known: Option<ETagCondition>,
    pub modified_since: Option<HttpTime>,
    pub unmodified_since: Option<HttpTime>,
}

impl Conditions {
    /// For reading: 412 or 304 where the object isn't to be sent. RFC 9110 13.2.2 gives the order.
    pub fn allow_read(&self, stored: &Stored) -> S3Result<()> {
        match (&self.wanted, &self.unmodified_since) {
            (Some(wanted), _) if !matches(wanted, &stored.etag) => return Err(precondition()),
            (None, Some(time)) if seconds(stored) > epoch(time) => return Err(precondition()),
            _ => {}
        }
        match (&self.known, &self.modified_since) {
            (Some(known), _) if matches(known, &stored.etag) => Err(not_modified(stored)),
            (None, Some(time)) if seconds(stored) <= epoch(time) => Err(not_modified(stored)),
            _ => Ok(()),
        }
    }

    /// For writing over what is there, or isn't.
    pub fn allow_write(&self, stored: Option<&Stored>) -> S3Result<()> {
        if let Some(wanted) = &self.wanted {
            let stored = stored.ok_or_else(|| s3_error!(NoSuchKey))?;
            if !matches(wanted, &stored.etag) {
                return Err(precondition());
            }
        }
        match (&self.known, stored) {
            (Some(unwanted), Some(stored)) if matches(unwanted, &stored.etag) => Err(precondition()),
            _ => Ok(()),
        }
    }

    /// Whether there is anything to ask.
    pub fn is_empty(&self) -> bool {
        self.wanted.is_none()
            && self.known.is_none()
            && self.modified_since.is_none()
            && self.unmodified_since.is_none()
    }
}

fn matches(condition: &ETagCondition, etag: &str) -> bool {
    match condition {
        ETagCondition::Any => true,
        ETagCondition::ETag(wanted) => wanted.value() == etag,
    }
}

/// HTTP dates know no milliseconds.
fn seconds(stored: &Stored) -> i64 {
    stored.modified.0.div_euclid(1000)
}

fn epoch(time: &HttpTime) -> i64 {
    OffsetDateTime::from(time.clone()).unix_timestamp()
}

fn precondition() -> S3Error {
    s3_error!(PreconditionFailed, "a condition of the request doesn't hold")
}

fn not_modified(stored: &Stored) -> S3Error {
    let mut error = s3_error!(NotModified);
    let etag = ETag::Strong(stored.etag.clone()).to_http_header().ok();
    error.set_headers(etag.map(|etag| (axum::http::header::ETAG, etag)).into_iter().collect());
    error
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn stored() -> Stored {
        let modified = Timestamp(1_700_000_000_900);
        let (key, version) = (String::new(), String::new());
        Stored {
            key,
            version,
            etag: "abc".to_owned(),
            size_bytes: 1,
            modified,
            headers: sqlx::types::Json::default(),
        }
    }

    fn tag(text: &str) -> ETagCondition {
        ETagCondition::ETag(ETag::Strong(text.to_owned()))
    }

    fn time(epoch: i64) -> HttpTime {
        OffsetDateTime::from_unix_timestamp(epoch).unwrap().into()
    }

    fn read(conditions: &Conditions) -> Option<String> {
        conditions.allow_read(&stored()).err().map(|error| error.code().as_str().to_owned())
    }

    #[test]
    fn a_reader_that_knows_the_object_is_told_so() {
        let known = Conditions { known: Some(tag("abc")), ..Conditions::default() };
        assert_eq!(read(&known).as_deref(), Some("NotModified"));
        let other = Conditions { known: Some(tag("xyz")), ..Conditions::default() };
        assert_eq!(read(&other), None);
    }

    #[test]
    fn dates_are_compared_in_whole_seconds() {
        let same = Conditions { modified_since: Some(time(1_700_000_000)), ..Conditions::default() };
        assert_eq!(read(&same).as_deref(), Some("NotModified"));
        let same = Conditions { unmodified_since: Some(time(1_700_000_000)), ..Conditions::default() };
        assert_eq!(read(&same), None);
        let earlier = Conditions { unmodified_since: Some(time(1_699_999_999)), ..Conditions::default() };
        assert_eq!(read(&earlier).as_deref(), Some("PreconditionFailed"));
    }

    #[test]
    fn a_tag_outranks_a_date() {
        let matched =
            Conditions { wanted: Some(tag("abc")), unmodified_since: Some(time(1)), ..Conditions::default() };
        assert_eq!(read(&matched), None);
        let new = Conditions {
            known: Some(tag("xyz")),
            modified_since: Some(time(1_800_000_000)),
            ..Conditions::default()
        };
        assert_eq!(read(&new), None);
    }

    #[test]
    fn a_writer_can_ask_that_nothing_or_just_this_is_there() {
        let new = Conditions { known: Some(ETagCondition::Any), ..Conditions::default() };
        assert!(new.allow_write(None).is_ok());
        assert!(new.allow_write(Some(&stored())).is_err());
        let same = Conditions { wanted: Some(tag("abc")), ..Conditions::default() };
        assert!(same.allow_write(Some(&stored())).is_ok());
        assert!(same.allow_write(None).is_err());
        let other = Conditions { wanted: Some(tag("xyz")), ..Conditions::default() };
        assert!(other.allow_write(Some(&stored())).is_err());
    }
}
