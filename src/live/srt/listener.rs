//! One UDP socket for all callers.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::RcvBuf;
use srt_protocol::options::{KeySize, Passphrase, SocketOptions};
use srt_protocol::settings::{ConnInitSettings, KeySettings};
use tokio::net::UdpSocket;

use super::handshake::{self, Cookies, Greeting, Step};
use super::request::{Reason, Request, Waiting};
use super::routes::{Known, Routes};
use super::streamid::StreamId;
use super::{Error, Limits};

/// A keyframe comes as a burst; the kernel's 208 KiB hold about ninety datagrams. The kernel may grant
/// less.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;
/// The longest datagram SRT sends is 1472 bytes.
const DATAGRAM: usize = 2048;

/// Hears callers out and hands each one to whoever decides.
pub struct Listener {
    socket: Arc<UdpSocket>,
    addr: SocketAddr,
    limits: Limits,
    settings: ConnInitSettings,
    cookies: Cookies,
    routes: Routes,
}

impl Listener {
    pub async fn bind(addr: SocketAddr, limits: Limits) -> Result<Self, Error> {
        let settings = settings(&limits)?;
        let bind = async {
            let socket = UdpSocket::bind(addr).await?;
            let addr = socket.local_addr()?;
            Ok((socket, addr))
        };
        let (socket, addr) = bind.await.map_err(|source: io::Error| Error::Bind { addr, source })?;
        let _ = setsockopt(&socket, RcvBuf, &RECEIVE_BUFFER_BYTES);
        let (cookies, routes) = (Cookies::new(Instant::now(), limits.handshake), Routes::default());
        Ok(Listener { socket: Arc::new(socket), addr, limits, settings, cookies, routes })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections open or waiting for a decision.
    pub fn connections(&self) -> usize {
        self.routes.count()
    }

    /// The next caller. Moves everybody's datagrams meanwhile: poll it always. Safe to cancel.
    ///
    /// An error is one of the socket; the next call tries again.
    pub async fn accept(&mut self) -> Result<Request, Error> {
        let mut buffer = [0; DATAGRAM];
        loop {
            let received = self.socket.recv_from(&mut buffer).await;
            let (size, peer) = received.map_err(|source| Error::Receive { addr: self.addr, source })?;
            let datagram = &buffer[..size];
            match handshake::destination(datagram) {
                None => {}
                Some(0) => {
                    if let Some(request) = self.greet(datagram, peer, Instant::now()) {
                        return Ok(request);
                    }
                }
                Some(socket) => self.routes.deliver(socket, peer, datagram),
            }
        }
    }

    fn greet(&self, datagram: &[u8], peer: SocketAddr, now: Instant) -> Option<Request> {
        let greeting = Greeting::read(datagram)?;
        match greeting.step() {
            Step::Induction => self.send(&greeting.offer(self.cookies.bake(peer, now)), peer),
            Step::Conclusion if self.cookies.knows(greeting.cookie(), peer, now) => {
                return self.hear(&greeting, datagram, peer);
            }
            Step::Conclusion | Step::Other => {}
        }
        None
    }

    fn hear(&self, greeting: &Greeting, datagram: &[u8], peer: SocketAddr) -> Option<Request> {
        match self.routes.known(peer, greeting.peer_socket()) {
            Known::Undecided => return None,
            Known::Permitted(answer) => {
                self.send(&answer, peer);
                return None;
            }
            Known::No => {}
        }
        match self.request(greeting, Bytes::copy_from_slice(datagram), peer) {
            Ok(request) => Some(request),
            Err(reason) => {
                tracing::debug!(%peer, ?reason, "srt caller refused");
                self.send(&greeting.refusal(reason), peer);
                None
            }
        }
    }

    fn request(&self, greeting: &Greeting, conclusion: Bytes, peer: SocketAddr) -> Result<Request, Reason> {
        greeting.screen(self.limits.passphrase.is_some())?;
        let stream_id = handshake::stream_id(&conclusion)?;
        if self.routes.count() >= self.limits.connections {
            return Err(Reason::Overload);
        }
        let settings = self.settings.copy_randomize();
        let seat = self
            .routes
            .seat(settings.local_sockid.0, peer, greeting.peer_socket())
            .ok_or(Reason::Resource)?;
        let (socket, limits) = (self.socket.clone(), self.limits.clone());
        let waiting =
            Waiting { seat, conclusion, arrived: Instant::now(), socket, settings, limits, opened: None };
        Ok(Request::new(StreamId::new(stream_id), waiting))
    }

    fn send(&self, answer: &Bytes, peer: SocketAddr) {
        let _ = self.socket.try_send_to(answer, peer);
    }
}

fn settings(limits: &Limits) -> Result<ConnInitSettings, Error> {
    let mut settings = ConnInitSettings::from(SocketOptions::default());
    settings.recv_latency = limits.latency;
    // The publisher's own patience ends first and says so.
    settings.peer_idle_timeout = limits.idle * 2;
    if let Some(passphrase) = &limits.passphrase {
        let length = passphrase.len();
        let passphrase = Passphrase::try_from(passphrase.clone()).ok().ok_or(Error::Passphrase { length })?;
        settings.key_settings = Some(KeySettings { key_size: KeySize::AES128, passphrase });
    }
    Ok(settings)
}
