//! Starts the child, hands it the source's pictures, and starts it again when it is lost.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::super::Live;
use super::super::backoff::Backoff;
use super::super::channel::Channel;
use super::super::cut::{Begin, Lower, Picture, Turn};
use super::super::frame::VideoConfig;
use super::super::recorder::Tape;
use super::super::window::News;
use super::Lost;
use super::feed::{self, Feed, Opening, Queue, Source, Step};
use super::teller::{Outlet, Teller};
use crate::domain::media::{Rung, Ticks};
use crate::media::cage::Child;
use crate::media::ladder;
use crate::media::task::{self, Codec, Coded, Event, Task};
use crate::publishing::Ingest;

/// How long the last segments of lower rungs may take after the stream has ended, which is told its people after them.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// A line in a broadcast's log is worth no longer wait than this.
const LOG_PATIENCE: Duration = Duration::from_secs(1);

/// What lower rungs belong to.
pub struct Base {
    pub live: Live,
    pub ingest: Ingest,
    pub channel: Arc<Channel>,
    pub tape: Tape,
}

/// A picture that a child may begin with.
struct Start {
    picture: Picture,
    opening: Opening,
}

/// What a child is given next.
enum Following {
    Picture(Picture, Option<Opening>),
    /// A picture coded otherwise, which this child can't go on with.
    Changed(Start),
    End,
}

/// Makes the lower rungs of one tenure.
pub struct Runner {
    base: Base,
    queue: Queue,
    over: CancellationToken,
    tellers: Vec<Teller>,
    backoff: Backoff,
    /// The last segment the source has closed, and its end.
    ended: Option<(u32, Ticks)>,
    /// The broadcast's log says that rungs pause.
    told: bool,
}

/// The way for the source's pictures, and what makes lower rungs of them.
pub fn open(base: Base) -> (Feed, Runner) {
    let (feed, queue, over) = feed::way(base.live.settings.rungs.count > 0);
    let backoff = Backoff::new();
    (feed, Runner { base, queue, over, tellers: Vec::new(), backoff, ended: None, told: false })
}

impl Runner {
    /// Makes rungs until the stream ends, and gives up soon after.
    pub async fn run(mut self) {
        let over = self.over.clone();
        let too_late = async {
            over.cancelled().await;
            sleep(LAST_WORDS).await;
        };
        tokio::select! {
            () = self.go_on() => {}
            () = too_late => {}
        }
    }

    async fn go_on(&mut self) {
        let mut next = self.wait().await;
        while let Some(start) = next {
            next = match self.work(start).await {
                Ok(changed) => changed,
                Err(lost) => {
                    self.pause(&lost).await;
                    self.wait().await
                }
            };
        }
    }

    /// Waits for a picture to begin with.
    async fn wait(&mut self) -> Option<Start> {
        loop {
            match self.queue.next().await {
                Ok(Some(Step::End { number, end })) => self.end_segment((number, end), &[]),
                Ok(Some(Step::Picture(picture, Some(opening)))) if self.backoff.is_over(Instant::now()) => {
                    return Some(Start { picture, opening });
                }
                // Without a child nothing is behind.
                Ok(Some(Step::Picture(..) | Step::Empty(_))) | Err(_) => {}
                Ok(None) => return None,
            }
        }
    }

    /// Runs one child until the stream ends or is coded otherwise, which then begins the next.
    async fn work(&mut self, start: Start) -> Result<Option<Start>, Lost> {
        let source = start.opening.source.clone();
        let plan = self.plan(&source);
        if plan.is_empty() {
            return Ok(self.wait().await);
        }
        let crew: Vec<usize> = plan.iter().map(|rung| self.teller(rung, &source)).collect();
        self.backoff.begin(Instant::now());
        let settings = &self.base.live.settings.rungs;
        let mut child = Child::spawn(&settings.program, &task(&source, plan), settings.cage).await?;
        let mut first = Some(Following::Picture(start.picture, Some(start.opening)));
        loop {
            let (event, body) = child.next().await?;
            match event {
                Event::Next => {
                    let following = match first.take() {
                        Some(first) => first,
                        None => self.follow(&source, &crew).await?,
                    };
                    match following {
                        Following::Picture(picture, opening) => {
                            self.hand(&mut child, &crew, (picture, opening)).await?;
                        }
                        Following::Changed(start) => {
                            self.finish(child, &crew, start.opening.begin.start).await?;
                            return Ok(Some(start));
                        }
                        Following::End => {
                            // What the way had no room for is known at its end.
                            self.ended = self.queue.ended().max(self.ended);
                            let end = self.ended.map_or(0, |(_, end)| end);
                            self.finish(child, &crew, end).await?;
                            return Ok(None);
                        }
                    }
                }
                event => self.tell(&crew, &event, &body).await?,
            }
        }
    }

    /// The next picture of this source.
    async fn follow(&mut self, source: &Arc<Source>, crew: &[usize]) -> Result<Following, Lost> {
        loop {
            match self.queue.next().await? {
                Some(Step::End { number, end }) => self.end_segment((number, end), crew),
                Some(Step::Empty(begin)) => self.turn(crew, (&begin, None)),
                Some(Step::Picture(picture, Some(opening))) if opening.source != *source => {
                    return Ok(Following::Changed(Start { picture, opening }));
                }
                Some(Step::Picture(picture, opening)) => return Ok(Following::Picture(picture, opening)),
                None => return Ok(Following::End),
            }
        }
    }

    async fn hand(
        &mut self,
        child: &mut Child,
        crew: &[usize],
        (picture, opening): (Picture, Option<Opening>),
    ) -> Result<(), Lost> {
        let Picture { decoded, shown, key, data, .. } = picture;
        if let Some(opening) = &opening {
            self.turn(crew, (&opening.begin, Some(shown)));
        }
        let coded = Coded { decoded, shown, key, begins: opening.is_some() };
        Ok(child.hand(Some(coded), data).await?)
    }

    fn turn(&mut self, crew: &[usize], (begin, shown): (&Begin, Option<Ticks>)) {
        let Begin { segment, start, discontinuity, .. } = *begin;
        for at in crew {
            self.tellers[*at].turn(Turn { segment, start, discontinuity, shown });
        }
    }

    /// Lets a child say its last words, and closes the last segments.
    async fn finish(&mut self, mut child: Child, crew: &[usize], end: Ticks) -> Result<(), Lost> {
        child.hand(None, Bytes::new()).await?;
        loop {
            match child.next().await? {
                (Event::Done { .. }, _) => break,
                (event, body) => self.tell(crew, &event, &body).await?,
            }
        }
        crew.iter().try_for_each(|at| self.tellers[*at].finish(end))
    }

    async fn tell(&mut self, crew: &[usize], event: &Event, body: &Bytes) -> Result<(), Lost> {
        let Event::Picture { rung, shown } = *event else { return Err(Lost::Unasked) };
        let at = *crew.get(rung as usize).ok_or(Lost::Unasked)?;
        self.tellers[at].push(shown, body)?;
        if std::mem::take(&mut self.told) {
            self.log("rungs_back", "the lower renditions are made again").await;
        }
        Ok(())
    }

    /// The source has closed a segment: what is not being made has missed it.
    fn end_segment(&mut self, ended: (u32, Ticks), crew: &[usize]) {
        self.ended = Some(ended);
        let making = |rung: &str| crew.iter().any(|at| self.tellers[*at].name == rung);
        let missing: Vec<String> = self.base.channel.look(|window| {
            let lower = window.tracks.iter().skip(1).filter(|track| !track.init.form.is_audio());
            lower.map(|track| track.init.rung.clone()).filter(|rung| !making(rung)).collect()
        });
        for rung in missing {
            self.outlet().tell(News::Missed { rung, through: ended.0 }, Bytes::new());
        }
    }

    /// The child is lost, and dropped with what it was at.
    async fn pause(&mut self, lost: &Lost) {
        let now = Instant::now();
        self.backoff.lose(now);
        if let Some(ended) = self.ended {
            self.end_segment(ended, &[]);
        }
        metrics::counter!("policast_live_rungs_paused_total", "why" => lost.why()).increment(1);
        tracing::warn!(broadcast = %self.base.ingest.tenure.id, error = %lost, "lower rungs pause");
        if self.backoff.is_worth_telling(now) {
            self.told = true;
            self.log("rungs_paused", &format!("the lower renditions pause: {lost}")).await;
        }
    }

    async fn log(&self, code: &str, message: &str) {
        let publishing = &self.base.live.publishing;
        let logged = publishing.log_ingest(self.base.ingest.tenure, code, message);
        if !matches!(timeout(LOG_PATIENCE, logged).await, Ok(Ok(()))) {
            tracing::debug!(broadcast = %self.base.ingest.tenure.id, code, "could not be logged");
        }
    }

    /// The rungs made of this source; none has the name of the source itself.
    fn plan(&self, source: &Source) -> Vec<Rung> {
        let settings = &self.base.live.settings.rungs;
        let own = self.base.channel.look(|window| window.tracks.first().map(|track| track.init.rung.clone()));
        let mut rungs = ladder::lower(source.size, source.frame_rate, (settings.count, &settings.preset));
        rungs.retain(|rung| Some(&rung.name) != own.as_ref());
        rungs
    }

    /// Where the teller of a rung is, ready to begin.
    fn teller(&mut self, rung: &Rung, source: &Source) -> usize {
        let known = self.tellers.iter().position(|teller| teller.name == rung.name);
        let at = known.unwrap_or_else(|| {
            let lower = Lower::new(self.base.live.settings.cut);
            let teller = Teller::new(rung.name.clone(), ladder::rank(rung), lower, self.outlet());
            self.tellers.push(teller);
            self.tellers.len() - 1
        });
        self.tellers[at].begin(source.frame_rate);
        at
    }

    fn outlet(&self) -> Outlet {
        Outlet {
            channel: self.base.channel.clone(),
            tape: self.base.tape.clone(),
            most_pending: self.base.live.settings.buffer_bytes / 2,
            epoch: self.base.ingest.epoch(),
        }
    }
}

fn task(source: &Source, rungs: Vec<Rung>) -> Task {
    let codec = match &source.config {
        VideoConfig::Avc(_) => Codec::H264,
        VideoConfig::Hevc(_) => Codec::Hevc,
        VideoConfig::Av1(_) => Codec::Av1,
    };
    Task::Lower(Box::new(task::Lower { codec, config: source.config.bytes().to_vec(), rungs }))
}
