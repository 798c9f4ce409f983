//! The slate: a still picture that is sent in an encoder's place while it is away, as large and as fast as its own
//! pictures were. It is a tenure's second stream, and part of the recording but for one that nobody came back from.

use std::collections::VecDeque;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::frame::{Media, VideoFrame};
use super::srt::annexb::{self, Codec};
use super::srt::pes::{Time, Unit};
use super::{Live, session};
use crate::domain::media::{Fraction, Rung, TICKS_PER_SECOND, Ticks};
use crate::media::cage::Child;
use crate::media::task::{self, Coded, Event, Task};
use crate::media::{self, ladder};
use crate::publishing::{self, Ingest, Recorded};

/// Says in both languages that it will go on.
const PICTURE: &[u8] = include_bytes!("../../media-fixtures/slate.jpg");
/// The next keyframe comes after so long, and with it the next segment.
const ROUND: Duration = Duration::from_secs(2);

/// Why viewers see no slate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Media(#[from] media::Error),
    #[error(transparent)]
    Publishing(#[from] publishing::Error),
    #[error("media process said what nobody asked")]
    Unasked,
    #[error("media process made no pictures")]
    Nothing,
    #[error("no pictures came before it")]
    NoSource,
    #[error("pictures of {0} can't be followed by H.264")]
    Codec(String),
}

/// One round of pictures, sent again and again.
pub struct Slate {
    round: Vec<Media>,
    next: usize,
    shown: Ticks,
    step: Ticks,
    pace: Interval,
}

impl Slate {
    /// The next picture, when its time has come. May be dropped and called again.
    pub async fn next(&mut self) -> Media {
        let media = self.round[self.next].clone();
        let media = match media {
            Media::Video(frame) => {
                self.pace.tick().await;
                self.shown += self.step;
                Media::Video(VideoFrame { dts_ticks: self.shown, ..frame })
            }
            other => other,
        };
        self.next = (self.next + 1) % self.round.len();
        media
    }

    fn of(round: Vec<Media>, rate: Fraction) -> Self {
        let step = TICKS_PER_SECOND * Ticks::from(rate.den) / Ticks::from(rate.num.max(1));
        let mut pace = interval(Duration::from_secs_f64(1.0 / rate.as_f64()));
        pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
        Self { round, next: 0, shown: 0, step, pace }
    }
}

/// Shows the slate of an interrupted broadcast that has one, until an encoder is back or nobody waits for it.
pub async fn show(live: Live, left: Ingest) {
    if live.stop.is_cancelled() {
        return;
    }
    let gap = match live.publishing.begin_slate(&left).await {
        Ok(Some(gap)) => gap,
        Ok(None) => return,
        Err(error) => return tracing::warn!(broadcast = %left.tenure.id, %error, "no slate can be shown"),
    };
    match prepare(&live, &gap).await {
        // On the heap, as every session.
        Ok(ready) => Box::pin(session::serve_slate(&live, &gap, ready)).await,
        Err(error) => {
            tracing::warn!(broadcast = %gap.tenure.id, %error, "no slate can be shown");
            let message = format!("viewers see no slate: {error}");
            // A line more or less: the broadcast goes on without.
            let _ = live.publishing.log_ingest(gap.tenure, "slate_failed", &message).await;
        }
    }
}

async fn prepare(live: &Live, gap: &Ingest) -> Result<(Slate, Recorded), Error> {
    let recorded = live.publishing.find_recorded(gap.recording()).await?;
    let rung = like_source(&recorded, &live.settings.rungs.preset)?;
    let rate = rung.frame_rate;
    let round = pictures(live, rung, PICTURE).await?;
    Ok((Slate::of(round, rate), recorded))
}

/// As the source's pictures are.
fn like_source(recorded: &Recorded, preset: &str) -> Result<Rung, Error> {
    let source =
        recorded.rungs.iter().find(|rung| !rung.audio && rung.position == 0).ok_or(Error::NoSource)?;
    let codecs = source.codecs.as_deref().unwrap_or_default();
    if !codecs.starts_with("avc") {
        return Err(Error::Codec(codecs.to_owned()));
    }
    let ladder = recorded.ladder.as_ref().ok_or(Error::NoSource)?;
    let known = ladder.rungs.iter().find(|rung| rung.name == source.name).ok_or(Error::NoSource)?;
    Ok(ladder::alike((known.width, known.height), known.frame_rate, preset))
}

/// A round of pictures of something else, so large and so many a second.
pub async fn still(
    live: &Live,
    (picture, size, rate): (&'static [u8], (u32, u32), Fraction),
) -> Result<Vec<Media>, Error> {
    pictures(live, ladder::alike(size, rate, &live.settings.rungs.preset), picture).await
}

/// Made in the cage, where every encoder is.
async fn pictures(live: &Live, rung: Rung, picture: &'static [u8]) -> Result<Vec<Media>, Error> {
    let settings = &live.settings.rungs;
    let count = (rung.frame_rate.as_f64() * ROUND.as_secs_f64()).round();
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 120")]
    let task = Task::Slate(Box::new(task::Slate { rung, pictures: count.max(1.0) as u32 }));
    let mut child = Child::spawn(&settings.program, &task, settings.cage).await?;
    let (mut stream, mut round) = (annexb::Video::default(), VecDeque::new());
    stream.begin(Codec::Avc);
    loop {
        match child.next().await? {
            (Event::Next, _) => {
                let coded = Coded { decoded: 0, shown: 0, key: true, begins: true };
                child.hand(Some(coded), Bytes::from_static(picture)).await?;
            }
            (Event::Picture { shown, .. }, data) => {
                let time = Time { pts: shown, dts: shown };
                stream.unit(&Unit { time, data: data.to_vec() }, &mut round);
            }
            (Event::Done { .. }, _) => break,
            _ => return Err(Error::Unasked),
        }
    }
    if round.iter().any(|media| matches!(media, Media::Video(_))) {
        Ok(round.into())
    } else {
        Err(Error::Nothing)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pictures_come_in_their_time_and_begin_anew() {
        let frame = |key| {
            Media::Video(VideoFrame { dts_ticks: 0, cts_ticks: 0, key, data: Bytes::from_static(b"p") })
        };
        let mut slate = Slate::of(vec![frame(true), frame(false)], Fraction { num: 25, den: 1 });
        let mut told = Vec::new();
        let began = tokio::time::Instant::now();
        for _ in 0..5 {
            let Media::Video(frame) = slate.next().await else { panic!("no picture") };
            told.push((frame.dts_ticks, frame.key));
        }
        assert_eq!(began.elapsed(), Duration::from_millis(160));
        assert_eq!(told, [(3600, true), (7200, false), (10_800, true), (14_400, false), (18_000, true)]);
    }
}
