//! Where a source's clock is set anew: where recordings were joined, or the encoder was restarted in the middle of one.
//!
//! The rule is that of FFmpeg's own command: a stream whose decoding times go back, or all of whose streams jump ahead by
//! ten seconds, has a new clock from that byte on, and goes on where it was. A single time that lies is left out.

use std::collections::BTreeMap;

use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, Rational};

use super::clock::to_ticks;
use crate::domain::media::{Discontinuity, TICKS_PER_SECOND, Ticks};
use crate::media::raw;

/// Decoding times go back by this much only where the clock is set anew.
const BACK: Ticks = TICKS_PER_SECOND / 2;
/// In a container that should have one clock, decoding times are guesses at times.
const FAR_BACK: Ticks = 10 * TICKS_PER_SECOND;
/// A jump ahead of all streams beyond this is no pause (FFmpeg's `dts_delta_threshold`).
const AHEAD: Ticks = 10 * TICKS_PER_SECOND;
/// Packets in a row after which a clock that returns to what it was was set anew, and not told wrongly.
const STRAYS: u32 = 2;
/// Joined streams may overlap by this much before one of them has to wait for the other.
const OVERLAP: Ticks = TICKS_PER_SECOND / 10;
/// Pictures are shown at most this long after they are decoded.
const MAX_DELAY: Ticks = TICKS_PER_SECOND;
/// A file with more discontinuities than this is laid out by its last one; bounds memory and the row of the probe.
const MAX_EPOCHS: usize = 10_000;
/// And of a file with more times that can't be meant than this, the rest is taken as it is.
const MAX_WRONG: usize = 10_000;

/// What a container's clock may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Clocks {
    /// It runs from the beginning to the end.
    One,
    /// It may begin anew; where it goes ahead, that is a pause. Recorders of RTMP streams leave such files.
    Restarting,
    /// It may be set to anything, as streams that were cut out of others or joined have it.
    Many,
}

impl Clocks {
    pub fn of(input: &Input) -> Self {
        match input.format().name() {
            _ if raw::has_many_clocks(input) => Self::Many,
            name if name.contains("flv") => Self::Restarting,
            _ => Self::One,
        }
    }
}

/// What a packet says of itself, in ticks of the source's clock.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stamp {
    pub decoded: Ticks,
    /// `None` where only decoding times are told.
    pub shown: Option<Ticks>,
    pub duration: Ticks,
    /// Where in the file it lies.
    pub position: Option<u64>,
}

impl Stamp {
    /// What a packet says; `None` where it has no time.
    pub fn of(packet: &Packet, base: Rational) -> Option<Self> {
        Some(Self {
            decoded: to_ticks(packet.dts().or(packet.pts())?, base),
            shown: packet.pts().map(|shown| to_ticks(shown, base)),
            duration: to_ticks(packet.duration().max(0), base),
            position: u64::try_from(packet.position()).ok(),
        })
    }
}

/// The stretches of a source with one clock each.
#[derive(Debug, Clone)]
pub(super) struct Epochs {
    clocks: Clocks,
    all: Vec<Epoch>,
    next_id: usize,
    /// Where packets lie whose times can't be meant.
    wrong: Vec<u64>,
    /// The last place known by stream.
    positions: BTreeMap<usize, u64>,
}

#[derive(Debug, Clone, Default)]
struct Epoch {
    id: usize,
    position: u64,
    /// Where the furthest packet of it lies.
    furthest: u64,
    /// Those that tell where they lie.
    packets: u32,
    /// Where the first few of them lie.
    places: Vec<u64>,
    runs: BTreeMap<usize, Run>,
}

/// One stream within an epoch.
#[derive(Debug, Clone, Copy)]
struct Run {
    /// The first time shown.
    first: Ticks,
    /// The last decoding time, and the next one expected.
    last: Ticks,
    next: Ticks,
    /// How much later than decoded the first picture is shown: where nothing else is told, the last one is as well.
    delay: Ticks,
    /// Where what is shown last ends.
    end: Ticks,
}

/// What a packet is to the epochs known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Last,
    /// It comes late out of the demuxer.
    LastButOne,
    /// The last epoch was a time that lied.
    Back,
    New,
    /// Its time can't be meant.
    Nowhere,
}

/// The offset of an epoch, by its number.
pub(super) type Offsets = BTreeMap<usize, Ticks>;

impl Epochs {
    pub fn new(clocks: Clocks) -> Self {
        Self {
            clocks,
            all: vec![Epoch::default()],
            next_id: 1,
            wrong: Vec::new(),
            positions: BTreeMap::new(),
        }
    }

    /// The number of the epoch that a packet belongs to; `None` where its time can't be meant.
    pub fn place(&mut self, stream: usize, stamp: &Stamp) -> Option<usize> {
        let position = stamp.position.or_else(|| self.positions.get(&stream).copied());
        self.positions.extend(position.map(|position| (stream, position)));
        let place = self.find(stream, stamp.decoded, position);
        match place {
            Place::Back => {
                let strays = self.all.pop().map(|epoch| epoch.places).unwrap_or_default();
                self.leave_out(strays);
            }
            Place::New => {
                let (id, position) = (self.next_id, position.unwrap_or(0));
                self.all.push(Epoch { id, position, ..Epoch::default() });
                self.next_id += 1;
            }
            Place::Nowhere => self.leave_out(stamp.position.into_iter().collect()),
            Place::Last | Place::LastButOne => {}
        }
        let at = self.all.len().checked_sub(if place == Place::LastButOne { 2 } else { 1 })?;
        let epoch = self.all.get_mut(at).filter(|_| place != Place::Nowhere)?;
        if at > 0 {
            epoch.position = position.map_or(epoch.position, |position| position.min(epoch.position));
        }
        epoch.add(stream, stamp);
        Some(epoch.id)
    }

    /// What is to be added to the times of each epoch; pictures of the stream `leading` follow each other without a gap
    /// where no other stream would have to be cut for it.
    pub fn offsets(&self, leading: usize) -> Offsets {
        self.joined(leading).map(|(epoch, offset)| (epoch.id, offset)).collect()
    }

    /// The same by position in the file.
    pub fn discontinuities(&self, leading: usize) -> Vec<Discontinuity> {
        let joined = self.joined(leading).skip(1);
        joined.map(|(epoch, offset)| Discontinuity { position: epoch.position, offset }).collect()
    }

    /// Where packets lie whose times can't be meant, rising.
    pub fn wrong_stamps(&self) -> Vec<u64> {
        let mut wrong = self.wrong.clone();
        wrong.sort_unstable();
        wrong.dedup();
        wrong
    }

    fn leave_out(&mut self, places: Vec<u64>) {
        let room = MAX_WRONG.saturating_sub(self.wrong.len());
        self.wrong.extend(places.into_iter().take(room));
    }

    fn joined(&self, leading: usize) -> impl Iterator<Item = (&Epoch, Ticks)> {
        let mut ends: BTreeMap<usize, Ticks> = BTreeMap::new();
        self.all.iter().map(move |epoch| {
            let offset = if ends.is_empty() { 0 } else { epoch.offset_after(&ends, leading) };
            ends.extend(epoch.runs.iter().map(|(stream, run)| (*stream, run.end.saturating_add(offset))));
            (epoch, offset)
        })
    }

    fn find(&self, stream: usize, decoded: Ticks, position: Option<u64>) -> Place {
        let [before @ .., last] = self.all.as_slice() else { return Place::Nowhere };
        let off = |epoch: &Epoch| epoch.distance(stream, (decoded, position), self.clocks);
        let before = before.last().and_then(off);
        let late = position.is_some_and(|position| position < last.position);
        match (off(last), before) {
            (off, Some(before)) if late && off.is_none_or(|off| before < off) => Place::LastButOne,
            (off, Some(before)) if last.packets <= STRAYS && off.is_none_or(|off| before < off) => {
                Place::Back
            }
            (Some(_), _) => Place::Last,
            (None, _) => {
                let further = position.is_some_and(|position| position > last.position);
                if further && self.all.len() < MAX_EPOCHS { Place::New } else { Place::Nowhere }
            }
        }
    }
}

impl Epoch {
    /// How far a decoding time is from the one expected; `None` where the clock can't be the same.
    fn distance(
        &self,
        stream: usize,
        (decoded, position): (Ticks, Option<u64>),
        clocks: Clocks,
    ) -> Option<Ticks> {
        let latest = self.runs.values().map(|run| run.next).max();
        let (Some(latest), Some(earliest)) = (latest, self.runs.values().map(|run| run.first).min()) else {
            return Some(0);
        };
        let run = self.runs.get(&stream);
        let off = decoded.saturating_sub(run.map_or(latest, |run| run.next));
        // A picture that stands for long leaves the demuxer with the next one, when the sound is far on.
        let late = position.is_some_and(|position| position < self.furthest);
        let from = if late { earliest } else { latest }.saturating_sub(AHEAD);
        let near = (from..=latest.saturating_add(AHEAD)).contains(&decoded);
        let fits = match (clocks, run) {
            (Clocks::Many, Some(_)) => off >= -BACK && near,
            (Clocks::Many, None) => near,
            (Clocks::Restarting, Some(_)) => off >= -BACK,
            (Clocks::One, Some(_)) => off >= -FAR_BACK,
            (_, None) => true,
        };
        fits.then_some(off.saturating_abs())
    }

    fn add(&mut self, stream: usize, stamp: &Stamp) {
        // What shares a place with the packet before it has its time from there.
        if let Some(place) = stamp.position {
            self.furthest = self.furthest.max(place);
            self.packets = self.packets.saturating_add(1);
            self.places.extend(Some(place).filter(|_| self.packets <= STRAYS));
        }
        let Stamp { decoded, shown, duration, .. } = *stamp;
        let delay = shown.map_or(0, |shown| shown.saturating_sub(decoded).clamp(0, MAX_DELAY));
        let first = shown.unwrap_or(decoded);
        let run =
            self.runs.entry(stream).or_insert(Run { first, last: decoded, next: decoded, delay, end: first });
        let shown = shown.unwrap_or_else(|| decoded.saturating_add(run.delay));
        let lasts = if duration > 0 { duration } else { decoded.saturating_sub(run.last).max(0) };
        run.first = run.first.min(shown);
        run.last = decoded;
        run.next = run.next.max(decoded.saturating_add(lasts));
        run.end = run.end.max(shown.saturating_add(lasts));
    }

    /// What puts this epoch behind the ends of what came before.
    fn offset_after(&self, ends: &BTreeMap<usize, Ticks>, leading: usize) -> Ticks {
        let behind = |(stream, run): (&usize, &Run)| Some(ends.get(stream)?.saturating_sub(run.first));
        let led = self.runs.get_key_value(&leading).and_then(behind);
        match (led, self.runs.iter().filter_map(behind).max()) {
            (Some(led), Some(safe)) if safe.saturating_sub(led) <= OVERLAP => led,
            (_, Some(safe)) => safe,
            (_, None) => {
                let edge = ends.values().max().copied().unwrap_or(0);
                edge.saturating_sub(self.runs.values().map(|run| run.first).min().unwrap_or(edge))
            }
        }
    }
}

#[cfg(test)]
mod tests;
