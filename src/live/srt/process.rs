//! The node's side of the process that speaks SRT: starts it, hears it, answers it.

use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use tokio::io::Interest;
use tokio::net::UnixStream;
use tokio::process::{Child, Command};

use super::child::SUBCOMMAND;
use super::control::{self, Listen, Notice, Order};

/// A running process; dropping it kills it.
pub struct Process {
    child: Child,
    line: Line,
}

/// Our end of the line to it.
#[derive(Clone)]
pub struct Line(Arc<UnixStream>);

impl Process {
    /// Starts `program` (this very binary) on a bound UDP socket.
    pub fn start(program: &Path, udp: &UdpSocket, listen: Listen) -> io::Result<Self> {
        let (ours, theirs) = control::pair()?;
        let child = command(program, theirs).spawn()?;
        control::send(&ours, &Order::Listen(listen), Some(udp.as_fd()))?;
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
    pub fn answer(&self, order: &Order, beside: Option<BorrowedFd<'_>>) -> io::Result<()> {
        control::send(&*self.0, order, beside)
    }
}

fn command(program: &Path, line: OwnedFd) -> Command {
    let mut command = Command::new(program);
    command
        .arg(SUBCOMMAND)
        .env_clear()
        // Every thread's own arena reserves address space that would count against the limit.
        .env("MALLOC_ARENA_MAX", "4")
        .current_dir("/")
        .stdin(Stdio::from(line))
        .stdout(Stdio::null())
        // What libsrt says there is what strangers sent.
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}
