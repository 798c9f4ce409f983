//! An open connection: SRT's datagrams in, frames out.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use srt_protocol::connection::{Connection, DuplexConnection};
use srt_protocol::packet::{ControlPacket, ControlTypes, Packet, SocketId, SrtControlPacket, TimeStamp};
use tokio::net::UdpSocket;
use tokio::time::{Instant as Wake, sleep_until};

use super::routes::Seat;
use super::ts::Demux;
use super::{Error, Limits};
use crate::live::frame::Media;

/// An encoder that was permitted. Dropping it tells the encoder so and frees its place.
pub struct Publisher {
    seat: Seat,
    socket: Arc<UdpSocket>,
    connection: DuplexConnection,
    encrypted: bool,
    demux: Demux,
    outgoing: BytesMut,
    heard: Instant,
    /// How long it may be silent now.
    patience: Duration,
    idle: Duration,
    ended: bool,
}

impl Publisher {
    pub(super) fn new(seat: Seat, connection: Connection, socket: Arc<UdpSocket>, limits: &Limits) -> Self {
        let encrypted = connection.settings.cipher.is_some();
        Publisher {
            seat,
            socket,
            connection: DuplexConnection::new(connection),
            encrypted,
            demux: Demux::default(),
            outgoing: BytesMut::new(),
            heard: Instant::now(),
            patience: limits.first_media,
            idle: limits.idle,
            ended: false,
        }
    }

    /// The next item; none once the encoder has said goodbye. Answers the encoder meanwhile: call it
    /// without pause. Safe to cancel.
    pub async fn next(&mut self) -> Result<Option<Media>, Error> {
        loop {
            if let Some(media) = self.demux.pop()? {
                (self.heard, self.patience) = (Instant::now(), self.idle);
                return Ok(Some(media));
            }
            if self.ended {
                return Ok(None);
            }
            let wake = self.turn(Instant::now());
            if self.demux.has_news() {
                continue;
            }
            if !self.connection.is_open() {
                self.ended = true;
                self.demux.finish();
                continue;
            }
            let wake = wake.min(self.heard + self.patience);
            tokio::select! {
                datagram = self.seat.inbox.recv() => self.receive(datagram),
                () = sleep_until(Wake::from_std(wake)) => self.check_patience()?,
            }
        }
    }

    fn receive(&mut self, datagram: Option<Bytes>) {
        let Some(mut datagram) = datagram else { return };
        let Ok(packet) = Packet::parse(&mut datagram, false) else { return };
        if self.admits(&packet) {
            self.connection.handle_packet_input(Instant::now(), Ok((packet, self.seat.peer)));
        }
    }

    /// What a sender of live data has to say. `srt-protocol` panics on some of the rest, or works through
    /// any range.
    fn admits(&self, packet: &Packet) -> bool {
        let Packet::Control(ControlPacket { control_type, .. }) = packet else { return true };
        match control_type {
            ControlTypes::KeepAlive | ControlTypes::Shutdown | ControlTypes::Ack2(_) => true,
            ControlTypes::DropRequest { range, .. } => range.start() <= range.end(),
            ControlTypes::Srt(SrtControlPacket::KeyRefreshRequest(_)) => self.encrypted,
            _ => false,
        }
    }

    /// Sends what is due, takes what is ready, and says when to look again.
    fn turn(&mut self, now: Instant) -> Instant {
        let wake = self.connection.check_timers(now);
        let _ = self.connection.should_update_statistics(now);
        while let Some((packet, _)) = self.connection.next_packet(now) {
            self.send(&packet);
        }
        loop {
            let lost = self.connection.statistics().rx_dropped_data;
            match self.connection.next_data(now) {
                Some((_, data)) => self.demux.push(&data),
                None if self.connection.statistics().rx_dropped_data > lost => self.demux.gap(),
                None => return wake,
            }
        }
    }

    fn send(&mut self, packet: &Packet) {
        self.outgoing.clear();
        packet.serialize(&mut self.outgoing);
        let _ = self.socket.try_send_to(&self.outgoing, self.seat.peer);
    }

    fn check_patience(&self) -> Result<(), Error> {
        let within = self.patience;
        if self.heard.elapsed() < within { Ok(()) } else { Err(Error::Silent { within }) }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        if self.connection.is_open() {
            self.send(&Packet::Control(ControlPacket {
                timestamp: TimeStamp::from_micros(0),
                dest_sockid: SocketId(self.seat.peer_socket),
                control_type: ControlTypes::Shutdown,
            }));
        }
    }
}
