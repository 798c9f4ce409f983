//! The table of errors: each variant with its status and its stable code. Nobody else knows status codes.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::problem::{Code, Fault, Problem, Unreadiness, sentence, story};
use crate::domain::video::TextError;
use crate::{catalogue, publishing, storage};

/// Seconds after which a client may try again what a missing dependency prevented.
const RETRY_AFTER_SECS: u16 = 5;

/// The statuses of answers without an error that axum does not choose by itself.
pub(super) const CREATED: StatusCode = StatusCode::CREATED;
pub(super) const ACCEPTED: StatusCode = StatusCode::ACCEPTED;
pub(super) const NO_CONTENT: StatusCode = StatusCode::NO_CONTENT;

/// Codes of what a look at a request finds, before anything is done.
pub(super) const PARAMETER_UNKNOWN: &str = "parameter_unknown";
pub(super) const FIELD_UNKNOWN: &str = "field_unknown";
pub(super) const QUERY_INVALID: &str = "query_invalid";
pub(super) const PATH_INVALID: &str = "path_invalid";

/// The status of an answer that was given before.
pub(super) fn with_status(status: Option<i64>) -> StatusCode {
    let status = status.and_then(|status| u16::try_from(status).ok());
    status.and_then(|status| StatusCode::from_u16(status).ok()).unwrap_or(StatusCode::OK)
}

/// Why a request was not answered as hoped.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Publishing(#[from] publishing::Error),
    #[error("this needs a key: Authorization: Bearer KEY")]
    KeyMissing,
    #[error("the key is wrong or revoked")]
    KeyInvalid,
    #[error("the key may not do this: it needs {0}")]
    RoleTooLow(&'static str),
    #[error("there is nothing at this address")]
    NoRoute,
    #[error("this address does not know the method")]
    Method,
    #[error("{0}")]
    Path(String),
    #[error("{0}")]
    Query(String),
    /// All that is wrong with the query, or with the address.
    #[error("{}", first(.0))]
    Parameters(Vec<Fault>),
    #[error("this address takes no body")]
    BodyUnexpected,
    #[error("the body is no JSON: {0}")]
    Syntax(String),
    /// All that is wrong with a JSON body.
    #[error("{}", first(.0))]
    Body(Vec<Fault>),
    #[error("the body is {got}, expected {expected}")]
    ContentType { got: String, expected: &'static str },
    #[error("the body is coded as {0:?}; send it as it is")]
    ContentEncoding(String),
    #[error("the body is larger than this address takes")]
    BodyTooLarge,
    #[error("header {name}: {message}")]
    Header { name: &'static str, message: String },
    #[error("{field}: {message}")]
    Invalid { field: &'static str, message: String },
    #[error("{0} is missing")]
    Missing(&'static str),
    #[error("this Idempotency-Key was used for another request before")]
    KeyReused,
    #[error("the first request with this Idempotency-Key is still being answered")]
    StillRunning,
    #[error("the playback token is not good for this video")]
    TokenInvalid,
    #[error("the playback token has expired")]
    TokenExpired,
    #[error("header Tus-Resumable is {0:?}, this server speaks 1.0.0")]
    TusVersion(String),
    #[error("{0}")]
    TusChecksum(String),
    #[error("the client stopped sending")]
    BodyBroken,
    #[error("the client sent nothing for too long")]
    BodyIdle,
    #[error("the range does not lie within the {size} bytes")]
    Range { size: u64 },
    #[error("the answer took too long")]
    TooSlow,
    #[error("the broadcast has nothing new yet")]
    Stalled,
    #[error("the server is starting: it waits for {missing}")]
    Starting { missing: &'static str },
    #[error("the server is stopping")]
    Leaving,
    #[error("too many requests at once")]
    TooManyRequests { wait: Duration },
    #[error("too many wrong keys came from this address")]
    TooManyWrongKeys { wait: Duration },
    #[error("too many uploads are under way")]
    TooManyUploads,
    /// One read served several requests.
    #[error(transparent)]
    Object(#[from] Arc<storage::Error>),
    /// One answer served several requests.
    #[error(transparent)]
    Shared(#[from] Arc<Error>),
    /// What `/health/ready` found: asked for every few seconds, and told when it changes.
    #[error(transparent)]
    Unready(Box<Error>),
    #[error("a handler panicked: {0}")]
    Panic(String),
    #[error("an answer could not be made")]
    Internal(#[source] Box<dyn std::error::Error + Send + Sync>),
}

type Rule = (StatusCode, Cow<'static, str>);

fn rule(status: StatusCode, code: impl Into<Cow<'static, str>>) -> Rule {
    (status, code.into())
}

/// What is told where there is room for one thing.
fn first(faults: &[Fault]) -> &str {
    faults.first().map_or("it can't be taken", |fault| &fault.detail)
}

fn code_of(faults: &[Fault]) -> String {
    faults.first().map_or("body_invalid", |fault| &fault.code).to_owned()
}

impl Error {
    /// Status and stable code.
    fn rule(&self) -> Rule {
        use StatusCode as S;
        match self {
            Self::Publishing(error) => of_publishing(error),
            Self::KeyMissing => rule(S::UNAUTHORIZED, "key_missing"),
            Self::KeyInvalid => rule(S::UNAUTHORIZED, "key_invalid"),
            Self::RoleTooLow(_) => rule(S::FORBIDDEN, "role_too_low"),
            Self::NoRoute => rule(S::NOT_FOUND, "route_not_found"),
            Self::Method => rule(S::METHOD_NOT_ALLOWED, "method_not_allowed"),
            Self::Path(_) => rule(S::BAD_REQUEST, PATH_INVALID),
            Self::Query(_) => rule(S::BAD_REQUEST, QUERY_INVALID),
            Self::Parameters(faults) => rule(S::BAD_REQUEST, code_of(faults)),
            Self::BodyUnexpected => rule(S::BAD_REQUEST, "body_unexpected"),
            Self::Syntax(_) => rule(S::BAD_REQUEST, "json_invalid"),
            Self::Body(faults) => rule(S::UNPROCESSABLE_ENTITY, code_of(faults)),
            Self::ContentType { .. } => rule(S::UNSUPPORTED_MEDIA_TYPE, "content_type_unsupported"),
            Self::ContentEncoding(_) => rule(S::UNSUPPORTED_MEDIA_TYPE, "content_encoding_unsupported"),
            Self::BodyTooLarge => rule(S::PAYLOAD_TOO_LARGE, "body_too_large"),
            Self::Header { name, .. } => {
                rule(S::BAD_REQUEST, format!("{}_invalid", name.to_lowercase().replace('-', "_")))
            }
            Self::Invalid { field, .. } => rule(S::UNPROCESSABLE_ENTITY, format!("{field}_invalid")),
            Self::Missing(field) => rule(S::UNPROCESSABLE_ENTITY, format!("{field}_missing")),
            Self::KeyReused => rule(S::UNPROCESSABLE_ENTITY, "idempotency_key_reused"),
            Self::StillRunning => rule(S::CONFLICT, "request_running"),
            Self::TokenInvalid => rule(S::FORBIDDEN, "token_invalid"),
            Self::TokenExpired => rule(S::FORBIDDEN, "token_expired"),
            Self::TusVersion(_) => rule(S::PRECONDITION_FAILED, "tus_version_unsupported"),
            Self::TusChecksum(_) => rule(tus_checksum_mismatch(), "checksum_mismatch"),
            Self::BodyBroken => rule(S::BAD_REQUEST, "body_broken"),
            Self::BodyIdle => rule(S::REQUEST_TIMEOUT, "body_idle"),
            Self::Range { .. } => rule(S::RANGE_NOT_SATISFIABLE, "range_invalid"),
            Self::TooSlow => rule(S::SERVICE_UNAVAILABLE, "too_slow"),
            Self::Stalled => rule(S::SERVICE_UNAVAILABLE, "stalled"),
            Self::Starting { .. } => rule(S::SERVICE_UNAVAILABLE, "starting"),
            Self::Leaving => rule(S::SERVICE_UNAVAILABLE, "stopping"),
            Self::TooManyUploads => rule(S::SERVICE_UNAVAILABLE, "too_many_uploads"),
            Self::TooManyRequests { .. } => rule(S::TOO_MANY_REQUESTS, "too_many_requests"),
            Self::TooManyWrongKeys { .. } => rule(S::TOO_MANY_REQUESTS, "too_many_wrong_keys"),
            Self::Object(error) if matches!(**error, storage::Error::NotFound { .. }) => {
                rule(S::NOT_FOUND, "media_not_found")
            }
            Self::Object(error) => of_storage(error),
            Self::Shared(error) => error.rule(),
            Self::Unready(error) => error.rule(),
            Self::Panic(_) | Self::Internal(_) => rule(S::INTERNAL_SERVER_ERROR, "internal"),
        }
    }
}

fn of_publishing(error: &publishing::Error) -> Rule {
    use StatusCode as S;
    use publishing::Error as E;
    match error {
        E::Catalogue(error) => of_catalogue(error),
        E::Storage(error) => of_storage(error),
        E::Text(TextError::Empty { field }) => rule(S::UNPROCESSABLE_ENTITY, format!("{field}_empty")),
        E::Text(TextError::TooLong { field, .. }) => {
            rule(S::UNPROCESSABLE_ENTITY, format!("{field}_too_long"))
        }
        E::Text(TextError::Control { field } | TextError::Direction { field }) | E::Span { field, .. } => {
            rule(S::UNPROCESSABLE_ENTITY, format!("{field}_invalid"))
        }
        E::Text(TextError::Languages { field, .. }) => {
            rule(S::UNPROCESSABLE_ENTITY, format!("{field}_too_many_languages"))
        }
        E::UnknownAccount(_) => rule(S::UNPROCESSABLE_ENTITY, "unknown_account"),
        E::UnknownTopic(_) => rule(S::UNPROCESSABLE_ENTITY, "unknown_topic"),
        E::NotFound(what) => rule(S::NOT_FOUND, format!("{what}_not_found")),
        E::Forbidden(_) => rule(S::FORBIDDEN, "role_too_low"),
        E::KeyRevoked => rule(S::UNAUTHORIZED, "key_invalid"),
        E::Version { .. } => rule(S::PRECONDITION_FAILED, "version_changed"),
        E::HandleTaken(_) => rule(S::CONFLICT, "handle_taken"),
        E::SlugTaken(_) => rule(S::CONFLICT, "slug_taken"),
        E::ParentCycle(_) => rule(S::UNPROCESSABLE_ENTITY, "parent_invalid"),
        E::NoMedia(_) => rule(S::CONFLICT, "media_missing"),
        E::Move { .. } | E::JobState(_) | E::StillWorking => rule(S::CONFLICT, "wrong_state"),
        E::Offset { .. } => rule(S::CONFLICT, "wrong_offset"),
        E::TooLarge { .. } | E::PosterTooLarge { .. } => rule(S::PAYLOAD_TOO_LARGE, "too_large"),
        E::Quota { .. } => rule(S::PAYLOAD_TOO_LARGE, "quota_exceeded"),
        E::PastLength { .. } => rule(S::PAYLOAD_TOO_LARGE, "past_length"),
        E::LengthKnown { .. } => rule(S::CONFLICT, "length_known"),
        E::Checksum { .. } => rule(S::BAD_REQUEST, "checksum_mismatch"),
        E::PartMissing { .. } => rule(S::CONFLICT, "part_missing"),
        E::PartSize { .. } => rule(S::CONFLICT, "part_size_wrong"),
        E::PartNumber { .. } => rule(S::UNPROCESSABLE_ENTITY, "part_number_invalid"),
        E::Unfinished { .. } => rule(S::CONFLICT, "upload_unfinished"),
        E::UploadFinished => rule(S::CONFLICT, "upload_finished"),
        E::UploadGone(_) => rule(S::GONE, "upload_gone"),
        E::WrongDoor(_) => rule(S::CONFLICT, "wrong_door"),
        E::TakenOver => rule(S::CONFLICT, "taken_over"),
        E::LastOperator => rule(S::CONFLICT, "last_operator_key"),
        E::NoSource => rule(S::CONFLICT, "no_source"),
        E::RevisionGone(_) => rule(S::CONFLICT, "revision_gone"),
        E::LeaseLost => rule(S::CONFLICT, "lease_lost"),
        E::StreamKey => rule(S::NOT_FOUND, "stream_key_invalid"),
        E::BroadcastOver => rule(S::CONFLICT, "broadcast_over"),
        E::ChannelTaken | E::ChannelLost => rule(S::CONFLICT, "channel_taken"),
        E::TooManyTargets { .. } => rule(S::CONFLICT, "too_many_targets"),
        E::TargetTaken => rule(S::CONFLICT, "target_taken"),
        E::TargetPrivate => rule(S::UNPROCESSABLE_ENTITY, "target_private"),
        E::MadeAlready => rule(S::CONFLICT, "request_running"),
        E::Secret(_) => rule(S::INTERNAL_SERVER_ERROR, "internal"),
        E::ClientGone => rule(S::BAD_REQUEST, "body_broken"),
    }
}

/// The field of the body that a verb refuses.
fn pointer_of(error: &publishing::Error) -> Option<String> {
    use publishing::Error as E;
    match error {
        E::Text(
            TextError::Empty { field }
            | TextError::TooLong { field, .. }
            | TextError::Control { field }
            | TextError::Direction { field }
            | TextError::Languages { field, .. },
        )
        | E::Span { field, .. } => Some(format!("/{}", field.replace('.', "/"))),
        E::UnknownAccount(_) => Some("/account".to_owned()),
        E::UnknownTopic(_) => Some("/topic".to_owned()),
        E::ParentCycle(_) => Some("/parent".to_owned()),
        E::HandleTaken(_) => Some("/handle".to_owned()),
        E::SlugTaken(_) => Some("/slug".to_owned()),
        E::TargetPrivate | E::TargetTaken => Some("/url".to_owned()),
        _ => None,
    }
}

fn of_catalogue(error: &catalogue::Error) -> Rule {
    match error {
        catalogue::Error::Taken { .. } => rule(StatusCode::CONFLICT, "taken"),
        catalogue::Error::Full(_) => rule(StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        catalogue::Error::Character(_) => rule(StatusCode::UNPROCESSABLE_ENTITY, "text_invalid"),
        error if error.is_unavailable() => rule(StatusCode::SERVICE_UNAVAILABLE, "database_unavailable"),
        _ => rule(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

fn of_storage(error: &storage::Error) -> Rule {
    match error {
        storage::Error::Full => rule(StatusCode::INSUFFICIENT_STORAGE, "disk_full"),
        storage::Error::PartMissing { .. } => rule(StatusCode::CONFLICT, "part_missing"),
        storage::Error::PartTooSmall { .. } => rule(StatusCode::CONFLICT, "part_size_wrong"),
        storage::Error::MultipartMissing { .. } => rule(StatusCode::GONE, "upload_gone"),
        error if error.is_unavailable() => rule(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable"),
        _ => rule(StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

/// tus 1.0, checksum: 460 Checksum Mismatch.
fn tus_checksum_mismatch() -> StatusCode {
    StatusCode::from_u16(460).unwrap_or(StatusCode::BAD_REQUEST)
}

impl From<catalogue::Error> for Error {
    fn from(error: catalogue::Error) -> Self {
        Self::Publishing(error.into())
    }
}

impl From<storage::Error> for Error {
    fn from(error: storage::Error) -> Self {
        Self::Publishing(error.into())
    }
}

impl publishing::Passing for Error {
    fn is_unavailable(&self) -> bool {
        self.is_unavailable()
    }
}

impl Error {
    /// The bucket has no object of this name.
    pub(super) fn is_object_missing(&self) -> bool {
        match self {
            Self::Publishing(publishing::Error::Storage(error)) => error.is_not_found(),
            Self::Object(error) => error.is_not_found(),
            _ => false,
        }
    }

    /// A dependency is out of reach now: the same request may succeed later.
    pub(super) fn is_unavailable(&self) -> bool {
        match self {
            Self::Publishing(error) => error.is_unavailable(),
            Self::Object(error) => error.is_unavailable(),
            Self::Shared(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// What the caller is told: never the inside of a fault of ours.
    fn detail(&self, status: StatusCode, code: &str) -> String {
        match code {
            "database_unavailable" => "The database can't be reached now. Please try again.".to_owned(),
            "storage_unavailable" => "The object store can't be reached now. Please try again.".to_owned(),
            "disk_full" => "No space is left to store it; what was acknowledged is kept.".to_owned(),
            "too_slow" => "The answer took too long. Please try again.".to_owned(),
            "starting" | "stopping" | "stalled" | "too_many_uploads" => {
                format!("{} Please try again.", sentence(&self.to_string()))
            }
            _ if status.is_server_error() => {
                "Something went wrong on our side; the request id finds it in the log.".to_owned()
            }
            _ => sentence(&self.to_string()),
        }
    }

    /// Told once, with every cause, to whoever runs this.
    fn log(&self, status: StatusCode, code: &str) {
        let is_expected = matches!(
            self,
            Self::Starting { .. } | Self::Leaving | Self::Stalled | Self::TooManyUploads | Self::Unready(_)
        );
        let chain = story(self);
        if !status.is_server_error() || is_expected {
            tracing::debug!(status = status.as_u16(), code, "{chain}");
        } else {
            tracing::error!(status = status.as_u16(), code, "{chain}");
        }
    }

    /// The problem it is told as.
    pub fn into_problem(self) -> Problem {
        let (status, code) = self.rule();
        self.log(status, &code);
        let title = status.canonical_reason().unwrap_or("Checksum Mismatch");
        let detail = self.detail(status, &code);
        let errors = self.faults(&code, &detail);
        Problem::new(status.as_u16(), title, code.into_owned(), detail).with_errors(errors)
    }

    /// All that is wrong: what a look at the request found, or the one field that a verb refuses.
    fn faults(self, code: &str, detail: &str) -> Vec<Fault> {
        let fault = |pointer, parameter| {
            vec![Fault { pointer, parameter, code: code.to_owned(), detail: detail.to_owned() }]
        };
        match self {
            Self::Body(faults) | Self::Parameters(faults) => {
                let told = |fault: Fault| Fault { detail: sentence(&fault.detail), ..fault };
                faults.into_iter().map(told).collect()
            }
            Self::Publishing(error) => pointer_of(&error).map_or_else(Vec::new, |at| fault(Some(at), None)),
            Self::Invalid { field: "limit", .. } => fault(None, Some("limit".to_owned())),
            _ => Vec::new(),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, _) = self.rule();
        let size = if let Self::Range { size } = self { Some(size) } else { None };
        let coded = matches!(self, Self::ContentEncoding(_));
        let wait = match self {
            Self::TooManyRequests { wait } | Self::TooManyWrongKeys { wait } => wait,
            _ => Duration::ZERO,
        };
        let unready = matches!(self, Self::Unready(_)).then(|| Unreadiness(story(&self)));
        let mut response = (status, self.into_problem()).into_response();
        if let Some(unready) = unready {
            response.extensions_mut().insert(unready);
        }
        let headers = response.headers_mut();
        match status {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, RETRY_AFTER_SECS.into());
            }
            StatusCode::TOO_MANY_REQUESTS => {
                headers.insert(header::RETRY_AFTER, (wait.as_secs() + 1).into());
            }
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                // The body isn't read to its end: the connection can't be used again.
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        if coded {
            // RFC 9110 12.5.3
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        }
        if let Some(value) = size.and_then(|size| HeaderValue::from_str(&format!("bytes */{size}")).ok()) {
            headers.insert(header::CONTENT_RANGE, value);
        }
        response
    }
}

/// Turns the router's own bare refusals into problems, and gives every problem its request id.
pub(super) fn complete(response: Response, request_id: &str) -> Response {
    let bare = !response.headers().contains_key(header::CONTENT_TYPE);
    let error = match response.status() {
        StatusCode::NOT_FOUND if bare => Some(Error::NoRoute),
        StatusCode::METHOD_NOT_ALLOWED if bare => Some(Error::Method),
        _ => None,
    };
    let mut response = match error {
        Some(error) => {
            let allow = response.headers().get(header::ALLOW).cloned();
            let mut fresh = error.into_response();
            fresh.headers_mut().extend(allow.map(|allow| (header::ALLOW, allow)));
            fresh
        }
        None => response,
    };
    match response.extensions_mut().remove::<Problem>() {
        Some(problem) => {
            response.extensions_mut().insert(Code(problem.code.clone()));
            problem.with_request_id(request_id).fill(response)
        }
        None => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::video::VideoState;

    fn told(error: impl Into<Error>) -> (u16, String, String) {
        let problem = error.into().into_problem();
        (problem.status, problem.code, problem.detail)
    }

    #[test]
    fn a_refusal_is_one_sentence_with_a_stable_code() {
        let error = publishing::Error::Offset { offset: 1, expected: 4096 };
        assert_eq!(told(error), (409, "wrong_offset".into(), "Offset is 1, expected 4096.".into()));
        let error = publishing::Error::Text(TextError::TooLong { field: "title", chars: 201, most: 200 });
        assert_eq!(told(error).1, "title_too_long");
        let error = publishing::Error::Move { from: VideoState::Draft, to: VideoState::Withdrawn };
        assert_eq!(told(error).0, 409);
    }

    #[test]
    fn a_fault_of_ours_never_shows_its_inside() {
        let cause = std::io::Error::other("password of the database");
        let (status, code, detail) = told(Error::Internal(Box::new(cause)));
        assert_eq!((status, code.as_str()), (500, "internal"));
        assert!(!detail.contains("password"));
    }

    #[test]
    fn a_missing_dependency_says_when_to_try_again() {
        assert_eq!(Error::from(storage::Error::Full).into_response().status().as_u16(), 507);
        assert_eq!(Error::TooSlow.into_response().headers()[header::RETRY_AFTER], "5");
    }

    #[test]
    fn a_missing_key_says_what_is_asked_for() {
        assert_eq!(Error::KeyMissing.into_response().headers()[header::WWW_AUTHENTICATE], "Bearer");
    }
}
