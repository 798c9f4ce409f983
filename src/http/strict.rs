//! What a request says is what the document knows, or the request is refused: a parameter or a field that is read by
//! nobody would let its sender believe that it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::{MatchedPath, Query, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use utoipa::openapi::path::{Operation, Parameter, ParameterIn};
use utoipa::openapi::{OpenApi, RefOr};

use super::{Error, MAX_JSON_BYTES};

/// Common media client data, which any player may add to what it plays (CTA-5004 3.1).
const OF_PLAYERS: &str = "CMCD";

/// What each route takes.
pub struct Known(BTreeMap<String, BTreeMap<Method, Takes>>);

/// What one operation takes.
struct Takes {
    parameters: BTreeSet<String>,
    body: bool,
}

impl Known {
    /// By the document.
    pub fn of(document: &OpenApi) -> Self {
        let paths = document.paths.paths.iter().map(|(path, item)| {
            let operations = [
                (Method::GET, &item.get),
                (Method::HEAD, &item.head),
                (Method::OPTIONS, &item.options),
                (Method::POST, &item.post),
                (Method::PUT, &item.put),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let known = operations.into_iter().filter_map(|(method, operation)| {
                operation.as_ref().map(|operation| (method, takes(path, operation)))
            });
            (path.clone(), known.collect())
        });
        Self(paths.collect())
    }

    fn find(&self, path: &str, method: &Method) -> Option<&Takes> {
        let methods = self.0.get(path)?;
        // What answers a GET answers a HEAD.
        methods.get(method).or_else(|| methods.get(&Method::GET).filter(|_| method == Method::HEAD))
    }
}

fn takes(path: &str, operation: &Operation) -> Takes {
    let query = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(it) if matches!(it.parameter_in, ParameterIn::Query) => Some(it.name.clone()),
        _ => None,
    };
    let queries = operation.parameters.iter().flatten().filter_map(query);
    let of_players = path.starts_with("/play/").then(|| OF_PLAYERS.to_owned());
    Takes { parameters: queries.chain(of_players).collect(), body: operation.request_body.is_some() }
}

/// What the body was coded by on its way; no address decodes anything, and would take it for what it is meant to be.
fn coding(headers: &HeaderMap) -> Option<String> {
    let said = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = said.map(|said| String::from_utf8_lossy(said.as_bytes()).trim().to_owned());
    codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// Refuses what nobody reads.
pub async fn refuse_unknown(
    State(known): State<Arc<Known>>,
    request: Request,
    next: Next,
) -> Result<Response, Error> {
    let path = request.extensions().get::<MatchedPath>();
    if request.uri().path().contains("%00") {
        return Err(Error::Path("an address holds the character U+0000, which no text may".to_owned()));
    }
    let Some(takes) = path.and_then(|path| known.find(path.as_str(), request.method())) else {
        return Ok(next.run(request).await);
    };
    if let Some(coding) = coding(request.headers()) {
        return Err(Error::ContentEncoding(coding));
    }
    let asked = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let asked = asked.map_err(|rejection| Error::Query(rejection.body_text()))?;
    if let Some((name, _)) = asked.0.iter().find(|(_, value)| value.contains('\0')) {
        return Err(Error::Query(format!("{name} holds the character U+0000, which no text may")));
    }
    if let Some((name, _)) = asked.0.into_iter().find(|(name, _)| !takes.parameters.contains(name)) {
        return Err(Error::ParameterUnknown(name));
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if takes.body || reads {
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_JSON_BYTES).await else { return Err(Error::BodyTooLarge) };
    check_empty(&bytes)?;
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

/// Nothing, or `{}`, which many clients send where there is nothing to say.
fn check_empty(bytes: &[u8]) -> Result<(), Error> {
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    match serde_json::from_slice::<serde_json::Map<String, serde_json::Value>>(bytes) {
        Ok(fields) => match fields.into_iter().next() {
            Some((name, _)) => Err(Error::FieldUnknown(name)),
            None => Ok(()),
        },
        Err(_) => Err(Error::BodyUnexpected),
    }
}
