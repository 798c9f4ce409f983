//! What can go wrong with a caller or the socket, in words a person on call can act on.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// Why a listener or a connection came to its end.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("can't listen on {addr}")]
    Bind { addr: SocketAddr, source: io::Error },
    #[error("process that speaks SRT on {addr} is lost: {why}")]
    Process { addr: SocketAddr, why: String },
    #[error("passphrase has {length} bytes, expected 10 to 79")]
    Passphrase { length: usize },
    #[error("passphrase of {peer} is not the one of this server")]
    Secret { peer: SocketAddr },
    #[error("handshake of {peer} came to no end")]
    Handshake { peer: SocketAddr },
    #[error("{peer} can't be answered")]
    Answer { peer: SocketAddr, source: io::Error },
    #[error("no media within {within:?}")]
    Silent { within: Duration },
    #[error("process that speaks SRT was lost")]
    Lost,
    #[error("{track} has the MPEG-TS stream type {found:#04x}, expected {expected}")]
    Codec { track: &'static str, found: u8, expected: &'static str },
}
