//! The node's side of the process that speaks SRT: starts it, hears it, answers it.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::Child;

use super::child::SUBCOMMAND;
use super::control::{self, Listen, Notice, Order};
use super::screen::Sockets;
use crate::media::cage;

/// A running process; dropping it kills it.
pub struct Process {
    child: Child,
    line: Line,
}

/// Our end of the line to it.
#[derive(Clone)]
pub struct Line(Arc<UnixStream>);

impl Process {
    /// Starts `program` (this very binary) on the sockets of a port.
    pub fn start(program: &Path, sockets: &Sockets, listen: Listen) -> io::Result<Self> {
        let (ours, theirs) = control::pair()?;
        // Its last words are not heard: what libsrt would say is what strangers sent.
        let child = cage::command(program, SUBCOMMAND, theirs).spawn()?;
        control::send(&ours, &Order::Listen(listen), &[sockets.libsrt.as_fd(), sockets.screen.as_fd()])?;
        // Of another type than its name says; tokio only waits at it.
        let ours = std::os::unix::net::UnixStream::from(ours);
        ours.set_nonblocking(true)?;
        Ok(Self { child, line: Line(Arc::new(UnixStream::from_std(ours)?)) })
    }

    /// The next thing it says; none where it is gone. Safe to cancel.
    pub async fn hear(&self) -> io::Result<Option<Notice>> {
        let line = &*self.line.0;
        let heard = line.async_io(Interest::READABLE, || control::receive(line)).await?;
        Ok(heard.map(|(notice, _)| notice))
    }

    pub fn line(&self) -> Line {
        self.line.clone()
    }

    /// The process id; none once it is gone.
    pub fn id(&self) -> Option<u32> {
        self.child.id()
    }
}

impl Line {
    /// Answers a caller; a process that is gone or hears nothing has none.
    pub fn answer(&self, order: &Order, beside: &[BorrowedFd<'_>]) -> io::Result<()> {
        control::send(&*self.0, order, beside)
    }
}
