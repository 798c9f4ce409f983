//! What can go wrong between us and a bucket, told the same way for every S3 server.

use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::domain::printable;
use crate::fault::Injected;

/// Why a bucket did not do as asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no object {key}")]
    NotFound { key: String },
    #[error("part {number} is missing or is not the one that was sent")]
    PartMissing { number: u32 },
    #[error("part {number} has {size_bytes} bytes, only the last part may have fewer than 5 MiB")]
    PartTooSmall { number: u32, size_bytes: u64 },
    #[error("the multipart upload {id} of {key} is finished, abandoned or never was")]
    MultipartMissing { key: String, id: String },
    #[error("{key} is not in the state the request asks for")]
    PreconditionFailed { key: String },
    #[error("the object store has no space left")]
    Full,
    #[error("there is no bucket {bucket}")]
    BucketMissing { bucket: String },
    #[error("the object store can't be reached or is out of order")]
    Unavailable {
        #[source]
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    #[error("the object store refused {what}: {code}{}", cause(message))]
    Refused { what: String, code: String, message: String },
}

/// An answer to HEAD has no words.
fn cause(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {}", printable(message)) }
}

impl Error {
    /// Whether the same request may well succeed later, without anybody changing it.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::BucketMissing { .. })
    }

    /// The bucket is away or full, whatever is asked of it.
    pub fn is_outage(&self) -> bool {
        self.is_unavailable() || matches!(self, Self::Full)
    }

    /// The object or bucket isn't there.
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::NotFound { .. })
    }

    pub(super) fn unavailable(source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        Self::Unavailable { source: source.into() }.counted()
    }

    /// Counts what is wrong with the bucket; an object that isn't there may well be none.
    fn counted(self) -> Self {
        let kind = match &self {
            Self::Unavailable { .. } => "unavailable",
            Self::BucketMissing { .. } => "bucket_missing",
            Self::Full => "full",
            Self::Refused { .. } => "refused",
            _ => return self,
        };
        metrics::counter!("policast_storage_errors_total", "kind" => kind).increment(1);
        self
    }
}

impl From<Injected> for Error {
    fn from(fault: Injected) -> Self {
        Self::unavailable(fault)
    }
}

/// What a request was about, for the error's text.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub bucket: &'a str,
    pub key: &'a str,
    pub multipart: &'a str,
}

impl Asked<'_> {
    /// One of our errors from any of the SDK's.
    pub fn refused<E>(self, error: SdkError<E, HttpResponse>) -> Error
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let SdkError::ServiceError(service) = &error else {
            return match error {
                SdkError::ConstructionFailure(_) => Error::Refused {
                    what: self.what(),
                    code: "InvalidRequest".to_owned(),
                    message: aws_sdk_s3::error::DisplayErrorContext(&error).to_string(),
                }
                .counted(),
                error => Error::unavailable(error),
            };
        };
        let status = service.raw().status().as_u16();
        let code = service.err().code().unwrap_or_default().to_owned();
        let message = service.err().message().unwrap_or_default().to_owned();
        self.by_code(status, &code).unwrap_or_else(|| match status {
            408 | 429 | 500.. => Error::unavailable(error),
            _ => {
                let code = if code.is_empty() { status.to_string() } else { code };
                Error::Refused { what: self.what(), code, message }.counted()
            }
        })
    }

    /// One of our errors from a line of an answer that as a whole says 200: such a line has a code and no status.
    pub fn refused_in_part(self, code: &str, message: String) -> Error {
        self.by_code(200, code).unwrap_or_else(|| match code {
            "InternalError" | "ServiceUnavailable" | "SlowDown" | "RequestTimeout" | "OperationAborted" => {
                Error::unavailable(format!("{code}: {message}"))
            }
            _ => Error::Refused { what: self.what(), code: code.to_owned(), message }.counted(),
        })
    }

    fn what(self) -> String {
        if self.key.is_empty() { format!("the bucket {}", self.bucket) } else { self.key.to_owned() }
    }

    fn by_code(self, status: u16, code: &str) -> Option<Error> {
        self.known_by_code(status, code).map(Error::counted)
    }

    fn known_by_code(self, status: u16, code: &str) -> Option<Error> {
        let key = self.key.to_owned();
        match (code, status) {
            ("NoSuchBucket", _) => Some(Error::BucketMissing { bucket: self.bucket.to_owned() }),
            ("NoSuchUpload", _) => Some(Error::MultipartMissing { key, id: self.multipart.to_owned() }),
            ("NoSuchKey" | "NotFound" | "", 404) if key.is_empty() => {
                Some(Error::BucketMissing { bucket: self.bucket.to_owned() })
            }
            ("NoSuchKey" | "NotFound" | "", 404) => Some(Error::NotFound { key }),
            ("PreconditionFailed" | "ConditionalRequestConflict", _) | (_, 412) => {
                Some(Error::PreconditionFailed { key })
            }
            ("InsufficientStorage" | "XMinioStorageFull" | "QuotaExceeded", _) | (_, 507) => {
                Some(Error::Full)
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_an_answer_that_may_do_later_is_told_from_one_that_never_will() {
        let asked = Asked { bucket: "policast", key: "a", multipart: "" };
        let of = |code| asked.refused_in_part(code, "a: said".to_owned());
        for code in ["InternalError", "SlowDown", "ServiceUnavailable", "RequestTimeout"] {
            assert!(of(code).is_unavailable(), "{code}");
        }
        assert_eq!(of("AccessDenied").to_string(), "the object store refused a: AccessDenied: a: said");
        assert!(matches!(of("QuotaExceeded"), Error::Full));
    }
}
