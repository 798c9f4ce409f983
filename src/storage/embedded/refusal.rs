//! From what went wrong inside to the error S3 clients expect.

use std::io::ErrorKind;

use axum::http::StatusCode;
use s3s::{S3Error, S3ErrorCode};

/// `SQLITE_FULL`, the primary result code for a full disk.
const SQLITE_FULL: &str = "13";

pub(super) fn index(error: sqlx::Error) -> S3Error {
    match &error {
        sqlx::Error::Database(inner) if inner.code().as_deref() == Some(SQLITE_FULL) => full(),
        _ => internal("index", error),
    }
}

pub(super) fn file(error: std::io::Error) -> S3Error {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => full(),
        _ => internal("file", error),
    }
}

/// No code of S3's own says it: the code is the HTTP status' name (RFC 4918 11.5).
pub(super) fn full() -> S3Error {
    let code = S3ErrorCode::Custom("InsufficientStorage".into());
    let mut error = S3Error::with_message(code, "no space is left on the disk");
    error.set_status_code(StatusCode::INSUFFICIENT_STORAGE);
    error
}

/// The cause is for the log, not for the caller.
pub(super) fn internal(what: &'static str, error: impl std::error::Error + Send + Sync + 'static) -> S3Error {
    tracing::error!(
        error = &error as &dyn std::error::Error,
        "the embedded object store's {what} is out of order"
    );
    S3Error::internal_error(error)
}
