//! The audio rendition, once for the whole video: measured first, then levelled, resampled and encoded sample-exact.

mod aac;
mod filters;
mod loudness;
mod place;
mod source;

use ffmpeg_next::format::context::Input;

use self::aac::{Aac, frames_until};
use self::filters::Chain;
use self::loudness::{Loudness, METER};
use self::source::{Sound, undecodable};
use super::error::Error;
use super::grid::Grid;
use super::pulse::Pulse;
use super::raw;
use super::task::{Audio, Outcome};
use super::wire::Emit;

/// Encodes the whole audio track; sound that can't be decoded is refused.
pub fn run(task: &Audio, mut input: Input, emit: &Emit) -> Result<Outcome, Error> {
    match levelled(task, &mut input, emit) {
        Err(Error::Refused(refusal)) => Ok(Outcome::Refused { refusal }),
        other => other,
    }
}

fn levelled(task: &Audio, input: &mut Input, emit: &Emit) -> Result<Outcome, Error> {
    let loudness = measure(task, input, emit)?;
    raw::rewind(input, task.stream as usize)?;
    encode(task, input, loudness, emit)
}

/// The first reading; halfway through the task at its end.
fn measure(task: &Audio, input: &mut Input, emit: &Emit) -> Result<Loudness, Error> {
    let mut sound = Sound::open(input, task)?;
    let mut chain = Chain::new(task.rung.channels, METER);
    let (mut loudness, mut heard, mut pulse) = (Loudness::silent(), false, Pulse::new(emit));
    let mut hear = |block: &ffmpeg_next::frame::Audio| {
        loudness.hear(block);
        Ok(())
    };
    loop {
        let goes_on = sound.read(&mut |block| {
            heard = true;
            chain.push(&block, &mut hear)?;
            Ok(true)
        })?;
        pulse.beat(sound.position() / 2)?;
        if !goes_on || sound.position() > task.end {
            break;
        }
    }
    chain.end(&mut hear)?;
    if heard { Ok(loudness) } else { Err(undecodable()) }
}

fn encode(task: &Audio, input: &mut Input, loudness: Loudness, emit: &Emit) -> Result<Outcome, Error> {
    let mut sound = Sound::open(input, task)?;
    let mut chain = Chain::new(task.rung.channels, loudness.correction(task.rung.loudness_lufs));
    let most = frames_until(task.end, task.starts.last().copied().unwrap_or(0));
    let mut aac = Aac::open(&task.rung, Grid::new(0, &task.starts), most, emit)?;
    let mut pulse = Pulse::new(emit);
    while sound.read(&mut |block| {
        chain.push(&block, &mut |block| aac.push(block))?;
        pulse.beat(task.end / 2 + aac.position() / 2)?;
        Ok(!aac.is_full())
    })? {}
    chain.end(&mut |block| aac.push(block))?;
    Ok(Outcome::Encoded { ended_at: aac.end()? })
}

#[cfg(test)]
mod tests;
