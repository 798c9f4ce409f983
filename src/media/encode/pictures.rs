//! Which pictures a chunk is made of: the one rule by which chunks encoded apart agree on every boundary.
//!
//! A segment begins with the first picture at or after its planned start; where none comes soon, with the previous
//! picture, shown again at the planned start. So no segment is empty, and both neighbours of a seam see the same.

use super::pace;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::media::grid::{Grid, reaches};

/// How long after its planned start a segment may begin. Longer than this is a still: the previous picture is repeated.
const SOON: Ticks = TICKS_PER_SECOND / 2;

/// Pictures a second at most, whatever the source says of its rate.
const MAX_RATE: f64 = 60.0;
/// So many may come before their time: cameras of 60 pictures a second do not beat like clocks.
const JITTER: i64 = 4;

/// A source that was cut off may have sound for this much longer than pictures.
const RAGGED: Ticks = TICKS_PER_SECOND;

/// The part of the timeline that is encoded.
#[derive(Debug, Clone)]
pub(super) struct Span {
    pub grid: Grid,
    pub end: Ticks,
    pub last: bool,
    /// Pictures a second at most, where the source is known to have more.
    pub rate: Option<f64>,
}

impl Span {
    /// The place of a picture that comes so long after its segment began; `last` where there is none for it.
    fn place(&self, last: i64, since_start: Ticks) -> i64 {
        match self.rate {
            Some(rate) => pace::place(since_start, rate),
            None if last < pace::place(since_start, MAX_RATE) + JITTER => last + 1,
            None => last,
        }
    }
}

/// Takes decoded pictures in the order shown, gives those to be encoded with their times.
pub(super) struct Pictures<P> {
    span: Span,
    repeat: fn(&P) -> P,
    previous: Option<P>,
    /// The segment being filled, when it began, and the place its last picture took.
    current: Option<(u32, Ticks, i64)>,
    last_at: Option<Ticks>,
    ended: Option<Ticks>,
}

impl<P> Pictures<P> {
    pub fn new(span: Span, repeat: fn(&P) -> P) -> Self {
        Self { span, repeat, previous: None, current: None, last_at: None, ended: None }
    }

    /// When the chunk ends, once that is known; no more pictures are needed then.
    pub fn ended(&self) -> Option<Ticks> {
        self.ended
    }

    /// A picture has been given to the encoders.
    pub fn has_begun(&self) -> bool {
        self.last_at.is_some()
    }

    /// No picture has come at all, not even from before.
    pub fn is_blank(&self) -> bool {
        self.previous.is_none() && !self.has_begun()
    }

    /// The next picture of the source and its time.
    pub fn take(&mut self, at: Ticks, picture: P) -> Vec<(Ticks, P)> {
        let mut out = Vec::new();
        let begin = self.span.grid.begin();
        let at = if self.is_very_first(begin) { at.min(begin) } else { at };
        if !reaches(at, begin) {
            self.previous = Some(picture);
        } else if reaches(at, self.span.end) {
            self.fill(None, &picture, &mut out);
            let soon = !self.span.last && at - self.span.end <= SOON;
            self.ended = Some(if soon { at } else { self.span.end });
        } else {
            self.keep(at, picture, &mut out);
        }
        out
    }

    /// The source has no more pictures; its last one ends at `shown_until`. The picture is held until the planned end;
    /// only where the source was `cut_short` long before it, so is the chunk.
    pub fn finish(&mut self, shown_until: Ticks, cut_short: bool) -> Vec<(Ticks, P)> {
        let mut out = Vec::new();
        if self.ended.is_some() {
            return out;
        }
        let natural = self.last_at.map_or(self.span.grid.begin(), |last| shown_until.max(last + 1));
        let held = !cut_short || shown_until + RAGGED >= self.span.end;
        if let Some(previous) = self.previous.take().filter(|_| held) {
            self.fill(None, &previous, &mut out);
        }
        let end = self.span.end.max(self.last_at.unwrap_or(0) + 1);
        self.ended = Some(if held && self.has_begun() { end } else { natural.min(end) });
        out
    }

    /// Nothing was shown before this in the whole video: the first picture is time 0, whatever its stamp says.
    fn is_very_first(&self, begin: Ticks) -> bool {
        self.span.grid.first() == 0 && begin == 0 && self.previous.is_none()
    }

    fn keep(&mut self, at: Ticks, picture: P, out: &mut Vec<(Ticks, P)>) {
        self.fill(Some(at), &picture, out);
        let index = self.span.grid.index(at);
        let kept = match self.current {
            Some((current, began, last)) if current == index => {
                let place = self.span.place(last, at - began);
                self.current = Some((current, began, last.max(place)));
                place > last && self.last_at.is_none_or(|last| at > last)
            }
            _ => {
                self.current = Some((index, at, 0));
                true
            }
        };
        if kept {
            self.last_at = Some(at);
            out.push((at, (self.repeat)(&picture)));
        }
        self.previous = Some(picture);
    }

    /// Begins every segment before `upto`, or all that are left, in which no picture comes soon.
    fn fill(&mut self, upto: Option<Ticks>, fallback: &P, out: &mut Vec<(Ticks, P)>) {
        let mut index = self.current.map_or(self.span.grid.first(), |(current, ..)| current + 1);
        while let Some(start) = self.span.grid.start(index) {
            if upto.is_some_and(|at| self.span.grid.index(at) < index || at - start <= SOON) {
                return;
            }
            if upto.is_none() && start >= self.span.end {
                return;
            }
            let shown = self.previous.as_ref().unwrap_or(fallback);
            out.push((start, (self.repeat)(shown)));
            self.current = Some((index, start, 0));
            self.last_at = Some(start);
            index += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::TICKS_PER_SECOND as S;

    fn chunk(first: u32, starts: &[Ticks], end: Ticks, last: bool) -> Pictures<Ticks> {
        let grid = Grid::new(first, starts);
        Pictures::new(Span { grid, end, last, rate: None }, |picture| *picture)
    }

    /// `(shown at, picture)` in seconds, and the end.
    fn run(mut pictures: Pictures<Ticks>, source: &[Ticks]) -> (Vec<(Ticks, Ticks)>, Option<Ticks>) {
        let mut out = Vec::new();
        for at in source {
            if pictures.ended().is_none() {
                out.extend(pictures.take(at * S, *at));
            }
        }
        out.extend(pictures.finish(source.last().map_or(0, |at| (at + 1) * S), false));
        (out.into_iter().map(|(at, picture)| (at / S, picture)).collect(), pictures.ended().map(|at| at / S))
    }

    #[test]
    fn a_pause_is_filled_by_the_picture_before_it_in_both_chunks() {
        let source = [0, 1, 13, 14];
        let (first, end) = run(chunk(0, &[0, 4 * S], 8 * S, false), &source);
        assert_eq!((first, end), (vec![(0, 0), (1, 1), (4, 1)], Some(8)));
        let (second, end) = run(chunk(2, &[8 * S, 12 * S], 16 * S, true), &source);
        assert_eq!((second, end), (vec![(8, 1), (12, 1), (13, 13), (14, 14)], Some(16)));
    }

    #[test]
    fn the_last_picture_is_held_to_the_end() {
        let (shown, end) = run(chunk(0, &[0, 4 * S, 8 * S], 10 * S, true), &[0]);
        assert_eq!((shown, end), (vec![(0, 0), (4, 0), (8, 0)], Some(10)));
    }

    #[test]
    fn a_chunk_ends_where_the_next_one_s_first_picture_begins() {
        let mut pictures = chunk(0, &[0], 4 * S, false);
        for at in [0, 2 * S, 4 * S + 700] {
            pictures.take(at, at);
        }
        assert_eq!(pictures.ended(), Some(4 * S + 700));
        let mut next = chunk(1, &[4 * S], 8 * S, false);
        next.take(2 * S, 0);
        assert_eq!(next.take(4 * S + 700, 1), [(4 * S + 700, 1)]);
    }

    #[test]
    fn the_very_first_picture_is_shown_from_the_start() {
        let mut pictures = chunk(0, &[0], 4 * S, true);
        assert_eq!(pictures.take(500, 1), [(0, 1)]);
        assert_eq!(pictures.take(S, 2), [(S, 2)]);
    }

    #[test]
    fn a_source_cut_short_ends_where_it_ends() {
        let mut pictures = chunk(0, &[0, 4 * S], 8 * S, false);
        pictures.take(0, 0);
        pictures.finish(S, true);
        assert_eq!(pictures.ended(), Some(S));
        let mut later = chunk(2, &[8 * S], 12 * S, true);
        later.take(0, 0);
        assert!(later.finish(S, true).is_empty());
        assert_eq!(later.ended(), Some(8 * S));
    }

    #[test]
    fn a_source_whose_sound_was_cut_a_little_later_holds_its_last_picture_to_the_end() {
        let mut pictures = chunk(0, &[0], 4 * S, true);
        pictures.take(0, 0);
        pictures.take(3 * S, 1);
        pictures.finish(3 * S + S / 25, true);
        assert_eq!(pictures.ended(), Some(4 * S));
    }

    #[test]
    fn sixty_pictures_a_second_that_jitter_are_all_kept_and_of_two_hundred_a_third() {
        let kept = |times: Vec<Ticks>| {
            let mut pictures = chunk(0, &[0], 4 * S, true);
            times.into_iter().flat_map(|at| pictures.take(at, at)).count()
        };
        assert_eq!(kept((0..240).map(|at| at * 1500 + if at % 3 == 1 { 600 } else { 0 }).collect()), 240);
        let fast = kept((0..800).map(|at| at * 450).collect());
        assert!((240..=245).contains(&fast), "{fast}");
    }

    #[test]
    fn pictures_beyond_the_rate_are_left_out_evenly() {
        let grid = Grid::new(0, &[0]);
        let span = Span { grid, end: 4 * S, last: true, rate: Some(60.0) };
        let mut pictures = Pictures::new(span, |picture| *picture);
        let kept = (0..8).flat_map(|at| pictures.take(at * 750, at)).map(|(_, picture)| picture);
        assert_eq!(kept.collect::<Vec<_>>(), [0, 2, 4, 6]);
    }
}
