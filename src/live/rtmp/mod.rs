//! RTMP and RTMPS: [`accept`] takes an encoder's connection up to its wish to publish, the caller decides,
//! and a [`Publisher`] hands out frames; [`Target`] pushes them on to a further server.
//!
//! The chunk and AMF0 layers are our own: scuffle-rtmp 0.2.3 never adds the delta of a type 3 chunk that begins
//! a message and overflows on type 2, `rml_rtmp` 0.8 mixes up interleaved messages and has no limits, and
//! `rtmp-runtime` 0.5 lets one connection hold 64 unfinished messages of 8 MiB.

mod amf0;
mod chunk;
mod clock;
mod command;
mod connection;
mod error;
mod handshake;
#[cfg(test)]
mod properties;
mod publisher;
mod push;
mod request;
mod tag;

use std::time::Duration;

pub use error::Error;
pub use publisher::Publisher;
pub use push::{Destination, Target};
pub use request::{Request, accept};

/// What one connection may take of memory and time.
#[derive(Debug, Clone)]
pub struct Limits {
    /// One message, and all unfinished messages together; a usual keyframe has some 100 KB.
    pub message_bytes: usize,
    /// Chunk streams a connection may open; encoders use up to six.
    pub chunk_streams: usize,
    /// From the first byte to the end of the handshake.
    pub handshake: Duration,
    /// From there to the command `publish`.
    pub publish: Duration,
    /// From there to the first frame.
    pub first_media: Duration,
    /// The longest silence of a publishing encoder; real ones pause for up to ten seconds.
    pub idle: Duration,
    /// How long a refused encoder is listened to, so that closing doesn't destroy the sentence on its way.
    pub linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes: 8 << 20,
            chunk_streams: 64,
            handshake: Duration::from_secs(5),
            publish: Duration::from_secs(10),
            first_media: Duration::from_secs(15),
            idle: Duration::from_secs(30),
            linger: Duration::from_secs(2),
        }
    }
}
