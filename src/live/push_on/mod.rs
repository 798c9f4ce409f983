//! Pushing on: while a stream comes in, each further target of its broadcast gets it too, in a task of its own.

mod feed;
mod guard;
mod notes;
mod pusher;

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::sync::broadcast::error::RecvError;
use tokio::time::{interval, timeout};
use tokio_rustls::rustls;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Live, rtmp};
use crate::domain::TargetId;
use crate::publishing::Ingest;
pub use feed::Feed;
use pusher::Pusher;

/// How often targets are looked for without news; news may be missed while the database is away.
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// How long targets may take to be told of the end.
const GOODBYE: Duration = Duration::from_secs(5);

/// Why a target doesn't take the stream.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("{host} can't be resolved")]
    Resolve { host: String, source: io::Error },
    #[error("{0} has no address")]
    NoAddress(String),
    #[error("{host} leads inside a private network, where this server pushes nothing to")]
    Private { host: String, ip: IpAddr },
    #[error("{host} can't be reached")]
    Connect { host: String, address: SocketAddr, source: io::Error },
    #[error("no {0} in time")]
    TooSlow(&'static str),
    #[error("{host} is no name for TLS")]
    Name { host: String, source: rustls_pki_types::InvalidDnsNameError },
    #[error("certificates of this system can't be read")]
    Certificates(#[source] rustls::Error),
    #[error("TLS is not agreed on")]
    Tls(#[source] io::Error),
    #[error("certificates of this system were not read to the end")]
    Panic(#[source] tokio::task::JoinError),
    #[error(transparent)]
    Rtmp(#[from] rtmp::Error),
}

impl Error {
    /// The address that the target's name led to.
    fn resolved(&self) -> Option<IpAddr> {
        match self {
            Self::Private { ip, .. } => Some(*ip),
            Self::Connect { address, .. } => Some(address.ip()),
            _ => None,
        }
    }
}

/// Pushes an ingest's stream on to the targets its broadcast has, and gets, until it is over.
pub async fn run(live: Live, ingest: Ingest, feed: Feed, over: CancellationToken) {
    let mut changes = live.publishing.changes.follow();
    let mut round = interval(LOOK_EVERY);
    let tasks = TaskTracker::new();
    let mut running: HashMap<TargetId, CancellationToken> = HashMap::new();
    loop {
        let due = tokio::select! {
            () = over.cancelled() => break,
            _ = round.tick() => true,
            change = changes.recv() => match change {
                Ok(id) => id.is_none_or(|id| id == ingest.video.id),
                Err(RecvError::Lagged(_)) => true,
                Err(RecvError::Closed) => false,
            },
        };
        if !due {
            continue;
        }
        let targets = match live.publishing.list_pushes(ingest.tenure.id).await {
            Ok(targets) => targets,
            Err(error) => {
                tracing::warn!(broadcast = %ingest.tenure.id, %error, "targets could not be looked for");
                continue;
            }
        };
        running.retain(|id, stop| {
            let wanted = targets.iter().any(|target| target.id == *id);
            if !wanted {
                stop.cancel();
            }
            wanted
        });
        for push in targets {
            running.entry(push.id).or_insert_with_key(|_| {
                let stop = over.child_token();
                let pusher = Pusher::new(live.clone(), ingest.tenure, push, feed.clone());
                tasks.spawn(pusher.run(stop.clone()));
                stop
            });
        }
    }
    tasks.close();
    // What hangs is left to its own deadlines.
    let _ = timeout(GOODBYE, tasks.wait()).await;
}
