//! One chunk of the timeline for all its rungs: one decode, a cascade of scales, an encoder thread per rung.

mod copy;
mod damage;
mod decoding;
mod graph;
mod pace;
mod pass;
mod pictures;
mod reader;
mod rung;

pub(super) use self::graph::{Deinterlace, Graph, Shape};
pub(super) use self::reader::Reader;
pub(super) use self::rung::open_live;

use std::io::{Read, Seek};
use std::thread::{self, Scope, ScopedJoinHandle};

use self::pass::Pass;
use self::rung::{Feed, Worker};
use super::error::Error;
use super::grid::Grid;
use super::task::{Chunk, Event, Outcome};
use super::wire::Emit;
use crate::domain::media::{Coding, Rung, Ticks};

/// Encodes a chunk; a rung that can't go on is told and left out, the others go on.
pub fn run<S>(task: &Chunk, source: S, emit: &Emit) -> Result<Outcome, Error>
where
    S: Read + Seek + Send + 'static,
{
    let grid = Grid::new(task.first_segment, &task.starts);
    let mut reader = Reader::open(source, &task.video)?;
    if grid.begin() > 0 {
        reader.seek(grid.begin(), task.seekable);
    }
    let pass = Pass::open(task, reader, &grid, emit)?;
    let ended_at = thread::scope(|scope| {
        let (feeds, running) = start(scope, task, (&grid, emit));
        let passed = pass.run(feeds);
        let ended = running.into_iter().map(|(rung, thread)| finish(rung, thread, emit)).collect::<Vec<_>>();
        let ended_at = passed?;
        ended.into_iter().collect::<Result<Vec<()>, Error>>()?;
        Ok::<Ticks, Error>(ended_at)
    })?;
    Ok(Outcome::Encoded { ended_at })
}

type Running<'scope, 'task> = Vec<(&'task Rung, ScopedJoinHandle<'scope, Result<(), Error>>)>;

/// One thread for each rung that is encoded; they share the machine's cores, and the first has most to do.
fn start<'scope, 'task: 'scope>(
    scope: &'scope Scope<'scope, '_>,
    task: &'task Chunk,
    (grid, emit): (&Grid, &Emit),
) -> (Vec<Feed>, Running<'scope, 'task>) {
    let (mut feeds, mut running) = (Vec::new(), Vec::new());
    let encoded = task.rungs.iter().filter(|rung| rung.coding != Coding::Copy).collect::<Vec<_>>();
    for (place, rung) in encoded.iter().copied().enumerate() {
        let (feed, inbox) = rung::channel();
        let threads = threads(place, encoded.len());
        let worker = Worker { rung, grid: grid.clone(), emit: emit.clone(), threads };
        running.push((rung, scope.spawn(move || worker.run(inbox))));
        feeds.push(feed);
    }
    (feeds, running)
}

/// A thread more costs a tenth more work, so the first of many encoders gets one only where cores would be idle.
fn threads(place: usize, encoders: usize) -> usize {
    match (place, encoders) {
        (0, ..=2) => cores(),
        (0, _) => (cores() / 2).max(1),
        _ => 1,
    }
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(4)
}

fn finish(rung: &Rung, thread: ScopedJoinHandle<'_, Result<(), Error>>, emit: &Emit) -> Result<(), Error> {
    let ended =
        thread.join().unwrap_or_else(|_| Err(Error::Protocol("an encoder thread panicked".to_owned())));
    match ended {
        Err(Error::Libav { doing, source }) => fail(emit, rung, &format!("could not {doing}: {source}")),
        other => other,
    }
}

/// Tells that a rung is given up.
fn fail(emit: &Emit, rung: &Rung, message: &str) -> Result<(), Error> {
    emit.send(&Event::RungFailed { rung: rung.name.clone(), message: message.to_owned() })
}

#[cfg(test)]
mod tests;
