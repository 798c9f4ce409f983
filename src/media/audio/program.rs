//! What is heard of a source: one track as it is, or several tracks of one channel each laid together.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use ffmpeg_next::{ChannelLayout, format, frame};

use super::filters::{Chain, RATE};
use super::mix::Mix;
use super::source::Sound;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::media::error::Error;
use crate::media::raw;
use crate::media::shared::SharedSource;
use crate::media::task::Audio;

/// Samples of a block that several tracks are laid together in.
const BLOCK: usize = 4096;

/// Reads one track, or several in step, each through an input of its own: however a container stores them, none has to
/// wait in memory for the others.
pub(super) struct Program {
    voices: Vec<Voice>,
    mix: Mix,
    /// Samples given out.
    given: u64,
    end: Ticks,
}

impl Program {
    /// Opens the source anew for these tracks, to be heard as `mix` says.
    pub fn open<S>(source: &SharedSource<S>, task: &Audio, tracks: &[u32], mix: Mix) -> Result<Self, Error>
    where
        S: Read + Seek + Send + 'static,
    {
        let channels = if tracks.len() > 1 { 1 } else { task.rung.channels };
        let open = |track: &u32| {
            let input = source.open()?;
            let speaker = input.stream(*track as usize).and_then(|stream| raw::speaker(&stream));
            let sound = Sound::open(input, *track, task)?;
            Ok(Voice {
                sound,
                speaker,
                chain: Chain::new(channels, ""),
                ready: VecDeque::new(),
                ended: false,
            })
        };
        let voices = tracks.iter().map(open).collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { voices, mix, given: 0, end: task.end })
    }

    /// Where the next sample will be.
    pub fn position(&self) -> Ticks {
        ticks(self.given)
    }

    /// The speaker that each track says it is for.
    pub fn speakers(&self) -> Vec<Option<u32>> {
        self.voices.iter().map(|voice| voice.speaker).collect()
    }

    /// The block that follows, 48 kHz planar floats; `None` at the end of the source or of the timeline.
    pub fn next(&mut self) -> Result<Option<frame::Audio>, Error> {
        if self.position() >= self.end {
            return Ok(None);
        }
        let block = match self.voices.as_mut_slice() {
            [voice] => voice.next()?,
            _ => self.rows()?.map(|rows| self.mix.lay(&rows)).map(|planes| block_of(&planes)),
        };
        self.given += block.as_ref().map_or(0, |block| block.samples() as u64);
        Ok(block)
    }

    /// The samples that follow of each track by itself, all of one length.
    pub fn next_rows(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        if self.position() >= self.end {
            return Ok(None);
        }
        let rows = self.rows()?;
        self.given += rows.iter().flatten().next().map_or(0, |row| row.len() as u64);
        Ok(rows)
    }

    fn rows(&mut self) -> Result<Option<Vec<Vec<f32>>>, Error> {
        let mut rows = Vec::with_capacity(self.voices.len());
        for voice in &mut self.voices {
            rows.push(voice.next_samples(BLOCK)?);
        }
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        for row in &mut rows {
            row.resize(longest, 0.0);
        }
        Ok((longest > 0).then_some(rows))
    }
}

/// One track, at 48 kHz.
struct Voice {
    sound: Sound,
    speaker: Option<u32>,
    chain: Chain,
    ready: VecDeque<frame::Audio>,
    ended: bool,
}

impl Voice {
    fn next(&mut self) -> Result<Option<frame::Audio>, Error> {
        while self.ready.is_empty() && !self.ended {
            if let Some(block) = self.sound.next() {
                self.chain.push(&block, &mut self.ready)?;
            } else {
                self.ended = true;
                self.chain.end(&mut self.ready);
            }
        }
        Ok(self.ready.pop_front())
    }

    /// So many samples of the first channel; fewer only at the end.
    fn next_samples(&mut self, count: usize) -> Result<Vec<f32>, Error> {
        let mut samples = Vec::with_capacity(count);
        while samples.len() < count
            && let Some(mut block) = self.next()?
        {
            let wanted = count - samples.len();
            if block.samples() > wanted {
                self.ready.push_front(crate::media::libav::without_start(&block, wanted));
                block.set_samples(wanted);
            }
            samples.extend(block.plane::<f32>(0).iter().map(|sample| finite(*sample)));
        }
        Ok(samples)
    }
}

/// A sample that is a number; decoders of damaged sound also give others.
pub(super) fn finite(sample: f32) -> f32 {
    if sample.is_finite() { sample } else { 0.0 }
}

/// How long so many samples at 48 kHz last.
fn ticks(samples: u64) -> Ticks {
    Ticks::try_from(samples * (TICKS_PER_SECOND.unsigned_abs() / 6000) / u64::from(RATE / 6000))
        .unwrap_or(Ticks::MAX)
}

fn block_of(planes: &[Vec<f32>]) -> frame::Audio {
    let layout = ChannelLayout::default(i32::try_from(planes.len()).unwrap_or(2));
    let samples = planes.first().map_or(0, Vec::len);
    let mut block = frame::Audio::new(format::Sample::F32(format::sample::Type::Planar), samples, layout);
    block.set_rate(RATE);
    for (channel, plane) in planes.iter().enumerate() {
        block.plane_mut::<f32>(channel).copy_from_slice(plane);
    }
    block
}
