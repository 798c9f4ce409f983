//! From the encoder's milliseconds, such as they are, to our one timeline in ticks.

use super::super::frame::VideoFrame;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// A track further ahead than this of all that came before has jumped.
const JUMP_AHEAD: Ticks = 3 * TICKS_PER_SECOND;
/// A track further behind itself than this has jumped.
const JUMP_BACK: Ticks = TICKS_PER_SECOND;
/// Pictures are shown at most this long after they are decoded; more is a broken encoder's word.
const MAX_REORDER: Ticks = 5 * TICKS_PER_SECOND;
/// Decoding times grow by this at least: a sample of duration 0 stops some players.
pub(super) const MIN_STEP: Ticks = TICKS_PER_SECOND / 1000;

/// When a picture is decoded and shown; `decoded` grows from picture to picture and is never after `shown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub decoded: Ticks,
    pub shown: Ticks,
}

/// The timeline of a session. It starts with the first keyframe and then only goes on: where the encoder's time jumps,
/// both tracks are re-based together and nothing is seen of it.
#[derive(Debug)]
pub(super) struct Clock {
    start: Ticks,
    video: Line,
    audio: Line,
    /// How much later than its picture is shown the encoder claims to decode it, at worst so far.
    lead: Ticks,
    /// How long before it really comes the first keyframe is shown.
    held: Ticks,
    decoded: Option<Ticks>,
}

impl Clock {
    /// A clock whose first keyframe will be shown at `start`.
    pub fn new(start: Ticks) -> Self {
        Self { start, video: Line::default(), audio: Line::default(), lead: 0, held: 0, decoded: None }
    }

    /// Sound was heard so long before the first keyframe, which comes now: the timeline begins with the sound, and the
    /// picture stands until the next.
    pub fn hold_first(&mut self, held: Ticks) {
        self.held = held;
        self.audio.reach = held;
    }

    pub fn is_running(&self) -> bool {
        self.decoded.is_some()
    }

    /// The moment of the next picture; the first one given starts the clock.
    pub fn video(&mut self, frame: &VideoFrame) -> Moment {
        let delay = i64::from(frame.cts_ticks).clamp(-MAX_REORDER, MAX_REORDER);
        let held = if self.is_running() { 0 } else { self.held };
        if !self.is_running() {
            self.video.offset = Some(self.start + held - frame.dts_ticks.saturating_add(delay));
        }
        // Times of showing stay as they are; where they come before those of decoding, decoding moves.
        self.lead = self.lead.max(-delay);
        let placed = self.video.place(frame.dts_ticks, &self.audio);
        let earliest = self.decoded.map_or(Ticks::MIN, |last| last + MIN_STEP);
        let decoded = (placed - self.lead).max(earliest);
        self.decoded = Some(decoded - held);
        Moment { decoded: decoded - held, shown: (placed + delay).max(decoded) - held }
    }

    /// No picture is decoded before then any more.
    pub fn pass(&mut self, decoded: Ticks) {
        self.decoded = self.decoded.map(|last| last.max(decoded));
    }

    /// When sound is heard, by its timestamp; negative before the first keyframe. Only a running clock knows.
    pub fn audio(&mut self, pts: Ticks) -> Ticks {
        self.audio.place(pts, &self.video)
    }
}

/// One track's way from the encoder's time to ours.
#[derive(Debug, Default)]
struct Line {
    /// Ours less the encoder's.
    offset: Option<Ticks>,
    /// The furthest place so far.
    last: Option<Ticks>,
    /// From one place to the next, lately.
    step: Ticks,
    /// Its first place may be so much further before those of the other track.
    reach: Ticks,
}

impl Line {
    /// Where `time` lies on our timeline: by this track's offset, else, after a jump, by that of the other track, which
    /// may have jumped before, else by a new one that lets this track go on.
    fn place(&mut self, time: Ticks, other: &Self) -> Ticks {
        let by = |offset: &Option<Ticks>| offset.map(|offset| time.saturating_add(offset));
        let known = [by(&self.offset), by(&other.offset)].into_iter().flatten();
        let place = known.into_iter().find(|place| self.goes_on_at(*place, other));
        let place = place.unwrap_or_else(|| self.next(other));
        self.offset = Some(place.saturating_sub(time));
        if let Some(last) = self.last.filter(|last| (1..=JUMP_BACK).contains(&(place - last))) {
            self.step = place - last;
        }
        self.last = self.last.max(Some(place));
        place
    }

    fn goes_on_at(&self, place: Ticks, other: &Self) -> bool {
        match (self.last, other.last) {
            (Some(last), _) => {
                let furthest = last.max(other.last.unwrap_or(last));
                (last - JUMP_BACK..=furthest + JUMP_AHEAD).contains(&place)
            }
            // Sound may be sent well before or well after the pictures it belongs to.
            (None, Some(other)) => (other - self.reach - JUMP_AHEAD..=other + JUMP_AHEAD).contains(&place),
            (None, None) => true,
        }
    }

    fn next(&self, other: &Self) -> Ticks {
        let next = self.last.map(|last| last + self.step);
        let missed = |there: &Ticks| next.is_none_or(|next| there - next > JUMP_AHEAD);
        other.last.filter(missed).or(next).unwrap_or_default()
    }
}
