//! The audio rendition, once for the whole video: measured first, then levelled, resampled and encoded sample-exact.

mod aac;
mod filters;
mod loudness;
mod mix;
mod place;
mod program;
mod source;
mod trace;

use std::collections::VecDeque;
use std::io::{Read, Seek};

use self::aac::{Aac, frames_until};
use self::filters::Chain;
use self::loudness::{Loudness, meter};
use self::mix::{Levels, Mix};
use self::program::Program;
use self::source::undecodable;
use self::trace::Trace;
use super::error::Error;
use super::grid::Grid;
use super::pulse::Pulse;
use super::shared::SharedSource;
use super::task::{Audio, Outcome};
use super::wire::Emit;
use crate::domain::media::Ticks;

/// Half seconds with sound in each of several tracks after which it is known how they belong together.
const ENOUGH_LIVE: usize = 240;

/// Encodes the first choice of tracks that has sound; a source in which none can be decoded is refused.
pub fn run<S>(task: &Audio, source: S, emit: &Emit) -> Result<Outcome, Error>
where
    S: Read + Seek + Send + 'static,
{
    let work = Work { task, source: SharedSource::new(source), emit };
    match work.levelled() {
        Err(Error::Refused(refusal)) => Ok(Outcome::Refused { refusal }),
        other => other,
    }
}

/// One task, and what it works with.
struct Work<'a, S> {
    task: &'a Audio,
    source: SharedSource<S>,
    emit: &'a Emit,
}

/// Tracks to be heard, and what the first reading made of them.
struct Measured {
    tracks: Vec<u32>,
    mix: Mix,
    loudness: Loudness,
    trace: Trace,
}

impl<S: Read + Seek + Send + 'static> Work<'_, S> {
    fn levelled(&self) -> Result<Outcome, Error> {
        let (mut silent, mut refused) = (None, None);
        for tracks in &self.task.choices {
            match self.measure(tracks) {
                Ok(measured) if measured.loudness.is_silent() => _ = silent.get_or_insert(measured),
                Ok(measured) => return self.encode(&measured),
                Err(Error::Refused(refusal)) => _ = refused.get_or_insert(refusal),
                Err(error) => return Err(error),
            }
        }
        match (silent, refused) {
            (Some(silence), _) => self.encode(&silence),
            (None, Some(refusal)) => Err(refusal.into()),
            (None, None) => Err(undecodable()),
        }
    }

    /// The first reading.
    fn measure(&self, tracks: &[u32]) -> Result<Measured, Error> {
        let channels = self.task.rung.channels;
        let (tracks, mix) = self.mix(tracks)?.of_heard(tracks);
        let mut program = Program::open(&self.source, self.task, &tracks, mix.clone())?;
        let (mut chain, mut out) = (Chain::new(channels, meter(channels)), VecDeque::new());
        let (mut loudness, mut trace) = (Loudness::silent(), Trace::default());
        let mut pulse = Pulse::new(self.emit);
        while let Some(block) = program.next()? {
            trace.take(&block);
            chain.push(&block, &mut out)?;
            out.drain(..).for_each(|block| loudness.hear(&block));
            pulse.beat(program.position() / 2)?;
        }
        chain.end(&mut out);
        out.drain(..).for_each(|block| loudness.hear(&block));
        if trace.is_empty() {
            return Err(undecodable());
        }
        trace.end();
        Ok(Measured { tracks, mix, loudness, trace })
    }

    /// Listens to several tracks until it is known how they belong together, which may take all of them.
    fn mix(&self, tracks: &[u32]) -> Result<Mix, Error> {
        let all = Mix::all(tracks.len(), self.task.rung.channels);
        if tracks.len() < 2 {
            return Ok(all);
        }
        let mut program = Program::open(&self.source, self.task, tracks, all.clone())?;
        let (mut levels, mut pulse) = (Levels::new(tracks.len()), Pulse::new(self.emit));
        while levels.live() < ENOUGH_LIVE
            && let Some(rows) = program.next_rows()?
        {
            levels.take(&rows);
            pulse.beat(0)?;
        }
        levels.end();
        Ok(levels.mix(&program.speakers(), self.task.rung.channels).unwrap_or(all))
    }

    /// The second reading, of the source opened anew: most containers can't go back by a sound track's clock, and a jump
    /// to the first byte leaves their demuxers astray.
    fn encode(&self, measured: &Measured) -> Result<Outcome, Error> {
        let task = self.task;
        let mut program = Program::open(&self.source, task, &measured.tracks, measured.mix.clone())?;
        let correction = measured.loudness.correction(task.rung.loudness_lufs);
        let (mut chain, mut out) = (Chain::new(task.rung.channels, correction), VecDeque::new());
        let most = frames_until(task.end, task.starts.last().copied().unwrap_or(0));
        let mut aac = Aac::open(&task.rung, Grid::new(0, &task.starts), most, self.emit)?;
        let (mut pulse, mut trace, mut checked) = (Pulse::new(self.emit), Trace::default(), 0);
        while let Some(block) = program.next()? {
            trace.take(&block);
            checked = trace.check(&measured.trace, checked)?;
            chain.push(&block, &mut out)?;
            push_all(&mut aac, &mut out)?;
            pulse.beat(task.end / 2 + program.position() / 2)?;
        }
        trace.end();
        trace.check(&measured.trace, checked)?;
        trace.check_whole(&measured.trace)?;
        chain.end(&mut out);
        push_all(&mut aac, &mut out)?;
        let ended_at: Ticks = aac.end()?;
        Ok(Outcome::Encoded { ended_at })
    }
}

fn push_all(aac: &mut Aac, out: &mut VecDeque<ffmpeg_next::frame::Audio>) -> Result<(), Error> {
    out.drain(..).try_for_each(|block| aac.push(&block))
}

#[cfg(test)]
mod tests;
