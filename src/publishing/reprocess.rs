//! Processing again what was processed before: by selection, with an estimate, resumable, nothing twice.

use std::collections::{BTreeMap, HashSet};

use futures::StreamExt;
use sha2::{Digest, Sha256};

use super::processing::{RevisionId, hold};
use super::{Error, Publishing};
use crate::catalogue::job::Fence;
use crate::catalogue::revision::{Selected, Selection};
use crate::catalogue::{job, one_connection, revision, setting, video};
use crate::domain::VideoId;
use crate::domain::job::{Job, JobState};
use crate::domain::media::{MediaState, TICKS_PER_SECOND};

/// Videos looked at in one go.
const PAGE: u32 = 200;
/// Videos begun at a time: PostgreSQL takes them side by side, and others still find a connection.
const AT_A_TIME: usize = 4;
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

/// The place that a reprocessing has reached.
#[derive(Debug, Default)]
struct Reached {
    after: Option<VideoId>,
    /// Those begun of the page after it.
    begun: HashSet<VideoId>,
    resumed: bool,
}

impl Publishing {
    /// What reprocessing the selection would cost, by what its videos cost before. `tell` hears how far it is, page by
    /// page; nothing is kept of them.
    pub async fn estimate(&self, selection: &Selection, tell: impl Fn(&Estimate)) -> Result<Estimate, Error> {
        let mut estimate = Estimate::default();
        let mut reached = self.find_reached(selection).await?;
        loop {
            let page = revision::select(self.db.read().await?.conn(), selection, reached.after, PAGE).await?;
            for video in page.videos.iter().filter(|video| !reached.begun.contains(&video.id)) {
                estimate.add(video);
            }
            tell(&estimate);
            let Some(next) = page.next else { return Ok(estimate) };
            reached.after = Some(next);
        }
    }

    /// Begins a new revision of every selected video, some at a time. Interrupted, the next call with the same selection
    /// goes on where it stopped.
    pub async fn reprocess(&self, selection: &Selection) -> Result<Reprocess, Error> {
        let mut reached = self.find_reached(selection).await?;
        let mut begun = Reprocess { videos: 0, resumed: reached.resumed };
        loop {
            let page = revision::select(self.db.read().await?.conn(), selection, reached.after, PAGE).await?;
            let videos: Vec<Selected> =
                page.videos.into_iter().filter(|video| !reached.begun.contains(&video.id)).collect();
            if !reached.resumed && !videos.is_empty() {
                self.set_reached(selection, reached.after).await?;
            }
            let each: Vec<_> =
                videos.iter().map(|video| one_connection(self.reprocess_one(selection, video))).collect();
            let mut under_way = futures::stream::iter(each).buffer_unordered(AT_A_TIME);
            while let Some(done) = under_way.next().await {
                done?;
                begun.videos += 1;
            }
            let Some(next) = page.next else { break };
            reached = Reached { after: Some(next), ..Reached::default() };
        }
        let mut tx = self.db.begin().await?;
        setting::delete(tx.conn(), &cursor_name(selection)).await?;
        tx.commit().await?;
        Ok(begun)
    }

    async fn reprocess_one(&self, selection: &Selection, video: &Selected) -> Result<(), Error> {
        let Some(upload) = video.upload_id else { return Ok(()) };
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        video::lock(tx.conn(), video.id, now).await?;
        let current = video::find(tx.conn(), video.id).await?.and_then(|current| current.upload_id);
        // A newer source came since the page was read: it is being processed already.
        let superseded = current != Some(upload);
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
            let revision = self.begin_processing(&mut tx, (video.id, upload), now).await?;
            job::demote(tx.conn(), &Job::Probe { video: video.id, revision }).await?;
        }
        // Last: its row is every one's of the page.
        setting::append(tx.conn(), &cursor_name(selection), &video.id.to_string()).await?;
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

    async fn find_reached(&self, selection: &Selection) -> Result<Reached, Error> {
        let kept = setting::find(self.db.read().await?.conn(), &cursor_name(selection)).await?;
        let Some(kept) = kept else { return Ok(Reached::default()) };
        let mut ids = kept.split(',').map(|id| id.parse().ok());
        Ok(Reached { after: ids.next().flatten(), begun: ids.flatten().collect(), resumed: true })
    }

    async fn set_reached(&self, selection: &Selection, after: Option<VideoId>) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let after = after.map(|id| id.to_string()).unwrap_or_default();
        setting::set(tx.conn(), &cursor_name(selection), &after).await?;
        Ok(tx.commit().await?)
    }
}

impl Estimate {
    fn add(&mut self, video: &Selected) {
        self.videos += 1;
        self.bytes += video.size_bytes.and_then(|bytes| u64::try_from(bytes).ok()).unwrap_or(0);
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
