//! An open connection: payloads in from the process that speaks SRT, frames out.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep_until};

use super::listener::Seat;
use super::record::{self, Record};
use super::ts::Demux;
use super::{Error, Limits};
use crate::live::frame::Media;

/// What is read at once; a datagram brings some 1,300 of them.
const READ_BYTES: usize = 64 << 10;

/// An encoder that was permitted. Dropping it closes the connection and frees its place.
pub struct Publisher {
    bytes: UnixStream,
    arrived: BytesMut,
    demux: Demux,
    heard: Instant,
    /// How long it may be silent now.
    patience: Duration,
    idle: Duration,
    ended: bool,
    /// Nothing comes any more, and nobody said goodbye.
    broken: bool,
    _seat: Seat,
}

impl Publisher {
    pub(super) fn new(bytes: UnixStream, seat: Seat, limits: &Limits) -> Self {
        Publisher {
            bytes,
            arrived: BytesMut::new(),
            demux: Demux::default(),
            heard: Instant::now(),
            patience: limits.first_media,
            idle: limits.idle,
            ended: false,
            broken: false,
            _seat: seat,
        }
    }

    /// Waits until its caller is connected; false where it never will be.
    pub(super) async fn open(&mut self) -> bool {
        loop {
            if let Some(record) = record::take(&mut self.arrived) {
                self.heard = Instant::now();
                return record == Record::Open;
            }
            if !self.read().await {
                return false;
            }
        }
    }

    /// The next item; none once the encoder has said goodbye. A connection that breaks without one is an encoder that is
    /// silent: it may come back. Whoever is slow to call it holds the connection up
    /// until SRT gives up what it can't deliver in time. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Media>, Error> {
        loop {
            if let Some(media) = self.demux.pop()? {
                (self.heard, self.patience) = (Instant::now(), self.idle);
                return Ok(Some(media));
            }
            if self.ended {
                return Ok(None);
            }
            if let Some(record) = record::take(&mut self.arrived) {
                self.receive(record);
                continue;
            }
            let (by, within) = (self.heard + self.patience, self.patience);
            tokio::select! {
                read = self.read(), if !self.broken => if !read {
                    return Err(Error::Lost);
                },
                () = sleep_until(by) => return Err(Error::Silent { within }),
            }
        }
    }

    fn receive(&mut self, record: Record) {
        match record {
            Record::Data(payload) => self.demux.push(&payload),
            Record::Gap => self.demux.gap(),
            Record::Close => {
                self.ended = true;
                self.demux.finish();
            }
            Record::Broken => self.broken = true,
            Record::Open | Record::Unknown => {}
        }
    }

    /// Waits for more bytes; false where none come any more.
    async fn read(&mut self) -> bool {
        self.arrived.reserve(READ_BYTES);
        matches!(self.bytes.read_buf(&mut self.arrived).await, Ok(1..))
    }
}
