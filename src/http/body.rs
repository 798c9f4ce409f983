//! A request's bytes on their way into an upload, frame by frame.

use std::pin::pin;
use std::time::Duration;

use axum::body::Body;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use tokio::time::timeout;
use tower_http::timeout::TimeoutError;

use super::auth::revoked;
use super::buffers::Held;
use super::writers::Turn;
use super::{App, Error};
use crate::domain::upload::UploadState;
use crate::publishing::{self, Receiver};

/// How the stream of bytes ended before its end.
enum Cut {
    /// The client or the line, or silence for too long.
    Client(Error),
    /// What came could not be taken.
    Refused(publishing::Error),
}

/// What becomes of bytes that came before the client went away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remains {
    /// The client may go on where it stopped.
    Keep,
    Drop,
}

/// Pours a body into an upload to its end; returns the offset reached. Goes on although the client hangs up, so that
/// what came is kept or cleared away.
pub async fn pour(app: &App, receiver: Receiver, body: Body, remains: Remains) -> Result<u64, Error> {
    let turn = app.writers.enter(receiver.upload());
    let held = app.buffers.enter().ok_or(Error::TooManyUploads)?;
    let task = app.tasks.spawn(pour_all(app.clone(), (receiver, turn, held), body, remains));
    task.await.map_err(|error| Error::Internal(Box::new(error)))?
}

async fn pour_all(
    app: App,
    (mut receiver, turn, mut held): (Receiver, Turn, Held),
    body: Body,
    remains: Remains,
) -> Result<u64, Error> {
    match copy(&app, (&mut receiver, &turn, &mut held), body, remains).await {
        Ok(()) => Ok(receiver.close().await?),
        Err(Cut::Refused(error)) => Err(error.into()),
        Err(Cut::Client(error)) => {
            if remains == Remains::Keep {
                receiver.rescue().await?;
            }
            Err(error)
        }
    }
}

/// The whole of a body of at most so many bytes; `None` where it has more.
pub async fn gather(app: &App, mut body: Body, most: u64) -> Result<Option<Bytes>, Error> {
    let mut gathered = BytesMut::new();
    while let Some(bytes) = next(&mut body, app.settings.body_idle_timeout).await? {
        if (gathered.len() + bytes.len()) as u64 > most {
            return Ok(None);
        }
        gathered.extend_from_slice(&bytes);
    }
    Ok(Some(gathered.freeze()))
}

async fn copy(
    app: &App,
    (receiver, turn, held): (&mut Receiver, &Turn, &mut Held),
    mut body: Body,
    remains: Remains,
) -> Result<(), Cut> {
    let idle = app.settings.body_idle_timeout;
    let mut revoked = pin!(revoked(app, receiver.caller()));
    loop {
        // Only the wait for bytes may be left: what is written is written to its end.
        let arrived = tokio::select! {
            arrived = next(&mut body, idle) => arrived.map_err(Cut::Client)?,
            () = turn.over() => return Err(Cut::Client(publishing::Error::TakenOver.into())),
            () = held.is_wanted(), if remains == Remains::Keep => return Err(Cut::Client(Error::BodyIdle)),
            () = revoked.as_mut() => return Err(Cut::Client(Error::KeyInvalid)),
        };
        match arrived {
            None => return Ok(()),
            Some(bytes) => receiver.write(bytes).await.map_err(Cut::Refused)?,
        }
        held.set(receiver.held_bytes());
    }
}

/// The next bytes of a body; `None` at its end.
async fn next(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, Error> {
    match timeout(idle, body.frame()).await {
        Err(_) => Err(Error::BodyIdle),
        Ok(None) => Ok(None),
        Ok(Some(Err(error))) => Err(broken(&error)),
        // Trailers have no bytes.
        Ok(Some(Ok(frame))) => Ok(Some(frame.into_data().unwrap_or_default())),
    }
}

/// What ended a body before its end: silence for too long, or the client.
pub(super) fn broken(error: &(dyn std::error::Error + 'static)) -> Error {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.is::<TimeoutError>() {
            return Error::BodyIdle;
        }
        cause = error.source();
    }
    Error::BodyBroken
}

/// An upload that takes bytes at all; one that is over says so before they come.
pub fn check_open(state: UploadState) -> Result<(), publishing::Error> {
    match state {
        UploadState::Open => Ok(()),
        UploadState::Finishing | UploadState::Finished => Err(publishing::Error::UploadFinished),
        UploadState::Abandoned => Err(publishing::Error::UploadGone("it was given up or has expired")),
    }
}
