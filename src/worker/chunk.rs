//! Encodes one chunk of the timeline: one decode, all rungs. Goes on where an attempt before this one died.

use std::collections::HashMap;

use super::encode::{Planned, Run, unexpected};
use super::lease::Progress;
use super::pack::Packer;
use super::{Error, Worker};
use crate::catalogue::job::{Fence, Row};
use crate::catalogue::{pack, rung};
use crate::domain::media::{Rung, RungState, TICKS_PER_SECOND, Ticks};
use crate::domain::{Refusal, VideoId};
use crate::media::task::{Chunk, Event, Outcome, Task};
use crate::publishing::{fence_of, next_missing, span, truncated};

/// A source may end this much before its planned end without being called truncated.
const TOLERANCE: Ticks = TICKS_PER_SECOND;

impl Worker {
    pub(super) async fn chunk(
        &self,
        row: &Row,
        id: (VideoId, u32),
        progress: &Progress,
    ) -> Result<(), Error> {
        let plan = self.find_plan(id).await?;
        let span = span(&row.work, &plan.timeline);
        let missing = self.find_missing(id, &plan, span).await?;
        let Some(first) = missing.iter().map(|(_, next)| *next).min() else { return Ok(()) };
        let task = chunk_task(&plan, (first, span.1), missing.iter().map(|(rung, _)| rung.clone()).collect());
        // Of the whole chunk, also where an attempt before made the first part of it.
        let (from, to) = (plan.timeline.starts.get(span.0 as usize).copied().unwrap_or(0), task.end);
        let mut packers: HashMap<String, Packer> =
            missing.iter().map(|(rung, next)| (rung.name.clone(), Packer::new(&rung.name, *next))).collect();
        let mut run = self.start(&Task::Chunk(Box::new(task)), &plan.source).await?;
        let fence = fence_of(row);
        let tell = |at| progress.set(share(at, from, to));
        let ended_at = match self.gather(&mut run, (fence, id), &mut packers, tell).await {
            Err(error @ Error::Unfit(_)) => {
                return Ok(self.publishing.start_over(fence, id, &error.to_string()).await?);
            }
            ended => ended?,
        };
        if span.1 as usize == plan.timeline.starts.len() && ended_at + TOLERANCE < to {
            self.warn_truncated(fence, id, (to, ended_at)).await?;
        }
        Ok(())
    }

    /// The rungs that lack segments of this chunk, and the first each lacks.
    async fn find_missing(
        &self,
        id: (VideoId, u32),
        plan: &Planned,
        (first, end): (u32, u32),
    ) -> Result<Vec<(Rung, u32)>, Error> {
        let mut read = self.publishing.db.read().await?;
        let packs = pack::list(read.conn(), id, None).await?;
        let failed = rung::list(read.conn(), id.0, id.1).await?;
        let failed =
            |name: &str| failed.iter().any(|rung| rung.name == name && rung.state == RungState::Failed);
        let live = plan.ladder.rungs.iter().filter(|rung| !failed(&rung.name));
        let next = live.map(|rung| (rung.clone(), next_missing(&packs, &rung.name, first)));
        Ok(next.filter(|(_, next)| *next < end).collect())
    }

    /// Stores what the child makes until it is done; returns where the source ended.
    pub(super) async fn gather(
        &self,
        run: &mut Run<'_>,
        (fence, id): (Fence, (VideoId, u32)),
        packers: &mut HashMap<String, Packer>,
        tell: impl Fn(Ticks),
    ) -> Result<Ticks, Error> {
        let (mut failed, mut damaged) = (Vec::new(), Vec::new());
        let outcome = loop {
            let (event, bytes) = run.next().await?;
            match event {
                Event::Init { rung, codecs } => self.store_init(fence, id, (&rung, &codecs), bytes).await?,
                Event::Segment { rung, index, segment } => {
                    let closed =
                        packers.get_mut(&rung).and_then(|packer| packer.push(index, segment, &bytes));
                    self.store_pack(fence, id, closed).await?;
                }
                // Nothing of the revision is of use then: its timeline follows the source's keyframes.
                Event::RungFailed { rung, message } if run.copies(&rung) => {
                    return Err(Error::Unfit(message));
                }
                Event::RungFailed { rung, message } => {
                    packers.remove(&rung);
                    failed.push(format!("{rung}: {message}"));
                }
                Event::Progress { at } => tell(at),
                Event::Damaged { from, to } => damaged.push(whole_seconds(from, to)),
                Event::Done { outcome, cpu_ms } => {
                    self.publishing.add_cpu(id, std::time::Duration::from_millis(cpu_ms)).await?;
                    break outcome;
                }
                Event::Still { .. } | Event::Read { .. } | Event::Next | Event::Picture { .. } => {}
            }
        };
        let Outcome::Encoded { ended_at } = outcome else { return Err(unexpected(&outcome)) };
        for packer in packers.values_mut() {
            self.store_pack(fence, id, packer.close()).await?;
        }
        if !damaged.is_empty() {
            self.publishing.warn(fence, id, &Refusal::pictures_damaged(damaged)).await?;
        }
        if failed.is_empty() { Ok(ended_at) } else { Err(Error::Rungs(failed.join("; "))) }
    }

    async fn warn_truncated(
        &self,
        fence: Fence,
        id: (VideoId, u32),
        (planned, ended): (Ticks, Ticks),
    ) -> Result<(), Error> {
        let ms = |ticks: Ticks| ticks * 1000 / TICKS_PER_SECOND;
        Ok(self.publishing.warn(fence, id, &truncated(ms(planned), ms(ended))).await?)
    }
}

fn chunk_task(plan: &Planned, (first, end): (u32, u32), rungs: Vec<Rung>) -> Chunk {
    let timeline = &plan.timeline;
    let last = end as usize == timeline.starts.len();
    Chunk {
        source: plan.source.as_task(),
        video: plan.probe.video.clone(),
        seekable: plan.probe.seekable,
        first_segment: first,
        starts: timeline.starts[first as usize..end as usize].to_vec(),
        end: timeline.starts.get(end as usize).copied().unwrap_or(timeline.end),
        last,
        rungs,
    }
}

/// The seconds that hold a span.
fn whole_seconds(from: Ticks, to: Ticks) -> [u32; 2] {
    let second = |at: Ticks| u32::try_from(at.div_euclid(TICKS_PER_SECOND)).unwrap_or(0);
    [second(from), second(to + TICKS_PER_SECOND - 1)]
}

/// How much of the way from `from` to `to` lies behind.
pub(super) fn share(at: Ticks, from: Ticks, to: Ticks) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a share for a progress bar")]
    let share = (at - from) as f64 / (to - from).max(1) as f64;
    share.clamp(0.0, 1.0)
}
