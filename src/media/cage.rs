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

/// A silent child has had its time once it has computed for this part of its silence, since the half of that.
const BUSY: u32 = 4;
/// A silent child stands still where it computes for less than this part of the time.
const IDLE: u32 = 20;

/// Ticks a second in `/proc/{pid}/stat`: part of Linux's ABI on x86-64 and ARM64, whatever the kernel's own.
const USER_HZ: u64 = 100;

/// What a child may take.
#[derive(Debug, Clone, Copy)]
pub struct CageLimits {
    /// Address space, so that a bomb in the input ends the child and not the machine.
    pub memory_bytes: u64,
    /// CPU seconds over all its threads.
    pub cpu_seconds: u64,
    /// Threads and processes of its user, itself among them.
    pub tasks: u64,
    /// How long it may say nothing while it isn't waiting for bytes; on a machine that has no time for it, longer.
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
    /// How long the child has owed a word; `None` while it waits for us.
    silence: Option<Silence>,
}

/// A child that says nothing: since when, and how much it had computed by the half of its time.
#[derive(Debug, Clone, Copy)]
struct Silence {
    since: Instant,
    half: Option<(Instant, Duration)>,
    ends: Instant,
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
        self.silence = None;
        let by = self.ends_by.min(Instant::now() + self.limits.silence);
        let head = wire::head(header, bytes.len())?;
        let sending = send(&mut self.socket, &head, &bytes);
        match timeout_at(by, sending).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(self.bury().await),
            Err(_) => Err(self.kill(Error::Hung { limit: self.limits.silence })),
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
        let mut child = Self { process, socket, arrived, stderr, last_words, limits, ends_by, silence: None };
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
            Err(_) => Err(self.kill(Error::Hung { limit: self.limits.wall })),
        }
    }

    async fn frame<T: for<'a> Deserialize<'a>>(&mut self) -> Result<(T, Bytes), Error> {
        loop {
            if let Some((header, body)) = wire::take(&mut self.arrived)? {
                self.silence = None;
                return Ok((wire::parse(&header)?, body));
            }
            let silence = *self.silence.get_or_insert_with(|| Silence::begin(&self.limits));
            match timeout_at(silence.ends.min(self.ends_by), self.hear()).await {
                Ok(true) => {}
                Ok(false) => return Err(self.bury().await),
                Err(_) => self.judge(silence)?,
            }
        }
    }

    /// A silent child is looked at. One that stands still is given up; one that computes gets the processor time that a
    /// quiet machine would have given it, however busy this one is.
    fn judge(&mut self, mut silence: Silence) -> Result<(), Error> {
        let (now, limit) = (Instant::now(), self.limits.silence);
        if now >= self.ends_by {
            return Err(self.kill(Error::Hung { limit: self.limits.wall }));
        }
        let Some(spent) = self.process.id().and_then(cpu_time) else {
            return if now >= silence.since + limit { Err(self.kill(Error::Hung { limit })) } else { Ok(()) };
        };
        let (half_at, before) = *silence.half.get_or_insert((now, spent));
        let computed = spent.saturating_sub(before);
        if half_at < now && computed >= limit / BUSY {
            return Err(self.kill(Error::Busy { spent: computed }));
        }
        if half_at < now && computed < (now - half_at) / IDLE {
            return Err(self.kill(Error::Hung { limit }));
        }
        self.silence = Some(Silence { half: Some((half_at, before)), ends: now + limit / 2, ..silence });
        Ok(())
    }

    /// Waits for anything from the child; false once its socket is closed.
    async fn hear(&mut self) -> bool {
        tokio::select! {
            read = self.socket.read_buf(&mut self.arrived) => match read {
                Ok(read) => {
                    self.silence = Some(Silence::begin(&self.limits));
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

    fn kill(&mut self, why: Error) -> Error {
        // It may be gone already, which is as well.
        let _ = self.process.start_kill();
        why
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

impl Silence {
    fn begin(limits: &CageLimits) -> Self {
        let since = Instant::now();
        Self { since, half: None, ends: since + limits.silence / 2 }
    }
}

/// What all threads of a process have computed (`proc_pid_stat(5)`); `None` where nobody tells.
fn cpu_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    // The name before it may have anything in it, also a bracket.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    Some(Duration::from_millis(ticks * 1000 / USER_HZ))
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
