//! What a tenure told players and did not keep: the next one keeps it, where the bytes are known.

use super::{Closed, Track, Window};
use crate::domain::Timestamp;
use crate::domain::media::{Segment, TICKS_PER_SECOND, Ticks};

/// The number after the last segment of pictures that is kept, and after that of sound.
#[derive(Debug, Clone, Copy)]
pub struct Kept {
    pub pictures: u32,
    pub sound: u32,
}

impl Window {
    /// Segments of pictures and of sound from there on, as they follow each other without a gap: those that are closed,
    /// and the open ones as far as they were told, which become segments of the tenure `epoch`.
    pub fn unkept(&self, kept: Kept, epoch: u32) -> Vec<(String, Closed)> {
        let Some((source, others)) = self.tracks.split_first() else { return Vec::new() };
        let pictures = source.unkept(kept.pictures, epoch, |number| source.shown_at(number));
        let end = pictures.last().map_or(kept.pictures, |last| last.number + 1);
        let of = |track: &Track, segments: Vec<Closed>| {
            let rung = track.init.rung.clone();
            segments.into_iter().map(move |closed| (rung.clone(), closed))
        };
        let mut all: Vec<(String, Closed)> = of(source, pictures.clone()).collect();
        for track in others.iter().filter(|track| track.init.form.is_audio()) {
            let shown_at = |number| {
                let known = pictures.iter().find(|closed| closed.number == number);
                known.map(|closed| closed.shown_at).or_else(|| source.shown_at(number))
            };
            let mut sound = track.unkept(kept.sound, epoch, shown_at);
            sound.retain(|closed| closed.number < end);
            all.extend(of(track, sound));
        }
        // Pictures first within a segment, as the tape has them.
        all.sort_by_key(|(_, closed)| closed.number);
        all
    }
}

impl Track {
    fn unkept(&self, from: u32, epoch: u32, shown_at: impl Fn(u32) -> Option<Timestamp>) -> Vec<Closed> {
        let closed = self.closed.iter().map(|listed| &listed.closed).filter(|closed| closed.number >= from);
        let cut_off = self.cut_off(epoch, shown_at).filter(|closed| closed.number >= from);
        let all = closed.cloned().chain(cut_off);
        all.zip(from..)
            .take_while(|(closed, at)| closed.number == *at && !closed.gap)
            .map(|(one, _)| one)
            .collect()
    }

    /// The open segment, as far as it was told.
    fn cut_off(&self, epoch: u32, shown_at: impl Fn(u32) -> Option<Timestamp>) -> Option<Closed> {
        let (first, last) = (self.parts.first()?, self.parts.last()?);
        let segment = Segment {
            start: first.start,
            duration: last.start + last.duration - first.start,
            size_bytes: self.parts.iter().map(|part| part.size_bytes).sum(),
            key_bytes: 0,
        };
        let (number, init) = (self.open, self.init.number);
        let (discontinuity, shown_at) = (first.discontinuity, shown_at(number)?);
        Some(Closed { number, epoch, segment, init, discontinuity, shown_at, gap: false })
    }

    /// When a segment that is listed, or the open one, was taken.
    pub(super) fn shown_at(&self, number: u32) -> Option<Timestamp> {
        self.begun(number).map(|(_, shown_at)| shown_at).or_else(|| self.next_shown_at())
    }

    /// When what follows the closed segments was taken.
    pub(super) fn next_shown_at(&self) -> Option<Timestamp> {
        let last = &self.closed.back()?.closed;
        Some(Timestamp(last.shown_at.0 + milliseconds(last.segment.duration)))
    }
}

fn milliseconds(time: Ticks) -> i64 {
    time * 1000 / TICKS_PER_SECOND
}

#[cfg(test)]
mod tests {
    use super::super::News;
    use super::super::tests::{S, filled, part};
    use super::*;

    fn numbers(window: &Window, kept: Kept) -> Vec<(String, u32, u32, Ticks)> {
        let found = window.unkept(kept, 2).into_iter();
        found.map(|(rung, one)| (rung, one.number, one.epoch, one.segment.duration)).collect()
    }

    #[test]
    fn what_is_closed_stays_as_it_is_and_what_is_open_ends_where_it_was_cut_off() {
        let window = filled(4, 2, None);
        let (pictures, sound) = (3, 3);
        let of = |rung: &str, number, epoch, duration| (rung.to_owned(), number, epoch, duration);
        let expected = [
            of("720p", 3, 1, 2 * S),
            of("audio", 3, 1, 2 * S),
            of("720p", 4, 2, 60_000),
            of("audio", 4, 2, 60_000),
        ];
        assert_eq!(numbers(&window, Kept { pictures, sound }), expected);
        assert_eq!(numbers(&window, Kept { pictures: 5, sound: 5 }), []);
    }

    #[test]
    fn sound_without_pictures_and_what_comes_after_a_gap_is_left() {
        let mut window = filled(2, 0, None);
        window.apply(&part("audio", 2, 0));
        assert_eq!(numbers(&window, Kept { pictures: 2, sound: 2 }), []);
        let mut window = filled(3, 1, None);
        window.apply(&News::Tenure { epoch: 2, next: 4, lost: 1 });
        window.apply(&part("720p", 4, 0));
        assert_eq!(numbers(&window, Kept { pictures: 3, sound: 3 }), []);
    }
}
