//! The worker's side of the cage: starts the child, feeds it, hears it, and kills it when it stops making sense.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::process::{ChildStderr, Command};
use tokio::time::{Instant, timeout_at};

use super::error::{Ending, Error};
use super::sandbox::{Check, MAX_DESCRIPTORS};
use super::task::{Coded, Event, Task};
use super::wire::{self, Bounds, Order, Work};
use crate::domain::printable;

/// The hidden subcommand that makes this binary a caged child.
pub const SUBCOMMAND: &str = "media-child";

/// What is kept of the child's last words.
const STDERR_BYTES: usize = 4096;
/// How long a child whose socket is closed may take to be gone.
const GOODBYE: Duration = Duration::from_secs(5);

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct CageLimits {
    /// Address space, so that a bomb in the input ends the child and not the machine.
    pub memory_bytes: u64,
    /// CPU seconds over all its threads.
    pub cpu_seconds: u64,
    /// Threads and processes of its user, itself among them.
    pub tasks: u64,
    /// How long it may say nothing while it isn't waiting for bytes.
    pub silence: Duration,
    /// How long the whole task may take.
    pub wall: Duration,
}

impl Default for CageLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 4 << 30,
            cpu_seconds: 24 * 3600,
            tasks: 8192,
            silence: Duration::from_mins(1),
            wall: Duration::from_hours(24),
        }
    }
}

/// A running child; dropping it kills it.
pub struct Child {
    process: tokio::process::Child,
    socket: UnixStream,
    arrived: BytesMut,
    stderr: Option<ChildStderr>,
    last_words: BytesMut,
    limits: CageLimits,
    ends_by: Instant,
    /// Since when the child has owed a word; `None` while it waits for us.
    silent_since: Option<Instant>,
}

impl Child {
    /// Starts `program` (this very binary) as a caged child on one task.
    pub async fn spawn(program: &Path, task: &Task, limits: CageLimits) -> Result<Self, Error> {
        Self::start(program, Work::Task(task.clone()), limits).await
    }

    /// The next event and its bytes. Cancelling it loses nothing.
    ///
    /// # Errors
    /// `Hung` and `Crashed` mean the child is gone; so does every other error.
    pub async fn next(&mut self) -> Result<(Event, Bytes), Error> {
        self.frame().await
    }

    /// Answers the last `Read`; fewer bytes than asked mean the end of the source.
    pub async fn feed(&mut self, bytes: Bytes) -> Result<(), Error> {
        self.answer(&(), bytes).await
    }

    /// Answers the last `Next`; `None` means that no more comes.
    pub async fn hand(&mut self, picture: Option<Coded>, bytes: Bytes) -> Result<(), Error> {
        self.answer(&picture, bytes).await
    }

    async fn answer(&mut self, header: &impl Serialize, bytes: Bytes) -> Result<(), Error> {
        self.silent_since = None;
        let by = self.ends_by.min(Instant::now() + self.limits.silence);
        let head = wire::head(header, bytes.len())?;
        let sending = send(&mut self.socket, &head, &bytes);
        match timeout_at(by, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.bury().await),
            Err(_) => Err(self.kill(self.limits.silence)),
        }
    }

    /// The process id, for logs; `None` once it is gone.
    pub fn id(&self) -> Option<u32> {
        self.process.id()
    }

    async fn start(program: &Path, work: Work, limits: CageLimits) -> Result<Self, Error> {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().map_err(Error::Start)?;
        ours.set_nonblocking(true).map_err(Error::Start)?;
        let socket = UnixStream::from_std(ours).map_err(Error::Start)?;
        let mut process = command(program, SUBCOMMAND, theirs.into());
        let mut process = process.stderr(Stdio::piped()).spawn().map_err(Error::Start)?;
        let stderr = process.stderr.take();
        let ends_by = Instant::now() + limits.wall;
        let (arrived, last_words) = (BytesMut::new(), BytesMut::new());
        let mut child =
            Self { process, socket, arrived, stderr, last_words, limits, ends_by, silent_since: None };
        child.order(work).await?;
        Ok(child)
    }

    async fn order(&mut self, work: Work) -> Result<(), Error> {
        let CageLimits { memory_bytes, cpu_seconds, tasks, .. } = self.limits;
        let bounds = Bounds { memory_bytes, cpu_seconds, tasks, descriptors: MAX_DESCRIPTORS };
        let head = wire::head(&Order { bounds, work }, 0)?;
        match timeout_at(self.ends_by, send(&mut self.socket, &head, &[])).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.bury().await),
            Err(_) => Err(self.kill(self.limits.wall)),
        }
    }

    async fn frame<T: for<'a> Deserialize<'a>>(&mut self) -> Result<(T, Bytes), Error> {
        loop {
            if let Some((header, body)) = wire::take(&mut self.arrived)? {
                self.silent_since = None;
                return Ok((wire::parse(&header)?, body));
            }
            let since = *self.silent_since.get_or_insert_with(Instant::now);
            let (by, limit) = self.patience(since);
            match timeout_at(by, self.hear()).await {
                Ok(true) => {}
                Ok(false) => return Err(self.bury().await),
                Err(_) => return Err(self.kill(limit)),
            }
        }
    }

    /// Which deadline comes first, and the limit it stands for.
    fn patience(&self, since: Instant) -> (Instant, Duration) {
        let speaks_by = since + self.limits.silence;
        if speaks_by < self.ends_by {
            (speaks_by, self.limits.silence)
        } else {
            (self.ends_by, self.limits.wall)
        }
    }

    /// Waits for anything from the child; false once its socket is closed.
    async fn hear(&mut self) -> bool {
        tokio::select! {
            read = self.socket.read_buf(&mut self.arrived) => match read {
                Ok(read) => {
                    self.silent_since = Some(Instant::now());
                    read > 0
                }
                Err(_) => false,
            },
            open = listen(&mut self.stderr, &mut self.last_words) => {
                if !open {
                    self.stderr = None;
                }
                true
            }
        }
    }

    fn kill(&mut self, limit: Duration) -> Error {
        // It may be gone already, which is as well.
        let _ = self.process.start_kill();
        Error::Hung { limit }
    }

    /// Finds out how a child died whose socket is closed.
    async fn bury(&mut self) -> Error {
        let by = Instant::now() + GOODBYE;
        while self.stderr.is_some() {
            match timeout_at(by, listen(&mut self.stderr, &mut self.last_words)).await {
                Ok(true) => {}
                Ok(false) | Err(_) => self.stderr = None,
            }
        }
        let ending = match timeout_at(by, self.process.wait()).await {
            Ok(Ok(status)) => status.into(),
            Ok(Err(_)) | Err(_) => Ending::Unknown,
        };
        let _ = self.process.start_kill();
        Error::Crashed { ending, stderr: last_words(&self.last_words) }
    }
}

/// Starts a child that tries what the sandbox must forbid, for `policast doctor`.
pub async fn self_test(program: &Path) -> Result<Vec<Check>, Error> {
    let limits = CageLimits { silence: Duration::from_secs(20), ..CageLimits::default() };
    let mut child = Child::start(program, Work::SelfTest, limits).await?;
    Ok(child.frame().await?.0)
}

/// A hidden subcommand of `program` (this very binary), with a socket to its parent as its input and nothing heard of
/// what it prints; it ends with its handle.
pub fn command(program: &Path, subcommand: &str, socket: OwnedFd) -> Command {
    let mut command = Command::new(program);
    command
        .arg(subcommand)
        .env_clear()
        // Every thread's own arena reserves address space that would count against the limit.
        .env("MALLOC_ARENA_MAX", "4")
        .current_dir("/")
        .stdin(Stdio::from(socket))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .process_group(0)
        .kill_on_drop(true);
    command
}

async fn send(socket: &mut UnixStream, head: &[u8], body: &[u8]) -> std::io::Result<()> {
    socket.write_all(head).await?;
    socket.write_all(body).await
}

/// Keeps the tail of what the child complains of; false at its end, never ready where it has ended.
async fn listen(stderr: &mut Option<ChildStderr>, kept: &mut BytesMut) -> bool {
    let Some(pipe) = stderr else { return std::future::pending().await };
    let read = pipe.read_buf(kept).await;
    if kept.len() > STDERR_BYTES {
        let surplus = kept.len() - STDERR_BYTES;
        let _ = kept.split_to(surplus);
    }
    matches!(read, Ok(1..))
}

/// What a child said last: libav quotes the file, which may say anything.
fn last_words(bytes: &[u8]) -> String {
    let said = String::from_utf8_lossy(bytes);
    said.trim().lines().map(printable).collect::<Vec<_>>().join("\n")
}
