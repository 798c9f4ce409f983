//! What a broadcast consists of so far, rung by rung: a pure state that news is applied to, on every node alike.

mod track;
mod unkept;

use serde::{Deserialize, Serialize};

pub use self::track::{Listed, Removed, Track};
pub use self::unkept::Kept;
use super::cut;
use crate::domain::Timestamp;
use crate::domain::media::{Fraction, Segment, TICKS_PER_SECOND, Ticks};

/// No part is longer, in ticks; the source rung closes one before it would be (RFC 8216bis 4.4.3.7).
pub const PART_TARGET: Ticks = TICKS_PER_SECOND * 35 / 100;

/// The name of the rendition with the sound, as in every other video.
pub const AUDIO: &str = "audio";

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
    /// When the first picture of its segment was taken; told with the first part.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_at: Option<Timestamp>,
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
            shown_at: None,
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
    /// Another tenure goes on with this segment; so many before it are not kept.
    Tenure {
        epoch: u32,
        next: u32,
        lost: u32,
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

    /// The segment of this number is the one this tenure told of: a player that waits for an older tenure's is not given
    /// a newer one's.
    pub fn is_of(&self, rung: &str, number: u32, epoch: u32) -> bool {
        let listed =
            self.track(rung).and_then(|track| track.closed.iter().find(|one| one.closed.number == number));
        listed.map_or(self.epoch, |listed| listed.closed.epoch) == epoch
    }

    /// Takes the next piece of news.
    pub fn apply(&mut self, news: &News) {
        match news {
            News::Init(init) => self.add_init(init),
            News::Part { rung, segment, part } => {
                self.reach(rung, *segment);
                // Sound that a tenure before owed is for the recording: players know of a gap there.
                if let Some(track) = self.track_mut(rung).filter(|track| *segment >= track.open) {
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
            News::Tenure { epoch, next, lost } => self.begin_tenure(*epoch, (*next, *lost)),
            News::Over => {
                self.over = true;
                for track in &mut self.tracks {
                    track.parts.clear();
                    track.closed.iter_mut().for_each(|listed| listed.parts.clear());
                }
            }
        }
    }

    /// The number after the last that players may know something of, and where what they know of the pictures ends.
    pub fn told(&self) -> (u32, Ticks) {
        let next = self.tracks.iter().map(|track| track.open + u32::from(!track.parts.is_empty())).max();
        (next.unwrap_or(0), self.tracks.first().map_or(0, Track::end))
    }

    /// What is not kept becomes a gap: a player that has begun with a segment never takes another one of its number.
    fn begin_tenure(&mut self, epoch: u32, (next, lost): (u32, u32)) {
        self.next = next;
        for track in &mut self.tracks {
            track.lose(next - lost);
        }
        let rungs: Vec<String> = self.tracks.iter().map(|track| track.init.rung.clone()).collect();
        for rung in rungs {
            self.reach(&rung, next);
            if let Some(track) = self.track_mut(&rung) {
                track.parts.clear();
                track.open = track.open.max(next);
            }
        }
        self.epoch = epoch;
    }

    /// A rung goes on with this segment: what it has not got of those before, from its own beginning or the source's,
    /// stays a gap, so that all rungs tell of the same time by the same numbers (RFC 8216bis 6.2.4).
    fn reach(&mut self, rung: &str, segment: u32) {
        let epoch = self.epoch;
        if let Some(source) = self.tracks.first_mut().filter(|source| source.init.rung == rung) {
            source.close_gaps(segment, epoch);
        }
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
        let shown_at = (number == 0).then_some(shown_at(segment));
        let part =
            Part { number, start, duration: 30_000, independent, discontinuity, shown_at, size_bytes: 1000 };
        News::Part { rung: rung.to_owned(), segment, part }
    }

    pub fn closed(rung: &str, number: u32) -> News {
        let segment =
            Segment { start: i64::from(number) * 2 * S, duration: 2 * S, size_bytes: 6000, key_bytes: 500 };
        let (discontinuity, shown_at) = (number == 1, shown_at(number));
        let closed = Closed { number, epoch: 1, segment, init: 0, discontinuity, shown_at, gap: false };
        News::Closed { rung: rung.to_owned(), closed }
    }

    fn shown_at(number: u32) -> Timestamp {
        Timestamp(1_700_000_000_000 + i64::from(number) * 2000)
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
    fn what_a_tenure_told_and_did_not_keep_is_a_gap_for_the_next() {
        let mut window = filled(3, 2, None);
        assert_eq!(window.told(), (4, 6 * S + 60_000));
        window.apply(&News::Tenure { epoch: 2, next: 4, lost: 1 });
        for rung in ["720p", "audio"] {
            let track = window.track(rung).expect("a track");
            let last = &track.closed.back().expect("a gap").closed;
            assert_eq!((track.open, last.number, last.gap, last.segment.duration), (4, 3, true, 60_000));
        }
        // Closed, and never kept; and one that nobody here has heard of.
        window.apply(&News::Tenure { epoch: 3, next: 5, lost: 3 });
        let gaps = [(0, false), (1, false), (2, true), (3, true), (4, true)];
        assert_eq!((numbers(&window, "720p"), numbers(&window, "audio")), (gaps.to_vec(), gaps.to_vec()));
    }

    #[test]
    fn sound_that_the_tenure_before_owed_stays_a_gap() {
        let mut window = filled(3, 0, None);
        (0..6).for_each(|number| window.apply(&part("720p", 3, number)));
        window.apply(&closed("720p", 3));
        window.apply(&News::Tenure { epoch: 2, next: 5, lost: 1 });
        window.apply(&part("audio", 3, 0));
        window.apply(&closed("audio", 3));
        let expected = [(0, false), (1, false), (2, false), (3, true), (4, true)];
        assert_eq!(numbers(&window, "audio"), expected);
        let track = window.track("audio").expect("a track");
        assert_eq!((track.open, track.parts.len()), (5, 0));
    }

    #[test]
    fn a_new_tenure_goes_on_where_all_is_kept() {
        let mut window = filled(3, 0, None);
        window.apply(&News::Tenure { epoch: 2, next: 3, lost: 0 });
        let track = window.track("720p").expect("a track");
        assert_eq!((track.open, track.newest()), (3, Some((2, 5))));
    }
}
