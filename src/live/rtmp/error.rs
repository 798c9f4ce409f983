//! What can go wrong with an encoder or a target, in words a person on call can act on.

use std::io;
use std::time::Duration;

/// Everything this module can fail with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("connection is broken")]
    Io(#[source] io::Error),
    #[error("connection was closed during {0}")]
    Closed(&'static str),
    #[error("no {what} within {within:?}")]
    TimedOut { what: &'static str, within: Duration },
    /// The first byte; 22 is a TLS hello, 71 an HTTP request on the wrong port.
    #[error("protocol version is {0}, expected 3")]
    Version(u8),
    #[error("message is {bytes} bytes, at most {most}")]
    MessageTooBig { bytes: usize, most: usize },
    #[error("messages in progress are {bytes} bytes together, at most {most}")]
    TooMuchInProgress { bytes: usize, most: usize },
    #[error("chunk streams are {found}, at most {most}")]
    TooManyChunkStreams { found: usize, most: usize },
    #[error("chunk size is {0}, at least 1")]
    ChunkSize(u32),
    #[error("chunk stream {0} refers to a header it never sent")]
    NoHeader(u32),
    #[error("command is {found}, expected {expected}")]
    Command { found: String, expected: &'static str },
    #[error("{track} codec is {found}, expected {expected}")]
    Codec { track: &'static str, found: String, expected: &'static str },
    /// The other side's own sentence.
    #[error("target refuses with {code}: {sentence}")]
    Refused { code: String, sentence: String },
}

impl Error {
    /// Whether the other side just went away, which is its right, rather than something being wrong.
    pub fn is_goodbye(&self) -> bool {
        match self {
            Self::Closed(_) => true,
            Self::Io(error) => is_hangup(error),
            _ => false,
        }
    }
}

/// TLS tells a socket closed without its farewell as `UnexpectedEof`.
fn is_hangup(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, NotConnected, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | NotConnected | UnexpectedEof)
}
