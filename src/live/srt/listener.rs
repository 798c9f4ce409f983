//! One UDP port for all callers, and the process that speaks SRT at it.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::time::{Instant, sleep_until};

use super::control::{Listen, Notice};
use super::process::Process;
use super::request::{Asking, Reason, Request};
use super::screen::{self, Sockets};
use super::streamid::StreamId;
use super::{Error, Limits};
use crate::live::backoff::Backoff;

/// What a passphrase may have (SRT, 6.1.4).
const PASSPHRASE_BYTES: std::ops::RangeInclusive<usize> = 10..=79;
/// Beside one a connection: the standard three, the line, the UDP sockets, and what libsrt makes for itself.
const DESCRIPTORS: usize = 64;

/// Hears callers out and hands each one to whoever decides.
pub struct Listener {
    /// Kept here, too: callers wait in them while the process is started again.
    sockets: Sockets,
    addr: SocketAddr,
    limits: Limits,
    program: PathBuf,
    process: Option<Process>,
    backoff: Backoff,
    seats: Arc<AtomicUsize>,
}

/// One connection's place; free again when dropped.
pub(super) struct Seat(Arc<AtomicUsize>);

impl Listener {
    /// Binds the port; `program` (this very binary) is run as the process that speaks SRT, from the first call of
    /// [`Self::accept`] on.
    pub fn bind(addr: SocketAddr, limits: Limits, program: impl Into<PathBuf>) -> Result<Self, Error> {
        if let Some(length) = limits.passphrase.as_ref().map(String::len)
            && !PASSPHRASE_BYTES.contains(&length)
        {
            return Err(Error::Passphrase { length });
        }
        let bind = || {
            let sockets = screen::open(addr, limits.passphrase.is_some())?;
            let addr = sockets.libsrt.local_addr()?;
            Ok((sockets, addr))
        };
        let (sockets, addr) = bind().map_err(|source: io::Error| Error::Bind { addr, source })?;
        let (program, seats) = (program.into(), Arc::default());
        Ok(Self { sockets, addr, limits, program, process: None, backoff: Backoff::new(), seats })
    }

    pub fn local_addr(&self) -> SocketAddr {
        self.addr
    }

    /// Connections open or waiting for a decision.
    pub fn connections(&self) -> usize {
        self.seats.load(Ordering::Acquire)
    }

    /// The process that speaks SRT now.
    pub fn process_id(&self) -> Option<u32> {
        self.process.as_ref().and_then(Process::id)
    }

    /// The next caller, who waits, and everybody's datagrams with it: poll it always. Safe to cancel.
    ///
    /// An error is one of the process, with which every connection is lost; the next call starts another, after a while.
    pub async fn accept(&mut self) -> Result<Request, Error> {
        loop {
            let process = self.process().await?;
            let heard = process.hear().await;
            let line = process.line();
            match heard {
                Ok(Some(Notice::Calls { caller, peer, stream_id })) => {
                    let asking = Asking::new(caller, line, self.take_seat(), self.limits.clone());
                    let request = Request::new(StreamId::new(stream_id), peer, asking);
                    if self.connections() <= self.limits.connections {
                        return Ok(request);
                    }
                    request.reject(Reason::Overload);
                }
                Ok(Some(Notice::Failed { why })) => return Err(self.lose(why)),
                Ok(None) => return Err(self.lose("it ended".to_owned())),
                Err(error) => return Err(self.lose(error.to_string())),
            }
        }
    }

    async fn process(&mut self) -> Result<&Process, Error> {
        if let Some(after) = self.backoff.waits_until().filter(|_| self.process.is_none()) {
            sleep_until(after).await;
        }
        let process = match self.process.take() {
            Some(process) => process,
            None => self.start()?,
        };
        Ok(self.process.insert(process))
    }

    fn start(&mut self) -> Result<Process, Error> {
        let listen = Listen {
            latency: self.limits.latency,
            // The publisher's own patience ends first and says so.
            peer_idle: self.limits.idle.max(self.limits.first_media) * 2,
            passphrase: self.limits.passphrase.clone(),
            memory_bytes: self.limits.memory_bytes,
            tasks: self.limits.tasks,
            descriptors: (self.limits.connections + DESCRIPTORS) as u64,
        };
        self.backoff.begin(Instant::now());
        Process::start(&self.program, &self.sockets, listen).map_err(|error| self.lose(error.to_string()))
    }

    fn lose(&mut self, why: String) -> Error {
        self.process = None;
        self.backoff.lose(Instant::now());
        Error::Process { addr: self.addr, why }
    }

    fn take_seat(&self) -> Seat {
        self.seats.fetch_add(1, Ordering::AcqRel);
        Seat(self.seats.clone())
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
