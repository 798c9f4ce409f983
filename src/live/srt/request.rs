//! A caller that waits for a yes or a no.

use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;

use super::control::Order;
use super::listener::Seat;
use super::process::Line;
use super::publisher::Publisher;
use super::streamid::{Mode, StreamId};
use super::{Error, Limits};

/// Why a caller is refused, by the names and numbers of SRT's access control; libsrt prints the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Unauthorized,
    Overload,
    Forbidden,
    NotFound,
    BadMode,
    Conflict,
    Unavailable,
}

impl Reason {
    /// The number as libsrt names it; what it refuses by itself is below 1000.
    pub fn code(self) -> i32 {
        match self {
            Reason::Unauthorized => 1401,
            Reason::Overload => 1402,
            Reason::Forbidden => 1403,
            Reason::NotFound => 1404,
            Reason::BadMode => 1405,
            Reason::Conflict => 1409,
            Reason::Unavailable => 1503,
        }
    }
}

/// A caller to be permitted or refused; one that is told late is connected by then, and what it sent waits. Refused when
/// dropped.
pub struct Request {
    stream_id: StreamId,
    pub peer: SocketAddr,
    asking: Option<Asking>,
}

/// What it takes to answer.
pub(super) struct Asking {
    caller: i32,
    line: Line,
    seat: Seat,
    limits: Limits,
}

impl Asking {
    pub fn new(caller: i32, line: Line, seat: Seat, limits: Limits) -> Self {
        Self { caller, line, seat, limits }
    }

    fn refuse(&self, reason: Reason) {
        // Where the process is gone, so is the caller.
        let _ = self.line.answer(&Order::Refuse { caller: self.caller, code: reason.code() }, &[]);
    }
}

impl Request {
    pub(super) fn new(stream_id: StreamId, peer: SocketAddr, asking: Asking) -> Self {
        Request { stream_id, peer, asking: Some(asking) }
    }

    /// The stream key, whichever form the stream id has.
    pub fn key(&self) -> Option<&str> {
        self.stream_id.key()
    }

    /// What it wants to do with it.
    pub fn mode(&self) -> Mode {
        self.stream_id.mode()
    }

    /// Lets the caller in, and waits until it is; fails where its passphrase is not the server's, or it went meanwhile.
    pub async fn permit(mut self) -> Result<Publisher, Error> {
        let peer = self.peer;
        let lost = |source| Error::Answer { peer, source };
        let Some(Asking { caller, line, seat, limits }) = self.asking.take() else {
            return Err(Error::Handshake { peer });
        };
        let (ours, theirs) = UnixStream::pair().map_err(lost)?;
        ours.set_nonblocking(true).map_err(lost)?;
        let ours = tokio::net::UnixStream::from_std(ours).map_err(lost)?;
        line.answer(&Order::Permit { caller }, &[theirs.as_fd()]).map_err(lost)?;
        drop(theirs);
        let mut publisher = Publisher::new(ours, seat, &limits);
        match (publisher.open().await, limits.passphrase) {
            (true, _) => Ok(publisher),
            (false, Some(_)) => Err(Error::Secret { peer }),
            (false, None) => Err(Error::Handshake { peer }),
        }
    }

    pub fn reject(mut self, reason: Reason) {
        if let Some(asking) = self.asking.take() {
            asking.refuse(reason);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(asking) = self.asking.take() {
            asking.refuse(Reason::Unavailable);
        }
    }
}
