//! The process that speaks SRT: shut in with the UDP sockets of one port, it asks the node about each caller and hands
//! on what connections send.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Write};
use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::control::{self, Listen, Notice, Order};
use super::libsrt::{self, Connection, Listener, Options, PAYLOAD_BYTES, Received};
use super::record::{self, Writer};
use super::request::Reason;
use super::screen::{self, Screened};
use crate::media::sandbox::{self, Bounds, Reach};

/// The hidden subcommand that makes this binary such a process.
pub const SUBCOMMAND: &str = "srt-child";

/// How long nobody's datagrams are read for a decision upon a caller, which libsrt wants at once. A later one comes when
/// the caller is connected already: a refusal then ends its connection, and has its number when the caller comes again.
const QUICK: Duration = Duration::from_millis(250);
/// How long the node may take in all; what the caller sends waits in libsrt meanwhile.
const DECISION: Duration = Duration::from_secs(5);
/// How long a caller may still say again what it was refused for: it goes on until it hears of the refusal.
const ECHO: Duration = Duration::from_secs(4);
/// How often silent connections are looked after, and callers that were let in and did not connect.
const LOOK: Duration = Duration::from_millis(100);
/// Each thread has one buffer, and pumps, of which there are many, have theirs on the heap.
const STACK_BYTES: usize = 128 << 10;
/// No datagram that says something is longer.
const DATAGRAM_BYTES: usize = 2048;

/// What all threads share.
struct Door {
    line: OwnedFd,
    /// The callers that the node is being asked about.
    asked: Mutex<HashMap<i32, Asked>>,
    /// The last decision was not quick: nobody's datagrams wait for the next one.
    is_slow: AtomicBool,
    /// Those that were let in, until they are gone.
    guests: Mutex<HashMap<i32, Guest>>,
    refused: Mutex<Refused>,
}

/// A caller that was let in.
struct Guest {
    who: Who,
    /// Where its bytes go; none once it is connected.
    out: Option<Out>,
    goodbye: Goodbye,
}

/// Where a caller's bytes go, or who will tell.
enum Out {
    Open(UnixStream),
    Asked(Receiver<Verdict>),
}

/// What the node says of a caller: where its bytes go, or by which number it is refused.
type Verdict = Result<UnixStream, i32>;

/// A question to the node.
struct Asked {
    since: Instant,
    answer: Sender<Verdict>,
}

/// A caller by its address and stream id.
type Who = (SocketAddr, String);

/// When the encoder of a connection said goodbye.
type Goodbye = Arc<OnceLock<Instant>>;

/// Callers that were refused lately, and by which number. A port is used again: with another stream id it is another
/// caller.
#[derive(Default)]
struct Refused {
    codes: HashMap<Who, i32>,
    /// In the order in which they are forgotten.
    since: VecDeque<(Instant, Who)>,
}

/// The whole life of the process.
pub fn main() -> ExitCode {
    let Ok(line) = io::stdin().as_fd().try_clone_to_owned() else { return ExitCode::FAILURE };
    let Ok(reported) = line.try_clone() else { return ExitCode::FAILURE };
    let Err(error) = live(line);
    // Nobody is left to tell where the node is gone.
    let _ = control::send(reported, &Notice::Failed { why: error.to_string() }, &[]);
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
    let Some((Order::Listen(listen), beside)) = control::receive(&line)? else { return Err(Error::Order) };
    let Ok([udp, screen]) = <[OwnedFd; 2]>::try_from(beside) else { return Err(Error::Order) };
    let Listen { memory_bytes, tasks, descriptors, .. } = listen;
    let bounds = Bounds { memory_bytes, cpu_seconds: u64::MAX, tasks, descriptors };
    sandbox::enter(bounds, Reach::HandedSockets)?;
    let door = Arc::new(Door {
        line,
        asked: Mutex::default(),
        is_slow: AtomicBool::new(false),
        guests: Mutex::default(),
        refused: Mutex::default(),
    });
    let (hearing, screening, sweeping, deciding) = (door.clone(), door.clone(), door.clone(), door.clone());
    spawn(move || hear(&hearing))?;
    let encrypted = listen.passphrase.is_some();
    spawn(move || screening.screen(&UdpSocket::from(screen), encrypted))?;
    let options = Options {
        latency: listen.latency,
        peer_idle: listen.peer_idle,
        patience: LOOK,
        passphrase: listen.passphrase.as_deref(),
    };
    let listener = Listener::open(udp, &options, move |caller| deciding.decide(caller))?;
    spawn(move || sweeping.sweep())?;
    loop {
        let (caller, connection) = listener.accept()?;
        // None: it broke off, and was swept away before it was picked up.
        let Some((out, who, goodbye)) = door.connected(caller) else { continue };
        let pumping = door.clone();
        let pumped = spawn(move || {
            if let Some(out) = pumping.decided(out, (caller, who)) {
                pump(connection, out, &goodbye);
            }
            pumping.guests().remove(&caller);
        });
        // Where no thread can be had, both ends are closed by this.
        if pumped.is_err() {
            door.guests().remove(&caller);
        }
    }
}

fn spawn(run: impl FnOnce() + Send + 'static) -> io::Result<()> {
    thread::Builder::new().stack_size(STACK_BYTES).spawn(run).map(drop)
}

/// Hears the node's answers, and ends the process when the node is gone.
fn hear(door: &Door) {
    while let Ok(Some((order, mut beside))) = control::receive(&door.line) {
        let (caller, verdict) = match (order, beside.pop()) {
            (Order::Permit { caller }, Some(out)) => (caller, Ok(UnixStream::from(out))),
            (Order::Permit { caller }, None) => (caller, Err(Reason::Unavailable.code())),
            (Order::Refuse { caller, code }, _) => (caller, Err(code)),
            (Order::Listen(_), _) => continue,
        };
        let asked = door.asked().remove(&caller);
        if let Some(Asked { since, answer }) = asked {
            door.is_slow.store(since.elapsed() > QUICK, Ordering::Relaxed);
            // Nobody waits for an answer that comes too late: dropping it tells the node so.
            drop(answer.send(verdict));
        }
    }
    std::process::exit(1);
}

impl Door {
    /// Asks the node, but once of each caller; called by libsrt's receiving thread.
    fn decide(&self, caller: libsrt::Caller) -> Result<(), i32> {
        let who = (caller.peer, caller.stream_id.clone());
        let known = self.refused().find(&who, Instant::now());
        let decided = known.map_or_else(|| self.ask(caller), Err);
        if let (Err(code), None) = (decided, known) {
            self.refused().add(who, code, Instant::now());
        }
        decided
    }

    fn ask(&self, caller: libsrt::Caller) -> Result<(), i32> {
        let libsrt::Caller { socket, peer, stream_id } = caller;
        let who = (peer, stream_id.clone());
        let calls = Notice::Calls { caller: socket, peer, stream_id };
        let (answer, verdict) = channel();
        self.asked().insert(socket, Asked { since: Instant::now(), answer });
        if control::send(&self.line, &calls, &[]).is_err() {
            self.asked().remove(&socket);
            return Err(Reason::Unavailable.code());
        }
        let patience = if self.is_slow.load(Ordering::Relaxed) { Duration::ZERO } else { QUICK };
        let out = match verdict.recv_timeout(patience) {
            Ok(decided) => Out::Open(decided?),
            Err(_late) => {
                self.is_slow.store(true, Ordering::Relaxed);
                Out::Asked(verdict)
            }
        };
        self.guests().insert(socket, Guest { who, out: Some(out), goodbye: Goodbye::default() });
        Ok(())
    }

    /// Where the bytes of a guest go that is connected now.
    fn connected(&self, caller: i32) -> Option<(Out, Who, Goodbye)> {
        let mut guests = self.guests();
        let guest = guests.get_mut(&caller)?;
        Some((guest.out.take()?, guest.who.clone(), guest.goodbye.clone()))
    }

    /// Where they go once that is decided; none where the caller is refused.
    fn decided(&self, out: Out, (caller, who): (i32, Who)) -> Option<UnixStream> {
        let verdict = match out {
            Out::Open(out) => return Some(out),
            Out::Asked(verdict) => verdict.recv_timeout(DECISION),
        };
        self.asked().remove(&caller);
        let decided = verdict.unwrap_or_else(|_late| Err(Reason::Unavailable.code()));
        decided.map_err(|code| self.refused().add(who, code, Instant::now())).ok()
    }

    /// Hears goodbyes, and refuses handshakes that libsrt is not given.
    fn screen(&self, socket: &UdpSocket, encrypted: bool) {
        let mut datagram = [0; DATAGRAM_BYTES];
        loop {
            let Ok((size, peer)) = socket.recv_from(&mut datagram) else {
                // Not for ever in a row at full speed.
                thread::sleep(LOOK);
                continue;
            };
            match screen::read(&datagram[..size], encrypted) {
                Some(Screened::Goodbye(caller)) => self.hear_goodbye(caller, peer),
                // A caller that does not hear it asks again.
                Some(Screened::Refused(answer)) => drop(socket.send_to(&answer, peer)),
                None => {}
            }
        }
    }

    /// Nobody says goodbye for another.
    fn hear_goodbye(&self, caller: i32, peer: SocketAddr) {
        let guests = self.guests();
        let from = |guest: &&Guest| (guest.who.0.ip(), guest.who.0.port()) == (peer.ip(), peer.port());
        if let Some(guest) = guests.get(&caller).filter(from) {
            // The first one counts.
            let _ = guest.goodbye.set(Instant::now());
        }
    }

    /// Lets go those that were let in and did not connect: their passphrase is another one, or they are gone.
    fn sweep(&self) {
        loop {
            thread::sleep(LOOK);
            let waiting: Vec<i32> = {
                let guests = self.guests();
                guests.iter().filter(|(_, guest)| guest.out.is_some()).map(|(caller, _)| *caller).collect()
            };
            // libsrt has locks of its own: nothing is asked of it under ours.
            let gone: Vec<i32> = waiting.into_iter().filter(|caller| libsrt::is_gone(*caller)).collect();
            self.guests().retain(|caller, guest| guest.out.is_none() || !gone.contains(caller));
        }
    }

    fn asked(&self) -> MutexGuard<'_, HashMap<i32, Asked>> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn refused(&self) -> MutexGuard<'_, Refused> {
        self.refused.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn guests(&self) -> MutexGuard<'_, HashMap<i32, Guest>> {
        self.guests.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Refused {
    fn find(&mut self, who: &Who, now: Instant) -> Option<i32> {
        while let Some((_, old)) = self.since.pop_front_if(|(at, _)| now.duration_since(*at) >= ECHO) {
            self.codes.remove(&old);
        }
        self.codes.get(who).copied()
    }

    fn add(&mut self, who: Who, code: i32, now: Instant) {
        self.codes.insert(who.clone(), code);
        self.since.push_back((now, who));
    }
}

/// Hands on what a connection sends until one side has enough; dropping the connection closes it.
fn pump(mut connection: Connection, mut out: UnixStream, goodbye: &Goodbye) {
    let mut writer = Writer::new(PAYLOAD_BYTES);
    let mut next: Option<i32> = None;
    let mut sent = out.write_all(&record::OPEN);
    let latency = connection.latency();
    // What was sent before a goodbye is given out this much later.
    let is_over = || goodbye.get().is_some_and(|at| at.elapsed() > latency);
    while sent.is_ok() {
        match connection.receive(writer.payload()) {
            Received::Packet { size, number } => {
                if next.replace(number.wrapping_add(1) & i32::MAX).is_some_and(|next| next != number) {
                    sent = out.write_all(&record::GAP);
                }
                sent = sent.and_then(|()| out.write_all(writer.data(size)));
            }
            Received::Nothing if is_shut(&out) => return,
            Received::Nothing if is_over() => return drop(out.write_all(&record::CLOSE)),
            Received::Nothing => {}
            Received::Broken => {
                let last = if goodbye.get().is_some() { record::CLOSE } else { record::BROKEN };
                return drop(out.write_all(&last));
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
