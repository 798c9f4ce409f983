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

/// Sound sent this much before the newest is forgotten while no keyframe has come; the rest is heard while the first
/// picture stands.
pub const KEPT: Ticks = 6 * TICKS_PER_SECOND;
/// Encoders begin with sound this much before the first picture without a word in it.
const LEAST_LEAD: Ticks = TICKS_PER_SECOND * 15 / 100;
/// And never more frames than this, whatever their times.
const KEPT_FRAMES: usize = 1024;
/// Pictures that come later than their sound are waited for a second longer than they have taken, and no longer than this.
const LATEST: Ticks = 5 * TICKS_PER_SECOND;

/// How segments and parts are made; the same for all sessions of a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// A segment ends at the first keyframe at or after this.
    pub segment_target: Ticks,
    /// The first segment is no longer: where no keyframe has come by then it ends without. It fixes
    /// EXT-X-TARGETDURATION, which may never change, and so how long later ones may be.
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
    /// Sound that came before the first keyframe.
    early: VecDeque<AudioFrame>,
    out: Output,
    /// The newest sound, and by how much it was ahead of the pictures that came after it.
    heard: Ticks,
    late: Ticks,
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

    /// Seconds that no segment, rounded, is longer than; known once the first has closed.
    pub fn target(&self) -> Option<u32> {
        self.video.target()
    }

    /// Goes on with what the broadcast's playlists have promised.
    pub fn keep_target(&mut self, target: u32) {
        self.video.keep_target(target);
    }

    fn open(settings: Settings, from: Position, breaks: bool) -> Self {
        Self {
            clock: Clock::new(from.time),
            video: Video::new(settings, from, breaks),
            audio: Audio::new(settings),
            early: VecDeque::new(),
            out: Output::default(),
            heard: from.time,
            late: 0,
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
            Media::Metadata(_) | Media::LeftOut(_) => Ok(()),
        }
    }

    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// Closes what is open at the end of the session. Nothing is pushed after it.
    pub fn finish(&mut self) -> Result<(), Error> {
        self.go_on(self.heard)?;
        let Some(end) = self.video.finish(self.heard, &mut self.out)? else { return Ok(()) };
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
        if !self.clock.is_running() {
            let shown = frame.dts_ticks.saturating_add(frame.cts_ticks.into());
            let lead = self.early.front().map_or(0, |first| shown.saturating_sub(first.pts_ticks));
            let is_lead = (LEAST_LEAD..=KEPT + TICKS_PER_SECOND).contains(&lead);
            self.clock.hold_first(if is_lead { lead } else { 0 });
        }
        let boundaries = self.video.push(frame, &mut self.clock, &mut self.out)?;
        for boundary in boundaries {
            self.audio.turn(boundary);
        }
        let seen = self.video.frontier().unwrap_or(self.heard);
        self.late = (self.heard - seen).clamp(0, LATEST);
        while self.clock.is_running()
            && let Some(frame) = self.early.pop_front()
        {
            self.hear(frame);
        }
        self.pump()
    }

    fn push_audio(&mut self, frame: AudioFrame) -> Result<(), Error> {
        if self.clock.is_running() {
            self.hear(frame);
            self.go_on(self.heard - (self.late + TICKS_PER_SECOND).min(LATEST))?;
            return self.pump();
        }
        let newest = frame.pts_ticks;
        self.early.push_back(frame);
        let is_old = |frame: &mut AudioFrame| newest.saturating_sub(frame.pts_ticks) > KEPT;
        while self.early.len() > KEPT_FRAMES || self.early.front_mut().is_some_and(is_old) {
            self.early.pop_front();
        }
        Ok(())
    }

    fn hear(&mut self, frame: AudioFrame) {
        let at = self.clock.audio(frame.pts_ticks);
        self.heard = self.heard.max(at);
        self.audio.push(at, frame.data, self.video.frontier().unwrap_or(at));
    }

    /// Segments without a picture, where none has come up to `until`.
    fn go_on(&mut self, until: Ticks) -> Result<(), Error> {
        let boundaries = self.video.go_on(until, &mut self.clock, &mut self.out)?;
        for boundary in boundaries {
            self.audio.turn(boundary);
        }
        Ok(())
    }

    fn pump(&mut self) -> Result<(), Error> {
        let Some(frontier) = self.video.frontier() else { return Ok(()) };
        let full_at = self.video.full_at().unwrap_or(frontier);
        let pumped = self.audio.pump((frontier, full_at), &mut self.out);
        self.heed();
        pumped
    }

    fn heed(&mut self) {
        if self.audio.wants_break() {
            self.video.break_soon();
        }
    }
}
