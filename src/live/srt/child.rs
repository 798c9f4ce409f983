//! The process that speaks SRT: shut in with one UDP socket, it asks the node about each caller and hands on what
//! connections send.

use std::collections::HashMap;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{self, Listen, Notice, Order};
use super::libsrt::{self, Connection, Listener, Options, PAYLOAD_BYTES, Received};
use super::record::{self, Writer};
use super::request::Reason;
use crate::media::sandbox::{self, Bounds, Reach};

/// The hidden subcommand that makes this binary such a process.
pub const SUBCOMMAND: &str = "srt-child";

/// How long the node may take to decide upon a caller: nobody's datagrams are read meanwhile.
const DECISION: Duration = Duration::from_secs(1);
/// How long a caller may still say again what it was refused for: it goes on until it hears of the refusal.
const ECHO: Duration = Duration::from_secs(4);
/// How often silent connections are looked after, and callers that were let in and did not connect.
const LOOK: Duration = Duration::from_millis(100);
/// Threads of nobody, whom every caged child of this machine becomes: three a connection, and those of media.
const TASKS: u64 = 16_384;
/// A pump has one buffer, which is on the heap.
const PUMP_STACK_BYTES: usize = 128 << 10;

/// What all threads share.
struct Door {
    line: OwnedFd,
    answers: Mutex<Receiver<Answer>>,
    /// The caller that the node is being asked about.
    asked: Mutex<Option<i32>>,
    /// Where the bytes of callers go that were let in and are not connected yet.
    permitted: Mutex<HashMap<i32, UnixStream>>,
    /// Callers that were refused lately, when and by which number.
    refused: Mutex<HashMap<SocketAddr, (Instant, i32)>>,
}

/// What the node says of a caller.
struct Answer {
    caller: i32,
    verdict: Result<UnixStream, i32>,
}

/// The whole life of the process.
pub fn main() -> ExitCode {
    let Ok(line) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(reported) = line.try_clone() else { return ExitCode::FAILURE };
    let Err(error) = live(line);
    // Nobody is left to tell where the node is gone.
    let _ = control::send(reported, &Notice::Failed { why: error.to_string() }, None);
    ExitCode::FAILURE
}

/// Why the process ends.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("line to the node is broken: {0}")]
    Line(#[from] io::Error),
    #[error("{0}")]
    Sandbox(#[from] crate::media::Error),
    #[error("{0}")]
    Srt(#[from] libsrt::Error),
    #[error("order to listen did not come first")]
    Order,
}

fn live(line: OwnedFd) -> Result<std::convert::Infallible, Error> {
    sandbox::close_inherited(&line)?;
    let Some((Order::Listen(listen), Some(udp))) = control::receive(&line)? else { return Err(Error::Order) };
    let Listen { memory_bytes, descriptors, .. } = listen;
    sandbox::enter(
        Bounds { memory_bytes, cpu_seconds: u64::MAX, tasks: TASKS, descriptors },
        Reach::HandedSockets,
    )?;
    let (answered, answers) = channel();
    let (answers, permitted) = (Mutex::new(answers), Mutex::default());
    let door =
        Arc::new(Door { line, answers, asked: Mutex::default(), permitted, refused: Mutex::default() });
    let hearing = door.clone();
    thread::Builder::new().stack_size(PUMP_STACK_BYTES).spawn(move || hear(&hearing, &answered))?;
    let deciding = door.clone();
    let options = Options {
        latency: listen.latency,
        peer_idle: listen.peer_idle,
        patience: LOOK,
        passphrase: listen.passphrase.as_deref(),
    };
    let listener = Listener::open(udp, &options, move |caller| deciding.decide(caller))?;
    let sweeping = door.clone();
    thread::Builder::new().stack_size(PUMP_STACK_BYTES).spawn(move || sweeping.sweep())?;
    loop {
        let (caller, connection) = listener.accept()?;
        // None: it broke off, and was swept away before it was picked up.
        let Some(out) = door.permitted().remove(&caller) else { continue };
        // Where no thread can be had, both ends are closed by this.
        let _ = thread::Builder::new().stack_size(PUMP_STACK_BYTES).spawn(move || pump(connection, out));
    }
}

/// Hears the node's answers, and ends the process when the node is gone.
fn hear(door: &Door, answered: &Sender<Answer>) {
    while let Ok(Some((order, beside))) = control::receive(&door.line) {
        let answer = match (order, beside) {
            (Order::Permit { caller }, Some(out)) => Answer { caller, verdict: Ok(UnixStream::from(out)) },
            (Order::Permit { caller }, None) => Answer { caller, verdict: Err(Reason::Unavailable.code()) },
            (Order::Refuse { caller, code }, _) => Answer { caller, verdict: Err(code) },
            (Order::Listen(_), _) => continue,
        };
        // Nobody waits for an answer that comes too late: dropping it tells the node so.
        let asked = door.asked();
        if *asked == Some(answer.caller) && answered.send(answer).is_err() {
            break;
        }
    }
    std::process::exit(1);
}

impl Door {
    /// Asks the node, but once of each caller; called by libsrt's receiving thread.
    fn decide(&self, caller: libsrt::Caller) -> Result<(), i32> {
        let (peer, now) = (caller.peer, Instant::now());
        let mut refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        refused.retain(|_, (at, _)| now.duration_since(*at) < ECHO);
        if let Some((_, code)) = refused.get(&peer) {
            return Err(*code);
        }
        let decided = self.ask(caller);
        if let Err(code) = decided {
            refused.insert(peer, (Instant::now(), code));
        }
        decided
    }

    fn ask(&self, caller: libsrt::Caller) -> Result<(), i32> {
        let libsrt::Caller { socket, peer, stream_id } = caller;
        let unavailable = || Reason::Unavailable.code();
        let calls = Notice::Calls { caller: socket, peer, stream_id };
        *self.asked() = Some(socket);
        if control::send(&self.line, &calls, None).is_err() {
            return Err(unavailable());
        }
        let answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let heard = answers.recv_timeout(DECISION);
        let answer = {
            let mut asked = self.asked();
            *asked = None;
            heard.or_else(|_| answers.try_recv())
        };
        let out = answer.map_err(|_late| unavailable())?.verdict?;
        self.permitted().insert(socket, out);
        Ok(())
    }

    /// Lets go those that were let in and did not connect: their passphrase is another one, or they are gone.
    fn sweep(&self) {
        loop {
            thread::sleep(LOOK);
            let waiting: Vec<i32> = self.permitted().keys().copied().collect();
            let gone = waiting.into_iter().filter(|caller| libsrt::is_gone(*caller));
            // libsrt has locks of its own: nothing is asked of it under ours.
            let gone: Vec<i32> = gone.collect();
            self.permitted().retain(|caller, _| !gone.contains(caller));
        }
    }

    fn asked(&self) -> MutexGuard<'_, Option<i32>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn permitted(&self) -> MutexGuard<'_, HashMap<i32, UnixStream>> {
        self.permitted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Hands on what a connection sends until one side has enough; dropping the connection closes it.
fn pump(mut connection: Connection, mut out: UnixStream) {
    let mut writer = Writer::new(PAYLOAD_BYTES);
    let mut next: Option<i32> = None;
    let mut sent = out.write_all(&record::OPEN);
    while sent.is_ok() {
        match connection.receive(writer.payload()) {
            Received::Packet { size, number } => {
                if next.replace(number.wrapping_add(1) & i32::MAX).is_some_and(|next| next != number) {
                    sent = out.write_all(&record::GAP);
                }
                sent = sent.and_then(|()| out.write_all(writer.data(size)));
            }
            Received::Nothing if is_shut(&out) => return,
            Received::Nothing => {}
            Received::Over => {
                let _ = out.write_all(&record::CLOSE);
                return;
            }
        }
    }
}

/// The node wants no more of it.
fn is_shut(out: &UnixStream) -> bool {
    let mut asked = [PollFd::new(out, PollFlags::empty())];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut asked, Some(&now)).is_ok_and(|found| found > 0)
}
