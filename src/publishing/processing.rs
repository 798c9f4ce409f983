//! What a worker hands in while it processes a revision, each step fenced by its lease.

use sqlx::types::Json;

use super::cost::cost;
use super::settle::jobs_of;
use super::{Error, Publishing};
use crate::catalogue::job::{Fence, Order};
use crate::catalogue::pack::Pack;
use crate::catalogue::revision::{Plan, Still};
use crate::catalogue::rung::Rung;
use crate::catalogue::{Tx, job, pack, revision, rung, upload, video};
use crate::domain::job::{Job, JobState};
use crate::domain::media::{Ladder, MediaState, RungState, Segment};
use crate::domain::{Nonce, Refusal, RefusalCode, Timestamp, UploadId, VideoId, printable};
use crate::storage::Folder;

/// A pack that is in the bucket.
#[derive(Debug, Clone)]
pub struct NewPack {
    pub rung: String,
    pub first_segment: u32,
    pub size_bytes: u64,
    pub segments: Vec<Segment>,
    /// In the name of its object.
    pub nonce: Option<Nonce>,
}

/// Which revision of which video.
pub type RevisionId = (VideoId, u32);

impl Publishing {
    /// Begins the next revision of a video from this source; older work on it is called off.
    pub(super) async fn begin_processing(
        &self,
        tx: &mut Tx,
        (id, source): (VideoId, UploadId),
        now: Timestamp,
    ) -> Result<u32, Error> {
        video::lock(tx.conn(), id, now).await?;
        for row in job::list_of_video(tx.conn(), id).await? {
            job::cancel(tx.conn(), row.id, now).await?;
        }
        self.give_up_unfinished(tx, id, now).await?;
        let video = video::find(tx.conn(), id).await?.ok_or(Error::NotFound("video"))?;
        video::set_source(tx.conn(), id, source, now).await?;
        let refused = video.source_refused.as_ref().map(|refused| refused.upload);
        if refused == Some(source) || video.upload_id != Some(source) {
            video::set_source_refused(tx.conn(), id, None, now).await?;
        }
        let revision = revision::insert(tx.conn(), id, source, now).await?;
        if video.revision.is_none() {
            video::set_media(tx.conn(), id, (MediaState::Processing, None), now).await?;
        }
        job::enqueue(tx.conn(), &Job::Probe { video: id, revision }, Some(video.account_id), now).await?;
        Ok(revision)
    }

    /// Revisions that were still being made are overtaken: what there is of them goes when its grace is over.
    async fn give_up_unfinished(&self, tx: &mut Tx, id: VideoId, now: Timestamp) -> Result<(), Error> {
        let overtaken =
            Refusal::new(RefusalCode::Cancelled, "A newer source or reprocessing took its place.");
        for revision in revision::list(tx.conn(), id).await? {
            if revision.finished_at.is_none() {
                let this = (id, u32::try_from(revision.number).unwrap_or(0));
                let state = (MediaState::Failed, Some(&overtaken));
                revision::set_state(tx.conn(), this, state, Some(now)).await?;
                revision::set_retire(tx.conn(), this, Some(now.plus(self.limits.revision_grace))).await?;
                video::take_back(tx.conn(), id, this.1, now).await?;
            }
        }
        Ok(())
    }

    /// Keeps what the probe led to and asks for the work; the probe is done.
    pub async fn plan_revision(&self, fence: Fence, id: RevisionId, plan: &Plan) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        let account = video::find(tx.conn(), id.0).await?.map(|video| video.account_id);
        revision::set_plan(tx.conn(), id.0, id.1, plan).await?;
        for rung in rungs_of(&plan.ladder) {
            rung::insert(tx.conn(), id, &rung).await?;
        }
        let bulk = job::is_bulk(tx.conn(), fence.id).await?;
        for job in &jobs_of(id, &plan.timeline, plan.ladder.audio.is_some()) {
            let order = Order { job, account, bulk, cost: cost(job, plan), run_at: now };
            job::enqueue_as(tx.conn(), &order).await?;
        }
        job::end(&mut tx, fence, (JobState::Done, None), now).await?;
        self.settle(&mut tx, id, now).await?;
        tx.commit().await?;
        self.changes.tell(id.0);
        Ok(())
    }

    /// The source can't be played, for a reason its editor is told; the probe is done.
    pub async fn refuse_source(&self, fence: Fence, id: RevisionId, refusal: &Refusal) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        job::end(&mut tx, fence, (JobState::Done, Some(&refusal.to_string())), now).await?;
        self.refuse(&mut tx, id, refusal, now).await?;
        tx.commit().await?;
        let (code, reason) = (&refusal.code, printable(&refusal.message));
        tracing::info!(video = %id.0, revision = id.1, %code, %reason, "source refused");
        self.changes.tell(id.0);
        Ok(())
    }

    /// Where objects of a revision are put from now on.
    pub async fn folder(&self, id: RevisionId) -> Result<Folder, Error> {
        let nonce = revision::find_nonce(self.db.read().await?.conn(), id).await?;
        Ok(Folder { nonce, ..Folder::from(id) })
    }

    /// A rung's initialisation segment is in the bucket.
    pub async fn add_init(
        &self,
        fence: Fence,
        id: RevisionId,
        (rung, codecs): (&str, &str),
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        rung::set_codecs(tx.conn(), id, rung, codecs).await?;
        Ok(tx.commit().await?)
    }

    /// A pack is in the bucket; false where an earlier attempt's pack holds its place and this one may go.
    pub async fn add_pack(&self, fence: Fence, id: RevisionId, new: NewPack) -> Result<bool, Error> {
        let now = self.clock.now();
        let row = Pack {
            rung: new.rung,
            first_segment: i64::from(new.first_segment),
            attempt: fence.attempt,
            size_bytes: i64::try_from(new.size_bytes).unwrap_or(i64::MAX),
            segments: Json(new.segments),
            init: 0,
            discontinuity: false,
            shown_at: None,
            nonce: new.nonce,
        };
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        let fresh = pack::insert(tx.conn(), id, &row).await?;
        if new.first_segment == 0 {
            self.settle(&mut tx, id, now).await?;
        }
        tx.commit().await?;
        self.changes.tell(id.0);
        Ok(fresh)
    }

    /// Poster or storyboard is in the bucket.
    pub async fn add_stills(
        &self,
        fence: Fence,
        id: RevisionId,
        poster: Option<&Still>,
        storyboard: Option<&Still>,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        revision::set_stills(tx.conn(), id, poster, storyboard).await?;
        tx.commit().await?;
        self.changes.tell(id.0);
        Ok(())
    }

    /// The sound can't be used after all; the pictures go on, and the video will say so.
    pub async fn refuse_audio(&self, fence: Fence, id: RevisionId, refusal: &Refusal) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        for rung in rung::list(tx.conn(), id.0, id.1).await?.iter().filter(|rung| rung.audio) {
            let failed = (RungState::Failed, Some(refusal.message.as_str()));
            rung::set_state(tx.conn(), id, &rung.name, failed).await?;
        }
        warn_in(&mut tx, id, refusal).await?;
        job::end(&mut tx, fence, (JobState::Done, Some(&refusal.to_string())), now).await?;
        self.settle(&mut tx, id, now).await?;
        tx.commit().await?;
        self.changes.tell(id.0);
        Ok(())
    }

    /// Something an editor should know of a video that plays.
    pub async fn warn(&self, fence: Fence, id: RevisionId, warning: &Refusal) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        // Chunks of one revision warn side by side, and each adds to what it has read.
        video::lock(tx.conn(), id.0, now).await?;
        warn_in(&mut tx, id, warning).await?;
        Ok(tx.commit().await?)
    }

    /// The digest of a source whose bytes did not pass through us; its job is done.
    pub async fn add_digest(&self, fence: Fence, id: UploadId, sha256: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        upload::set_sha256(tx.conn(), id, sha256).await?;
        job::end(&mut tx, fence, (JobState::Done, None), now).await?;
        tx.commit().await?;
        if let Some(video) =
            upload::find(self.db.read().await?.conn(), id).await?.and_then(|upload| upload.video_id)
        {
            self.changes.tell(video);
        }
        Ok(())
    }

    /// Adds CPU time to what the revision has cost.
    pub async fn add_cpu(&self, id: RevisionId, spent: std::time::Duration) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let spent = i64::try_from(spent.as_millis()).unwrap_or(i64::MAX);
        revision::add_cpu(tx.conn(), id, spent).await?;
        Ok(tx.commit().await?)
    }
}

/// Whoever no longer holds the lease changes nothing.
pub(super) async fn hold(tx: &mut Tx, fence: Fence) -> Result<(), Error> {
    if job::hold(tx.conn(), fence).await? { Ok(()) } else { Err(Error::LeaseLost) }
}

async fn warn_in(tx: &mut Tx, id: RevisionId, warning: &Refusal) -> Result<(), Error> {
    let Some(revision) = revision::find(tx.conn(), id.0, id.1).await? else { return Ok(()) };
    let mut warnings = revision.warnings.0;
    match warnings.iter_mut().find(|known| known.code == warning.code) {
        None => warnings.push(warning.clone()),
        Some(known) => match known.merged(warning) {
            Some(merged) => *known = merged,
            None => return Ok(()),
        },
    }
    Ok(revision::set_warnings(tx.conn(), id, &warnings).await?)
}

/// A source that ended before its time, in an editor's words.
pub fn truncated(planned_ms: i64, ended_ms: i64) -> Refusal {
    let seconds = |ms: i64| format!("{}.{} s", ms / 1000, ms % 1000 / 100);
    Refusal::new(
        RefusalCode::Truncated,
        format!(
            "The file ends after {} of {}; what is there is played.",
            seconds(ended_ms),
            seconds(planned_ms)
        ),
    )
}

fn rungs_of(ladder: &Ladder) -> Vec<Rung> {
    let blank = |name: &str, position: usize| Rung {
        name: name.to_owned(),
        position: i64::try_from(position).unwrap_or(i64::MAX),
        audio: false,
        width: 0,
        height: 0,
        codecs: None,
        state: RungState::Queued,
        error: None,
    };
    let video = ladder.rungs.iter().enumerate().map(|(position, rung)| Rung {
        width: i64::from(rung.width),
        height: i64::from(rung.height),
        ..blank(&rung.name, position)
    });
    let audio = ladder.audio.iter().map(|rung| Rung { audio: true, ..blank(&rung.name, ladder.rungs.len()) });
    video.chain(audio).collect()
}
