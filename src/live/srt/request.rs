//! A caller that waits for a yes or a no.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use srt_protocol::connection::Connection;
use srt_protocol::settings::ConnInitSettings;
use tokio::net::UdpSocket;

use super::handshake::{self, Greeting};
use super::publisher::Publisher;
use super::routes::Seat;
use super::streamid::{Mode, StreamId};
use super::{Error, Limits};

/// Why a caller is refused, by the names and numbers of SRT's access control; libsrt prints the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    Resource,
    Rogue,
    Version,
    BadSecret,
    Unsecure,
    Congestion,
    Filter,
    Group,
    Unauthorized,
    Overload,
    Forbidden,
    NotFound,
    BadMode,
    Conflict,
    Unavailable,
}

impl Reason {
    /// The number as libsrt names it: below 1000 its own, from 1000 the server's.
    pub fn code(self) -> u32 {
        match self {
            Reason::Resource => 3,
            Reason::Rogue => 4,
            Reason::Version => 8,
            Reason::BadSecret => 10,
            Reason::Unsecure => 11,
            Reason::Congestion => 13,
            Reason::Filter => 14,
            Reason::Group => 15,
            Reason::Unauthorized => 1401,
            Reason::Overload => 1402,
            Reason::Forbidden => 1403,
            Reason::NotFound => 1404,
            Reason::BadMode => 1405,
            Reason::Conflict => 1409,
            Reason::Unavailable => 1503,
        }
    }

    /// As the type of the handshake that refuses, 1000 higher.
    pub(super) fn on_the_wire(self) -> u32 {
        1000 + self.code()
    }
}

/// A caller to be permitted or refused within three seconds, after which libsrt gives up. Refused when
/// dropped.
pub struct Request {
    stream_id: StreamId,
    pub peer: SocketAddr,
    waiting: Option<Waiting>,
}

/// What it takes to answer.
pub(super) struct Waiting {
    pub seat: Seat,
    pub conclusion: Bytes,
    pub arrived: Instant,
    pub socket: Arc<UdpSocket>,
    pub settings: ConnInitSettings,
    pub limits: Limits,
    /// The answer that lets it in and the connection it opens, once it is unlocked.
    pub opened: Option<(Bytes, Connection)>,
}

impl Request {
    pub(super) fn new(stream_id: StreamId, waiting: Waiting) -> Self {
        Request { stream_id, peer: waiting.seat.peer, waiting: Some(waiting) }
    }

    /// The stream key, whichever form the stream id has.
    pub fn key(&self) -> Option<&str> {
        self.stream_id.key()
    }

    /// What it wants to do with it.
    pub fn mode(&self) -> Mode {
        self.stream_id.mode()
    }

    /// Whether the caller's passphrase is the server's; one with another is told so. A millisecond of computing.
    pub fn unlock(&mut self) -> Result<(), Error> {
        let Some(waiting) = self.waiting.as_mut().filter(|waiting| waiting.opened.is_none()) else {
            return Ok(());
        };
        match waiting.conclude() {
            Ok(opened) => waiting.opened = Some(opened),
            Err(error) => {
                let secret = matches!(error, Error::Secret { .. });
                waiting.refuse(if secret { Reason::BadSecret } else { Reason::Rogue });
                self.waiting = None;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets the caller in; fails where it can't be unlocked.
    pub fn permit(mut self) -> Result<Publisher, Error> {
        self.unlock()?;
        let mut waiting = self.waiting.take();
        let opened = waiting.as_mut().and_then(|waiting| waiting.opened.take());
        let (Some(waiting), Some((answer, connection))) = (waiting, opened) else {
            return Err(Error::Handshake { peer: self.peer, why: "it was answered before".to_owned() });
        };
        waiting.seat.permit(answer.clone());
        let _ = waiting.socket.try_send_to(&answer, self.peer);
        Ok(Publisher::new(waiting.seat, connection, waiting.socket, &waiting.limits))
    }

    pub fn reject(mut self, reason: Reason) {
        if let Some(waiting) = self.waiting.take() {
            waiting.refuse(reason);
        }
    }
}

impl Drop for Request {
    fn drop(&mut self) {
        if let Some(waiting) = self.waiting.take() {
            waiting.refuse(Reason::Unavailable);
        }
    }
}

impl Waiting {
    fn conclude(&self) -> Result<(Bytes, Connection), Error> {
        handshake::conclude(&self.conclusion, self.seat.peer, self.settings.clone(), self.arrived)
    }

    fn refuse(&self, reason: Reason) {
        if let Some(greeting) = Greeting::read(&self.conclusion) {
            let _ = self.socket.try_send_to(&greeting.refusal(reason), self.seat.peer);
        }
    }
}
