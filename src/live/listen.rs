//! The doors for encoders by RTMP: accepts connections, checks keys before anything is taken, and keeps count.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::encoder::Encoder;
use super::{Live, rtmp, session};
use crate::domain::key::Secret;
use crate::publishing::{self, Ingest};

/// Connections that may be open on one port; more wait in the backlog.
const CONNECTIONS: usize = 2_000;
/// Bad keys an address may show within the window.
const BAD_KEYS: u32 = 20;
const BAD_KEY_WINDOW: Duration = Duration::from_mins(1);
/// Addresses remembered; beyond it the oldest go.
const ADDRESSES: usize = 10_000;
/// How long to pause where no connection can be accepted (out of file descriptors).
const PAUSE: Duration = Duration::from_millis(100);

/// Serves RTMP, or RTMPS where there is a certificate, until told to stop.
pub async fn run(listener: TcpListener, tls: Option<TlsAcceptor>, live: Live, stop: CancellationToken) {
    let tasks = TaskTracker::new();
    let seats = Arc::new(Semaphore::new(CONNECTIONS));
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
    if live.guests.is_banned(peer.ip()) {
        return;
    }
    let _ = socket.set_nodelay(true);
    let limits = live.settings.rtmp.clone();
    let Some(tls) = tls else {
        let wrap = |publisher| Encoder::Rtmp(Box::new(publisher));
        return Box::pin(talk(socket, peer, (live, &limits), stop, wrap)).await;
    };
    match tokio::time::timeout(limits.handshake, tls.accept(socket)).await {
        Ok(Ok(socket)) => {
            let wrap = |publisher| Encoder::Rtmps(Box::new(publisher));
            Box::pin(talk(socket, peer, (live, &limits), stop, wrap)).await;
        }
        Ok(Err(error)) => tracing::debug!(%peer, %error, "no TLS with an encoder"),
        Err(_) => tracing::debug!(%peer, "an encoder's TLS handshake took too long"),
    }
}

async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send>(
    socket: S,
    peer: SocketAddr,
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
    let key = Secret::new(key_of(&request.key));
    match admit(&live, &key, peer.ip()).await {
        Ok(ingest) => match request.permit().await {
            Ok(publisher) => Box::pin(session::serve(live, wrap(publisher), (ingest, key), stop)).await,
            Err(error) => {
                tracing::debug!(%peer, %error, "an encoder went before it was let in");
                let told = ("encoder_dropped", "the encoder went at once");
                let _ = live.publishing.leave_ingest(&ingest, told).await;
            }
        },
        Err(refusal) => {
            let sentence = refusal.sentence();
            tracing::info!(%peer, "{sentence}");
            if let Err(error) = request.reject(sentence).await {
                tracing::debug!(%peer, %error, "an encoder went without hearing why");
            }
        }
    }
}

/// The stream name without what some encoders append to it.
fn key_of(name: &str) -> &str {
    name.split(['?', '&']).next().unwrap_or_default().trim_matches('/')
}

/// Why an encoder is not let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    Key,
    Over,
    Taken,
    /// Nothing is wrong with the encoder.
    Unavailable,
}

impl Refusal {
    pub fn sentence(self) -> &'static str {
        match self {
            Self::Key => "The stream key is wrong or was revoked; copy it again from the broadcast.",
            Self::Over => "The broadcast is over; announce another one.",
            Self::Taken => "Another encoder is sending to this broadcast; stop it first.",
            Self::Unavailable => "The server can't take the stream now. Please try again.",
        }
    }
}

/// Takes the channel for who holds its key, or says why not.
pub(super) async fn admit(live: &Live, key: &Secret, peer: IpAddr) -> Result<Ingest, Refusal> {
    use publishing::Error as E;
    let owner = live.settings.node.as_str();
    match live.publishing.begin_ingest(key, owner, live.settings.lease).await {
        Ok(ingest) => Ok(ingest),
        Err(E::StreamKey) => {
            live.guests.blame(peer);
            Err(Refusal::Key)
        }
        Err(E::BroadcastOver) => Err(Refusal::Over),
        Err(E::ChannelTaken) => Err(Refusal::Taken),
        Err(error) => {
            tracing::warn!(%error, "an encoder could not be let in");
            Err(Refusal::Unavailable)
        }
    }
}

/// Who showed bad keys lately.
#[derive(Debug, Default)]
pub struct Guests(Mutex<HashMap<IpAddr, (u32, Instant)>>);

impl Guests {
    /// Showed too many bad keys within the last minute.
    pub fn is_banned(&self, peer: IpAddr) -> bool {
        let guests = self.lock();
        let known = guests.get(&peer);
        known.is_some_and(|(count, since)| *count >= BAD_KEYS && since.elapsed() < BAD_KEY_WINDOW)
    }

    /// Showed a bad key.
    pub fn blame(&self, peer: IpAddr) {
        let mut guests = self.lock();
        if guests.len() >= ADDRESSES {
            guests.retain(|_, (_, since)| since.elapsed() < BAD_KEY_WINDOW);
        }
        if guests.len() >= ADDRESSES {
            guests.clear();
        }
        let entry = guests.entry(peer).or_insert((0, Instant::now()));
        if entry.1.elapsed() >= BAD_KEY_WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 += 1;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, (u32, Instant)>> {
        self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_the_stream_name_without_its_query() {
        assert_eq!(key_of("live_abc?bandwidthtest=true"), "live_abc");
        assert_eq!(key_of("/live_abc/"), "live_abc");
    }

    #[tokio::test(start_paused = true)]
    async fn an_address_with_too_many_bad_keys_is_shut_out_for_a_minute() {
        let (guests, peer) = (Guests::default(), IpAddr::from([192, 0, 2, 1]));
        (0..BAD_KEYS).for_each(|_| guests.blame(peer));
        assert!(guests.is_banned(peer) && !guests.is_banned(IpAddr::from([192, 0, 2, 2])));
        tokio::time::advance(BAD_KEY_WINDOW).await;
        assert!(!guests.is_banned(peer));
    }
}
