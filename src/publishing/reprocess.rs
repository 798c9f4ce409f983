//! Processing again what was processed before: by selection, with an estimate, resumable, nothing twice.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::processing::{RevisionId, hold};
use super::{Error, Publishing};
use crate::catalogue::job::Fence;
use crate::catalogue::revision::{Selected, Selection};
use crate::catalogue::{job, revision, setting, video};
use crate::domain::VideoId;
use crate::domain::job::{Job, JobState};
use crate::domain::media::{MediaState, TICKS_PER_SECOND};

/// Videos looked at in one go.
const PAGE: u32 = 100;
/// CPU seconds a second of video costs where no earlier revision tells: five rungs of 1080p, veryfast (measured).
const CPU_PER_SECOND: f64 = 4.3;

/// What the provenance of a revision says whose source is encoded whatever the probe thinks of it.
const UNFIT: [&str; 2] = ["passthrough", "off"];

/// What a reprocessing would cost.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, utoipa::ToSchema)]
pub struct Estimate {
    pub videos: u64,
    /// Minutes of video.
    pub minutes: f64,
    pub cpu_minutes: f64,
    /// Bytes of sources to be read.
    pub bytes: u64,
}

/// What a reprocessing began.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Reprocess {
    /// Videos whose processing was begun by this call.
    pub videos: u64,
    /// An interrupted run of the same selection was gone on with.
    pub resumed: bool,
}

impl Publishing {
    /// What reprocessing the selection would cost, by what its videos cost before.
    pub async fn estimate(&self, selection: &Selection) -> Result<Estimate, Error> {
        let mut estimate = Estimate::default();
        let mut after = self.find_cursor(selection).await?;
        loop {
            let page = revision::select(self.db.read().await?.conn(), selection, after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(estimate) };
            after = Some(last.id);
            for video in &page {
                estimate.add(video);
            }
        }
    }

    /// Begins a new revision of every selected video. Interrupted, the next call with the same selection goes on
    /// where it stopped.
    pub async fn reprocess(&self, selection: &Selection) -> Result<Reprocess, Error> {
        let mut after = self.find_cursor(selection).await?;
        let mut begun = Reprocess { videos: 0, resumed: after.is_some() };
        loop {
            let page = revision::select(self.db.read().await?.conn(), selection, after, PAGE).await?;
            if page.is_empty() {
                break;
            }
            for video in &page {
                self.reprocess_one(selection, video).await?;
                begun.videos += 1;
                after = Some(video.id);
            }
        }
        let mut tx = self.db.begin().await?;
        setting::delete(tx.conn(), &cursor_name(selection)).await?;
        tx.commit().await?;
        Ok(begun)
    }

    async fn reprocess_one(&self, selection: &Selection, video: &Selected) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        video::lock(tx.conn(), video.id, now).await?;
        let current = video::find(tx.conn(), video.id).await?.and_then(|current| current.upload_id);
        // A newer source came since the page was read: it is being processed already.
        let superseded = current != Some(video.upload_id);
        let mut mended = superseded;
        if let (true, Some(number)) = (selection.missing_only && !superseded, video.revision) {
            let number = u32::try_from(number).unwrap_or(0);
            for row in job::list_of_revision(tx.conn(), video.id, number).await? {
                if row.state == JobState::Dead {
                    mended |= self.retry_in(&mut tx, &row).await?;
                }
            }
        }
        if !mended {
            let revision = self.begin_processing(&mut tx, (video.id, video.upload_id), now).await?;
            job::demote(tx.conn(), &Job::Probe { video: video.id, revision }).await?;
        }
        setting::set(tx.conn(), &cursor_name(selection), &video.id.to_string()).await?;
        tx.commit().await?;
        self.changes.tell(video.id);
        Ok(())
    }

    /// The source can't be passed through after all: its revision is made anew with every rung encoded, and the
    /// caller's job is done.
    pub async fn start_over(&self, fence: Fence, id: RevisionId, why: &str) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        job::end(&mut tx, fence, (JobState::Done, Some(why)), now).await?;
        let revision = revision::find(tx.conn(), id.0, id.1).await?;
        // One that is overtaken already has its successor.
        if let Some(revision) = revision.filter(|revision| revision.finished_at.is_none()) {
            let next = self.begin_processing(&mut tx, (id.0, revision.upload_id), now).await?;
            if job::is_bulk(tx.conn(), fence.id).await? {
                job::demote(tx.conn(), &Job::Probe { video: id.0, revision: next }).await?;
            }
            let provenance = BTreeMap::from([UNFIT.map(str::to_owned).into()]);
            revision::set_provenance(tx.conn(), (id.0, next), &provenance).await?;
        }
        tx.commit().await?;
        self.changes.tell(id.0);
        Ok(())
    }

    async fn find_cursor(&self, selection: &Selection) -> Result<Option<VideoId>, Error> {
        let kept = setting::find(self.db.read().await?.conn(), &cursor_name(selection)).await?;
        Ok(kept.and_then(|cursor| cursor.parse().ok()))
    }
}

impl Estimate {
    fn add(&mut self, video: &Selected) {
        self.videos += 1;
        self.bytes += u64::try_from(video.size_bytes).unwrap_or(0);
        let Some(probe) = &video.probe else { return };
        #[expect(clippy::cast_precision_loss, reason = "an estimate in minutes")]
        let seconds = probe.duration as f64 / TICKS_PER_SECOND as f64;
        self.minutes += seconds / 60.0;
        #[expect(clippy::cast_precision_loss, reason = "an estimate in minutes")]
        let spent =
            video.cpu_ms.filter(|_| video.state == Some(MediaState::Ready)).unwrap_or(0) as f64 / 1000.0;
        self.cpu_minutes += if spent > 0.0 { spent / 60.0 } else { seconds * CPU_PER_SECOND / 60.0 };
    }
}

/// A revision's provenance says that its source must not be passed through.
pub(crate) fn is_unfit(provenance: &BTreeMap<String, String>) -> bool {
    let [name, value] = UNFIT;
    provenance.get(name).is_some_and(|said| said == value)
}

/// Where the place reached is kept: one for each selection.
fn cursor_name(selection: &Selection) -> String {
    format!("reprocess/{}", hex::encode(Sha256::digest(format!("{selection:?}"))))
}
