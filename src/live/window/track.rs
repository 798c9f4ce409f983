//! One rung of a window.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use super::{Closed, Init, Part};
use crate::domain::Timestamp;
use crate::domain::media::{Segment, TICKS_PER_SECOND, Ticks};

/// Closed segments whose parts are still listed; with the open one that makes three, after which RFC 8216bis 4.4.4.9
/// wants them gone. Players at the edge hold back little more than one second.
const SEGMENTS_IN_PARTS: usize = 2;
/// Nobody knows how long a segment was that was lost with its node; no segment has no length at all.
const LEAST_GAP: Ticks = TICKS_PER_SECOND / 30;
/// Segments that stay in the window however short it is: what a player at the edge may be at.
const LEAST_SEGMENTS: usize = 4;

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
    pub(super) fn new(init: Init, open: u32) -> Self {
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

    /// Where a segment that is listed, or the open one, begins, and when that was taken.
    pub fn begun(&self, number: u32) -> Option<(Ticks, Timestamp)> {
        let open = self.parts.first().filter(|_| self.open == number);
        let of_open = open.and_then(|part| Some((part.start, part.shown_at?)));
        of_open.or_else(|| {
            let mut closed = self.closed.iter().rev().map(|listed| &listed.closed);
            closed
                .find(|closed| closed.number == number)
                .map(|closed| (closed.segment.start, closed.shown_at))
        })
    }

    /// Nothing has come to it yet.
    pub(super) fn is_new(&self) -> bool {
        self.closed.is_empty() && self.parts.is_empty()
    }

    /// Discontinuities up to a segment that is still listed.
    pub(super) fn discontinuities_before(&self, number: u32) -> u32 {
        let listed = self.closed.iter().map(|listed| &listed.closed);
        let passed = listed.filter(|closed| closed.number < number && closed.discontinuity).count();
        self.removed.discontinuities + u32::try_from(passed).unwrap_or(0)
    }

    pub(super) fn close(&mut self, closed: Closed) {
        // Whoever has been told of a gap takes nothing else in its place.
        if closed.number < self.open {
            return;
        }
        let parts = std::mem::take(&mut self.parts);
        self.open = closed.number + 1;
        self.closed.push_back(Listed { closed, parts });
        let old = self.closed.len().saturating_sub(SEGMENTS_IN_PARTS);
        for listed in self.closed.range_mut(..old).rev().take_while(|listed| !listed.parts.is_empty()) {
            listed.parts.clear();
        }
    }

    /// Where what is told ends.
    pub(super) fn end(&self) -> Ticks {
        let closed =
            self.closed.back().map(|listed| listed.closed.segment.start + listed.closed.segment.duration);
        let open = self.parts.last().map(|part| part.start + part.duration);
        open.or(closed).unwrap_or(0)
    }

    /// Segments from this one on are not kept.
    pub(super) fn lose(&mut self, from: u32) {
        for listed in self.closed.iter_mut().filter(|listed| listed.closed.number >= from) {
            listed.closed.gap = true;
            listed.parts.clear();
        }
    }

    /// Closes what is open, and what was never there, as gaps up to `next`.
    pub(super) fn close_gaps(&mut self, next: u32, epoch: u32) {
        for number in self.open..next {
            let Some(last) = self.closed.back().map(|listed| listed.closed.clone()) else { return };
            let start = last.segment.start + last.segment.duration;
            let duration = (self.end() - start).max(LEAST_GAP);
            let shown_at = self.shown_at(number).unwrap_or(last.shown_at);
            let discontinuity = self.parts.first().is_some_and(|part| part.discontinuity);
            let segment = Segment { start, duration, size_bytes: 0, key_bytes: 0 };
            let init = self.init.number;
            self.parts.clear();
            self.close(Closed { number, epoch, segment, init, discontinuity, shown_at, gap: true });
        }
    }

    /// Forgets what ends before `from`, but never what a player at the live edge needs.
    pub(super) fn forget(&mut self, from: Ticks) {
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
