//! One session of an encoder, from its first frame to its last.

use std::collections::VecDeque;

use super::super::frame::{AudioFrame, Media, VideoFrame};
use super::audio::Audio;
use super::clock::Clock;
use super::error::Error;
use super::event::Event;
use super::rendition::Output;
use super::video::{Boundary, Video};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// Sound sent this much before the newest is forgotten while no keyframe has come.
const KEPT: Ticks = 2 * TICKS_PER_SECOND;
/// And never more frames than this, whatever their times.
const KEPT_FRAMES: usize = 512;

/// How segments and parts are made; the same for all sessions of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A segment ends at the first keyframe at or after this.
    pub segment_target: Ticks,
    /// No segment is longer: a keyframe that comes later is an error. EXT-X-TARGETDURATION, which may never change.
    pub segment_limit: Ticks,
    /// EXT-X-PART-INF PART-TARGET.
    pub part_target: Ticks,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            segment_target: 2 * TICKS_PER_SECOND,
            segment_limit: 12 * TICKS_PER_SECOND,
            part_target: TICKS_PER_SECOND * 35 / 100,
        }
    }
}

/// Where a session ended, and its successor goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    /// The next segment's number.
    pub segment: u32,
    /// The end of the longer track.
    pub time: Ticks,
}

/// Media in, events out.
#[derive(Debug)]
pub struct Cutter {
    clock: Clock,
    video: Video,
    audio: Audio,
    /// Sound that came before the first keyframe, and so before the timeline.
    early: VecDeque<AudioFrame>,
    out: Output,
    /// The end of what is closed.
    time: Ticks,
}

impl Cutter {
    /// A cutter for a broadcast's first session.
    pub fn new(settings: Settings) -> Self {
        Self::open(settings, Position::default(), false)
    }

    /// A cutter for an encoder that came back, here or on another node: it goes on after a discontinuity.
    pub fn resume(settings: Settings, from: Position) -> Self {
        Self::open(settings, from, true)
    }

    /// A segment whose pictures are kept and whose sound was lost with the node before: it gets silence.
    pub fn owe_sound(&mut self, segment: u32, start: Ticks) {
        self.audio.turn(Boundary { segment, start, discontinuity: false });
    }

    fn open(settings: Settings, from: Position, breaks: bool) -> Self {
        Self {
            clock: Clock::new(from.time),
            video: Video::new(settings, from, breaks),
            audio: Audio::new(settings),
            early: VecDeque::new(),
            out: Output::default(),
            time: from.time,
        }
    }

    /// Takes what the encoder sent next. After an error what came before it can still be polled and finished.
    pub fn push(&mut self, media: Media) -> Result<(), Error> {
        match media {
            Media::VideoConfig(config) => self.video.configure(config),
            Media::Video(frame) => self.push_video(frame),
            Media::AudioConfig(config) => {
                self.audio.configure(config)?;
                self.heed();
                Ok(())
            }
            Media::Audio(frame) => self.push_audio(frame),
            Media::Metadata(_) => Ok(()),
        }
    }

    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// Closes what is open at the end of the session. Nothing is pushed after it.
    pub fn finish(&mut self) -> Result<(), Error> {
        let Some(end) = self.video.finish(&mut self.out)? else { return Ok(()) };
        let heard = self.audio.finish(end, &mut self.out)?;
        self.time = heard.unwrap_or(end).max(end);
        Ok(())
    }

    /// Where a successor goes on: its number at any time, the time after `finish`.
    pub fn position(&self) -> Position {
        Position { segment: self.video.segment(), time: self.time }
    }

    /// Frames left out because they were damaged or came before any configuration.
    pub fn damaged(&self) -> u64 {
        self.video.damaged
    }

    fn push_video(&mut self, frame: VideoFrame) -> Result<(), Error> {
        if let Some(boundary) = self.video.push(frame, &mut self.clock, &mut self.out)? {
            self.audio.turn(boundary);
        }
        while self.clock.is_running()
            && let Some(frame) = self.early.pop_front()
        {
            self.hear(frame);
        }
        self.pump()
    }

    fn push_audio(&mut self, frame: AudioFrame) -> Result<(), Error> {
        if self.clock.is_running() {
            let at = self.hear(frame);
            self.pump()?;
            return self.video.check_waiting(at);
        }
        let newest = frame.pts_ticks;
        self.early.push_back(frame);
        let is_old = |frame: &mut AudioFrame| newest.saturating_sub(frame.pts_ticks) > KEPT;
        while self.early.len() > KEPT_FRAMES || self.early.front_mut().is_some_and(is_old) {
            self.early.pop_front();
        }
        Ok(())
    }

    fn hear(&mut self, frame: AudioFrame) -> Ticks {
        let at = self.clock.audio(frame.pts_ticks);
        self.audio.push(at, frame.data, self.video.frontier().unwrap_or(at));
        at
    }

    fn pump(&mut self) -> Result<(), Error> {
        let Some(frontier) = self.video.frontier() else { return Ok(()) };
        let pumped = self.audio.pump(frontier, &mut self.out);
        self.heed();
        pumped
    }

    fn heed(&mut self) {
        if self.audio.wants_break() {
            self.video.break_soon();
        }
    }
}
