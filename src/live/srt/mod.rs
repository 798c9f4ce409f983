//! SRT in: a caller is accepted or refused by its stream id; what it then sends as MPEG-TS comes out as frames.
//!
//! The protocol is spoken by libsrt, in a `child` process that can open no file and no socket, only use what it is
//! handed: the UDP sockets that [`Listener`] has bound, and one socket for the payloads of each connection. `screen` is
//! what keeps from libsrt whatever no encoder says to a receiver. Where the process dies, its connections are lost and
//! nothing else: it is started again, and encoders come back. Who is let in is decided here.

mod adts;
pub(super) mod annexb;
mod avc;
pub mod child;
mod control;
mod error;
mod hevc;
mod libsrt;
mod listener;
pub(super) mod pes;
mod process;
mod psi;
mod publisher;
mod record;
mod request;
mod screen;
mod streamid;
mod ts;

use std::time::Duration;

pub use error::Error;
pub use listener::Listener;
pub use publisher::Publisher;
pub use request::{Reason, Request};
pub use streamid::Mode;
pub use ts::Demux;

/// Threads of one connection: two of libsrt's, and the one that hands on what comes.
pub const THREADS: u64 = 3;

/// What a listener grants its callers.
#[derive(Clone)]
pub struct Limits {
    /// From the decision to let a caller in to the first frame.
    pub first_media: Duration,
    /// The longest silence of a publishing encoder; real ones pause for up to ten seconds.
    pub idle: Duration,
    /// How long a lost packet may take to arrive again; the caller may ask for more.
    pub latency: Duration,
    /// 10 to 79 bytes. With one, callers without it are refused; without one, callers that have one are.
    pub passphrase: Option<String>,
    /// Connections held at once, those still to be decided upon included; further callers are refused.
    pub connections: usize,
    /// Address space of the process that speaks SRT.
    pub memory_bytes: u64,
    /// Threads that its user may have, whom every caged child of the machine becomes: [`THREADS`] a connection, and those
    /// of media.
    pub tasks: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            first_media: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            latency: Duration::from_millis(120),
            passphrase: None,
            connections: 2_000,
            memory_bytes: 8 << 30,
            tasks: 8192 + THREADS * 2_000,
        }
    }
}
