//! One track's segments, made of parts: where a part ends, and what is told of it.

use std::collections::VecDeque;

use super::error::Error;
use super::event::{Begin, End, Event, Init, Part, Shape, Track};
use super::fragment::{self, Sample};
use super::init;
use crate::domain::media::{Segment, TICKS_PER_SECOND, Ticks};

/// Parts end this much before the target, so that an encoder's times, rounded to milliseconds, don't exceed it.
const MARGIN: Ticks = TICKS_PER_SECOND / 1000;
/// A part but the last of its segment lasts this share of the target at least (RFC 8216bis 4.4.4.9).
const SHORTEST_PERCENT: Ticks = 85;
/// More parts than a segment has, for the sequence numbers of fragments.
const SEQUENCES_PER_SEGMENT: u32 = 256;

/// Events not yet polled.
#[derive(Debug, Default)]
pub(super) struct Output {
    pub events: VecDeque<Event>,
}

impl Output {
    /// Tells of an initialisation segment and gives its number.
    pub fn init(&mut self, track: Track, bytes: bytes::Bytes, (codecs, shape): (String, Shape)) -> u32 {
        let number = init::number(&bytes);
        self.events.push_back(Event::Init(Init { track, number, bytes, codecs, shape }));
        number
    }
}

/// A track's open segment. Times of samples are in the track's own timescale.
#[derive(Debug)]
pub(super) struct Rendition {
    track: Track,
    timescale: u32,
    longest: i64,
    shortest: i64,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    begin: Begin,
    /// When its first sample is decoded.
    base: i64,
    size_bytes: u64,
    key_bytes: u64,
    /// Of the part being filled: its number, when it begins and ends, its samples.
    part: u32,
    from: i64,
    to: i64,
    samples: Vec<Sample>,
}

impl Rendition {
    /// A track of parts that last `part_target` at most, as far as its samples let them.
    pub fn new(track: Track, timescale: u32, part_target: Ticks) -> Self {
        let scaled = |time: Ticks| time * i64::from(timescale) / TICKS_PER_SECOND;
        let shortest = scaled(part_target * SHORTEST_PERCENT / 100) + 1;
        Self { track, timescale, longest: scaled(part_target - MARGIN), shortest, open: None }
    }

    /// When the open segment is shown from.
    pub fn start(&self) -> Option<Ticks> {
        self.open.as_ref().map(|open| open.begin.start)
    }

    /// Begins a segment whose first sample is decoded at `base`; the one before has been closed.
    pub fn begin(&mut self, begin: Begin, base: i64, out: &mut Output) {
        let (from, to) = (base, base);
        let samples = Vec::new();
        self.open = Some(Open { begin, base, size_bytes: 0, key_bytes: 0, part: 0, from, to, samples });
        out.events.push_back(Event::Begin(begin));
    }

    /// Adds a sample to the open part. The part is given away as soon as another such sample would be too much.
    pub fn add(&mut self, sample: Sample, out: &mut Output) -> Result<(), Error> {
        let duration = sample.duration;
        if self.is_too_long_with(duration) {
            self.flush(None, out)?;
        }
        if let Some(open) = &mut self.open {
            open.to = sample.decoded + duration;
            open.samples.push(sample);
        }
        if self.filled() >= self.shortest && self.is_too_long_with(duration) {
            self.flush(None, out)?;
        }
        Ok(())
    }

    /// Takes back the last sample, where no part has it yet and it is not its segment's only one.
    pub fn take_last(&mut self) -> Option<Sample> {
        let open = self.open.as_mut().filter(|open| open.part > 0 || open.samples.len() > 1)?;
        let last = open.samples.pop()?;
        open.to = last.decoded;
        Some(last)
    }

    /// Closes the open segment, which lasts until `end`: what was told already can't be taken back, so where its last
    /// part is out it ends there. Gives its end, where the next one starts.
    pub fn close(&mut self, end: Ticks, out: &mut Output) -> Result<Ticks, Error> {
        let end = match &self.open {
            Some(open) if open.samples.is_empty() && open.part > 0 => open.at(open.from, self.timescale),
            Some(open) => end.max(open.at(open.from, self.timescale) + 1),
            None => end,
        };
        self.flush(Some(end), out)?;
        if let Some(Open { begin, size_bytes, key_bytes, .. }) = self.open.take().filter(|open| open.part > 0)
        {
            let segment = Segment { start: begin.start, duration: end - begin.start, size_bytes, key_bytes };
            let Begin { track, segment: number, discontinuity, init, .. } = begin;
            out.events.push_back(Event::End(End { track, number, segment, discontinuity, init }));
        }
        Ok(end)
    }

    /// Forgets the open segment, of which no more is told.
    pub fn give_up(&mut self) {
        self.open = None;
    }

    /// When the open segment would end if nothing followed.
    pub fn end(&self) -> Option<Ticks> {
        self.open.as_ref().map(|open| open.at(open.to, self.timescale))
    }

    fn filled(&self) -> i64 {
        self.open.as_ref().map_or(0, |open| open.to - open.from)
    }

    fn is_too_long_with(&self, duration: i64) -> bool {
        self.filled() > 0 && self.filled() + duration > self.longest
    }

    fn flush(&mut self, end: Option<Ticks>, out: &mut Output) -> Result<(), Error> {
        let Some(open) = self.open.as_mut().filter(|open| !open.samples.is_empty()) else { return Ok(()) };
        let sequence = open.begin.segment.wrapping_mul(SEQUENCES_PER_SEGMENT).wrapping_add(open.part + 1);
        let fragment = fragment::write(sequence, self.timescale, &open.samples)?;
        let start = open.at(open.from, self.timescale);
        let end = end.unwrap_or(open.at(open.to, self.timescale));
        if open.part == 0 && self.track == Track::Video {
            open.key_bytes = fragment.first_sample_end;
        }
        out.events.push_back(Event::Part(Part {
            track: self.track,
            segment: open.begin.segment,
            part: open.part,
            start,
            duration: end - start,
            independent: open.samples.iter().any(|sample| sample.key),
            discontinuity: open.begin.discontinuity,
            bytes: fragment.bytes.clone(),
        }));
        open.size_bytes += fragment.bytes.len() as u64;
        open.part += 1;
        open.from = open.to;
        open.samples.clear();
        Ok(())
    }
}

impl Open {
    /// What a time of decoding is on the timeline of showing: as far into the segment.
    fn at(&self, decoded: i64, timescale: u32) -> Ticks {
        self.begin.start + to_ticks(decoded, timescale) - to_ticks(self.base, timescale)
    }
}

/// A count of samples as ticks, rounded down.
pub(super) fn to_ticks(samples: i64, timescale: u32) -> Ticks {
    (samples * TICKS_PER_SECOND).div_euclid(i64::from(timescale))
}
