//! Pictures for a broadcast of sound alone: players, lower rungs and the recording are made for pictures with sound, so
//! a still one that says so is shown until the encoder sends some.

use tokio::sync::oneshot;

use super::Live;
use super::cut::KEPT;
use super::frame::{Media, VideoFrame};
use super::slate;
use crate::domain::BroadcastId;
use crate::domain::media::{Fraction, TICKS_PER_SECOND, Ticks};

/// Says in both languages that there is but sound.
const PICTURE: &[u8] = include_bytes!("../../media-fixtures/sound-only.jpg");
const SIZE: (u32, u32) = (640, 360);
const RATE: Fraction = Fraction { num: 10, den: 1 };
/// Encoders begin with sound, and pictures follow within a group of them. What is heard meanwhile is kept.
const WAIT: Ticks = 4 * TICKS_PER_SECOND;

/// One round of pictures, or none where they could not be made.
type Round = Option<Vec<Media>>;

/// Where it stands.
#[derive(Debug)]
enum State {
    /// Sound has come since then.
    Awaited(Option<Ticks>),
    Asked(oneshot::Receiver<Round>, Ticks),
    Shown(Shown),
    /// The encoder sends pictures, or none can be made.
    Over,
}

#[derive(Debug)]
struct Shown {
    round: Vec<Media>,
    next: usize,
    at: Ticks,
}

/// Stands in for the pictures of one stream.
#[derive(Debug)]
pub struct StandIn(State);

impl StandIn {
    /// Waits for pictures.
    pub fn new() -> Self {
        Self(State::Awaited(None))
    }

    /// Its pictures are what viewers see.
    pub fn is_shown(&self) -> bool {
        matches!(self.0, State::Shown(_))
    }

    /// The pictures that go before this piece of a stream, of sound alone so far.
    pub fn before(&mut self, media: &Media, (live, broadcast): (&Live, BroadcastId)) -> Vec<Media> {
        let heard = match media {
            Media::Video(_) => {
                self.0 = State::Over;
                return Vec::new();
            }
            Media::Audio(frame) => frame.pts_ticks,
            _ => return Vec::new(),
        };
        match &mut self.0 {
            State::Awaited(first) => {
                let first = *first.get_or_insert(heard);
                if heard - first >= WAIT {
                    self.0 = State::Asked(ask(live, broadcast), first);
                }
                Vec::new()
            }
            State::Asked(round, first) => {
                let at = (heard - KEPT).max(*first);
                match round.try_recv() {
                    Ok(Some(round)) => self.0 = State::Shown(Shown { round, next: 0, at }),
                    Err(oneshot::error::TryRecvError::Empty) => {}
                    Ok(None) | Err(oneshot::error::TryRecvError::Closed) => self.0 = State::Over,
                }
                Vec::new()
            }
            State::Shown(shown) => shown.up_to(heard),
            State::Over => Vec::new(),
        }
    }
}

impl Shown {
    fn up_to(&mut self, heard: Ticks) -> Vec<Media> {
        let mut due = Vec::new();
        // The clock of the sound has jumped, back or far ahead: so do the pictures.
        if (heard - self.at).abs() > 2 * KEPT {
            self.at = heard;
        }
        while self.at <= heard {
            let media = self.round[self.next].clone();
            self.next = (self.next + 1) % self.round.len();
            due.push(match media {
                Media::Video(frame) => {
                    let dts_ticks = self.at;
                    self.at += TICKS_PER_SECOND * Ticks::from(RATE.den) / Ticks::from(RATE.num);
                    Media::Video(VideoFrame { dts_ticks, ..frame })
                }
                other => other,
            });
        }
        due
    }
}

fn ask(live: &Live, broadcast: BroadcastId) -> oneshot::Receiver<Round> {
    let (made, round) = oneshot::channel();
    let (live, tasks) = (live.clone(), live.tasks.clone());
    tasks.spawn(async move {
        let still = slate::still(&live, (PICTURE, SIZE, RATE)).await;
        if let Err(error) = &still {
            tracing::warn!(%broadcast, %error, "a stream of sound alone gets no pictures");
        }
        let _ = made.send(still.ok());
    });
    round
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn pictures_follow_the_clock_of_the_sound_wherever_it_goes() {
        let frame = |key| {
            Media::Video(VideoFrame { dts_ticks: 0, cts_ticks: 0, key, data: Bytes::from_static(b"p") })
        };
        let mut shown = Shown { round: vec![frame(true), frame(false)], next: 0, at: 0 };
        let mut times =
            |heard: Ticks| {
                let due = shown.up_to(heard).into_iter();
                due.map(|media| {
                    if let Media::Video(frame) = media { (frame.dts_ticks, frame.key) } else { (-1, false) }
                })
                .collect::<Vec<_>>()
            };
        assert_eq!(times(20_000), [(0, true), (9_000, false), (18_000, true)]);
        assert_eq!(times(26_000), []);
        let hour = 3_600 * TICKS_PER_SECOND;
        assert_eq!(times(hour), [(hour, false)]);
        assert_eq!(times(hour + 9_000), [(hour + 9_000, true)]);
        assert_eq!(times(0), [(0, false)]);
    }
}
