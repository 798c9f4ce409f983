//! The child's side of the cage: takes one task, shuts itself in, does it, and ends.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::sync::mpsc::{Receiver, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::error::Error;
use super::remote::Remote;
use super::sandbox::Reach;
use super::task::{Event, Outcome, Source, Task};
use super::wire::{self, Emit, Frame, Order, Work};
use super::{audio, encode, lower, probe, sandbox, stills};

/// How far whatever may come later steps back behind what is served and watched at this moment: of two at one processor
/// it gets a tenth.
const NICENESS: i32 = 10;

/// The whole life of a child; what it complains of goes to stderr, which the worker reads.
pub fn main() -> ExitCode {
    match live() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

fn live() -> Result<(), Error> {
    // The worker hands its socket over as stdin.
    let socket = io::stdin().as_fd().try_clone_to_owned().map_err(Error::Socket)?;
    let mut socket = UnixStream::from(socket);
    sandbox::close_inherited(&socket)?;
    let order: Order = match wire::read(&mut socket)? {
        Some((header, _)) => wire::parse(&header)?,
        None => return Ok(()),
    };
    ffmpeg_next::init().map_err(Error::libav("start"))?;
    ffmpeg_next::log::set_level(ffmpeg_next::log::Level::Error);
    if !matches!(order.work, Work::Task(Task::Lower(_) | Task::Slate(_))) {
        // Inherited by every thread to come. Where it is not allowed, it goes as fast as it did.
        let _ = rustix::process::nice(NICENESS);
    }
    let locks = sandbox::enter(order.bounds, Reach::Nothing)?;
    match order.work {
        Work::SelfTest => wire::write(&mut socket, &sandbox::self_test(locks), &[]),
        Work::Task(task) => work(&task, socket),
    }
}

fn work(task: &Task, socket: UnixStream) -> Result<(), Error> {
    let answers = socket.try_clone().map_err(Error::Socket)?;
    let emit = speak(socket);
    let outcome = match run(task, answers, &emit) {
        Err(Error::Refused(refusal)) => Outcome::Refused { refusal },
        other => other?,
    };
    emit.send(&Event::Done { outcome, cpu_ms: cpu_ms() })
}

/// CPU time of all threads of this child, which did nothing but its task.
fn cpu_ms() -> u64 {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_SELF) else { return 0 };
    let spent = usage.user_time() + usage.system_time();
    u64::try_from(spent.num_milliseconds()).unwrap_or(0)
}

fn run(task: &Task, answers: UnixStream, emit: &Emit) -> Result<Outcome, Error> {
    let remote = |source: &Source, answers| {
        Remote::new(source.size_bytes, emit.clone(), listen(answers, |(_, body)| body))
    };
    match task {
        Task::Probe { source, limits } => probe::run(limits, remote(source, answers), emit),
        Task::Chunk(task) => encode::run(task, remote(&task.source, answers), emit),
        Task::Audio(task) => audio::run(task, remote(&task.source, answers), emit),
        Task::Stills(task) => stills::run(task, remote(&task.source, answers), emit),
        Task::Poster { source, max_pixels, side } => {
            stills::fit((*max_pixels, *side), remote(source, answers), emit)
        }
        Task::Lower(task) => lower::run(task, &listen(answers, |frame| frame), emit),
        Task::Slate(task) => lower::slate(task, &listen(answers, |(_, body)| body), emit),
    }
}

/// Hears the worker's answers on a thread of its own, and ends the child when the worker is gone.
fn listen<T: Send + 'static>(mut socket: UnixStream, keep: fn(Frame) -> T) -> Receiver<T> {
    let (answers, replies) = sync_channel(1);
    thread::spawn(move || {
        loop {
            let answered = match wire::read(&mut socket) {
                Ok(Some(frame)) => answers.send(keep(frame)).is_ok(),
                Ok(None) | Err(_) => false,
            };
            if !answered {
                std::process::exit(1);
            }
        }
    });
    replies
}

fn speak(socket: UnixStream) -> Emit {
    let socket = Arc::new(Mutex::new(socket));
    Emit::new(move |event, body| {
        let mut socket = socket.lock().unwrap_or_else(PoisonError::into_inner);
        wire::write(&mut *socket, event, body)
    })
}

fn complain(error: &Error) {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    // Nobody is left to tell where stderr is gone too.
    let _ = writeln!(io::stderr(), "{text}");
}
