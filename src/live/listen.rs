//! The doors for encoders by RTMP: accepts connections, checks keys before anything is taken, and keeps count.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{Instant, sleep};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encoder::{Encoder, Way};
use super::guests::{Stay, Turn};
use super::{Live, rtmp, session};
use crate::domain::key::Secret;
use crate::publishing::{self, Ingest};

/// How long an encoder waits for the one before it to be done: longer than lower rungs may take.
const LAST_WORDS: Duration = Duration::from_millis(2_400);
/// How often it is looked for meanwhile.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// How long to pause where no connection can be accepted (out of file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves RTMP, or RTMPS where there is a certificate, until told to stop.
pub async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, live: Live, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let seats = Arc::new(Semaphore::new(live.settings.doors.connections));
    loop {
        let Ok(seat) = seats.clone().acquire_owned().await else { break };
        let (socket, peer) = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "an encoder could not be accepted");
                    tokio::time::sleep(PAUSE).await;
                    continue;
                }
            },
        };
        let (live, tls, stop) = (live.clone(), tls.clone(), stop.clone());
        tasks.spawn(async move {
            // On the heap: a session's state would make every waiting connection huge.
            Box::pin(welcome(socket, peer, (live, tls), &stop)).await;
            drop(seat);
        });
    }
    tasks.close();
    tasks.wait().await;
}

async fn welcome(
    socket: TcpStream,
    peer: SocketAddr,
    (live, tls): (Live, Option<TlsAcceptor>),
    stop: &CancellationToken,
) {
    let Some(stay) = live.guests.enter(peer.ip()) else { return };
    let _ = socket.set_nodelay(true);
    let limits = live.settings.rtmp.clone();
    let Some(tls) = tls else {
        let wrap = |publisher| Encoder::of(Way::Rtmp(Box::new(publisher)));
        return Box::pin(talk(socket, (peer, &stay), (live, &limits), stop, wrap)).await;
    };
    let accepted = tokio::select! {
        () = stop.cancelled() => return,
        accepted = tokio::time::timeout(limits.handshake, tls.accept(socket)) => accepted,
    };
    match accepted {
        Ok(Ok(socket)) => {
            let wrap = |publisher| Encoder::of(Way::Rtmps(Box::new(publisher)));
            Box::pin(talk(socket, (peer, &stay), (live, &limits), stop, wrap)).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with an encoder"),
        Err(_) => tracing::debug!(%peer, "an encoder's TLS handshake took too long"),
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
    socket: S,
    (peer, stay): (SocketAddr, &Stay),
    (live, limits): (Live, &rtmp::Limits),
    stop: &CancellationToken,
    wrap: impl FnOnce(rtmp::Publisher<S>) -> Encoder,
) {
    let asked = tokio::select! {
        () = stop.cancelled() => return,
        asked = rtmp::accept(socket, limits) => asked,
    };
    let request = match asked {
        Ok(request) => request,
        Err(error) => return tracing::debug!(%peer, %error, "an encoder never asked to publish"),
    };
    let key = Secret::new(key_of(&request.app, &request.key));
    match admit(&live, &key, stay).await {
        Ok(ingest) => match request.permit().await {
            Ok(publisher) => Box::pin(session::serve(live, wrap(publisher), (ingest, key), stop)).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "an encoder went before it was let in");
                let told = ("encoder_dropped", "the encoder went at once");
                let _ = live.publishing.leave_ingest(&ingest, told).await;
            }
        },
        Err(Refusal::ShutOut) => tell(&live, (peer, &key), Refusal::ShutOut).await,
        Err(refusal) => {
            tell(&live, (peer, &key), refusal).await;
            if let Err(error) = request.reject(refusal.sentence()).await {
                tracing::debug!(%peer, %error, "an encoder went without hearing why");
            }
        }
    }
}

/// Tells of an encoder that is not let in: in the log of the process, and in that of the broadcast whose key it has.
pub(super) async fn tell(live: &Live, (peer, key): (SocketAddr, &Secret), refusal: Refusal) {
    let (key_id, sentence) = (key.fingerprint(), refusal.sentence());
    let broadcast = match refusal {
        Refusal::ShutOut => return tracing::debug!(%peer, key = key_id, "{sentence}"),
        Refusal::Over | Refusal::Taken => live.publishing.note_refused(key, sentence).await,
        // A wrong key is nobody's, and a database that is away keeps no log.
        Refusal::Key | Refusal::Unavailable => Ok(None),
    };
    let broadcast = broadcast.unwrap_or_else(|error| {
        tracing::warn!(%error, "the broadcast's log can't tell of a refused encoder");
        None
    });
    tracing::info!(%peer, key = key_id, broadcast = broadcast.map(tracing::field::display), "{sentence}");
}

/// The stream key: the stream name without what some encoders append to it. Where that is empty, the key was pasted behind
/// the address of the server, and arrives as the end of the application's name.
fn key_of<'a>(app: &'a str, name: &'a str) -> &'a str {
    let bare = |name: &'a str| {
        let name = name.split(['?', '&']).next().unwrap_or_default();
        name.trim_matches(|letter: char| letter == '/' || letter.is_whitespace())
    };
    match bare(name) {
        "" => bare(app).rsplit_once('/').map_or("", |(_, key)| bare(key)),
        name => name.rsplit('/').next().unwrap_or(name),
    }
}

/// Why an encoder is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Key,
    Over,
    Taken,
    /// Too many wrong keys came from its address: no answer, so that guessing tells nothing and costs little.
    ShutOut,
    /// Nothing is wrong with the encoder.
    Unavailable,
}

impl Refusal {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Key => "The stream key is wrong or was revoked; copy it again from the broadcast.",
            Self::Over => "The broadcast is over; announce another one.",
            Self::Taken => "Another encoder is sending to this broadcast; stop it first.",
            Self::ShutOut => "Too many wrong stream keys came from this address; wait a minute.",
            Self::Unavailable => "The server can't take the stream now. Please try again.",
        }
    }
}

/// What an encoder hears of why it can't go on that had the key.
pub(super) fn sentence(error: &publishing::Error) -> &'static str {
    use publishing::Error as E;
    let refusal = match error {
        E::StreamKey => Refusal::Key,
        E::BroadcastOver => Refusal::Over,
        E::ChannelTaken => Refusal::Taken,
        _ => Refusal::Unavailable,
    };
    refusal.sentence()
}

/// Takes the channel for who holds its key, or says why not.
pub(super) async fn admit(live: &Live, key: &Secret, stay: &Stay) -> Result<Ingest, Refusal> {
    let turn = stay.may_check(key).await.ok_or(Refusal::ShutOut)?;
    take(live, key, turn).await.map_err(|error| refuse(error, key, stay))
}

/// What an encoder hears of why it is not let in; a wrong key is counted.
pub(super) fn refuse(error: publishing::Error, key: &Secret, stay: &Stay) -> Refusal {
    use publishing::Error as E;
    match error {
        E::StreamKey if stay.record_bad_key(key) => Refusal::Key,
        E::StreamKey => Refusal::ShutOut,
        E::BroadcastOver => Refusal::Over,
        E::ChannelTaken => Refusal::Taken,
        error => {
            tracing::warn!(%error, "an encoder could not be let in");
            Refusal::Unavailable
        }
    }
}

/// An encoder that stopped and comes back at once may find its last words still being said.
async fn take(live: &Live, key: &Secret, turn: Turn) -> Result<Ingest, publishing::Error> {
    let mut turn = Some(turn);
    let (owner, since) = (live.settings.node.as_str(), Instant::now());
    loop {
        let taken = live.publishing.begin_ingest(key, owner, live.settings.lease).await;
        // Only the first answer says anything of the key.
        drop(turn.take());
        if !matches!(taken, Err(publishing::Error::ChannelTaken)) || since.elapsed() > LAST_WORDS {
            return taken;
        }
        sleep(ASK_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_stream_name_without_what_encoders_and_people_put_around_it() {
        for name in ["abc", "abc?bandwidthtest=true", "/abc/", " abc\n", "abc\u{a0}", "live/abc", "abc&x=1"] {
            assert_eq!(key_of("live", name), "abc", "{name:?}");
        }
    }

    #[test]
    fn a_key_behind_the_address_of_the_server_is_found_where_the_stream_name_is_empty() {
        for (app, name) in [("live/abc", ""), ("live/abc/", " "), ("live/abc \n", ""), ("live/abc?x=1", "/")]
        {
            assert_eq!(key_of(app, name), "abc", "{app:?}");
        }
        assert_eq!(key_of("live", ""), "", "the application alone is no key");
    }
}
