//! The video track: where segments begin, and when a new configuration takes effect.

use bytes::Bytes;
use mp4_atom::Codec;

use super::super::frame::{VideoConfig, VideoFrame};
use super::avc;
use super::clock::{Clock, MIN_STEP, Moment};
use super::error::Error;
use super::event::{self, Begin, Event, Shape, Track};
use super::fragment::Sample;
use super::init::{self, VIDEO_TIMESCALE};
use super::picture::Picture;
use super::rendition::{Output, Rendition};
use super::{Position, Settings};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// How long the last picture of all is shown where nothing tells.
const USUAL_STEP: Ticks = TICKS_PER_SECOND / 30;

/// A segment begins in every track.
#[derive(Debug, Clone, Copy)]
pub(super) struct Boundary {
    pub segment: u32,
    pub start: Ticks,
    pub discontinuity: bool,
}

/// Pictures in, segments out.
#[derive(Debug)]
pub(super) struct Video {
    settings: Settings,
    rendition: Rendition,
    /// What the open segment is coded by, and the number of its initialisation segment.
    picture: Option<(Picture, u32)>,
    /// Takes effect at the next keyframe.
    next: Option<Picture>,
    /// The newest picture, whose duration nobody knows yet.
    held: Option<(Moment, VideoFrame)>,
    step: Ticks,
    /// When the last picture so far is shown, which with B-frames is not the newest.
    latest: Ticks,
    segment: u32,
    /// The next keyframe begins a segment after a discontinuity.
    breaks: bool,
    pub damaged: u64,
}

impl Video {
    pub fn new(settings: Settings, from: Position, breaks: bool) -> Self {
        Self {
            rendition: Rendition::new(Track::Video, VIDEO_TIMESCALE, settings.part_target),
            settings,
            picture: None,
            next: None,
            held: None,
            step: USUAL_STEP,
            latest: from.time,
            segment: from.segment,
            breaks,
            damaged: 0,
        }
    }

    /// Takes a configuration into account from the next keyframe on; one that is known already changes nothing.
    pub fn configure(&mut self, config: VideoConfig) -> Result<(), Error> {
        if self.newest().is_some_and(|picture| picture.config == config) {
            return Ok(());
        }
        self.next = Some(Picture::read(config)?);
        Ok(())
    }

    /// Asks for a discontinuity at the next keyframe.
    pub fn break_soon(&mut self) {
        self.breaks = true;
    }

    /// The next number and where the timeline ends, for a successor.
    pub fn segment(&self) -> u32 {
        self.segment
    }

    /// Earlier than this no picture will be decoded, and so no segment begin.
    pub fn frontier(&self) -> Option<Ticks> {
        self.held.as_ref().map(|(moment, _)| moment.decoded)
    }

    /// Refuses `time` where the open segment would last longer than was promised.
    pub fn check_waiting(&self, time: Ticks) -> Result<(), Error> {
        let waited = self.rendition.start().map_or(0, |start| time - start);
        let ms = |time: Ticks| time * 1000 / TICKS_PER_SECOND;
        if waited > self.settings.segment_limit {
            return Err(Error::NoKeyframe {
                waited_ms: ms(waited),
                limit_ms: ms(self.settings.segment_limit),
            });
        }
        Ok(())
    }

    /// Takes the next picture, in decoding order. Gives the boundary where it begins a segment.
    pub fn push(
        &mut self,
        frame: VideoFrame,
        clock: &mut Clock,
        out: &mut Output,
    ) -> Result<Option<Boundary>, Error> {
        if !self.accepts(&frame)? {
            return Ok(None);
        }
        let moment = clock.video(&frame);
        self.check_waiting(moment.shown)?;
        self.release(moment.decoded, out)?;
        let boundary = if frame.key { self.turn(moment, out)? } else { None };
        self.latest = self.latest.max(moment.shown);
        self.place(moment, &frame, out);
        self.held = Some((moment, frame));
        Ok(boundary)
    }

    /// Closes the last segment and says when it ends.
    pub fn finish(&mut self, out: &mut Output) -> Result<Option<Ticks>, Error> {
        if let Some(decoded) = self.frontier() {
            // Where an encoder is cut off among B-frames, what is missing would have been shown before the last one.
            let missing =
                self.rendition.end().map_or(0, |end| (self.latest - end).clamp(0, TICKS_PER_SECOND));
            self.release(decoded + self.step + missing, out)?;
        }
        self.rendition.end().map(|end| self.rendition.close(end, out)).transpose()
    }

    fn newest(&self) -> Option<&Picture> {
        self.next.as_ref().or(self.picture.as_ref().map(|(picture, _)| picture))
    }

    /// Whether the frame can be shown: it is whole, and a keyframe of its configuration came before it or is it.
    fn accepts(&mut self, frame: &VideoFrame) -> Result<bool, Error> {
        let known = self.newest().map(|picture| &picture.codec);
        let is_whole = match known {
            Some(Codec::Avc1(avc1)) => {
                let units = avc::units(&frame.data, usize::from(avc1.avcc.length_size));
                let found = units.as_ref().filter(|_| frame.key);
                let config = found.and_then(|units| avc::config_in_band(units, Some(&avc1.avcc)));
                self.configure_in_band(config)?;
                units.is_some()
            }
            Some(Codec::Hvc1(hvc1)) => {
                avc::units(&frame.data, usize::from(hvc1.hvcc.length_size_minus_one) + 1).is_some()
            }
            Some(_) => !frame.data.is_empty(),
            None => {
                let units = avc::units(&frame.data, 4).filter(|_| frame.key);
                self.configure_in_band(units.and_then(|units| avc::config_in_band(&units, None)))?;
                self.next.is_some()
            }
        };
        self.damaged += u64::from(!is_whole);
        let waits_for_key = self.picture.is_none() || self.next.is_some();
        Ok(is_whole && (frame.key || !waits_for_key))
    }

    fn configure_in_band(&mut self, config: Option<Bytes>) -> Result<(), Error> {
        config.map_or(Ok(()), |config| self.configure(VideoConfig::Avc(config)))
    }

    /// Adds the held picture, now that the next one is decoded at `until`.
    fn release(&mut self, until: Ticks, out: &mut Output) -> Result<(), Error> {
        let Some((moment, frame)) = self.held.take() else { return Ok(()) };
        let duration = (until - moment.decoded).max(MIN_STEP);
        self.step = duration.min(TICKS_PER_SECOND);
        let Moment { decoded, shown } = moment;
        let delay = shown - decoded;
        self.rendition.add(Sample { decoded, duration, delay, key: frame.key, data: frame.data }, out)
    }

    fn place(&self, Moment { decoded, shown }: Moment, frame: &VideoFrame, out: &mut Output) {
        let Some((picture, _)) = &self.picture else { return };
        let (config, data) = (picture.config.clone(), frame.data.clone());
        let placed = event::Picture { config, decoded, shown, key: frame.key, data };
        out.events.push_back(Event::Picture(placed));
    }

    /// Begins a segment with the keyframe shown at `moment`, if it is time to.
    fn turn(&mut self, moment: Moment, out: &mut Output) -> Result<Option<Boundary>, Error> {
        let is_due = |start| moment.shown - start >= self.settings.segment_target;
        let due = self.rendition.start().is_none_or(is_due);
        if !due && !self.breaks && self.next.is_none() {
            return Ok(None);
        }
        let start = self.rendition.close(moment.shown, out)?;
        let is_changed = self.picture.is_some() && self.next.is_some();
        let init = self.init(out)?;
        let discontinuity = std::mem::take(&mut self.breaks) || is_changed;
        let segment = self.segment;
        self.segment += 1;
        let begin = Begin { track: Track::Video, segment, start, discontinuity, init };
        self.rendition.begin(begin, moment.decoded, out);
        Ok(Some(Boundary { segment, start, discontinuity }))
    }

    /// The number of the initialisation segment in force, which is a new one after a new configuration.
    fn init(&mut self, out: &mut Output) -> Result<u32, Error> {
        if let Some(picture) = self.next.take() {
            let shape =
                Shape::Video { width: picture.width, height: picture.height, frame_rate: picture.frame_rate };
            let bytes = init::video(&picture)?;
            let number = out.init(Track::Video, bytes, (picture.codecs.clone(), shape));
            self.picture = Some((picture, number));
        }
        Ok(self.picture.as_ref().map_or(0, |(_, number)| *number))
    }
}
