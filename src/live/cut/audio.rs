//! The audio track: a gapless run of frames kept in step with the timestamps, cut where the video is. There always is
//! one, silent where the encoder sends no sound: a rendition that comes and goes leaves players behind that began
//! without it.

use std::collections::VecDeque;

use bytes::Bytes;

use super::Settings;
use super::aac::Sound;
use super::error::Error;
use super::event::{Begin, Track};
use super::rendition::Output;
use super::run::Run;
use super::video::Boundary;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Sound waits this long for pictures that may begin a segment, and pictures for sound, before one goes on alone.
const PATIENCE: Ticks = TICKS_PER_SECOND;
/// Encoders that send sound late are waited for up to this long.
const LONGEST_PATIENCE: Ticks = 5 * TICKS_PER_SECOND;

/// Sound in, segments out.
#[derive(Debug)]
pub(super) struct Audio {
    settings: Settings,
    /// The newest configuration and how many came before it.
    newest: Option<Sound>,
    generation: u32,
    run: Option<Run>,
    /// The open segment, and the one the pictures are at: the sound is ahead where its coding changed in between.
    open: u32,
    seen: u32,
    /// The next segment must come after a discontinuity.
    breaks: bool,
    queue: VecDeque<Heard>,
    boundaries: VecDeque<Boundary>,
    patience: Ticks,
}

/// A frame that waits for the video.
#[derive(Debug)]
struct Heard {
    at: Ticks,
    sound: Sound,
    generation: u32,
    data: Bytes,
}

impl Audio {
    pub fn new(settings: Settings) -> Self {
        let (queue, boundaries) = (VecDeque::new(), VecDeque::new());
        let (open, seen, breaks) = (0, 0, false);
        let (newest, generation, run, patience) = (None, 0, None, PATIENCE);
        Self { settings, newest, generation, run, open, seen, breaks, queue, boundaries, patience }
    }

    /// Takes a configuration into account. Where it changes the sound's coding in mid-run, the pictures are asked for a
    /// discontinuity.
    pub fn configure(&mut self, config: Bytes) -> Result<(), Error> {
        if self.newest.as_ref().is_some_and(|sound| sound.config == config) {
            return Ok(());
        }
        self.newest = Some(Sound::read(config)?);
        self.generation += 1;
        self.breaks = self.run.is_some();
        Ok(())
    }

    /// Asks for a discontinuity at the next keyframe; said once.
    pub fn wants_break(&mut self) -> bool {
        std::mem::take(&mut self.breaks)
    }

    /// A segment begins with the first frame at or after the boundary.
    pub fn turn(&mut self, boundary: Boundary) {
        self.seen = boundary.segment;
        self.boundaries.push_back(boundary);
    }

    /// Takes a frame heard at `at`; pictures have come up to `frontier`.
    pub fn push(&mut self, at: Ticks, data: Bytes, frontier: Ticks) {
        let Some(sound) = self.newest.clone().filter(|_| !data.is_empty()) else { return };
        let wanted = frontier - at + PATIENCE / 2;
        self.patience = self.patience.max(wanted.min(LONGEST_PATIENCE));
        self.queue.push_back(Heard { at, sound, generation: self.generation, data });
    }

    /// Passes on what no segment can begin before, and silence where sound has been missing for too long. At `full_at` the
    /// pictures' open segment has lasted so long that the next one is waited for.
    pub fn pump(&mut self, (frontier, full_at): (Ticks, Ticks), out: &mut Output) -> Result<(), Error> {
        while let Some(heard) = self.pop_ready(frontier, full_at) {
            self.take(heard, out)?;
        }
        let until = frontier - self.patience;
        self.start_silent(until, out)?;
        self.fill(until, out)
    }

    /// Passes on all there is, at least up to `end`, and closes the last segment. Gives its end.
    pub fn finish(&mut self, end: Ticks, out: &mut Output) -> Result<Option<Ticks>, Error> {
        while let Some(heard) = self.queue.pop_front() {
            self.take(heard, out)?;
        }
        self.start_silent(end, out)?;
        self.fill(end, out)?;
        let ahead = self.open > self.seen;
        let Some(run) = &mut self.run else { return Ok(None) };
        if ahead {
            // There are no pictures to this segment.
            return Ok(Some(run.give_up()));
        }
        run.close(out).map(Some)
    }

    fn pop_ready(&mut self, frontier: Ticks, full_at: Ticks) -> Option<Heard> {
        let newest = self.queue.back()?.at;
        let is_late = |at: Ticks| newest - at > PATIENCE && at < full_at;
        let is_ready = |heard: &mut Heard| heard.at <= frontier || is_late(heard.at);
        self.queue.pop_front_if(is_ready)
    }

    fn fill(&mut self, until: Ticks, out: &mut Output) -> Result<(), Error> {
        while let Some(silence) = self.run.as_ref().filter(|run| run.end() < until).map(Run::silence) {
            self.append(silence, out)?;
        }
        Ok(())
    }

    fn take(&mut self, heard: Heard, out: &mut Output) -> Result<(), Error> {
        if self.run.is_none() && !self.start((heard.sound.clone(), heard.generation), heard.at, out)? {
            return Ok(());
        }
        let missing = self.run.as_mut().map_or(0, |run| run.missing(heard.at));
        self.fill_frames(missing, out)?;
        self.recode(&heard, out)?;
        let Some(run) = &self.run else { return Ok(()) };
        let data = if heard.generation == run.generation() { heard.data } else { run.silence() };
        // A frame too many is left out.
        if missing < 0 { Ok(()) } else { self.append(data, out) }
    }

    /// Where the coding changes in mid-segment, the next one begins early: after the discontinuity the pictures will
    /// have, or have had already.
    fn recode(&mut self, heard: &Heard, out: &mut Output) -> Result<(), Error> {
        if self.run.as_ref().is_none_or(|run| run.generation() >= heard.generation) {
            return Ok(());
        }
        let mut next = self.next_boundary();
        while let Some(boundary) = next.filter(|boundary| !boundary.discontinuity) {
            // The pictures are in it already: it gets one frame at least.
            let Some(run) = &mut self.run else { return Ok(()) };
            let last = run.take_last().unwrap_or_else(|| run.silence());
            self.pass(boundary, out)?;
            self.run.as_mut().map_or(Ok(()), |run| run.add(last, out))?;
            next = self.next_boundary();
        }
        if next.is_none() && self.open > self.seen {
            return Ok(());
        }
        self.breaks = next.is_none();
        let Some(run) = &mut self.run else { return Ok(()) };
        let start = run.close(out)?;
        let next = heard.sound.samples_to(start);
        let coding = (heard.sound.clone(), heard.generation);
        self.run = Some(Run::open(coding, next, self.settings.part_target));
        self.begin(Boundary { segment: self.open + 1, start, discontinuity: true }, out)
    }

    /// The next one the sound has not come to.
    fn next_boundary(&self) -> Option<Boundary> {
        self.boundaries.iter().find(|boundary| boundary.segment > self.open).copied()
    }

    /// Begins without sound where none has come by then.
    fn start_silent(&mut self, until: Ticks, out: &mut Output) -> Result<(), Error> {
        let first = self.boundaries.front().map(|boundary| boundary.start);
        if let Some(first) = first.filter(|first| self.run.is_none() && *first < until) {
            let sound = self.newest.clone().map_or_else(Sound::usual, Ok)?;
            // Where it is what the encoder will say, nothing changes then.
            self.newest = Some(sound.clone());
            self.start((sound, self.generation), first, out)?;
        }
        Ok(())
    }

    /// Begins the track with the first segment, silent up to `at`. False for sound before that.
    fn start(&mut self, coding: (Sound, u32), at: Ticks, out: &mut Output) -> Result<bool, Error> {
        let sound = &coding.0;
        let Some(boundary) = self.boundaries.pop_front_if(|boundary| boundary.start <= at) else {
            return Ok(false);
        };
        let (first, here) = (sound.samples_to(boundary.start), sound.samples_to(at));
        let silent = (here - first) / sound.frame_samples;
        let next = here - silent * sound.frame_samples;
        self.run = Some(Run::open(coding, next, self.settings.part_target));
        self.begin(boundary, out)?;
        self.fill_frames(silent, out)?;
        Ok(true)
    }

    fn fill_frames(&mut self, count: i64, out: &mut Output) -> Result<(), Error> {
        let Some(silence) = self.run.as_ref().map(Run::silence) else { return Ok(()) };
        (0..count).try_for_each(|_| self.append(silence.clone(), out))
    }

    fn append(&mut self, data: Bytes, out: &mut Output) -> Result<(), Error> {
        while let Some(end) = self.run.as_ref().map(Run::end)
            && let Some(boundary) = self.boundaries.pop_front_if(|boundary| boundary.start <= end)
        {
            self.pass(boundary, out)?;
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        run.add(data, out)
    }

    /// Ends a segment and begins the next, unless that has begun already.
    fn pass(&mut self, boundary: Boundary, out: &mut Output) -> Result<(), Error> {
        let Some(run) = self.run.as_mut().filter(|_| boundary.segment > self.open) else { return Ok(()) };
        run.close(out)?;
        self.begin(boundary, out)
    }

    fn begin(&mut self, boundary: Boundary, out: &mut Output) -> Result<(), Error> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let init = run.init(out)?;
        let Boundary { segment, discontinuity, .. } = boundary;
        self.open = segment;
        run.begin(Begin { track: Track::Audio, segment, start: run.end(), discontinuity, init }, out);
        Ok(())
    }
}
