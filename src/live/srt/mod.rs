//! SRT in: a caller is accepted or refused by its stream id; what it then sends as MPEG-TS comes out as frames.
//!
//! Nothing here runs by itself. [`Listener::accept`] moves the datagrams of every open connection, so it has to be
//! polled without pause; each [`Publisher`] is driven by whoever calls `next`. Of `srt-tokio` 0.4 only the half without
//! I/O is used: its listener remembers every address that ever sent a datagram, and ends when a caller has a
//! passphrase it doesn't know.

mod adts;
pub(super) mod annexb;
mod avc;
mod error;
mod handshake;
mod hevc;
mod listener;
pub(super) mod pes;
#[cfg(test)]
mod properties;
mod psi;
mod publisher;
mod request;
mod routes;
mod streamid;
mod ts;

use std::time::Duration;

pub use error::Error;
pub use listener::Listener;
pub use publisher::Publisher;
pub use request::{Reason, Request};
pub use streamid::Mode;
pub use ts::Demux;

/// What a listener grants its callers.
#[derive(Clone)]
pub struct Limits {
    /// From the first datagram to the stream id; a caller may be given twice as long.
    pub handshake: Duration,
    /// From there to the first frame.
    pub first_media: Duration,
    /// The longest silence of a publishing encoder; real ones pause for up to ten seconds.
    pub idle: Duration,
    /// How long a lost packet may take to arrive again; the caller may ask for more.
    pub latency: Duration,
    /// 10 to 79 bytes. With one, callers without it are refused; without one, callers that have one are.
    pub passphrase: Option<String>,
    /// Connections held at once, those still to be decided upon included; further callers are refused.
    pub connections: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            first_media: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            latency: Duration::from_millis(120),
            passphrase: None,
            connections: 2_000,
        }
    }
}
