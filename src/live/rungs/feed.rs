//! What the source's cutter tells goes to the lower rungs by a bounded way that drops rather than waits.

use std::sync::{Arc, Mutex};

use tokio::sync::mpsc;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::super::channel::lock;
use super::super::cut::{Begin, Event, Picture, Shape, Track};
use super::super::frame::VideoConfig;
use super::Lost;
use crate::domain::media::{Fraction, Ticks};

/// Pictures that may wait: three seconds at 60 a second. What is later is of no use at the live edge.
const WAITING: usize = 180;

/// What there is to know of the pictures to encode lower ones.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub config: VideoConfig,
    pub size: (u32, u32),
    pub frame_rate: Fraction,
}

/// A picture begins a segment.
#[derive(Debug)]
pub(super) struct Opening {
    pub begin: Begin,
    pub source: Arc<Source>,
}

/// A piece of the source, in order.
#[derive(Debug)]
pub(super) enum Step {
    Picture(Picture, Option<Opening>),
    /// A segment begins that has no picture.
    Empty(Begin),
    /// A segment is complete.
    End {
        number: u32,
        end: Ticks,
    },
}

/// The way to the lower rungs; never waits.
pub struct Feed {
    queue: Option<mpsc::Sender<(u64, Step)>>,
    /// Counts also what is dropped, by which the other end learns of it.
    sequence: u64,
    shape: Option<((u32, u32), Fraction)>,
    source: Option<Arc<Source>>,
    opening: Option<Begin>,
    tail: Arc<Mutex<Tail>>,
    _over: DropGuard,
}

/// What the way has no room for, and nothing after it tells of.
#[derive(Debug, Default)]
struct Tail {
    /// The last segment that was closed, and its end.
    ended: Option<(u32, Ticks)>,
    /// Pictures were dropped after the last step that found room.
    is_cut: bool,
}

/// The other end.
pub(super) struct Queue {
    steps: mpsc::Receiver<(u64, Step)>,
    expected: u64,
    /// What came after something that was dropped.
    kept: Option<Step>,
    tail: Arc<Mutex<Tail>>,
}

/// A way to the lower rungs, and a token that is cancelled once nothing more comes.
pub(super) fn way(is_on: bool) -> (Feed, Queue, CancellationToken) {
    let (sender, steps) = mpsc::channel(WAITING);
    let over = CancellationToken::new();
    let tail = Arc::<Mutex<Tail>>::default();
    let feed = Feed {
        queue: is_on.then_some(sender),
        sequence: 0,
        shape: None,
        source: None,
        opening: None,
        tail: tail.clone(),
        _over: over.clone().drop_guard(),
    };
    (feed, Queue { steps, expected: 0, kept: None, tail }, over)
}

impl Feed {
    /// Looks at what the source's cutter tells, before or after anybody else does.
    pub fn see(&mut self, event: &Event) {
        match event {
            Event::Init(init) => {
                if let Shape::Video { width, height, frame_rate } = init.shape {
                    self.shape = Some(((width, height), frame_rate.unwrap_or(Fraction { num: 0, den: 1 })));
                }
            }
            Event::Begin(begin) if begin.track == Track::Video => {
                if let Some(empty) = self.opening.replace(*begin) {
                    self.offer(Step::Empty(empty));
                }
            }
            Event::Picture(picture) => {
                let opening = self.opening.take().and_then(|begin| self.opening(begin, &picture.config));
                self.offer(Step::Picture(picture.clone(), opening));
            }
            Event::End(end) if end.track == Track::Video => {
                if let Some(empty) = self.opening.take_if(|begin| begin.segment == end.number) {
                    self.offer(Step::Empty(empty));
                }
                let (number, end) = (end.number, end.segment.start + end.segment.duration);
                lock(&self.tail).ended = Some((number, end));
                self.offer(Step::End { number, end });
            }
            Event::Begin(_) | Event::Part(_) | Event::End(_) => {}
        }
    }

    fn opening(&mut self, begin: Begin, config: &VideoConfig) -> Option<Opening> {
        let (size, frame_rate) = self.shape?;
        let source = Source { config: config.clone(), size, frame_rate };
        if self.source.as_deref() != Some(&source) {
            self.source = Some(Arc::new(source));
        }
        Some(Opening { begin, source: self.source.clone()? })
    }

    fn offer(&mut self, step: Step) {
        if let Some(queue) = &self.queue {
            let is_picture = matches!(step, Step::Picture(..));
            // The other end sees by the numbers that something is missing, or at the end of all by the tail.
            let is_dropped = queue.try_send((self.sequence, step)).is_err();
            let mut tail = lock(&self.tail);
            tail.is_cut = is_dropped && (is_picture || tail.is_cut);
            self.sequence += 1;
        }
    }
}

impl Queue {
    /// The next step; `None` at the end of the stream, `Behind` once where some were dropped.
    pub async fn next(&mut self) -> Result<Option<Step>, Lost> {
        if let Some(step) = self.kept.take() {
            return Ok(Some(step));
        }
        let Some((sequence, step)) = self.steps.recv().await else {
            let is_cut = std::mem::take(&mut lock(&self.tail).is_cut);
            return if is_cut { Err(Lost::Behind) } else { Ok(None) };
        };
        let expected = std::mem::replace(&mut self.expected, sequence + 1);
        if sequence == expected {
            return Ok(Some(step));
        }
        self.kept = Some(step);
        Err(Lost::Behind)
    }

    /// The last segment that the source has closed, and its end, whether or not that has come by here.
    pub fn ended(&self) -> Option<(u32, Ticks)> {
        lock(&self.tail).ended
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::super::super::cut::End;
    use super::*;
    use crate::domain::media::Segment;

    fn end(number: u32) -> Event {
        let segment = Segment { start: 0, duration: 1, size_bytes: 1, key_bytes: 1 };
        Event::End(End { track: Track::Video, number, segment, discontinuity: false, init: 0 })
    }

    #[tokio::test]
    async fn what_does_not_fit_is_dropped_and_missed() {
        let (mut feed, mut queue, over) = way(true);
        (0..250).for_each(|number| feed.see(&end(number)));
        for expected in 0..180 {
            assert!(matches!(queue.next().await, Ok(Some(Step::End { number, .. })) if number == expected));
        }
        feed.see(&end(250));
        assert!(matches!(queue.next().await, Err(Lost::Behind)));
        assert!(matches!(queue.next().await, Ok(Some(Step::End { number: 250, .. }))));
        drop(feed);
        assert!(over.is_cancelled() && matches!(queue.next().await, Ok(None)));
    }

    fn picture() -> Event {
        let config = VideoConfig::Avc(Bytes::from_static(b"avcC"));
        Event::Picture(Picture { config, decoded: 0, shown: 0, key: false, data: Bytes::new() })
    }

    #[tokio::test]
    async fn the_end_is_known_where_there_was_no_room_for_it() {
        let (mut feed, mut queue, _) = way(true);
        (0..180).for_each(|_| feed.see(&picture()));
        feed.see(&end(7));
        drop(feed);
        for _ in 0..180 {
            assert!(matches!(queue.next().await, Ok(Some(Step::Picture(..)))));
        }
        assert!(matches!(queue.next().await, Ok(None)));
        assert_eq!(queue.ended(), Some((7, 1)));
    }

    #[tokio::test]
    async fn pictures_that_are_missing_at_the_end_are_missed() {
        let (mut feed, mut queue, _) = way(true);
        (0..181).for_each(|_| feed.see(&picture()));
        feed.see(&end(7));
        drop(feed);
        for _ in 0..180 {
            assert!(matches!(queue.next().await, Ok(Some(Step::Picture(..)))));
        }
        assert!(matches!(queue.next().await, Err(Lost::Behind)));
        assert!(matches!(queue.next().await, Ok(None)));
    }

    #[tokio::test]
    async fn a_picture_that_begins_a_segment_says_how_it_is_coded() {
        let (mut feed, mut queue, _) = way(true);
        let config = VideoConfig::Avc(Bytes::from_static(b"avcC"));
        feed.shape = Some(((1280, 720), Fraction { num: 30, den: 1 }));
        let begin = Begin { track: Track::Video, segment: 7, start: 0, discontinuity: false, init: 0 };
        let picture = Picture { config, decoded: 0, shown: 0, key: true, data: Bytes::new() };
        feed.see(&Event::Begin(begin));
        feed.see(&Event::Picture(picture.clone()));
        feed.see(&Event::Picture(picture));
        let Ok(Some(Step::Picture(_, Some(opening)))) = queue.next().await else { panic!("no opening") };
        assert_eq!((opening.begin.segment, opening.source.size), (7, (1280, 720)));
        assert!(matches!(queue.next().await, Ok(Some(Step::Picture(_, None)))));
    }
}
