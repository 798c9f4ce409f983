//! `Idempotency-Key`: a request that is sent again gets the first one's answer again, and nothing happens twice.

use std::convert::Infallible;
use std::error::Error as _;

use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::response::Parts;
use axum::http::{HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use sha2::{Digest, Sha256};

use tracing::Instrument;

use super::body::broken;
use super::uploads::protocol;
use super::{App, Error, MAX_JSON_BYTES, auth, error, headers};
use crate::catalogue::idempotency::{self, Answer, Place};
use crate::domain::KeyId;
use crate::publishing::{self, once};

const NAME: &str = "idempotency-key";
const REPLAYED: &str = "idempotent-replayed";
/// A longer key is no key.
const MAX_KEY: usize = 255;

/// The place of a request's answer.
#[derive(Clone)]
struct Slot {
    api_key: KeyId,
    key: String,
    digest: String,
}

impl Slot {
    fn place(&self) -> Place<'_> {
        Place { api_key: self.api_key, key: &self.key }
    }
}

/// Answers a `POST` with an `Idempotency-Key` once; bodies of bytes go through, tus resumes them by itself.
pub async fn once(State(app): State<App>, request: Request, next: Next) -> Result<Response, Error> {
    let key = headers::text(request.headers(), NAME)?.map(ToOwned::to_owned);
    let Some(key) =
        key.filter(|_| request.method() == Method::POST && !protocol::is_bytes(request.headers()))
    else {
        return Ok(next.run(request).await);
    };
    if key.is_empty() || key.len() > MAX_KEY {
        return Err(Error::Header { name: NAME, message: format!("it has 1 to {MAX_KEY} characters") });
    }
    let caller = auth::find_caller(request.headers(), &app).await?.ok_or(Error::KeyMissing)?;
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, MAX_JSON_BYTES).await.map_err(|error| match error.source() {
        Some(cause) if cause.is::<LengthLimitError>() => Error::BodyTooLarge,
        _ => broken(&error),
    })?;
    let mut digest = Sha256::new();
    digest.update(format!("{} {}\n", parts.method, parts.uri));
    for (name, value) in parts.headers.iter().filter(|(name, _)| name.as_str().starts_with("upload-")) {
        digest.update(format!("{name}: {value:?}\n"));
    }
    digest.update(&body);
    let slot = Slot { api_key: caller.key, key, digest: hex::encode(digest.finalize()) };
    let made = match claim(&app, &slot).await? {
        Claim::Answered(answer) => return Ok(replay(answer)),
        Claim::Ours { made } => made,
    };
    let request = Request::from_parts(parts, Body::from(body));
    // In a task of its own: a client that hangs up must not leave its key claimed for ever.
    let attempt = once::Attempt { api_key: slot.api_key, key: slot.key.clone(), made };
    let running = once::attempt(attempt, next.run(request));
    let answering = answer(app.clone(), slot, running).in_current_span();
    let task = app.tasks.spawn(answering);
    task.await.map_err(|error| Error::Internal(Box::new(error)))?
}

/// What is at a request's place.
enum Claim {
    Answered(Answer),
    /// Nothing, or what an attempt left that ended before its answer was kept.
    Ours {
        made: Option<String>,
    },
}

/// Takes the place, or finds the answer that is there.
async fn claim(app: &App, slot: &Slot) -> Result<Claim, Error> {
    let mut tx = app.publishing.db.begin().await.map_err(publishing::Error::from)?;
    let ours = idempotency::claim(tx.conn(), slot.place(), &slot.digest, app.settings.lease).await?;
    let found = idempotency::find(tx.conn(), slot.place()).await?;
    if ours {
        tx.commit().await?;
        return Ok(Claim::Ours { made: found.and_then(|found| found.location) });
    }
    match found {
        Some(found) if found.digest != slot.digest => Err(Error::KeyReused),
        Some(found) if found.status.is_some() => Ok(Claim::Answered(found)),
        _ => Err(Error::StillRunning),
    }
}

/// Keeps the place while its request is answered: the place of a node that died is free after a lease.
async fn keep(app: &App, slot: &Slot) -> Infallible {
    loop {
        tokio::time::sleep(app.settings.lease / 3).await;
        let renewed = async {
            let mut tx = app.publishing.db.begin().await?;
            idempotency::renew(tx.conn(), slot.place()).await?;
            tx.commit().await
        };
        if let Err(error) = renewed.await {
            tracing::warn!(error = &error as &dyn std::error::Error, "an idempotency key can't be kept");
        }
    }
}

/// The answer read to its end: what streams it may need the database, which no transaction of ours may hold meanwhile.
async fn whole(running: impl Future<Output = Response>) -> Result<(Parts, Bytes), Error> {
    let (parts, body) = running.await.into_parts();
    let bytes = to_bytes(body, usize::MAX).await.map_err(|error| Error::Internal(Box::new(error)))?;
    Ok((parts, bytes))
}

async fn answer(app: App, slot: Slot, running: impl Future<Output = Response>) -> Result<Response, Error> {
    let whole = tokio::select! {
        whole = whole(running) => whole,
        never = keep(&app, &slot) => match never {},
    };
    let mut tx = app.publishing.db.begin().await.map_err(publishing::Error::from)?;
    let (parts, bytes) = match whole {
        Ok((parts, bytes)) if parts.status.is_success() => (parts, bytes),
        refused => {
            // The same key may try again; where something was made before the fault, it finds that.
            idempotency::release(tx.conn(), slot.place(), app.settings.lease).await?;
            tx.commit().await?;
            return refused.map(|(parts, bytes)| Response::from_parts(parts, Body::from(bytes)));
        }
    };
    let location = parts.headers.get(header::LOCATION).and_then(|value| value.to_str().ok());
    let kept = Answer {
        digest: slot.digest.clone(),
        status: Some(i64::from(parts.status.as_u16())),
        location: location.map(ToOwned::to_owned),
        body: (!bytes.is_empty()).then(|| without_secret(&String::from_utf8_lossy(&bytes))),
    };
    idempotency::answer(tx.conn(), slot.place(), &kept).await?;
    tx.commit().await?;
    Ok(Response::from_parts(parts, Body::from(bytes)))
}

/// Fields that hold a secret, wherever they are. Secrets are shown once and kept nowhere.
const SECRETS: [&str; 3] = ["secret", "stream_key", "srt_url"];

fn without_secret(body: &str) -> String {
    let Ok(mut json) = serde_json::from_str::<serde_json::Value>(body) else { return body.to_owned() };
    let found = hide(&mut json);
    match json.as_object_mut().filter(|_| found) {
        Some(fields) => {
            fields.insert("code".to_owned(), "secret_shown_once".into());
            json.to_string()
        }
        None => body.to_owned(),
    }
}

/// Makes secrets null; whether there were any.
fn hide(json: &mut serde_json::Value) -> bool {
    let Some(fields) = json.as_object_mut() else { return false };
    let mut found = false;
    for (name, value) in fields.iter_mut() {
        if SECRETS.contains(&name.as_str()) && !value.is_null() {
            *value = serde_json::Value::Null;
            found = true;
        }
        found |= hide(value);
    }
    found
}

fn replay(answer: Answer) -> Response {
    let mut response = error::with_status(answer.status).into_response();
    let headers = response.headers_mut();
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    if let Some(location) = answer.location.and_then(|location| HeaderValue::from_str(&location).ok()) {
        headers.insert(header::LOCATION, location);
    }
    if let Some(body) = answer.body {
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        *response.body_mut() = Body::from(body);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_kept() {
        let kept = without_secret(r#"{"id":"1","secret":"pk_abc","code":null}"#);
        assert_eq!(kept, r#"{"code":"secret_shown_once","id":"1","secret":null}"#);
        assert_eq!(without_secret(r#"{"id":"1"}"#), r#"{"id":"1"}"#);
        let kept =
            without_secret(r#"{"ingest":{"rtmp_url":"r","srt_url":"srt://h?streamid=k","stream_key":"k"}}"#);
        assert_eq!(
            kept,
            r#"{"code":"secret_shown_once","ingest":{"rtmp_url":"r","srt_url":null,"stream_key":null}}"#
        );
    }
}
