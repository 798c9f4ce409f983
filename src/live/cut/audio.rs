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
    queue: VecDeque<Heard>,
    boundaries: VecDeque<Boundary>,
    patience: Ticks,
}

/// A frame that waits for the video.
#[derive(Debug)]
struct Heard {
    at: Ticks,
    generation: u32,
    data: Bytes,
}

impl Audio {
    pub fn new(settings: Settings) -> Self {
        let (queue, boundaries) = (VecDeque::new(), VecDeque::new());
        Self { settings, newest: None, generation: 0, run: None, queue, boundaries, patience: PATIENCE }
    }

    /// Takes a configuration into account; true where it changes the sound's coding in mid-run. Until the next
    /// discontinuity such sound is silence.
    pub fn configure(&mut self, config: Bytes) -> Result<bool, Error> {
        if self.newest.as_ref().is_some_and(|sound| sound.config == config) {
            return Ok(false);
        }
        self.newest = Some(Sound::read(config)?);
        self.generation += 1;
        Ok(self.run.is_some())
    }

    /// A segment begins with the first frame at or after the boundary.
    pub fn turn(&mut self, boundary: Boundary) {
        self.boundaries.push_back(boundary);
    }

    /// Takes a frame heard at `at`; pictures have come up to `frontier`.
    pub fn push(&mut self, at: Ticks, data: Bytes, frontier: Ticks) {
        if self.newest.is_none() || data.is_empty() {
            return;
        }
        let wanted = frontier - at + PATIENCE / 2;
        self.patience = self.patience.max(wanted.min(LONGEST_PATIENCE));
        self.queue.push_back(Heard { at, generation: self.generation, data });
    }

    /// Passes on what no segment can begin before, and silence where sound has been missing for too long.
    pub fn pump(&mut self, frontier: Ticks, out: &mut Output) -> Result<(), Error> {
        while let Some(heard) = self.pop_ready(frontier) {
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
        let Some(run) = &mut self.run else { return Ok(None) };
        run.close(out).map(Some)
    }

    fn pop_ready(&mut self, frontier: Ticks) -> Option<Heard> {
        let newest = self.queue.back()?.at;
        let is_ready = |heard: &mut Heard| heard.at <= frontier || newest - heard.at > PATIENCE;
        self.queue.pop_front_if(is_ready)
    }

    fn fill(&mut self, until: Ticks, out: &mut Output) -> Result<(), Error> {
        while let Some(silence) = self.run.as_ref().filter(|run| run.end() < until).map(Run::silence) {
            self.append(silence, out)?;
        }
        Ok(())
    }

    fn take(&mut self, heard: Heard, out: &mut Output) -> Result<(), Error> {
        if self.run.is_none() && !self.start(heard.at, out)? {
            return Ok(());
        }
        let Some(run) = &mut self.run else { return Ok(()) };
        let missing = run.missing(heard.at);
        let is_foreign = heard.generation != run.generation();
        let (silence, data) = (run.silence(), heard.data);
        self.fill_frames(missing, out)?;
        // A frame too many is left out.
        if missing < 0 { Ok(()) } else { self.append(if is_foreign { silence } else { data }, out) }
    }

    /// Begins without sound where none has come by then.
    fn start_silent(&mut self, until: Ticks, out: &mut Output) -> Result<(), Error> {
        let first = self.boundaries.front().map(|boundary| boundary.start);
        if let Some(first) = first.filter(|first| self.run.is_none() && *first < until) {
            if self.newest.is_none() {
                self.newest = Some(Sound::usual()?);
            }
            self.start(first, out)?;
        }
        Ok(())
    }

    /// Begins the track with the first segment, silent up to `at`. False for sound before that.
    fn start(&mut self, at: Ticks, out: &mut Output) -> Result<bool, Error> {
        let Some(sound) = self.newest.clone() else { return Ok(false) };
        let Some(boundary) = self.boundaries.pop_front_if(|boundary| boundary.start <= at) else {
            return Ok(false);
        };
        let (first, here) = (sound.samples_to(boundary.start), sound.samples_to(at));
        let silent = (here - first) / sound.frame_samples;
        let next = here - silent * sound.frame_samples;
        self.run = Some(Run::open((sound, self.generation), next, self.settings.part_target));
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

    /// Ends a segment and begins the next, by the newest configuration where the timeline breaks anyway.
    fn pass(&mut self, boundary: Boundary, out: &mut Output) -> Result<(), Error> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let end = run.close(out)?;
        let newest =
            self.newest.clone().filter(|_| boundary.discontinuity && run.generation() != self.generation);
        if let Some(sound) = newest {
            let next = sound.samples_to(end);
            self.run = Some(Run::open((sound, self.generation), next, self.settings.part_target));
        }
        self.begin(boundary, out)
    }

    fn begin(&mut self, boundary: Boundary, out: &mut Output) -> Result<(), Error> {
        let Some(run) = &mut self.run else { return Ok(()) };
        let init = run.init(out)?;
        let Boundary { segment, discontinuity, .. } = boundary;
        run.begin(Begin { track: Track::Audio, segment, start: run.end(), discontinuity, init }, out);
        Ok(())
    }
}
