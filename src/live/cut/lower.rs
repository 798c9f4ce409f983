//! A lower rung: the source's segments, of other pictures. They come in the order of showing, coded by our own encoder,
//! which began one anew wherever a segment of the source begins.

use std::collections::VecDeque;

use super::super::frame::{Media, VideoFrame};
use super::super::srt::annexb::{self, Codec};
use super::super::srt::pes::{Time, Unit};
use super::Settings;
use super::error::Error;
use super::event::{Begin, Event, Shape, Track};
use super::fragment::Sample;
use super::init::{self, VIDEO_TIMESCALE};
use super::picture::Picture;
use super::rendition::{Output, Rendition};
use crate::domain::media::Ticks;

/// The source begins a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    pub segment: u32,
    pub start: Ticks,
    pub discontinuity: bool,
    /// When its first picture is shown; `None` where the source has none in it.
    pub shown: Option<Ticks>,
}

impl Turn {
    /// From here on pictures are in it.
    fn due(&self) -> Ticks {
        self.shown.unwrap_or(self.start)
    }
}

/// Pictures in, the source's segments out.
pub struct Lower {
    rendition: Rendition,
    out: Output,
    stream: annexb::Video,
    /// Takes effect with the next segment.
    next: Option<Picture>,
    /// The initialisation segment in force.
    init: u32,
    turns: VecDeque<Turn>,
    /// The newest picture, whose duration nobody knows yet.
    held: Option<VideoFrame>,
}

impl Lower {
    /// A rung that begins with the next turn.
    pub fn new(settings: Settings) -> Self {
        let mut stream = annexb::Video::default();
        stream.begin(Codec::Avc);
        Self {
            rendition: Rendition::new(Track::Video, VIDEO_TIMESCALE, settings.part_target),
            out: Output::default(),
            stream,
            next: None,
            init: 0,
            turns: VecDeque::new(),
            held: None,
        }
    }

    /// Gives up the open segment: what comes next begins with another.
    pub fn give_up(&mut self) {
        self.rendition.give_up();
        self.turns.clear();
        self.held = None;
    }

    /// A segment begins with the first picture shown then or later.
    pub fn turn(&mut self, turn: Turn) {
        self.turns.push_back(turn);
    }

    /// Takes the next picture, as NAL units between start codes.
    pub fn push(&mut self, shown: Ticks, data: Vec<u8>) -> Result<(), Error> {
        let mut media = VecDeque::new();
        let time = Time { pts: shown, dts: shown };
        self.stream.unit(&Unit { time, data }, &mut media);
        for media in media {
            match media {
                Media::VideoConfig(config) => self.next = Some(Picture::read(config)?),
                Media::Video(frame) => self.take(frame)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// Closes the last segment, which ends there.
    pub fn finish(&mut self, end: Ticks) -> Result<(), Error> {
        while let Some(turn) = self.turns.pop_front_if(|turn| turn.start < end) {
            self.turn_to(turn, end, turn.shown.is_none())?;
        }
        self.release((end, end))?;
        self.close(end)
    }

    /// The next event, if there is one.
    pub fn poll(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    fn take(&mut self, frame: VideoFrame) -> Result<(), Error> {
        let shown = frame.dts_ticks;
        let mut due = VecDeque::new();
        while let Some(turn) = self.turns.pop_front_if(|turn| turn.due() <= shown) {
            due.push_back(turn);
        }
        let last = due.pop_back();
        for turn in due {
            // One that the source has pictures for and we have none of is left out, and so a gap.
            self.turn_to(turn, shown, turn.shown.is_none())?;
        }
        match last {
            // A rung can't be gone on with by anything but a picture that needs no other.
            Some(last) => self.turn_to(last, shown, frame.key)?,
            None => self.release((shown, shown))?,
        }
        if self.rendition.start().is_some() {
            self.held = Some(frame);
        }
        Ok(())
    }

    /// Ends the open segment where this one starts, and begins it if it is to be. The next picture is shown at `shown`.
    fn turn_to(&mut self, turn: Turn, shown: Ticks, begins: bool) -> Result<(), Error> {
        let goes_on = self.rendition.start().is_some() || turn.shown.is_some();
        self.release((shown, turn.start))?;
        self.close(turn.start)?;
        if begins && goes_on { self.begin(turn) } else { Ok(()) }
    }

    /// Gives away the held picture, which is shown `until` then; its segment lasts to `end`.
    fn release(&mut self, (until, end): (Ticks, Ticks)) -> Result<(), Error> {
        let Some(VideoFrame { dts_ticks: decoded, key, data, .. }) = self.held.take() else {
            return self.rendition.pass(end, &mut self.out);
        };
        let duration = (until - decoded).max(1);
        let sample = Sample { decoded, duration, delay: 0, key, data };
        self.rendition.add_until(sample, end.clamp(decoded + 1, decoded + duration), &mut self.out)
    }

    fn close(&mut self, end: Ticks) -> Result<(), Error> {
        if self.rendition.start().is_none() {
            return Ok(());
        }
        self.rendition.close(end, &mut self.out)?;
        if let Some(Event::End(closed)) = self.out.events.back_mut() {
            // As long as the source's, whose jitter ours can't have.
            closed.segment.duration = (end - closed.segment.start).max(1);
        }
        Ok(())
    }

    fn begin(&mut self, turn: Turn) -> Result<(), Error> {
        if let Some(picture) = self.next.take() {
            let Picture { width, height, frame_rate, .. } = picture;
            let described = (picture.codecs.clone(), Shape::Video { width, height, frame_rate });
            self.init = self.out.init(Track::Video, init::video(&picture)?, described);
        }
        let Turn { segment, start, discontinuity, .. } = turn;
        let begin = Begin { track: Track::Video, segment, start, discontinuity, init: self.init };
        self.rendition.begin(begin, start, &mut self.out);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::TICKS_PER_SECOND;

    const STEP: Ticks = TICKS_PER_SECOND / 30;
    const SPS: &[u8] = &[
        0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00,
        0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
    ];
    const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];

    fn picture(key: bool) -> Vec<u8> {
        let slice: &[u8] = if key { &[0x65, 0x88, 0x84] } else { &[0x41, 0x9a, 0x24] };
        let units = if key { vec![SPS, PPS, slice] } else { vec![slice] };
        units.into_iter().flat_map(|unit| [&[0, 0, 0, 1], unit].concat()).collect()
    }

    fn turn(segment: u32, start: Ticks) -> Turn {
        Turn { segment, start, discontinuity: false, shown: Some(start) }
    }

    /// Pictures `from..to`; those at `keys` begin with parameter sets.
    fn push(lower: &mut Lower, (from, to): (i64, i64), keys: &[i64]) {
        (from..to).for_each(|at| lower.push(at * STEP, picture(keys.contains(&at))).expect("taken"));
    }

    fn told(lower: &mut Lower) -> String {
        let mut told = Vec::new();
        while let Some(event) = lower.poll() {
            told.push(match event {
                Event::Init(_) => "init".to_owned(),
                Event::Begin(begin) => format!("begin {}", begin.segment),
                Event::Part(part) if part.independent => format!("key {}", part.duration / STEP),
                Event::Part(part) => format!("{}", part.duration / STEP),
                Event::End(end) => format!("end {} {}", end.number, end.segment.duration / STEP),
                Event::Picture(_) => "picture".to_owned(),
            });
        }
        told.join(", ")
    }

    #[test]
    fn segments_are_cut_where_the_source_is() {
        let mut lower = Lower::new(Settings::default());
        lower.turn(turn(7, 0));
        push(&mut lower, (0, 60), &[0]);
        lower.turn(turn(8, 60 * STEP));
        push(&mut lower, (60, 75), &[60]);
        lower.finish(75 * STEP).expect("closed");
        insta::assert_snapshot!(told(&mut lower), @"init, begin 7, key 10, 10, 10, 10, 10, 10, end 7 60, begin 8, key 10, 5, end 8 15");
    }

    #[test]
    fn what_comes_after_a_child_was_lost_begins_with_a_later_segment_and_the_same_init() {
        let mut lower = Lower::new(Settings::default());
        lower.turn(turn(0, 0));
        push(&mut lower, (0, 25), &[0]);
        lower.give_up();
        lower.turn(turn(2, 120 * STEP));
        push(&mut lower, (120, 180), &[120]);
        lower.finish(180 * STEP).expect("closed");
        insta::assert_snapshot!(told(&mut lower), @"init, begin 0, key 10, 10, begin 2, key 10, 10, 10, 10, 10, 10, end 2 60");
    }

    #[test]
    fn a_segment_without_a_picture_is_left_out() {
        let mut lower = Lower::new(Settings::default());
        lower.turn(turn(0, 0));
        push(&mut lower, (0, 60), &[0]);
        lower.turn(turn(1, 60 * STEP));
        lower.turn(turn(2, 120 * STEP));
        push(&mut lower, (121, 150), &[121]);
        lower.finish(150 * STEP).expect("closed");
        insta::assert_snapshot!(told(&mut lower), @"init, begin 0, key 10, 10, 10, 10, 10, 10, end 0 60, begin 2, key 10, 10, 10, end 2 30");
    }
}
