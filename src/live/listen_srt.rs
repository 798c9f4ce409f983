//! The door for encoders by SRT: the stream id is checked before a caller is let in, and a refusal has its code.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encoder::Encoder;
use super::frame::Media;
use super::guests::Stay;
use super::listen::{Refusal, admit};
use super::srt::{Error, Listener, Mode, Publisher, Reason, Request};
use super::{Live, session};
use crate::domain::key::Secret;
use crate::publishing::Ingest;

/// Frames that wait while a session waits for the database: some ten seconds of pictures and sound.
const AHEAD: usize = 1024;
/// How long to pause where the socket can't be read.
const PAUSE: Duration = Duration::from_millis(100);

/// Serves SRT until told to stop.
pub async fn run(mut listener: Listener, live: Live, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    loop {
        let request = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(request) => request,
                Err(error) => {
                    tracing::warn!(%error, "no encoder is heard by SRT");
                    tokio::time::sleep(PAUSE).await;
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
    tasks.close();
    tasks.wait().await;
}

async fn talk(mut request: Request, (live, stay): (Live, Stay), stop: &CancellationToken) {
    let peer = request.peer;
    let key = Secret::new(request.key().unwrap_or_default());
    if let Err(error) = request.unlock() {
        tracing::info!(%peer, %error, "an encoder is not let in");
        stay.record_bad_key(&key);
        return;
    }
    if request.mode() != Mode::Publish {
        tracing::info!(%peer, "This server takes streams by SRT and sends none.");
        return request.reject(Reason::BadMode);
    }
    match admit(&live, &key, &stay).await {
        Ok(ingest) => match request.permit() {
            Ok(publisher) => Box::pin(serve(publisher, live, (ingest, key), stop)).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "an encoder went before it was let in");
                let told = ("encoder_dropped", "the encoder went at once");
                let _ = live.publishing.leave_ingest(&ingest, told).await;
            }
        },
        Err(refusal) => {
            tracing::info!(%peer, "{}", refusal.sentence());
            request.reject(reason(refusal));
        }
    }
}

/// A publisher has to be driven without pause, or SRT gives up what it could not deliver in time; a session does pause.
async fn serve(publisher: Publisher, live: Live, guest: (Ingest, Secret), stop: &CancellationToken) {
    let (sender, media) = mpsc::channel(AHEAD);
    tokio::join!(drive(publisher, sender), session::serve(live, Encoder::Srt(media), guest, stop));
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
