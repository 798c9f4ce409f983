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
use super::promise::{LEAST_TARGET, Promise};
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
    promise: Promise,
    rendition: Rendition,
    /// What the open segment is coded by, and the number of its initialisation segment.
    picture: Option<(Picture, u32)>,
    /// Takes effect at the next keyframe.
    next: Option<Picture>,
    /// The newest picture, whose duration nobody knows yet.
    held: Option<(Moment, VideoFrame)>,
    step: Ticks,
    /// What a picture that segments may begin with is shown later than it is decoded, as the last keyframe was.
    delay: Ticks,
    /// When the last keyframe was decoded, and from one to the next lately.
    key: Option<Ticks>,
    apart: Option<Ticks>,
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
            promise: Promise::new(settings.segment_limit),
            picture: None,
            next: None,
            held: None,
            step: USUAL_STEP,
            delay: 0,
            key: None,
            apart: None,
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

    /// Seconds that no segment, rounded, is longer than, once it is promised.
    pub fn target(&self) -> Option<u32> {
        self.promise.target()
    }

    /// Holds what was promised before.
    pub fn keep_target(&mut self, target: u32) {
        self.promise.keep(target);
    }

    /// Earlier than this no picture will be decoded, and so no segment begin.
    pub fn frontier(&self) -> Option<Ticks> {
        let held = self.held.as_ref().map(|(moment, _)| moment.decoded);
        held.max(self.rendition.base())
    }

    /// From here on sound is in the next segment, unless the pictures say otherwise.
    pub fn full_at(&self) -> Option<Ticks> {
        // What sound is told of before pictures promise anything must fit whatever they promise.
        let least = Ticks::from(LEAST_TARGET) * TICKS_PER_SECOND;
        let full = if self.promise.target().is_some() { self.full() } else { least.min(self.full()) };
        Some(self.rendition.start()? + full)
    }

    /// Takes the next picture, in decoding order. Gives the boundaries where segments begin with it or before it.
    pub fn push(
        &mut self,
        frame: VideoFrame,
        clock: &mut Clock,
        out: &mut Output,
    ) -> Result<Vec<Boundary>, Error> {
        if !self.accepts(&frame)? {
            return Ok(Vec::new());
        }
        let moment = clock.video(&frame);
        let mut boundaries = self.bridge((moment.decoded, Some(moment.decoded)), out)?;
        self.release(moment.decoded, out)?;
        if frame.key {
            boundaries.extend(self.turn(moment, out)?);
            self.note_key(moment);
        } else if self.is_full(moment) {
            boundaries.push(self.cut(moment.decoded, out)?);
        }
        self.latest = self.latest.max(moment.shown);
        self.place(moment, &frame, out);
        self.held = Some((moment, frame));
        Ok(boundaries)
    }

    /// Sound has come to `until` and no picture has for longer than a segment may last: segments go on without any.
    pub fn go_on(
        &mut self,
        until: Ticks,
        clock: &mut Clock,
        out: &mut Output,
    ) -> Result<Vec<Boundary>, Error> {
        let Some(base) = self.rendition.base().zip(self.rendition.start()) else { return Ok(Vec::new()) };
        let boundaries = self.bridge((until - base.1 + base.0, None), out)?;
        if let Some(base) = self.rendition.base().filter(|_| !boundaries.is_empty()) {
            clock.pass(base);
        }
        Ok(boundaries)
    }

    /// Closes the last segment and says when it ends: with its last picture, or where there is none with the sound.
    pub fn finish(&mut self, heard: Ticks, out: &mut Output) -> Result<Option<Ticks>, Error> {
        if let Some(decoded) = self.held.as_ref().map(|(moment, _)| moment.decoded) {
            // Where an encoder is cut off among B-frames, what is missing would have been shown before the last one.
            let missing =
                self.rendition.end().map_or(0, |end| (self.latest - end).clamp(0, TICKS_PER_SECOND));
            let latest = self.rendition.base().map_or(Ticks::MAX, |base| base + self.promise.limit());
            self.release((decoded + self.step + missing).min(latest), out)?;
        } else if let Some((base, start)) = self.rendition.base().zip(self.rendition.start()) {
            self.rendition.pass(base + heard - start, out)?;
        }
        if let Some(start) = self.rendition.start() {
            // The sound of the first segment may last longer than its pictures.
            self.promise.make(self.rendition.end().unwrap_or(heard).max(heard) - start);
        }
        self.rendition.end().map(|end| self.close(end, out)).transpose()
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
        self.release_until(until, until, out)
    }

    /// The same where the picture lasts `until` then and its segment only to `end`.
    fn release_until(&mut self, until: Ticks, end: Ticks, out: &mut Output) -> Result<(), Error> {
        let Some((moment, frame)) = self.held.take() else { return self.rendition.pass(end, out) };
        let Moment { decoded, shown } = moment;
        let duration = (until - decoded).max(MIN_STEP);
        self.step = duration.min(TICKS_PER_SECOND);
        let delay = shown - decoded;
        let sample = Sample { decoded, duration, delay, key: frame.key, data: frame.data };
        self.rendition.add_until(sample, end.max(decoded + MIN_STEP), out)
    }

    /// Ends segments that would last too long until `until`, and begins ones without a picture: the one before is shown on,
    /// to `shown_until` where that is known.
    fn bridge(
        &mut self,
        (until, shown_until): (Ticks, Option<Ticks>),
        out: &mut Output,
    ) -> Result<Vec<Boundary>, Error> {
        let mut boundaries = Vec::new();
        while let Some(base) = self.rendition.base().filter(|base| until - base > self.promise.limit()) {
            let held = self.held.as_ref().map_or(base, |(moment, _)| moment.decoded + MIN_STEP);
            let end = (base + self.full()).max(held);
            self.release_until(shown_until.unwrap_or(end), end, out)?;
            boundaries.push(self.cut(end, out)?);
        }
        Ok(boundaries)
    }

    /// How long the open segment lasts where no keyframe ends it: those up to the next one that is to be expected are
    /// alike, and the last of them waits for it.
    fn full(&self) -> Ticks {
        let (full, limit) = (self.promise.full(), self.promise.limit());
        let expected = self.key.zip(self.apart).map(|(key, apart)| key + apart);
        let left = expected.zip(self.rendition.base()).map_or(0, |(expected, base)| expected - base);
        match (left + limit - 1) / limit {
            count if left > 0 && count > 1 => left / count,
            1 if left > 0 => limit,
            _ => full,
        }
    }

    /// The segment can't wait for a keyframe. It ends before a picture that is shown when it is due, which all are but for
    /// those that B-frames go before, unless there is none in time.
    fn is_full(&self, moment: Moment) -> bool {
        let Some(base) = self.rendition.base() else { return false };
        let lasted = moment.decoded - base;
        let is_good = (moment.shown - moment.decoded - self.delay).abs() <= 2 * MIN_STEP;
        lasted >= self.full() && is_good || lasted + self.step * 5 / 4 > self.promise.limit()
    }

    /// Begins a segment without a keyframe with what is decoded then. It is no lie that it goes on as the one before: no
    /// configuration changes but with a keyframe.
    fn cut(&mut self, decoded: Ticks, out: &mut Output) -> Result<Boundary, Error> {
        let end = self.rendition.shown(decoded).unwrap_or(decoded);
        let start = self.close(end, out)?;
        Ok(self.begin((start, decoded, false), out))
    }

    fn close(&mut self, end: Ticks, out: &mut Output) -> Result<Ticks, Error> {
        let start = self.rendition.start();
        let latest = start.map_or(Ticks::MAX, |start| start + self.promise.limit());
        let end = self.rendition.close(end.min(latest), out)?;
        if let Some(start) = start {
            self.promise.make(end - start);
        }
        Ok(end)
    }

    fn note_key(&mut self, moment: Moment) {
        self.apart = self.key.map(|before| moment.decoded - before);
        self.key = Some(moment.decoded);
        self.delay = moment.shown - moment.decoded;
    }

    fn place(&self, Moment { decoded, shown }: Moment, frame: &VideoFrame, out: &mut Output) {
        let Some((picture, _)) = &self.picture else { return };
        let (config, data) = (picture.config.clone(), frame.data.clone());
        let placed = event::Picture { config, decoded, shown, key: frame.key, data };
        out.events.push_back(Event::Picture(placed));
    }

    /// Begins a segment with the keyframe shown at `moment`, if it is time to: after one without a keyframe as soon as may
    /// be.
    fn turn(&mut self, moment: Moment, out: &mut Output) -> Result<Option<Boundary>, Error> {
        let least = self.settings.segment_target;
        let least = if self.rendition.is_keyed() { least } else { least / 2 };
        let is_due = |start| moment.shown - start >= least;
        let due = self.rendition.start().is_none_or(is_due);
        if !due && !self.breaks && self.next.is_none() {
            return Ok(None);
        }
        let start = self.close(moment.shown, out)?;
        let is_changed = self.picture.is_some() && self.next.is_some();
        let discontinuity = std::mem::take(&mut self.breaks) || is_changed;
        self.configure_next(out)?;
        Ok(Some(self.begin((start, moment.decoded, discontinuity), out)))
    }

    fn begin(&mut self, (start, decoded, discontinuity): (Ticks, Ticks, bool), out: &mut Output) -> Boundary {
        let init = self.picture.as_ref().map_or(0, |(_, number)| *number);
        let segment = self.segment;
        self.segment += 1;
        let begin = Begin { track: Track::Video, segment, start, discontinuity, init };
        self.rendition.begin(begin, decoded, out);
        Boundary { segment, start, discontinuity }
    }

    /// A new configuration takes effect, with an initialisation segment of its own.
    fn configure_next(&mut self, out: &mut Output) -> Result<(), Error> {
        if let Some(picture) = self.next.take() {
            let shape =
                Shape::Video { width: picture.width, height: picture.height, frame_rate: picture.frame_rate };
            let bytes = init::video(&picture)?;
            let number = out.init(Track::Video, bytes, (picture.codecs.clone(), shape));
            self.picture = Some((picture, number));
        }
        Ok(())
    }
}
