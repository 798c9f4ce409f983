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
    /// Where the samples that are written end, which may be later than the part that the last of them began in.
    written: i64,
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
    /// How far decoding has come: a segment may be shown for longer.
    decoded: i64,
    samples: Vec<Sample>,
}

impl Rendition {
    /// A track of parts that last `part_target` at most, however long its samples last.
    pub fn new(track: Track, timescale: u32, part_target: Ticks) -> Self {
        let scaled = |time: Ticks| time * i64::from(timescale) / TICKS_PER_SECOND;
        let shortest = scaled(part_target * SHORTEST_PERCENT / 100) + 1;
        let longest = scaled(part_target - MARGIN);
        Self { track, timescale, longest, shortest, written: i64::MIN, open: None }
    }

    /// When the open segment is shown from.
    pub fn start(&self) -> Option<Ticks> {
        self.open.as_ref().map(|open| open.begin.start)
    }

    /// Begins a segment whose first sample is decoded at `base`; the one before has been closed.
    pub fn begin(&mut self, begin: Begin, base: i64, out: &mut Output) {
        let (from, to) = (base, base);
        let samples = Vec::new();
        let decoded = base;
        self.open =
            Some(Open { begin, base, size_bytes: 0, key_bytes: 0, part: 0, from, to, decoded, samples });
        out.events.push_back(Event::Begin(begin));
    }

    /// When the first sample of the open segment is decoded, or would be.
    pub fn base(&self) -> Option<i64> {
        self.open.as_ref().map(|open| open.base)
    }

    /// When what is decoded then is shown, by the open segment.
    pub fn shown(&self, decoded: i64) -> Option<Ticks> {
        self.open.as_ref().map(|open| open.at(decoded, self.timescale))
    }

    /// The open segment begins with a sample that needs no other.
    pub fn is_keyed(&self) -> bool {
        self.open.as_ref().is_some_and(|open| {
            open.key_bytes > 0 || open.part == 0 && open.samples.first().is_some_and(|first| first.key)
        })
    }

    /// Adds a sample to the open part. The part is given away as soon as another such sample would be too much.
    pub fn add(&mut self, sample: Sample, out: &mut Output) -> Result<(), Error> {
        let until = sample.decoded + sample.duration;
        self.add_until(sample, until, out)
    }

    /// The same of a sample that lasts longer than its segment, which ends at `until`.
    pub fn add_until(&mut self, sample: Sample, until: i64, out: &mut Output) -> Result<(), Error> {
        let duration = until - sample.decoded;
        if self.is_long_enough() && self.is_too_long_with(duration) {
            self.flush(None, out)?;
        }
        if let Some(open) = &mut self.open {
            open.samples.push(sample);
        }
        self.pass(until, out)?;
        if self.is_long_enough() && self.is_too_long_with(duration) {
            self.flush(None, out)?;
        }
        Ok(())
    }

    /// Time goes by without another sample. A part ends where it has lasted for as long as it may, whatever is shown then
    /// (RFC 8216bis 4.4.3.7); where nothing begins in one, it is empty.
    pub fn pass(&mut self, until: i64, out: &mut Output) -> Result<(), Error> {
        if let Some(open) = &mut self.open {
            open.to = open.to.max(until);
            open.decoded = open.decoded.max(until);
        }
        while self.filled() > self.longest {
            self.slice(out)?;
        }
        Ok(())
    }

    /// Takes back the last sample, where no part has it yet and it is not its segment's only one.
    pub fn take_last(&mut self) -> Option<Sample> {
        let open = self.open.as_mut().filter(|open| open.part > 0 || open.samples.len() > 1)?;
        let last = open.samples.pop()?;
        (open.to, open.decoded) = (last.decoded, last.decoded);
        Some(last)
    }

    /// Closes the open segment, which lasts until `end`: what was told already can't be taken back, so where its last
    /// part is out it ends there. Gives its end, where the next one starts.
    pub fn close(&mut self, end: Ticks, out: &mut Output) -> Result<Ticks, Error> {
        let timescale = self.timescale;
        let end = match &self.open {
            Some(open) if open.is_told() => open.at(open.from, timescale),
            Some(open) => end.max(open.at(open.from, timescale) + 1),
            None => end,
        };
        let longest = to_ticks(self.longest, timescale);
        while self.open.as_ref().is_some_and(|open| end - open.at(open.from, timescale) > longest) {
            self.slice(out)?;
        }
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

    fn is_long_enough(&self) -> bool {
        self.filled() >= self.shortest
    }

    fn is_too_long_with(&self, duration: i64) -> bool {
        self.filled() + duration > self.longest
    }

    /// Gives away a part that lasts as long as one may.
    fn slice(&mut self, out: &mut Output) -> Result<(), Error> {
        let Some(to) = self.open.as_ref().map(|open| open.from + self.longest) else { return Ok(()) };
        self.tell((to, None), out)
    }

    /// Gives away the part being filled, if there is anything to it.
    fn flush(&mut self, end: Option<Ticks>, out: &mut Output) -> Result<(), Error> {
        let Some(open) = &self.open else { return Ok(()) };
        let lasts = end.is_some_and(|end| end > open.at(open.from, self.timescale));
        if open.samples.is_empty() && open.to <= open.from && !lasts {
            return Ok(());
        }
        self.tell((open.to, end), out)
    }

    fn tell(&mut self, (to, end): (i64, Option<Ticks>), out: &mut Output) -> Result<(), Error> {
        let Some(open) = self.open.as_mut() else { return Ok(()) };
        let sequence = open.begin.segment.wrapping_mul(SEQUENCES_PER_SEGMENT).wrapping_add(open.part + 1);
        // What follows is decoded from there on, or later.
        let nothing = self.written.max(open.from.min(open.decoded));
        let fragment = fragment::write(sequence, (self.timescale, nothing), &open.samples)?;
        self.written = open.samples.last().map_or(self.written, |last| last.decoded + last.duration);
        let start = open.at(open.from, self.timescale);
        let end = end.unwrap_or(open.at(to, self.timescale));
        let is_keyed = open.samples.first().is_some_and(|first| first.key);
        if open.part == 0 && self.track == Track::Video && is_keyed {
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
        open.from = to;
        open.to = open.to.max(to);
        open.samples.clear();
        Ok(())
    }
}

impl Open {
    /// All there is was given away.
    fn is_told(&self) -> bool {
        self.part > 0 && self.samples.is_empty() && self.to <= self.from
    }

    /// What a time of decoding is on the timeline of showing: as far into the segment.
    fn at(&self, decoded: i64, timescale: u32) -> Ticks {
        self.begin.start + to_ticks(decoded, timescale) - to_ticks(self.base, timescale)
    }
}

/// A count of samples as ticks, rounded down.
pub(super) fn to_ticks(samples: i64, timescale: u32) -> Ticks {
    (samples * TICKS_PER_SECOND).div_euclid(i64::from(timescale))
}
