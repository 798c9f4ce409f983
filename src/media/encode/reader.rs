//! The source's video packets, from a keyframe at or before the chunk on, with their times in ticks.

use std::collections::VecDeque;
use std::io::{Read, Seek};

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Packet, codec, decoder, frame};

use crate::domain::media::{Fraction, TICKS_PER_SECOND, Ticks, VideoStream};
use crate::media::clock::Clock;
use crate::media::error::Error;
use crate::media::shared::SharedSource;
use crate::media::{input, libav, probe, raw};

/// How far before the wanted moment to try, one after the other, before starting from the beginning.
const STEPS_BACK: [Ticks; 4] = [0, 2 * TICKS_PER_SECOND, 12 * TICKS_PER_SECOND, 60 * TICKS_PER_SECOND];
/// Packets to look through for a keyframe after a seek.
const KEYFRAME_WITHIN: usize = 600;
/// So many packets that are cut are no longer the end of a file.
const CUT_PACKETS: usize = 16;
/// Broken packets in a row after which the rest is given up.
const MAX_BROKEN: usize = 2000;

/// Reads one stream of the source.
pub(in crate::media) struct Reader {
    input: Input,
    /// Opens the source anew, where its demuxer can't go back.
    reopen: Box<dyn Fn() -> Result<Input, Error>>,
    stream: usize,
    clock: Clock,
    start_pts: i64,
    waiting: VecDeque<Packet>,
    /// Read to learn whether a packet that is cut is the last.
    ahead: VecDeque<Packet>,
    /// The last decoding time read, in the stream's base.
    last_dts: Option<i64>,
    /// When the last packet read stops being shown.
    shown_until: Ticks,
    nominal: Ticks,
    /// The parameter sets that came on the way last, and whether a packet has carried them out.
    renewed: Option<(Vec<u8>, bool)>,
    recalled: bool,
    /// The next of `STEPS_BACK` to try; one past them once the beginning was gone to.
    step: usize,
    /// The keyframe the last jump led to.
    landed: Option<i64>,
}

impl Reader {
    pub fn open<S>(source: S, video: &VideoStream) -> Result<Self, Error>
    where
        S: Read + Seek + Send + 'static,
    {
        let source = SharedSource::new(source);
        let mut input = source.open()?;
        let stream = video.index as usize;
        let Some(found) = input.stream(stream) else {
            return Err(Error::Protocol(format!("stream {stream} is not in the source")));
        };
        let clock = Clock::of(video, (stream, found.time_base()));
        raw::keep_only(&mut input, &[stream]);
        Ok(Self {
            input,
            reopen: Box::new(move || source.open()),
            stream,
            clock,
            start_pts: video.start_pts,
            waiting: VecDeque::new(),
            ahead: VecDeque::new(),
            last_dts: None,
            shown_until: 0,
            nominal: nominal(video),
            renewed: None,
            recalled: false,
            step: 0,
            landed: None,
        })
    }

    /// A decoder for the stream, on this many threads.
    pub fn decoder(&self, threads: usize) -> Result<decoder::Video, Error> {
        input::video_decoder(&self.found()?, threads)
    }

    /// The shape of a decoded picture's pixels.
    pub fn pixel_aspect(&self, picture: &frame::Video) -> Fraction {
        probe::sane_aspect(probe::fraction(raw::pixel_aspect_of(&self.input, self.stream, picture)))
    }

    /// The stream's parameters.
    pub fn parameters(&self) -> Result<codec::Parameters, Error> {
        Ok(self.found()?.parameters())
    }

    /// Goes to a keyframe at or before `at`; where that can't be had, to the beginning.
    pub fn seek(&mut self, at: Ticks, seekable: bool) {
        (self.step, self.landed) = (0, None);
        if !seekable {
            return;
        }
        self.recall_parameters();
        if !self.step_back(at) {
            self.begin_again();
        }
    }

    /// MP4's demuxer tells of another sample description once it comes to one, and may have done so while it looked
    /// into the streams: from the beginning on it tells again.
    fn recall_parameters(&mut self) {
        let mp4 = self.input.format().name().contains("mp4");
        if !std::mem::replace(&mut self.recalled, true) && mp4 {
            self.begin_again();
            self.read();
            self.clear();
            self.step = 0;
        }
    }

    /// Goes further back than before; false where that makes no difference or is too far.
    pub fn go_further_back(&mut self, at: Ticks) -> bool {
        if self.step > STEPS_BACK.len() {
            return false;
        }
        let found = self.step_back(at);
        if !found && at <= STEPS_BACK[STEPS_BACK.len() - 1] {
            self.begin_again();
            return true;
        }
        found
    }

    /// Tries what is left of the steps, until one leads to another keyframe than before.
    fn step_back(&mut self, at: Ticks) -> bool {
        while let Some(back) = STEPS_BACK.get(self.step).copied() {
            self.step += 1;
            let (before, stamp) = (self.landed, self.clock.stamp(at - back));
            let jumped = back <= at && raw::seek_back(&mut self.input, self.stream, stamp).is_ok();
            if jumped && self.lands_before(at) && self.landed != before {
                return true;
            }
        }
        false
    }

    fn begin_again(&mut self) {
        self.step = STEPS_BACK.len() + 1;
        self.clear();
        let beginning = self.start_pts.min(0);
        if raw::seek_back(&mut self.input, self.stream, beginning).is_ok() {
            return;
        }
        // Where that can't be had either, what comes next is all there is.
        if let Ok(mut anew) = (self.reopen)() {
            raw::keep_only(&mut anew, &[self.stream]);
            self.input = anew;
        }
    }

    /// The parameter sets in force are not those in the stream's header.
    pub fn has_new_parameters(&self) -> bool {
        let Some((renewed, _)) = &self.renewed else { return false };
        self.found().is_ok_and(|stream| raw::extradata(&stream) != renewed)
    }

    /// The next packet; `None` at the end or where the source can't be read on.
    pub fn next(&mut self) -> Option<Packet> {
        let mut packet = self.waiting.pop_front().or_else(|| self.read())?;
        self.carry_parameters(&mut packet);
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

    fn clear(&mut self) {
        self.waiting.clear();
        self.ahead.clear();
        // A decoder may be new after a jump, and the demuxer tells of changes only.
        if let Some((_, carried)) = &mut self.renewed {
            *carried = false;
        }
    }

    fn lands_before(&mut self, at: Ticks) -> bool {
        self.clear();
        for _ in 0..KEYFRAME_WITHIN {
            let Some(packet) = self.read() else { return false };
            if packet.is_key() {
                let early = packet.pts().is_some_and(|pts| self.ticks(pts) <= at);
                self.landed = packet.pts();
                self.waiting.push_back(packet);
                return early;
            }
        }
        false
    }

    /// The demuxer tells of new parameter sets once, maybe by a packet that is passed over.
    fn note_parameters(&mut self, packet: &Packet) {
        if let Some(renewed) = libav::new_parameters(packet) {
            self.renewed = Some((renewed.to_vec(), false));
        }
    }

    fn carry_parameters(&mut self, packet: &mut Packet) {
        if let Some((renewed, carried @ false)) = &mut self.renewed {
            *carried = libav::new_parameters(packet).is_some() || libav::set_new_parameters(packet, renewed);
        }
    }

    /// The next packet; those at the end that the file was cut in are left out.
    fn read(&mut self) -> Option<Packet> {
        if let Some(packet) = self.ahead.pop_front() {
            return Some(packet);
        }
        while let Some(packet) = self.read_any() {
            let whole = !packet.is_corrupt();
            self.ahead.push_back(packet);
            if whole || self.ahead.len() >= CUT_PACKETS {
                return self.ahead.pop_front();
            }
        }
        self.ahead.clear();
        None
    }

    fn read_any(&mut self) -> Option<Packet> {
        let mut broken = 0;
        while broken < MAX_BROKEN {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream => {
                    self.note_parameters(&packet);
                    if packet.size() > 0 {
                        self.clock.mend(&mut packet);
                        return Some(packet);
                    }
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
