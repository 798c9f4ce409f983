//! A caller that waits for a yes or a no.

use std::{net::SocketAddr, sync::Arc, time::Instant};

use bytes::Bytes;
use srt_protocol::settings::ConnInitSettings;
use tokio::net::UdpSocket;

use super::{
    Error, Limits,
    handshake::{self, Greeting},
    publisher::Publisher,
    routes::Seat,
    streamid::StreamId,
};

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
    BadRequest,
    Unauthorized,
    Overload,
    Forbidden,
    NotFound,
    BadMode,
    Conflict,
    Locked,
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
            Reason::BadRequest => 1400,
            Reason::Unauthorized => 1401,
            Reason::Overload => 1402,
            Reason::Forbidden => 1403,
            Reason::NotFound => 1404,
            Reason::BadMode => 1405,
            Reason::Conflict => 1409,
            Reason::Locked => 1423,
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
    pub stream_id: StreamId,
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
}

impl Request {
    pub(super) fn new(stream_id: StreamId, waiting: Waiting) -> Self {
        Request { stream_id, peer: waiting.seat.peer, waiting: Some(waiting) }
    }

    /// The stream key, whichever form the stream id has.
    pub fn key(&self) -> Option<&str> {
        self.stream_id.key()
    }

    /// Fails where the caller's passphrase is not the server's; the caller has been told then.
    pub fn permit(mut self) -> Result<Publisher, Error> {
        let Some(waiting) = self.waiting.take() else {
            return Err(Error::Handshake { peer: self.peer, why: "it was answered before".to_owned() });
        };
        let (peer, settings) = (self.peer, waiting.settings.clone());
        match handshake::conclude(&waiting.conclusion, peer, settings, waiting.arrived) {
            Ok((answer, connection)) => {
                waiting.seat.permit(answer.clone());
                let _ = waiting.socket.try_send_to(&answer, peer);
                Ok(Publisher::new(waiting.seat, connection, waiting.socket, &waiting.limits))
            }
            Err(error) => {
                let secret = matches!(error, Error::Secret { .. });
                waiting.refuse(if secret { Reason::BadSecret } else { Reason::Rogue });
                Err(error)
            }
        }
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
    fn refuse(&self, reason: Reason) {
        if let Some(greeting) = Greeting::read(&self.conclusion) {
            let _ = self.socket.try_send_to(&greeting.refusal(reason), self.seat.peer);
        }
    }
}
