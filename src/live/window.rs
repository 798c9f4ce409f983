//! What a broadcast consists of so far, rung by rung: a pure state that news is applied to, on every node alike.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::cut;
use crate::domain::Timestamp;
use crate::domain::media::{Fraction, Segment, TICKS_PER_SECOND, Ticks};

/// No part is longer, in ticks; the source rung closes one before it would be (RFC 8216bis 4.4.3.7).
pub const PART_TARGET: Ticks = TICKS_PER_SECOND * 35 / 100;
/// Closed segments whose parts are still listed; with the open one that makes three, after which RFC 8216bis 4.4.4.9
/// wants them gone. Players at the edge hold back little more than one second.
const SEGMENTS_IN_PARTS: usize = 2;
/// Segments that stay in the window however short it is: what a player at the edge may be at.
const LEAST_SEGMENTS: usize = 4;

/// What is in a rung.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Form {
    Video { width: u32, height: u32, frame_rate: Fraction },
    Audio { channels: u16 },
}

impl Form {
    /// The rung is sound.
    pub fn is_audio(self) -> bool {
        matches!(self, Self::Audio { .. })
    }
}

/// A rung's initialisation segment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Init {
    pub rung: String,
    /// Highest first; sound last.
    pub position: u32,
    pub number: u32,
    pub codecs: String,
    pub form: Form,
}

/// A partial segment (RFC 8216bis 4.4.4.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    pub number: u32,
    pub start: Ticks,
    pub duration: Ticks,
    /// Begins with a keyframe.
    pub independent: bool,
    /// Its segment comes after a discontinuity.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub discontinuity: bool,
    pub size_bytes: u64,
}

impl From<&cut::Part> for Part {
    fn from(part: &cut::Part) -> Self {
        Self {
            number: part.part,
            start: part.start,
            duration: part.duration,
            independent: part.independent,
            discontinuity: part.discontinuity,
            size_bytes: part.bytes.len() as u64,
        }
    }
}

/// A segment that is whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Closed {
    pub number: u32,
    /// The tenure that made it, part of its name.
    pub epoch: u32,
    pub segment: Segment,
    pub init: u32,
    pub discontinuity: bool,
    pub shown_at: Timestamp,
    /// This rung has not got it (RFC 8216bis 4.4.4.7); it lasts as long as the source's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub gap: bool,
}

/// Something that happened to a channel, in order. The same words go from node to node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "news", rename_all = "snake_case")]
pub enum News {
    Init(Init),
    Part {
        rung: String,
        segment: u32,
        part: Part,
    },
    Closed {
        rung: String,
        closed: Closed,
    },
    /// A rung will have no more segments up to this one than it has.
    Missed {
        rung: String,
        through: u32,
    },
    /// Another tenure goes on with this segment; what is not of a segment before it is given up.
    Tenure {
        epoch: u32,
        next: u32,
    },
    /// No segment is longer than this many seconds, rounded.
    Target {
        seconds: u32,
    },
    /// What had left the window before.
    Removed {
        rung: String,
        removed: Removed,
    },
    Over,
}

/// One rung.
#[derive(Debug, Clone, PartialEq)]
pub struct Track {
    pub init: Init,
    pub closed: VecDeque<Listed>,
    /// The number of the open segment.
    pub open: u32,
    pub parts: Vec<Part>,
    /// Segments that have left the window, and the discontinuities that went with them.
    pub removed: Removed,
}

/// What is no longer listed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    pub segments: u32,
    /// RFC 8216 4.3.3.3: counted on removal only.
    pub discontinuities: u32,
}

/// A closed segment, and its parts while they are listed.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub closed: Closed,
    pub parts: Vec<Part>,
}

impl Track {
    fn new(init: Init, open: u32) -> Self {
        Self { init, closed: VecDeque::new(), open, parts: Vec::new(), removed: Removed::default() }
    }

    /// Number of the first segment listed.
    pub fn first(&self) -> u32 {
        self.closed.front().map_or(self.open, |listed| listed.closed.number)
    }

    /// The newest part there is, as (segment, part); `None` before the first.
    pub fn newest(&self) -> Option<(u32, u32)> {
        match (self.parts.last(), self.closed.back()) {
            (Some(part), _) => Some((self.open, part.number)),
            (None, Some(listed)) => {
                let last = listed.parts.last().map_or(0, |part| part.number);
                Some((listed.closed.number, last))
            }
            (None, None) => None,
        }
    }

    /// Nothing has come to it yet.
    fn is_new(&self) -> bool {
        self.closed.is_empty() && self.parts.is_empty()
    }

    /// Discontinuities up to a segment that is still listed.
    fn discontinuities_before(&self, number: u32) -> u32 {
        let listed = self.closed.iter().map(|listed| &listed.closed);
        let passed = listed.filter(|closed| closed.number < number && closed.discontinuity).count();
        self.removed.discontinuities + u32::try_from(passed).unwrap_or(0)
    }

    fn close(&mut self, closed: Closed) {
        let parts = std::mem::take(&mut self.parts);
        self.open = closed.number + 1;
        self.closed.push_back(Listed { closed, parts });
        let old = self.closed.len().saturating_sub(SEGMENTS_IN_PARTS);
        for listed in self.closed.range_mut(..old).rev().take_while(|listed| !listed.parts.is_empty()) {
            listed.parts.clear();
        }
    }

    /// Forgets what ends before `from`, but never what a player at the live edge needs.
    fn forget(&mut self, from: Ticks) {
        while self.closed.len() > LEAST_SEGMENTS {
            let Some(first) = self.closed.front() else { return };
            if first.closed.segment.start + first.closed.segment.duration > from {
                return;
            }
            self.removed.segments += 1;
            self.removed.discontinuities += u32::from(first.closed.discontinuity);
            self.closed.pop_front();
        }
    }
}

/// All rungs of a channel.
#[derive(Debug, Clone, PartialEq)]
pub struct Window {
    pub epoch: u32,
    /// Sorted by position: highest first, sound last.
    pub tracks: Vec<Track>,
    /// Where a rung begins that comes late.
    next: u32,
    /// How far back viewers may seek, in ticks; `None`: to the start.
    dvr: Option<Ticks>,
    pub over: bool,
}

impl Window {
    /// A channel nothing has come to yet; its first segment has the number `next`.
    pub fn new(epoch: u32, next: u32, dvr: Option<Ticks>) -> Self {
        Self { epoch, tracks: Vec::new(), next, dvr, over: false }
    }

    /// The rung of a name.
    pub fn track(&self, rung: &str) -> Option<&Track> {
        self.tracks.iter().find(|track| track.init.rung == rung)
    }

    fn track_mut(&mut self, rung: &str) -> Option<&mut Track> {
        self.tracks.iter_mut().find(|track| track.init.rung == rung)
    }

    /// Something viewers can begin with is there: a whole segment of pictures and one of sound. Some players can't make
    /// anything of a playlist that has but parts.
    pub fn is_playable(&self) -> bool {
        let has = |audio| {
            self.tracks.iter().any(|track| track.init.form.is_audio() == audio && !track.closed.is_empty())
        };
        has(true) && has(false)
    }

    /// Takes the next piece of news.
    pub fn apply(&mut self, news: &News) {
        match news {
            News::Init(init) => self.add_init(init),
            News::Part { rung, segment, part } => {
                self.reach(rung, *segment);
                if let Some(track) = self.track_mut(rung) {
                    track.parts.push(*part);
                }
            }
            News::Closed { rung, closed } => {
                let dvr = self.dvr;
                let end = closed.segment.start + closed.segment.duration;
                self.next = self.next.max(closed.number);
                self.reach(rung, closed.number);
                if let Some(track) = self.track_mut(rung) {
                    track.close(closed.clone());
                    if let Some(dvr) = dvr {
                        track.forget(end - dvr);
                    }
                }
            }
            News::Missed { rung, through } => {
                if self.track(rung).is_some_and(|track| !track.is_new()) {
                    self.reach(rung, through + 1);
                }
            }
            News::Target { .. } => {}
            News::Removed { rung, removed } => {
                if let Some(track) = self.track_mut(rung) {
                    track.removed = *removed;
                }
            }
            News::Tenure { epoch, next } => self.begin_tenure(*epoch, *next),
            News::Over => {
                self.over = true;
                for track in &mut self.tracks {
                    track.parts.clear();
                    track.closed.iter_mut().for_each(|listed| listed.parts.clear());
                }
            }
        }
    }

    fn begin_tenure(&mut self, epoch: u32, next: u32) {
        self.epoch = epoch;
        self.next = next;
        let rungs: Vec<String> = self.tracks.iter().map(|track| track.init.rung.clone()).collect();
        for rung in rungs {
            self.reach(&rung, next);
            if let Some(track) = self.track_mut(&rung) {
                track.parts.clear();
                track.closed.retain(|listed| listed.closed.number < next);
                track.open = next;
            }
        }
    }

    /// A rung goes on with this segment: what it has not got of those before, from its own beginning or the source's,
    /// stays a gap, so that all rungs tell of the same time by the same numbers (RFC 8216bis 6.2.4).
    fn reach(&mut self, rung: &str, segment: u32) {
        let Some(source) = self.tracks.first() else { return };
        let Some(track) = self.track(rung) else { return };
        if segment <= track.open && !track.is_new() {
            return;
        }
        let missed = if track.is_new() { source.first()..segment } else { track.open..segment };
        let of_source = source.closed.iter().map(|listed| &listed.closed);
        let known: Vec<Closed> =
            of_source.filter(|closed| missed.contains(&closed.number)).cloned().collect();
        let first = known.first().map_or(segment, |closed| closed.number);
        let starts_here = (track.is_new() || first > track.open).then_some(first);
        let removed = starts_here.map(|first| source.discontinuities_before(first));
        let dvr = self.dvr;
        let Some(track) = self.track_mut(rung) else { return };
        track.parts.clear();
        if let (Some(first), Some(discontinuities)) = (starts_here, removed) {
            track.removed.segments += u32::try_from(track.closed.len()).unwrap_or(0);
            track.removed.discontinuities = discontinuities;
            track.closed.clear();
            track.open = first;
        }
        for closed in known {
            let segment = Segment { size_bytes: 0, key_bytes: 0, ..closed.segment };
            track.close(Closed { gap: true, segment, init: track.init.number, ..closed });
            if let Some(dvr) = dvr {
                track.forget(segment.start + segment.duration - dvr);
            }
        }
        track.open = segment;
    }

    fn add_init(&mut self, init: &Init) {
        let next = self.next;
        if let Some(track) = self.track_mut(&init.rung) {
            track.init = init.clone();
            return;
        }
        self.tracks.push(Track::new(init.clone(), next));
        self.tracks.sort_by_key(|track| track.init.position);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub const S: Ticks = TICKS_PER_SECOND;

    pub fn init(rung: &str, position: u32) -> News {
        let rate = Fraction { num: 30, den: 1 };
        let form = if rung == "audio" {
            Form::Audio { channels: 2 }
        } else {
            Form::Video { width: 1280, height: 720, frame_rate: rate }
        };
        let codecs = if rung == "audio" { "mp4a.40.2" } else { "avc1.64001f" };
        News::Init(Init { rung: rung.to_owned(), position, number: 0, codecs: codecs.to_owned(), form })
    }

    pub fn part(rung: &str, segment: u32, number: u32) -> News {
        let start = i64::from(segment) * 2 * S + i64::from(number) * 30_000;
        let (independent, discontinuity) = (number == 0, segment == 1);
        let part = Part { number, start, duration: 30_000, independent, discontinuity, size_bytes: 1000 };
        News::Part { rung: rung.to_owned(), segment, part }
    }

    pub fn closed(rung: &str, number: u32) -> News {
        let segment =
            Segment { start: i64::from(number) * 2 * S, duration: 2 * S, size_bytes: 6000, key_bytes: 500 };
        let shown_at = Timestamp(1_700_000_000_000 + i64::from(number) * 2000);
        let closed =
            Closed { number, epoch: 1, segment, init: 0, discontinuity: number == 1, shown_at, gap: false };
        News::Closed { rung: rung.to_owned(), closed }
    }

    /// Segments `0..whole` closed with six parts each, and `open` parts of the next.
    pub fn filled(whole: u32, open: u32, dvr: Option<Ticks>) -> Window {
        let mut window = Window::new(1, 0, dvr);
        for (rung, position) in [("720p", 0), ("audio", 9)] {
            window.apply(&init(rung, position));
            for segment in 0..whole {
                (0..6).for_each(|number| window.apply(&part(rung, segment, number)));
                window.apply(&closed(rung, segment));
            }
            (0..open).for_each(|number| window.apply(&part(rung, whole, number)));
        }
        window
    }

    #[test]
    fn parts_are_listed_at_the_live_edge_only() {
        let window = filled(7, 2, None);
        let track = window.track("720p").expect("a track");
        let listed: Vec<usize> = track.closed.iter().map(|listed| listed.parts.len()).collect();
        assert_eq!(listed, [0, 0, 0, 0, 0, 6, 6]);
        assert_eq!((track.open, track.newest()), (7, Some((7, 1))));
    }

    #[test]
    fn what_leaves_the_window_is_counted_with_its_discontinuities() {
        let window = filled(40, 0, Some(30 * S));
        let track = window.track("720p").expect("a track");
        assert_eq!(track.removed, Removed { segments: 25, discontinuities: 1 });
        assert_eq!(track.first(), 25);
    }

    /// A lower rung beside `filled`'s, with these segments whole.
    fn with_lower(mut window: Window, whole: &[u32]) -> Window {
        window.apply(&init("360p", 1));
        for segment in whole {
            (0..6).for_each(|number| window.apply(&part("360p", *segment, number)));
            window.apply(&closed("360p", *segment));
        }
        window
    }

    fn numbers(window: &Window, rung: &str) -> Vec<(u32, bool)> {
        let track = window.track(rung).expect("a track");
        track.closed.iter().map(|listed| (listed.closed.number, listed.closed.gap)).collect()
    }

    #[test]
    fn what_a_lower_rung_lacks_is_a_gap_as_long_as_the_source() {
        let mut window = with_lower(filled(5, 0, None), &[0, 1, 4]);
        let expected = [(0, false), (1, false), (2, true), (3, true), (4, false)];
        assert_eq!(numbers(&window, "360p"), expected);
        window.apply(&part("360p", 5, 0));
        (0..6).for_each(|number| window.apply(&part("720p", 5, number)));
        window.apply(&closed("720p", 5));
        window.apply(&News::Missed { rung: "360p".to_owned(), through: 5 });
        let track = window.track("360p").expect("a track");
        assert_eq!((track.open, track.parts.len()), (6, 0));
        let last = track.closed.back().expect("a gap");
        assert!(last.closed.gap && last.parts.is_empty() && last.closed.segment.duration == 2 * S);
    }

    #[test]
    fn a_rung_that_comes_late_begins_with_gaps_and_counts_the_discontinuities_before_them() {
        let window = with_lower(filled(5, 0, None), &[3, 4]);
        let expected = [(0, true), (1, true), (2, true), (3, false), (4, false)];
        assert_eq!(numbers(&window, "360p"), expected);
        let window = with_lower(filled(40, 0, Some(30 * S)), &[38, 39]);
        let track = window.track("360p").expect("a track");
        assert_eq!((track.first(), track.removed.discontinuities), (25, 1));
    }

    #[test]
    fn a_rung_that_was_away_for_longer_than_the_window_begins_anew() {
        let window = with_lower(filled(40, 0, Some(30 * S)), &[3, 38]);
        let found = numbers(&window, "360p");
        assert_eq!(found.first(), Some(&(25, true)));
        assert_eq!(found.last(), Some(&(38, false)));
        assert_eq!(found.len(), 14);
        assert_eq!(window.track("360p").map(|track| track.removed.discontinuities), Some(1));
    }

    #[test]
    fn a_new_tenure_gives_up_what_was_open() {
        let mut window = filled(3, 2, None);
        window.apply(&News::Tenure { epoch: 2, next: 3 });
        let track = window.track("720p").expect("a track");
        assert_eq!((track.open, track.newest()), (3, Some((2, 5))));
        // What the one before told of and never kept is taken back.
        window.apply(&News::Tenure { epoch: 3, next: 2 });
        let track = window.track("720p").expect("a track");
        assert_eq!((track.open, track.newest()), (2, Some((1, 5))));
    }
}
