//! How a job ends: done, tried again, dead or called off; and the reaper of what was lost.

use super::processing::hold;
use super::{Error, Publishing};
use crate::catalogue::job::{Fence, Row};
use crate::catalogue::rung::Rung;
use crate::catalogue::{Tx, idempotency, job, pack, revision, rung};
use crate::domain::job::{Job, JobState, backoff};
use crate::domain::media::{RungState, Timeline};
use crate::domain::{JobId, Timestamp};

/// Work goes on at most this long after what was away is back.
const OUTAGE_WAIT: std::time::Duration = std::time::Duration::from_secs(30);

/// Why a worker gives a job back.
#[derive(Debug, Clone)]
pub struct Giving<'a> {
    pub error: &'a str,
    /// Another attempt would end the same way.
    pub for_good: bool,
}

impl Publishing {
    /// The job is done.
    pub async fn finish_job(&self, fence: Fence, work: &Job) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        job::end(&mut tx, fence, (JobState::Done, None), now).await?;
        self.after(&mut tx, work, now).await?;
        tx.commit().await?;
        self.tell(work);
        Ok(())
    }

    /// The job could not be done: it waits for its next attempt, or is dead.
    pub async fn give_back(&self, fence: Fence, row: &Row, giving: Giving<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        self.end_attempt(&mut tx, row, giving, now).await?;
        tx.commit().await?;
        self.tell(&row.work);
        Ok(())
    }

    /// The worker is told to stop: the job waits for whoever comes next, at once and without a lost attempt's blame.
    pub async fn hand_over(&self, fence: Fence) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        job::release(&mut tx, fence, ("handed over", None), self.clock.now()).await?;
        tx.commit().await?;
        self.changes.tell_work();
        Ok(())
    }

    /// What the job needs is away: it waits for that to come back, however long it takes, and no attempt is lost.
    pub async fn put_off(&self, fence: Fence, error: &str) -> Result<(), Error> {
        let attempt = u32::try_from(fence.attempt).unwrap_or(u32::MAX);
        let wait = backoff(attempt).min(OUTAGE_WAIT);
        let mut tx = self.db.begin().await?;
        job::release(&mut tx, fence, ("put off", Some((error, wait))), self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The job was called off while it ran.
    pub async fn finish_cancelled(&self, fence: Fence, work: &Job) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        job::end(&mut tx, fence, (JobState::Cancelled, Some("called off")), now).await?;
        self.after(&mut tx, work, now).await?;
        tx.commit().await?;
        self.tell(work);
        Ok(())
    }

    /// Returns to the queue what dead workers held; how many jobs that were.
    pub async fn reap(&self) -> Result<usize, Error> {
        let lost = job::list_lost(self.db.read().await?.conn()).await?;
        let now = self.clock.now();
        for row in &lost {
            if let Err(error) = self.reap_one(row, now).await {
                tracing::warn!(job = %row.name, %error, "a lost job could not be returned to the queue");
            }
        }
        Ok(lost.len())
    }

    async fn reap_one(&self, row: &Row, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        if job::hold(tx.conn(), fence_of(row)).await? {
            let holder = row.lease_by.as_deref().unwrap_or("its worker");
            let error = format!("{holder} was lost: its lease ran out");
            let losses = u32::try_from(job::count_losses(tx.conn(), row.id).await?).unwrap_or(u32::MAX);
            // libav runs apart from the workers, so that one or two die of something else than the job.
            if losses < self.limits.max_losses {
                let wait = backoff(losses + 1).min(OUTAGE_WAIT);
                job::release(&mut tx, fence_of(row), (job::WORKER_LOST, Some((&error, wait))), now).await?;
            } else {
                self.end_attempt(&mut tx, row, Giving { error: &error, for_good: true }, now).await?;
            }
            tx.commit().await?;
            self.tell(&row.work);
        }
        Ok(())
    }

    async fn end_attempt(
        &self,
        tx: &mut Tx,
        row: &Row,
        giving: Giving<'_>,
        now: Timestamp,
    ) -> Result<(), Error> {
        let fence = fence_of(row);
        if row.attempt < row.max_attempts && !giving.for_good {
            job::requeue(tx, fence, giving.error, now).await?;
            return Ok(());
        }
        job::end(tx, fence, (JobState::Dead, Some(giving.error)), now).await?;
        fail_rungs(tx, &row.work, giving.error).await?;
        self.after(tx, &row.work, now).await
    }

    async fn after(&self, tx: &mut Tx, work: &Job, now: Timestamp) -> Result<(), Error> {
        if let Job::Poster { video, poster } = work {
            return self.give_up_poster(tx, (*video, *poster), now).await;
        }
        match work.revision() {
            Some(id) => self.settle(tx, id, now).await,
            None => Ok(()),
        }
    }

    fn tell(&self, work: &Job) {
        match work.video() {
            Some(video) => self.changes.tell(video),
            None => self.changes.tell_work(),
        }
    }

    /// Calls a job off: a waiting one at once, a running one as soon as its worker hears of it.
    pub async fn cancel_job(&self, id: JobId) -> Result<Row, Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let row = job::find(tx.conn(), id).await?.ok_or(Error::NotFound("job"))?;
        if job::cancel(tx.conn(), id, now).await? {
            self.after(&mut tx, &row.work, now).await?;
        }
        let row = job::find(tx.conn(), id).await?.ok_or(Error::NotFound("job"))?;
        tx.commit().await?;
        self.tell(&row.work);
        Ok(row)
    }

    /// Queues a dead or cancelled job again.
    pub async fn retry_job(&self, id: JobId) -> Result<Row, Error> {
        let mut tx = self.db.begin().await?;
        let row = job::find(tx.conn(), id).await?.ok_or(Error::NotFound("job"))?;
        if !self.retry_in(&mut tx, &row).await? {
            return Err(Error::JobState(row.state));
        }
        let row = job::find(tx.conn(), id).await?.ok_or(Error::NotFound("job"))?;
        tx.commit().await?;
        self.tell(&row.work);
        Ok(row)
    }

    /// Queues a job again and opens its revision, so that the rungs it failed get another chance.
    pub(super) async fn retry_in(&self, tx: &mut Tx, row: &Row) -> Result<bool, Error> {
        let now = self.clock.now();
        if !job::retry(tx.conn(), row.id, row.work.max_attempts(), now).await? {
            return Ok(false);
        }
        if let Some((video, number)) = row.work.revision() {
            let id = (video, number);
            for rung in rung::list(tx.conn(), video, number).await? {
                if rung.state == RungState::Failed && concerns(&row.work, &rung) {
                    let state = if rung.codecs.is_some() { RungState::Encoding } else { RungState::Queued };
                    rung::set_state(tx.conn(), id, &rung.name, (state, None)).await?;
                }
            }
            revision::reopen(tx.conn(), id).await?;
            self.settle(tx, id, now).await?;
        }
        Ok(true)
    }

    /// Forgets what nobody will ask for any more.
    pub async fn forget_old(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        job::expire(tx.conn(), now.minus(self.limits.keep_history)).await?;
        job::recall(tx.conn()).await?;
        idempotency::expire(tx.conn(), now.minus(self.limits.keep_answers)).await?;
        Ok(tx.commit().await?)
    }
}

/// The claim a row stands for.
pub(crate) fn fence_of(row: &Row) -> Fence {
    Fence { id: row.id, attempt: row.attempt }
}

fn concerns(work: &Job, rung: &Rung) -> bool {
    match work {
        Job::Audio { .. } => rung.audio,
        Job::Chunk { .. } => !rung.audio,
        _ => false,
    }
}

/// A job that died takes with it the rungs it has not made whole.
async fn fail_rungs(tx: &mut Tx, work: &Job, error: &str) -> Result<(), Error> {
    let Some((video, number)) = work.revision() else { return Ok(()) };
    let Some(timeline) =
        revision::find(tx.conn(), video, number).await?.and_then(|revision| revision.timeline)
    else {
        return Ok(());
    };
    let packs = pack::list(tx.conn(), (video, number), None).await?;
    for rung in rung::list(tx.conn(), video, number).await?.iter().filter(|rung| concerns(work, rung)) {
        let (first, end) = span(work, &timeline);
        if next_missing(&packs, &rung.name, first) < end {
            rung::set_state(tx.conn(), (video, number), &rung.name, (RungState::Failed, Some(error))).await?;
        }
    }
    Ok(())
}

/// The segments a job makes: from, and up to but without.
pub(crate) fn span(work: &Job, timeline: &Timeline) -> (u32, u32) {
    let all = u32::try_from(timeline.starts.len()).unwrap_or(u32::MAX);
    match work {
        Job::Chunk { first, .. } => {
            (*first, timeline.chunks.iter().copied().find(|next| next > first).unwrap_or(all))
        }
        _ => (0, all),
    }
}

/// The first segment from `first` on that no pack of the rung holds.
pub(crate) fn next_missing(packs: &[pack::Pack], rung: &str, first: u32) -> u32 {
    let mut next = i64::from(first);
    while let Some(pack) = packs.iter().find(|pack| pack.rung == rung && pack.first_segment == next) {
        next += i64::try_from(pack.segments.len().max(1)).unwrap_or(1);
    }
    u32::try_from(next).unwrap_or(u32::MAX)
}
