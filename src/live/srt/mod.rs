//! SRT in: a caller is accepted or refused by its stream id; what it then sends as MPEG-TS comes out as
//! frames.
//!
//! Nothing here runs by itself. `Listener::accept` moves the datagrams of every open connection, so it has
//! to be polled without pause; each `Publisher` is driven by the task that calls `next`.

mod adts;
mod annexb;
mod avc;
mod handshake;
mod hevc;
mod listener;
mod media;
mod pes;
mod psi;
mod publisher;
mod request;
mod routes;
mod streamid;
mod ts;

use std::{io, net::SocketAddr, time::Duration};

pub use listener::Listener;
pub use media::{AudioFrame, Media, VideoConfig, VideoFrame};
pub use publisher::Publisher;
pub use request::{Reason, Request};
pub use streamid::{Mode, StreamId};

/// What a listener grants its callers.
#[derive(Clone)]
pub struct Limits {
    /// How long a lost packet may take to arrive again; the caller may ask for more.
    pub latency: Duration,
    /// 10 to 79 bytes. With one, callers without it are refused; without one, callers that have one are.
    pub passphrase: Option<String>,
    /// Connections held at once, those still to be decided upon included. Further callers are refused.
    pub connections: usize,
    /// From permission to the first frame.
    pub first_media: Duration,
    /// Between two frames afterwards; encoders are seen to pause for ten seconds.
    pub silence: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            latency: Duration::from_millis(120),
            passphrase: None,
            connections: 256,
            first_media: Duration::from_secs(10),
            silence: Duration::from_secs(15),
        }
    }
}

/// Why a listener or a connection came to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("srt cannot listen on {addr}")]
    Bind { addr: SocketAddr, source: io::Error },
    #[error("srt cannot receive on {addr}")]
    Receive { addr: SocketAddr, source: io::Error },
    #[error("the srt passphrase has {length} bytes, expected 10 to 79")]
    Passphrase { length: usize },
    #[error("the passphrase of {peer} is not the one of this server")]
    Secret { peer: SocketAddr },
    #[error("the srt handshake of {peer} was refused by the protocol: {why}")]
    Handshake { peer: SocketAddr, why: String },
    #[error("no frame came for {waited:?}, expected one within {allowed:?}")]
    Silent { waited: Duration, allowed: Duration },
    #[error("{kind} has the mpeg-ts stream type {found:#04x}, expected {expected}")]
    Codec { kind: &'static str, found: u8, expected: &'static str },
}

impl Error {
    /// Whether it tells of an encoder that went away, not of a fault.
    pub fn is_goodbye(&self) -> bool {
        matches!(self, Error::Silent { .. })
    }
}
