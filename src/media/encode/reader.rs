//! The source's video packets, from a keyframe at or before the chunk on, with their times in ticks.

use std::collections::VecDeque;

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Packet, codec, decoder};

use crate::domain::media::{TICKS_PER_SECOND, Ticks, VideoStream};
use crate::media::clock::Clock;
use crate::media::error::Error;
use crate::media::{input, raw};

/// How far before the wanted moment to try, one after the other, before starting from the beginning.
const STEPS_BACK: [Ticks; 4] = [0, 2 * TICKS_PER_SECOND, 12 * TICKS_PER_SECOND, 60 * TICKS_PER_SECOND];
/// Packets to look through for a keyframe after a seek.
const KEYFRAME_WITHIN: usize = 600;
/// Broken packets in a row after which the rest is given up.
const MAX_BROKEN: usize = 2000;

/// Reads one stream of the source.
pub(in crate::media) struct Reader {
    input: Input,
    stream: usize,
    clock: Clock,
    start_pts: i64,
    waiting: VecDeque<Packet>,
    /// The last decoding time read, in the stream's base.
    last_dts: Option<i64>,
    /// When the last packet read stops being shown.
    shown_until: Ticks,
    nominal: Ticks,
}

impl Reader {
    pub fn open(mut input: Input, video: &VideoStream) -> Result<Self, Error> {
        let stream = video.index as usize;
        let Some(found) = input.stream(stream) else {
            return Err(Error::Protocol(format!("stream {stream} is not in the source")));
        };
        let clock = Clock::of(video, (stream, found.time_base()));
        raw::keep_only(&mut input, &[stream]);
        Ok(Self {
            input,
            stream,
            clock,
            start_pts: video.start_pts,
            waiting: VecDeque::new(),
            last_dts: None,
            shown_until: 0,
            nominal: nominal(video),
        })
    }

    /// A decoder for the stream, on this many threads.
    pub fn decoder(&self, threads: usize) -> Result<decoder::Video, Error> {
        input::video_decoder(&self.found()?, threads)
    }

    /// The stream's parameters.
    pub fn parameters(&self) -> Result<codec::Parameters, Error> {
        Ok(self.found()?.parameters())
    }

    /// Goes to a keyframe at or before `at`; where that can't be had, to the beginning.
    pub fn seek(&mut self, at: Ticks, seekable: bool) {
        if !seekable {
            return;
        }
        for back in STEPS_BACK.into_iter().filter(|back| *back <= at) {
            let stamp = self.clock.stamp(at - back);
            if raw::seek_back(&mut self.input, self.stream, stamp).is_ok() && self.lands_before(at) {
                return;
            }
        }
        self.waiting.clear();
        let beginning = self.start_pts.min(0);
        // Where that can't be had either, what comes next is all there is.
        let _ = raw::seek_back(&mut self.input, self.stream, beginning);
    }

    /// The next packet; `None` at the end or where the source can't be read on.
    pub fn next(&mut self) -> Option<Packet> {
        let packet = self.waiting.pop_front().or_else(|| self.read())?;
        self.last_dts = packet.dts().or(packet.pts()).max(self.last_dts);
        if let Some(shown) = packet.pts().or(packet.dts()) {
            let lasts = if packet.duration() > 0 { self.clock.span(packet.duration()) } else { self.nominal };
            self.shown_until = self.shown_until.max(self.ticks(shown) + lasts.min(60 * TICKS_PER_SECOND));
        }
        Some(packet)
    }

    /// When the last packet read so far stops being shown.
    pub fn shown_until(&self) -> Ticks {
        self.shown_until
    }

    /// How long a picture lasts on average.
    pub fn nominal(&self) -> Ticks {
        self.nominal
    }

    /// The container's own index knows of pictures after the last one read.
    pub fn is_cut_short(&self) -> bool {
        if self.clock.is_set_anew() {
            // The index knows nothing of that, and its last entry may be of any of the clocks.
            return false;
        }
        let indexed = self.input.stream(self.stream).and_then(|stream| raw::index(&stream).next_back());
        match (indexed, self.last_dts) {
            (Some(indexed), Some(read)) => self.clock.span(indexed.timestamp - read) > TICKS_PER_SECOND / 2,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }

    /// When a time of the stream's packets is on the timeline.
    pub fn ticks(&self, stamp: i64) -> Ticks {
        self.clock.time(stamp)
    }

    /// When the first picture worth showing comes; it stands from time 0 on, and those before it are not shown.
    pub fn first_picture(&self) -> Ticks {
        self.clock.first_picture()
    }

    fn found(&self) -> Result<Stream<'_>, Error> {
        self.input.stream(self.stream).ok_or_else(|| Error::Protocol("the stream is gone".to_owned()))
    }

    fn lands_before(&mut self, at: Ticks) -> bool {
        self.waiting.clear();
        for _ in 0..KEYFRAME_WITHIN {
            let Some(packet) = self.read() else { return false };
            if packet.is_key() {
                let early = packet.pts().is_some_and(|pts| self.ticks(pts) <= at);
                self.waiting.push_back(packet);
                return early;
            }
        }
        false
    }

    fn read(&mut self) -> Option<Packet> {
        let mut broken = 0;
        while broken < MAX_BROKEN {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream && packet.size() > 0 => {
                    self.clock.mend(&mut packet);
                    return Some(packet);
                }
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => broken += 1,
                Err(_) => return None,
            }
        }
        None
    }
}

fn nominal(video: &VideoStream) -> Ticks {
    let rate = video.frame_rate.as_f64();
    if rate < 0.1 {
        return TICKS_PER_SECOND / 25;
    }
    #[expect(clippy::cast_possible_truncation, reason = "at most ten seconds of ticks")]
    let ticks = (90_000.0 / rate).round() as Ticks;
    ticks.max(90)
}
