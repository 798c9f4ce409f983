//! Uploads that become nothing, and what every upload leaves in the bucket beside its source. A row says that something
//! may be left until it is gone, however long the bucket is away.

use std::collections::HashSet;

use tokio::time::Instant;

use super::quota::recount;
use super::uploads::source_key;
use super::{Error, Publishing};
use crate::catalogue::upload::Upload;
use crate::catalogue::{Tx, upload};
use crate::domain::upload::{Concat, Door, UploadState};
use crate::domain::{Timestamp, UploadId};
use crate::storage::{Key, MultipartId};

/// Sweeps that fail one after another before the bucket counts as away; the rest waits for the next round.
const MAX_FAILURES_IN_A_ROW: u32 = 3;

/// Why an upload is given up.
#[derive(Clone, Copy)]
enum Reason {
    /// Its client asked for it.
    Asked,
    /// The one request that brought it failed.
    Failed,
    /// Its time is over.
    Expired,
}

impl Publishing {
    /// Gives an upload up, as its client asks: its parts and its tail go from the bucket.
    pub async fn abandon_upload(&self, upload: &Upload) -> Result<(), Error> {
        if !self.give_up(upload.id, Reason::Asked).await? {
            return Err(Error::UploadFinished);
        }
        self.clean_up(upload.id).await;
        Ok(())
    }

    /// The one request that should have brought an upload failed: it is given up, unless every byte has come.
    pub async fn abandon_failed(&self, upload: &Upload) -> Result<(), Error> {
        if self.give_up(upload.id, Reason::Failed).await? {
            self.clean_up(upload.id).await;
        }
        Ok(())
    }

    /// False where the upload can't be given up for this reason any more.
    async fn give_up(&self, id: UploadId, reason: Reason) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let Some(before) = upload::lock(tx.conn(), id).await? else { return Ok(false) };
        let given_up = match reason {
            Reason::Asked => upload::abandon(tx.conn(), id, true, now).await?,
            Reason::Failed => upload::abandon(tx.conn(), id, false, now).await?,
            Reason::Expired => {
                !is_in_use(&mut tx, &before).await? && upload::expire(tx.conn(), id, now).await?
            }
        };
        if given_up {
            recount(&mut tx, before.account_id, -before.counted()).await?;
            tx.commit().await?;
        }
        Ok(given_up)
    }

    /// Abandons every upload whose time is over and whose bytes are not all there; returns how many. What they left in
    /// the bucket is swept apart from this.
    pub async fn expire_uploads(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let (mut last, mut expired) = (None, 0);
        loop {
            let mut page = upload::list_expired(self.db.read().await?.conn(), now, last.as_ref()).await?;
            for upload in &page {
                match self.give_up(upload.id, Reason::Expired).await {
                    Ok(given_up) => expired += usize::from(given_up),
                    Err(error) => tracing::warn!(upload = %upload.id, %error, "upload could not be given up"),
                }
            }
            last = page.pop();
            if last.is_none() {
                return Ok(expired);
            }
        }
    }

    /// Removes what uploads left in the bucket, until nothing is left or `until` is over.
    pub async fn sweep_uploads(&self, until: Instant) -> Result<(), Error> {
        let mut failures = 0;
        loop {
            let now = self.clock.now();
            let page = upload::list_left(self.db.read().await?.conn(), now).await?;
            if page.is_empty() {
                return Ok(());
            }
            for upload in page {
                if Instant::now() >= until || failures == MAX_FAILURES_IN_A_ROW {
                    return Ok(());
                }
                if !self.claim_sweep(upload.id, now).await? {
                    continue;
                }
                failures = if self.clean_up(upload.id).await { 0 } else { failures + 1 };
            }
        }
    }

    async fn claim_sweep(&self, id: UploadId, now: Timestamp) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let claimed = upload::claim_sweep(tx.conn(), id, now.plus(self.limits.sweep_retry), now).await?;
        tx.commit().await?;
        Ok(claimed)
    }

    /// Removes what an upload that is over left beside its source. Where that fails it is told and tried again later:
    /// nothing hangs on it. Returns whether nothing is left.
    pub(super) async fn clean_up(&self, id: UploadId) -> bool {
        let swept = self.sweep_upload(id).await;
        if let Err(error) = &swept {
            tracing::warn!(upload = %id, %error, "leftovers of the upload stay for now");
        }
        swept.is_ok()
    }

    async fn sweep_upload(&self, id: UploadId) -> Result<(), Error> {
        let Some(upload) = upload::find(self.db.read().await?.conn(), id).await? else { return Ok(()) };
        match upload.state {
            UploadState::Open | UploadState::Finishing => return Ok(()),
            UploadState::Finished => self.sweep_arrivals(&upload).await?,
            UploadState::Abandoned => self.drop_remains(&upload).await?,
        }
        let mut tx = self.db.begin().await?;
        let forgotten_at = upload.expires_at.plus(self.limits.keep_history);
        match upload.state {
            UploadState::Abandoned if is_unused(&upload) || forgotten_at <= self.clock.now() => {
                upload::delete(tx.conn(), id).await?;
            }
            UploadState::Abandoned => upload::set_sweep(tx.conn(), id, Some(forgotten_at)).await?,
            _ => {
                if let Some(video) = upload.video_id {
                    upload::delete_unused(tx.conn(), video, id).await?;
                }
                upload::set_sweep(tx.conn(), id, None).await?;
            }
        }
        Ok(tx.commit().await?)
    }

    /// What processes that died left of an upload beside its source: tails, and multipart uploads no row knows.
    async fn sweep_arrivals(&self, upload: &Upload) -> Result<(), Error> {
        self.storage.delete_prefix(&Key::tail_prefix(upload.id)).await?;
        let key = source_key(upload);
        for stray in self.storage.list_multiparts(key.as_str()).await? {
            self.storage.abort_multipart(&key, &stray.id).await?;
        }
        Ok(())
    }

    /// Takes what an upload that became nothing has in the bucket.
    pub(super) async fn drop_remains(&self, upload: &Upload) -> Result<(), Error> {
        let key = source_key(upload);
        if let Some(multipart) = upload.multipart.clone().map(MultipartId) {
            self.storage.abort_multipart(&key, &multipart).await?;
        }
        self.sweep_arrivals(upload).await?;
        Ok(self.storage.delete(&key).await?)
    }

    /// A final upload is made of it: a partial goes, unless another final upload is still to be made of it too.
    pub(super) async fn drop_partial(&self, id: UploadId) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let Some(before) = upload::lock(tx.conn(), id).await? else { return Ok(()) };
        if is_in_use(&mut tx, &before).await? {
            return Ok(());
        }
        let given_up = upload::abandon(tx.conn(), id, true, self.clock.now()).await?;
        recount(&mut tx, before.account_id, if given_up { -before.counted() } else { 0 }).await?;
        tx.commit().await?;
        self.clean_up(id).await;
        Ok(())
    }
}

/// A final upload is still to be put together from this one.
async fn is_in_use(tx: &mut Tx, upload: &Upload) -> Result<bool, Error> {
    if upload.concat != Concat::Partial {
        return Ok(false);
    }
    let in_use: HashSet<UploadId> = upload::list_partials_in_use(tx.conn()).await?.into_iter().collect();
    Ok(in_use.contains(&upload.id))
}

/// Nobody will ask what became of it: a partial, or the presigned upload that a draft was offered and did not use.
fn is_unused(upload: &Upload) -> bool {
    let offered = upload.door == Door::Parts && upload.multipart.is_none() && upload.received == 0;
    offered || upload.concat == Concat::Partial
}
