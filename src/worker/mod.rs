//! Claims jobs and does them, one job per file. Holds no transaction while it works: claim, renew, hand in.

mod caught;
mod chunk;
mod digest;
mod encode;
mod invalidate;
mod lease;
mod pack;
mod poster;
mod probe;
mod recording;
mod sound;
mod stills;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use caught::caught;

use crate::catalogue::job::{Claim, Row};
use crate::catalogue::{self, job, one_connection, upload};
use crate::domain::job::Job;
use crate::domain::upload::{Door, UploadState};
use crate::domain::{Refusal, RefusalCode, UploadId, printable};
use crate::media::cage::CageLimits;
use crate::media::ladder::LadderSettings;
use crate::media::task::Limits;
use crate::publishing::{Giving, Publishing, fence_of};
use crate::{media, publishing, storage};

/// Polling is the safety net under the wake-ups, and finds jobs whose time to be tried again has come: they may wait
/// this much longer. Shorter, and idle slots on many nodes would keep the database busy.
const POLL: Duration = Duration::from_secs(3);
/// How often lost jobs are looked for.
const REAP_EVERY: Duration = Duration::from_secs(5);
/// How often expired uploads and retired revisions are looked for.
const TIDY_EVERY: Duration = Duration::from_mins(1);

/// What a worker is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Its name in the queue: host and process.
    pub name: String,
    /// Jobs at a time.
    pub slots: usize,
    /// How long a claim lasts unless it is renewed.
    pub lease: Duration,
    /// Jobs one account may have running on all nodes together.
    pub account_cap: u32,
    /// This binary, to be started again as the caged child.
    pub program: PathBuf,
    pub cage: CageLimits,
    pub limits: Limits,
    pub ladder: LadderSettings,
}

/// Why a job could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Publishing(#[from] publishing::Error),
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error(transparent)]
    Media(#[from] media::Error),
    #[error("rungs {0}")]
    Rungs(String),
    #[error("the source can't be passed through: {0}")]
    Unfit(String),
    #[error("purge hook {0}")]
    PurgeHook(String),
    #[error("row of the {0} is gone")]
    Gone(&'static str),
    #[error("panicked: {0}")]
    Panicked(String),
}

impl Error {
    /// Somebody else has the job now: nothing may be said of it any more.
    fn is_lost(&self) -> bool {
        matches!(self, Self::Publishing(publishing::Error::LeaseLost))
    }

    /// The next attempt would come to the same.
    fn is_for_good(&self) -> bool {
        matches!(self, Self::Media(error) if error.is_for_good())
    }

    /// What the job needs is away or full, through no fault of the job: it will do once that is mended.
    fn is_outage(&self) -> bool {
        match self {
            Self::Publishing(publishing::Error::Storage(error)) | Self::Storage(error) => error.is_outage(),
            Self::Publishing(publishing::Error::Catalogue(error)) | Self::Catalogue(error) => {
                error.is_outage()
            }
            _ => false,
        }
    }

    /// Others are still at work that must end first.
    fn is_early(&self) -> bool {
        matches!(self, Self::Publishing(publishing::Error::StillWorking))
    }

    /// The error and its causes in one line, for the job's row.
    fn story(&self) -> String {
        let mut story = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            let said = error.to_string();
            if !story.contains(&said) {
                story = format!("{story}: {said}");
            }
            cause = error.source();
        }
        story
    }
}

/// A worker; cheap to clone.
#[derive(Clone)]
pub struct Worker {
    publishing: Publishing,
    settings: Arc<Settings>,
}

/// Works until told to stop: `drain` takes no new job and ends those at hand, `cut` hands them over at once.
pub async fn run(
    publishing: Publishing,
    settings: Settings,
    drain: CancellationToken,
    cut: CancellationToken,
) {
    let worker = Worker { publishing, settings: Arc::new(settings) };
    let tasks = TaskTracker::new();
    for slot in 0..worker.settings.slots {
        let (worker, drain, cut) = (worker.clone(), drain.clone(), cut.clone());
        tasks.spawn(async move { worker.work(slot, &drain, &cut).await });
    }
    let (keeper, stop) = (worker.clone(), drain.clone());
    tasks.spawn(async move { keeper.keep_house(&stop).await });
    tasks.close();
    tasks.wait().await;
}

/// One attempt at a job that is claimed, from claim to word about it, in the caller's own task: where a test lets it fail
/// between any two changes.
pub async fn attempt(publishing: Publishing, settings: Settings, row: Row) {
    let worker = Worker { publishing, settings: Arc::new(settings) };
    worker.attempt(row, &CancellationToken::new()).await;
}

impl Worker {
    async fn work(&self, slot: usize, drain: &CancellationToken, cut: &CancellationToken) {
        let name = format!("{}/{slot}", self.settings.name);
        while !drain.is_cancelled() {
            match self.claim(&name).await {
                Ok(Some(row)) => {
                    // A verb wakes one slot, however many jobs it asked for.
                    self.publishing.changes.wake();
                    // On the heap: a whole attempt's state would make every slot's future huge.
                    let attempt = Box::pin(self.attempt(row, cut).map(Ok::<(), Error>));
                    if let Err(error) = caught(attempt).await {
                        tracing::error!(error = %error.story(), "an attempt broke off; its lease will run out");
                    }
                }
                // A wake-up since the look is kept until it is asked for.
                Ok(None) => idle(self.publishing.changes.work(), drain).await,
                Err(error) => {
                    tracing::warn!(error = %error.story(), "no job could be claimed");
                    idle(std::future::pending(), drain).await;
                }
            }
        }
    }

    async fn claim(&self, name: &str) -> Result<Option<Row>, Error> {
        let claim =
            Claim { worker: name, lease: self.settings.lease, account_cap: self.settings.account_cap };
        let mut tx = self.publishing.db.begin().await?;
        let row = job::claim(&mut tx, &claim).await?;
        tx.commit().await?;
        Ok(row)
    }

    /// One attempt at a job, from claim to word about it.
    async fn attempt(&self, row: Row, cut: &CancellationToken) {
        let (fence, work) = (fence_of(&row), row.work.0.clone());
        let progress = lease::Progress::default();
        let begun = tokio::time::Instant::now();
        tracing::debug!(job = %row.name, attempt = row.attempt, "job begun");
        let (outcome, ended) = tokio::select! {
            done = Box::pin(one_connection(caught(self.carry_out(&row, &progress)))) => match done {
                Ok(()) => ("done", Ok(())),
                Err(error) if error.is_lost() => ("lost", Ok(())),
                Err(error) => ("failed", self.give_back(&row, &error).await),
            },
            lease = self.keep_lease(&row, &progress) => match lease {
                lease::Lease::Lost => ("lost", Ok(())),
                lease::Lease::Cancelled => ("called off", self.publishing.finish_cancelled(fence, &work).await),
            },
            () = cut.cancelled() => ("handed over", self.publishing.hand_over(fence).await),
        };
        record(&row, outcome, begun.elapsed());
        if let Err(error) = ended {
            tracing::warn!(job = %row.name, error = %Error::from(error).story(), "outcome could not be told; the lease will run out");
        }
    }

    async fn carry_out(&self, row: &Row, progress: &lease::Progress) -> Result<(), Error> {
        let fence = fence_of(row);
        let publishing = &self.publishing;
        match row.work.0 {
            Job::Invalidate { ref tag, .. } => self.invalidate(tag).await?,
            Job::Assemble { upload } => self.assemble(upload).await?,
            Job::Digest { upload } => return self.digest(fence, upload).await,
            Job::Probe { video, revision } => return self.probe(row, (video, revision)).await,
            Job::Audio { video, revision } => self.sound(fence, (video, revision), progress).await?,
            Job::Chunk { video, revision, .. } => self.chunk(row, (video, revision), progress).await?,
            Job::Stills { video, revision } => self.stills(fence, (video, revision)).await?,
            Job::Poster { video, poster } => return self.poster(fence, (video, poster)).await,
            Job::Retire { video, revision } => publishing.retire(video, revision).await?,
            Job::Purge { video } => publishing.purge(video).await?,
            Job::Rename { video, nonce, poster } => publishing.rename(video, (nonce, poster)).await?,
        }
        match publishing.finish_job(fence, &row.work).await {
            // The audio job says itself that the sound can't be used.
            Ok(()) | Err(publishing::Error::LeaseLost) => {}
            Err(error) => return Err(error.into()),
        }
        if let Some((video, revision)) = row.work.revision() {
            publishing.sweep_revision(video, revision).await?;
        }
        Ok(())
    }

    async fn assemble(&self, id: UploadId) -> Result<(), Error> {
        let found = upload::find(self.publishing.db.read().await?.conn(), id).await?;
        match found.filter(|upload| upload.state == UploadState::Finishing) {
            Some(upload) if upload.door == Door::Live => self.join_recording(&upload).await,
            _ => Ok(self.publishing.assemble(id).await?),
        }
    }

    async fn give_back(&self, row: &Row, error: &Error) -> Result<(), publishing::Error> {
        let (story, fence) = (error.story(), fence_of(row));
        let last = row.attempt >= row.max_attempts || error.is_for_good();
        let next = match (error.is_outage() || error.is_early(), last) {
            (true, _) => "tried again when what it needs is there",
            (false, true) => "given up",
            (false, false) => "tried again",
        };
        let (attempt, attempts) = (row.attempt, row.max_attempts);
        tracing::warn!(job = %row.name, attempt, attempts, error = %printable(&story), next, "attempt came to nothing");
        if error.is_outage() || error.is_early() {
            return self.publishing.put_off(fence, &story).await;
        }
        match (&row.work.0, error) {
            (Job::Probe { video, revision }, Error::Media(media)) if last => {
                self.publishing.refuse_source(fence, (*video, *revision), &refusal_of(media)).await
            }
            (Job::Poster { video, poster }, Error::Media(media)) if last => {
                self.publishing.refuse_poster(fence, (*video, *poster), &refusal_of(media)).await
            }
            _ => self.publishing.give_back(fence, row, Giving { error: &story, for_good: false }).await,
        }
    }

    /// Lost jobs wait for nothing else: a bucket that is slow or away holds up only what is in it.
    async fn keep_house(&self, stop: &CancellationToken) {
        let (reaping, tidying) = (Box::pin(self.keep_reaping()), Box::pin(self.keep_tidying()));
        let work = async { tokio::join!(one_connection(reaping), one_connection(tidying)) };
        tokio::select! {
            _ = work => {}
            () = stop.cancelled() => {}
        }
    }

    async fn keep_reaping(&self) {
        let mut every = tokio::time::interval(REAP_EVERY);
        loop {
            every.tick().await;
            if let Err(error) = caught(self.publishing.reap()).await {
                tracing::warn!(error = %error.story(), "lost jobs will be looked for again");
            }
        }
    }

    async fn keep_tidying(&self) {
        let mut every = tokio::time::interval(TIDY_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            let tidied = self.publishing.tidy().map(Ok::<(), Error>);
            if let Err(error) = caught(tidied).await {
                tracing::error!(error = %error.story(), "a round of tidying broke off");
            }
        }
    }
}

/// Tells of an attempt's end. Another worker has what was lost, and tells how that ends.
fn record(row: &Row, outcome: &'static str, took: Duration) {
    let kind = row.kind.as_str();
    metrics::counter!("policast_jobs_total", "kind" => kind, "outcome" => outcome).increment(1);
    metrics::histogram!("policast_job_seconds", "kind" => kind).record(took);
    tracing::info!(job = %row.name, attempt = row.attempt, ?took, "job {outcome}");
}

/// What an editor is told of a file that no attempt got through.
fn refusal_of(error: &media::Error) -> Refusal {
    match error {
        media::Error::Refused(refusal) => refusal.clone(),
        error if error.is_out_of_memory() => media::input::too_much_memory(),
        error if error.is_for_good() => {
            let message = "Reading this file keeps the media software busy for longer than it may be.";
            Refusal::new(RefusalCode::TooMuchWork, message)
        }
        _ => Refusal::new(
            RefusalCode::MediaCrashed,
            "The file brings the media software down, however often it is tried.",
        ),
    }
}

async fn idle(woken: impl Future<Output = ()>, drain: &CancellationToken) {
    tokio::select! {
        () = woken => {}
        () = tokio::time::sleep(POLL) => {}
        () = drain.cancelled() => {}
    }
}
