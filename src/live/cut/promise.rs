//! How long segments may be: the first one that closes fixes EXT-X-TARGETDURATION, which may never change (RFC 8216bis
//! 6.2.1), so later ones end in time, at a keyframe or without.

use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// EXT-X-TARGETDURATION is no less: the next keyframes may come later than the first two did.
pub const LEAST_TARGET: u32 = 4;
/// Keyframes may come this much later than the first ones did without being missed.
const SLACK: Ticks = TICKS_PER_SECOND / 4;
/// Sound is cut by whole frames, and so up to one of them later than pictures.
const FRAME_OF_SOUND: Ticks = TICKS_PER_SECOND * 15 / 100;

/// What is promised of a broadcast's segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Promise {
    /// Seconds that no segment, rounded, is longer than; `None` before the first has closed.
    target: Option<u32>,
    /// No segment is longer before that.
    first: Ticks,
}

impl Promise {
    pub fn new(first: Ticks) -> Self {
        Self { target: None, first }
    }

    pub fn target(self) -> Option<u32> {
        self.target
    }

    /// Holds what was promised before.
    pub fn keep(&mut self, target: u32) {
        self.target = Some(target);
    }

    /// The first segment lasted so long.
    pub fn make(&mut self, duration: Ticks) {
        if self.target.is_none() {
            let rounded = (duration + SLACK + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
            self.target = Some(u32::try_from(rounded).unwrap_or(u32::MAX).max(LEAST_TARGET));
        }
    }

    /// A segment that no keyframe ends lasts so long.
    pub fn full(self) -> Ticks {
        self.target.map_or(self.first, |target| Ticks::from(target) * TICKS_PER_SECOND)
    }

    /// No segment lasts longer; in between a keyframe is waited for, or a good picture to go on with.
    pub fn limit(self) -> Ticks {
        self.full() + TICKS_PER_SECOND / 2 - FRAME_OF_SOUND
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_first_segment_promises_holds_for_it_and_for_a_little_more() {
        for ms in (0..12_000).step_by(7) {
            let first = ms * TICKS_PER_SECOND / 1000;
            let mut promise = Promise::new(12 * TICKS_PER_SECOND);
            promise.make(first);
            let rounded = |time: Ticks| (time + TICKS_PER_SECOND / 2) / TICKS_PER_SECOND;
            let target = promise.target().map_or(0, Ticks::from);
            assert!(rounded(first + SLACK) <= target && promise.limit() >= first + TICKS_PER_SECOND / 10);
            assert!(rounded(promise.limit() + FRAME_OF_SOUND - 1) <= target, "{ms}");
            let promised = promise;
            promise.make(first * 2);
            assert_eq!(promise, promised);
        }
    }
}
