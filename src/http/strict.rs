//! What a request says is what the document knows, or the request is refused: a parameter or a field that is read by
//! nobody would let its sender believe that it counts.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, Query, RawPathParams, Request, State};
use axum::http::{HeaderMap, Method, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::Value;

use super::check::Schemas;
use super::error::{PARAMETER_UNKNOWN, PATH_INVALID, QUERY_INVALID};
use super::problem::Fault;
use super::{Error, MAX_JSON_BYTES};
use crate::domain::printable;

/// Common media client data, which any player may add to what it plays (CTA-5004 3.1).
const OF_PLAYERS: &str = "CMCD";

/// What each route takes.
#[derive(Default)]
pub struct Known {
    routes: BTreeMap<String, BTreeMap<String, Takes>>,
    schemas: Arc<Schemas>,
}

/// What one operation takes: the schemas of its parameters, by where they are and their name, and its body.
#[derive(Default)]
struct Takes {
    path: BTreeMap<String, Value>,
    query: BTreeMap<String, Value>,
    has_body: bool,
    json: Option<JsonSchema>,
}

/// What a JSON body of an operation has to be; a request carries it to the extractor.
#[derive(Debug, Clone)]
pub struct JsonSchema {
    schema: Arc<Value>,
    schemas: Arc<Schemas>,
}

impl JsonSchema {
    /// All that is wrong with this body.
    pub fn check(&self, body: &Value) -> Vec<Fault> {
        self.schemas.check(&self.schema, body)
    }
}

impl Known {
    /// By the document.
    pub fn of(document: &Value) -> Self {
        let schemas = Arc::new(Schemas::of(document));
        let paths = document["paths"].as_object().into_iter().flatten();
        let routes = paths.map(|(path, item)| {
            let operations = item.as_object().into_iter().flatten();
            let known = operations
                .map(|(method, operation)| (method.to_uppercase(), takes(path, operation, &schemas)));
            (path.clone(), known.collect())
        });
        Self { routes: routes.collect(), schemas }
    }

    fn find(&self, path: &str, method: &Method) -> Option<&Takes> {
        let methods = self.routes.get(&path.replace("{*", "{"))?;
        // What answers a GET answers a HEAD.
        methods.get(method.as_str()).or_else(|| methods.get("GET").filter(|_| method == Method::HEAD))
    }
}

fn takes(path: &str, operation: &Value, schemas: &Arc<Schemas>) -> Takes {
    let of = |place: &str| {
        let all = operation["parameters"].as_array().into_iter().flatten();
        let there = all.filter(|it| it["in"] == place);
        there.map(|it| (it["name"].as_str().unwrap_or_default().to_owned(), it["schema"].clone())).collect()
    };
    let mut query: BTreeMap<String, Value> = of("query");
    if path.starts_with("/play/") {
        query.insert(OF_PLAYERS.to_owned(), Value::Null);
    }
    let body = &operation["requestBody"];
    let json = &body["content"]["application/json"]["schema"];
    let json = (!json.is_null())
        .then(|| JsonSchema { schema: Arc::new(json.clone()), schemas: Arc::clone(schemas) });
    Takes { path: of("path"), query, has_body: body.is_object(), json }
}

/// What the body was coded by on its way; no address decodes anything, and would take it for what it is meant to be.
fn coding(headers: &HeaderMap) -> Option<String> {
    let said = headers.get_all(header::CONTENT_ENCODING).iter();
    let mut codings = said.map(|said| String::from_utf8_lossy(said.as_bytes()).trim().to_owned());
    codings.find(|coding| !coding.is_empty() && !coding.eq_ignore_ascii_case("identity"))
}

/// Refuses what nobody reads, and parameters of another shape than the document says.
pub async fn refuse_unknown(
    State(known): State<Arc<Known>>,
    steps: Result<RawPathParams, RawPathParamsRejection>,
    mut request: Request,
    next: Next,
) -> Result<Response, Error> {
    if request.uri().path().contains("%00") {
        return Err(Error::Path("an address holds the character U+0000, which no text may".to_owned()));
    }
    let path = request.extensions().get::<MatchedPath>();
    let Some(takes) = path.and_then(|path| known.find(path.as_str(), request.method())) else {
        return Ok(next.run(request).await);
    };
    if let Some(coding) = coding(request.headers()) {
        return Err(Error::ContentEncoding(coding));
    }
    check_query(&known, takes, &request)?;
    if let Ok(steps) = steps {
        check_path(&known, takes, &steps)?;
    }
    let reads = matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    if takes.has_body || reads {
        if let Some(schema) = takes.json.clone() {
            request.extensions_mut().insert(schema);
        }
        return Ok(next.run(request).await);
    }
    let (parts, body) = request.into_parts();
    let Ok(bytes) = to_bytes(body, MAX_JSON_BYTES).await else { return Err(Error::BodyTooLarge) };
    check_empty(&bytes)?;
    Ok(next.run(Request::from_parts(parts, Body::empty())).await)
}

/// Refuses every parameter, at addresses of programs that are in no document and take none.
pub async fn refuse_all(request: Request, next: Next) -> Result<Response, Error> {
    check_query(&Known::default(), &Takes::default(), &request)?;
    Ok(next.run(request).await)
}

fn check_query(known: &Known, takes: &Takes, request: &Request) -> Result<(), Error> {
    let asked = Query::<Vec<(String, String)>>::try_from_uri(request.uri());
    let asked = asked.map_err(|_unreadable| Error::Query("the query can't be read".to_owned()))?.0;
    let unknown = asked.iter().filter(|(name, _)| !takes.query.contains_key(name));
    let unknown = unknown.map(|(name, _)| {
        let detail = format!("there is no query parameter {:?} here", printable(name));
        fault(name, PARAMETER_UNKNOWN, detail)
    });
    let wrong = asked.iter().filter_map(|(name, value)| {
        if value.contains('\0') {
            let detail = format!("{name} holds the character U+0000, which no text may");
            return Some(fault(name, QUERY_INVALID, detail));
        }
        known.schemas.check_parameter(takes.query.get(name)?, (name, value), QUERY_INVALID)
    });
    refuse(unknown.chain(wrong).collect())
}

fn check_path(known: &Known, takes: &Takes, steps: &RawPathParams) -> Result<(), Error> {
    let wrong = steps.iter().filter_map(|(name, value)| {
        known.schemas.check_parameter(takes.path.get(name)?, (name, value), PATH_INVALID)
    });
    refuse(wrong.collect())
}

fn fault(parameter: &str, code: &str, detail: String) -> Fault {
    Fault { pointer: None, parameter: Some(printable(parameter).into_owned()), code: code.to_owned(), detail }
}

fn refuse(faults: Vec<Fault>) -> Result<(), Error> {
    if faults.is_empty() { Ok(()) } else { Err(Error::Parameters(faults)) }
}

/// Nothing, or `{}`, which many clients send where there is nothing to say.
fn check_empty(bytes: &[u8]) -> Result<(), Error> {
    if bytes.trim_ascii().is_empty() {
        return Ok(());
    }
    let Ok(fields) = serde_json::from_slice::<serde_json::Map<String, Value>>(bytes) else {
        return Err(Error::BodyUnexpected);
    };
    let nothing = serde_json::json!({"type": "object", "additionalProperties": false});
    let faults = Schemas::default().check(&nothing, &fields.into());
    if faults.is_empty() { Ok(()) } else { Err(Error::Body(faults)) }
}
