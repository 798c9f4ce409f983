//! The door for encoders by SRT: the stream id is checked before a caller is let in, and a refusal has its code.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encoder::{Encoder, Way};
use super::frame::Media;
use super::guests::Stay;
use super::listen::{Refusal, admit, refuse, tell};
use super::srt::{Error, Listener, Mode, Publisher, Reason, Request};
use super::{Live, session};
use crate::domain::key::Secret;
use crate::publishing::Ingest;

/// Frames that wait while a session waits for the database: some ten seconds of pictures and sound.
const AHEAD: usize = 1024;
/// How long the decision upon a caller may take; where it is not quick, the caller is connected and waits for it.
const DECISION: Duration = Duration::from_secs(3);

/// Serves SRT until told to stop.
pub async fn run(mut listener: Listener, live: Live, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(request) => request,
                Err(error) => {
                    tracing::warn!(%error, "encoders by SRT are lost");
                    continue;
                }
            },
        };
        let Some(stay) = live.guests.enter(request.peer.ip()) else {
            request.reject(Reason::Forbidden);
            continue;
        };
        let (live, stop) = (live.clone(), stop.clone());
        // On the heap: a session's state would make every waiting caller huge.
        tasks.spawn(async move { Box::pin(talk(request, (live, stay), &stop)).await });
    }
    // First: what encoders still say on their way out comes through its process.
    tasks.close();
    tasks.wait().await;
}

async fn talk(request: Request, (live, stay): (Live, Stay), stop: &CancellationToken) {
    let peer = request.peer;
    if request.mode() != Mode::Publish {
        tracing::info!(%peer, "This server takes streams by SRT and sends none.");
        return request.reject(Reason::BadMode);
    }
    let key = Secret::new(request.key().unwrap_or_default());
    let decided = timeout(DECISION, decide(&live, &key, &stay)).await;
    if let Err(refusal) = decided.unwrap_or(Err(Refusal::Unavailable)) {
        request.reject(reason(refusal));
        return tell(&live, (peer, &key), refusal).await;
    }
    let publisher = match request.permit().await {
        Ok(publisher) => publisher,
        Err(error) => {
            tracing::info!(%peer, key = %key.fingerprint(), %error, "an encoder is not let in");
            if matches!(error, Error::Secret { .. }) {
                stay.record_bad_key(&key);
            }
            return;
        }
    };
    match admit(&live, &key, &stay).await {
        Ok(ingest) => Box::pin(serve(publisher, live, (ingest, key), stop)).await,
        Err(refusal) => tell(&live, (peer, &key), refusal).await,
    }
}

/// Whether the holder of a key may connect. Whoever comes back while the last words of the stream before are still being
/// said may: its datagrams wait.
async fn decide(live: &Live, key: &Secret, stay: &Stay) -> Result<(), Refusal> {
    let _turn = stay.may_check(key).await.ok_or(Refusal::ShutOut)?;
    match live.publishing.find_ingest(key).await {
        Ok(found) if found.is_held && !live.is_leaving(found.video) => Err(Refusal::Taken),
        Ok(_) => Ok(()),
        Err(error) => Err(refuse(error, key, stay)),
    }
}

/// A publisher has to be driven without pause, or SRT gives up what it could not deliver in time; a session does pause.
async fn serve(publisher: Publisher, live: Live, guest: (Ingest, Secret), stop: &CancellationToken) {
    let (sender, media) = mpsc::channel(AHEAD);
    tokio::join!(drive(publisher, sender), session::serve(live, Encoder::of(Way::Srt(media)), guest, stop));
}

/// Ends with the publisher, or with whoever listens to it; dropping the publisher tells its encoder.
async fn drive(mut publisher: Publisher, media: mpsc::Sender<Result<Media, Error>>) {
    loop {
        let next = tokio::select! {
            next = publisher.next() => next,
            () = media.closed() => return,
        };
        let Some(next) = next.transpose() else { return };
        let ended = next.is_err();
        if media.send(next).await.is_err() || ended {
            return;
        }
    }
}

fn reason(refusal: Refusal) -> Reason {
    match refusal {
        Refusal::Key => Reason::Unauthorized,
        Refusal::Over => Reason::NotFound,
        Refusal::Taken => Reason::Conflict,
        Refusal::ShutOut => Reason::Forbidden,
        Refusal::Unavailable => Reason::Unavailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_has_its_code_in_srts_access_control() {
        let codes =
            [Refusal::Key, Refusal::Over, Refusal::Taken, Refusal::Unavailable].map(|r| reason(r).code());
        assert_eq!(codes, [1401, 1404, 1409, 1503]);
    }
}
