//! AAC frames of one configuration, one after the other without a gap, kept in step with the timestamps by leaving
//! out a frame or asking for silence. A gap in the timestamps of a file would not be heard: browsers play frames one
//! after the other and are out of step with the picture from then on.

use bytes::Bytes;

use super::aac::Sound;
use super::error::Error;
use super::event::{Begin, Shape, Track};
use super::fragment::Sample;
use super::init;
use super::rendition::{Output, Rendition, to_ticks};
use crate::domain::media::Ticks;

/// This part of a second is no jitter of timestamps any more: 100 ms.
const AT_ONCE: i64 = 10;
/// This part of a second is noticed by people, if it stays: 20 ms.
const NOTICED: i64 = 50;
/// Frames over which a distance is averaged.
const AVERAGED: i64 = 32;

/// A run of frames, and the segment being made of them.
#[derive(Debug)]
pub(super) struct Run {
    sound: Sound,
    generation: u32,
    init: Option<u32>,
    rendition: Rendition,
    /// Where the next frame begins, in samples.
    next: i64,
    /// How far the timestamps are ahead of `next` on average, times `AVERAGED`.
    drift: i64,
}

impl Run {
    /// A run that begins at `next`, in samples, coded by the `generation`th configuration.
    pub fn open((sound, generation): (Sound, u32), next: i64, part_target: Ticks) -> Self {
        let rendition = Rendition::new(Track::Audio, sound.sample_rate, part_target);
        Self { sound, generation, init: None, rendition, next, drift: 0 }
    }

    pub fn generation(&self) -> u32 {
        self.generation
    }

    pub fn silence(&self) -> Bytes {
        self.sound.silence()
    }

    /// Where the next frame begins.
    pub fn end(&self) -> Ticks {
        to_ticks(self.next, self.sound.sample_rate)
    }

    /// The number of its initialisation segment, told on the first call.
    pub fn init(&mut self, out: &mut Output) -> Result<u32, Error> {
        if let Some(number) = self.init {
            return Ok(number);
        }
        let (sample_rate, channels) = (self.sound.sample_rate, self.sound.channels());
        let described = (self.sound.codecs(), Shape::Audio { sample_rate, channels });
        let number = out.init(Track::Audio, init::audio(&self.sound)?, described);
        self.init = Some(number);
        Ok(number)
    }

    pub fn begin(&mut self, begin: Begin, out: &mut Output) {
        self.rendition.begin(begin, self.next, out);
    }

    pub fn add(&mut self, data: Bytes, out: &mut Output) -> Result<(), Error> {
        let (decoded, duration) = (self.next, self.sound.frame_samples);
        self.next += duration;
        self.rendition.add(Sample { decoded, duration, delay: 0, key: true, data }, out)
    }

    /// Takes back the last frame, where no part has it yet and it is not its segment's only one.
    pub fn take_last(&mut self) -> Option<Bytes> {
        let last = self.rendition.take_last()?;
        self.next = last.decoded;
        Some(last.data)
    }

    /// Forgets the open segment. Gives its end.
    pub fn give_up(&mut self) -> Ticks {
        self.rendition.give_up();
        self.end()
    }

    pub fn close(&mut self, out: &mut Output) -> Result<Ticks, Error> {
        self.rendition.close(self.end(), out)
    }

    /// How many frames are missing before the one heard at `at`; -1 where that one is too many. Jitter is averaged
    /// away, a jump is followed at once.
    pub fn missing(&mut self, at: Ticks) -> i64 {
        let (rate, frame) = (i64::from(self.sound.sample_rate), self.sound.frame_samples);
        let ahead = self.sound.samples_to(at) - self.next;
        if ahead.abs() > rate / AT_ONCE {
            self.drift = ahead * AVERAGED;
        } else {
            self.drift += ahead - self.drift / AVERAGED;
        }
        let average = self.drift / AVERAGED;
        // Whole frames only: what is left must not be enough to turn back.
        if average.abs() <= (rate / NOTICED).max(frame * 6 / 10) {
            return 0;
        }
        let frames = if average < 0 { -1 } else { (average + frame / 2) / frame };
        self.drift -= frames * frame * AVERAGED;
        frames
    }
}
