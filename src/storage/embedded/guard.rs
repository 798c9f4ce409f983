//! Stands before `s3s`: whatever a request is dispatched by must be covered by its signature (`SigV4`). `s3s` 0.14.1
//! verifies only the headers that `SignedHeaders` names, and dispatches by the others.

use std::collections::BTreeMap;
use std::task::{Context, Poll};

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, Request, request};
use futures::future::BoxFuture;
use s3s::service::S3Service;
use s3s::{HttpError, HttpRequest, HttpResponse, S3Error, S3Result, s3_error};

use super::REGION;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// S3 signs for a week at most; a longer life is nobody's we signed for.
const EXPIRES_MAX_SECONDS: u32 = 7 * 24 * 3600;
/// What presigning puts into the query, each exactly once.
const PRESIGNED: [&str; 6] = [
    "X-Amz-Algorithm",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-SignedHeaders",
    "X-Amz-Signature",
];
/// Kept with an object beside its media type, which browsers send by themselves: the bearer of an address has no say.
const METADATA: [&str; 4] = ["content-disposition", "content-encoding", "content-language", "expires"];
/// Headers that S3 acts on.
const ACTED_ON: &str = "x-amz-";

/// The server behind its guard. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Guarded {
    service: S3Service,
}

/// What a signature says it covers, read as `s3s` reads it.
struct Signed<'a> {
    headers: Vec<&'a str>,
    /// `{access key}/{date}/{region}/{service}/aws4_request`
    scope: &'a str,
}

impl Guarded {
    pub fn new(service: S3Service) -> Self {
        Self { service }
    }

    /// Answers a request; a refused one never reaches `s3s`.
    pub async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        if let Err(refusal) = check(&parts) {
            return refusal.to_http_response().map_err(|error| HttpError::new(Box::new(error)));
        }
        self.service.call(Request::from_parts(parts, body)).await
    }
}

impl tower::Service<Request<axum::body::Body>> for Guarded {
    type Response = HttpResponse;
    type Error = HttpError;
    type Future = BoxFuture<'static, Result<HttpResponse, HttpError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), HttpError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<axum::body::Body>) -> Self::Future {
        let guarded = self.clone();
        Box::pin(async move { Self::call(&guarded, request.map(s3s::Body::http_body_unsync)).await })
    }
}

fn check(request: &request::Parts) -> S3Result<()> {
    let query = query(request)?;
    // An older signature covers neither the host nor most of the query; a form is read before it is verified.
    if query.contains_key("Signature") || is_form(request) {
        return Err(s3_error!(AccessDenied, "only AWS signature version 4 is accepted"));
    }
    let mut shown = request.headers.get_all(AUTHORIZATION).iter();
    match (shown.next(), shown.next(), query.contains_key("X-Amz-Signature")) {
        (Some(header), None, false) => {
            let text = header.to_str().ok();
            let signed =
                text.and_then(by_header).ok_or_else(|| s3_error!(AccessDenied, "not a signature"))?;
            covered(&request.headers, &signed, &[])
        }
        (None, None, true) => {
            let signed = by_query(&query)?;
            only_what_we_presign(&request.method, &query)?;
            covered(&request.headers, &signed, &METADATA)
        }
        (None, None, false) => Err(s3_error!(AccessDenied, "Signature is required")),
        _ => Err(s3_error!(AccessDenied, "a request is signed in one way only")),
    }
}

/// Every name at most once: which of two values counts is no question to have.
fn query(request: &request::Parts) -> S3Result<BTreeMap<String, String>> {
    let mut found = BTreeMap::new();
    for (name, value) in url::form_urlencoded::parse(request.uri.query().unwrap_or_default().as_bytes()) {
        if found.insert(name.clone().into_owned(), value.into_owned()).is_some() {
            return Err(s3_error!(InvalidRequest, "the query has {name} twice"));
        }
    }
    Ok(found)
}

fn is_form(request: &request::Parts) -> bool {
    let form = |kind: &str| kind.trim_start().to_ascii_lowercase().starts_with("multipart/");
    let kinds = request.headers.get_all(CONTENT_TYPE).iter();
    request.method == Method::POST && kinds.filter_map(|kind| kind.to_str().ok()).any(form)
}

/// `AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…`
fn by_header(text: &str) -> Option<Signed<'_>> {
    let fields: Vec<&str> = text.strip_prefix(ALGORITHM)?.split(',').map(str::trim).collect();
    let [credential, headers, signature] = fields[..] else { return None };
    signature.strip_prefix("Signature=")?;
    let scope = credential.strip_prefix("Credential=")?;
    Some(Signed { headers: headers.strip_prefix("SignedHeaders=")?.split(';').collect(), scope })
}

fn by_query(query: &BTreeMap<String, String>) -> S3Result<Signed<'_>> {
    let text = |name: &str| query.get(name).map_or("", String::as_str);
    if text("X-Amz-Algorithm") != ALGORITHM {
        return Err(s3_error!(AccessDenied, "only {ALGORITHM} is accepted"));
    }
    let expires = text("X-Amz-Expires").parse::<u32>();
    if !expires.is_ok_and(|seconds| seconds <= EXPIRES_MAX_SECONDS) {
        return Err(s3_error!(AccessDenied, "X-Amz-Expires is at most {EXPIRES_MAX_SECONDS}"));
    }
    let headers = text("X-Amz-SignedHeaders").split(';').collect();
    Ok(Signed { headers, scope: text("X-Amz-Credential") })
}

/// An address lets its bearer read one object, write one object or write one part of one: nothing else is ever signed.
fn only_what_we_presign(method: &Method, query: &BTreeMap<String, String>) -> S3Result<()> {
    let asked: Vec<(&str, &str)> = query
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .filter(|(name, _)| !PRESIGNED.contains(name))
        .collect();
    let known = match (method, &asked[..]) {
        (&Method::GET, [] | [("x-id", "GetObject")]) | (&Method::PUT, [] | [("x-id", "PutObject")]) => true,
        (&Method::PUT, [("partNumber", _), ("uploadId", _), rest @ ..]) => {
            matches!(rest, [] | [("x-id", "UploadPart")])
        }
        _ => false,
    };
    if known { Ok(()) } else { Err(s3_error!(AccessDenied, "nothing of this kind is presigned")) }
}

/// Everything acted on is in the signature, which is for this region and this service.
fn covered(headers: &HeaderMap, signed: &Signed<'_>, also: &[&str]) -> S3Result<()> {
    let scope: Vec<&str> = signed.scope.split('/').collect();
    let [_, _, region, service, "aws4_request"] = scope[..] else {
        return Err(s3_error!(AccessDenied, "the credential has no scope"));
    };
    if (region, service) != (REGION, "s3") {
        return Err(wrong_scope());
    }
    if !signed.headers.contains(&"host") {
        return Err(unsigned("host"));
    }
    let acted_on = |name: &str| name.starts_with(ACTED_ON) || also.contains(&name);
    let names = headers.keys().map(axum::http::HeaderName::as_str);
    match names.filter(|name| acted_on(name)).find(|name| !signed.headers.contains(name)) {
        None => Ok(()),
        Some(name) => Err(unsigned(name)),
    }
}

fn wrong_scope() -> S3Error {
    s3_error!(AccessDenied, "the signature is for another region or service; this is {REGION}, s3")
}

fn unsigned(name: &str) -> S3Error {
    s3_error!(AccessDenied, "the header {name} is not covered by the signature")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn presigned(method: &str, more: &str) -> request::Builder {
        let scope = "AKIA%2F20260101%2Fus-east-1%2Fs3%2Faws4_request";
        let query = format!(
            "X-Amz-Algorithm={ALGORITHM}&X-Amz-Credential={scope}&X-Amz-Date=20260101T000000Z&X-Amz-Expires=60\
             &X-Amz-SignedHeaders=host&X-Amz-Signature=0{more}"
        );
        Request::builder().method(method).uri(format!("http://localhost/policast/a?{query}"))
    }

    fn passes(builder: request::Builder) -> bool {
        check(&builder.body(()).expect("a request").into_parts().0).is_ok()
    }

    #[test]
    fn only_three_things_are_presigned() {
        assert!(passes(presigned("GET", "")));
        assert!(passes(presigned("GET", "&x-id=GetObject")));
        assert!(passes(presigned("PUT", "&x-id=PutObject")));
        assert!(passes(presigned("PUT", "&partNumber=1&uploadId=a&x-id=UploadPart")));
        for (method, more) in [
            ("GET", "&acl"),
            ("GET", "&uploads"),
            ("GET", "&uploadId=a"),
            ("GET", "&response-content-type=text%2Fhtml"),
            ("GET", "&versionId=1"),
            ("PUT", "&acl"),
            ("PUT", "&tagging"),
            ("PUT", "&uploadId=a"),
            ("PUT", "&partNumber=1&uploadId=a&acl"),
            ("PUT", "&X-Amz-Security-Token=a"),
            ("PUT", "&x-amz-acl=public-read"),
            ("PUT", "&partNumber=1&partNumber=2&uploadId=a"),
            ("HEAD", ""),
            ("DELETE", ""),
            ("POST", "&uploads"),
            ("POST", "&uploadId=a"),
        ] {
            assert!(!passes(presigned(method, more)), "{method} {more}");
        }
    }

    #[test]
    fn what_a_browser_sends_by_itself_needs_no_signature() {
        let put = || presigned("PUT", "&partNumber=1&uploadId=a");
        for name in ["content-type", "content-md5", "content-length", "origin", "cache-control", "range"] {
            assert!(passes(put().header(name, "a")), "{name}");
        }
        for name in METADATA {
            assert!(!passes(put().header(name, "a")), "{name}");
        }
    }

    #[test]
    fn a_signature_by_header_covers_what_is_acted_on() {
        let put = |signed: &str| {
            let credential = "Credential=AKIA/20260101/us-east-1/s3/aws4_request";
            let shown = format!("{ALGORITHM} {credential}, SignedHeaders={signed}, Signature=0");
            Request::builder().method("PUT").uri("http://localhost/policast/a").header(AUTHORIZATION, shown)
        };
        let copy = |signed| put(signed).header("x-amz-copy-source", "policast/b");
        assert!(passes(put("host")));
        assert!(passes(copy("host;x-amz-copy-source")));
        assert!(!passes(copy("host")));
        assert!(!passes(put("content-type")), "for any host");
        assert!(!passes(put("host").header(AUTHORIZATION, "AWS AKIA:0")));
        assert!(!passes(Request::builder().header(AUTHORIZATION, "AWS AKIA:0")));
        assert!(!passes(put("host").uri("http://localhost/policast/a?Signature=0&AWSAccessKeyId=AKIA")));
        assert!(!passes(put("host").uri("http://localhost/policast/a?X-Amz-Signature=0")));
        assert!(!passes(put("host").method("POST").header(CONTENT_TYPE, "multipart/form-data; boundary=a")));
    }
}
