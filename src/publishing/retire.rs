//! Taking away: revisions whose grace is over, deleted videos, and what attempts that died left beside a revision.

use std::collections::HashSet;

use super::quota::recount;
use super::{Error, Publishing};
use crate::catalogue::{job, pack, revision, upload, video};
use crate::domain::VideoId;
use crate::domain::job::{JobKind, JobState};
use crate::domain::media::MediaState;
use crate::storage::{Folder, Key, Object};

impl Publishing {
    /// Removes a revision that plays no more; of one that stays, what attempts that died had written beside it.
    pub async fn retire(&self, id: VideoId, number: u32) -> Result<(), Error> {
        let mut read = self.db.read().await?;
        let playing = video::find(read.conn(), id).await?.and_then(|video| video.revision);
        let found = revision::find(read.conn(), id, number).await?;
        drop(read);
        let due = found.and_then(|revision| revision.retire_at).is_some_and(|at| at <= self.clock.now());
        if playing == Some(i64::from(number)) || !due {
            return self.sweep_revision(id, number).await;
        }
        for prefix in Key::revision_prefixes(id, number) {
            self.storage.delete_prefix(&prefix).await?;
        }
        let mut tx = self.db.begin().await?;
        revision::delete(tx.conn(), id, number).await?;
        Ok(tx.commit().await?)
    }

    /// Removes everything of a deleted video, once nobody writes for it any more.
    pub async fn purge(&self, id: VideoId) -> Result<(), Error> {
        let jobs = job::list_of_video(self.db.read().await?.conn(), id).await?;
        if jobs.iter().any(|row| row.state == JobState::Running && row.kind != JobKind::Purge) {
            return Err(Error::StillWorking);
        }
        let uploads = upload::list_of_video(self.db.read().await?.conn(), id).await?;
        for upload in &uploads {
            self.drop_remains(upload).await?;
        }
        for prefix in Key::video_prefixes(id) {
            self.storage.delete_prefix(&prefix).await?;
        }
        let mut tx = self.db.begin().await?;
        video::lock(tx.conn(), id, self.clock.now()).await?;
        let gone = upload::lock_of_video(tx.conn(), id).await?;
        video::purge(tx.conn(), id).await?;
        for upload in gone.iter().filter(|upload| upload.counted() > 0) {
            recount(&mut tx, upload.account_id, -upload.counted()).await?;
        }
        Ok(tx.commit().await?)
    }

    /// Once a revision is settled: removes what attempts that died had written beside it.
    pub async fn sweep_revision(&self, id: VideoId, number: u32) -> Result<(), Error> {
        let mut read = self.db.read().await?;
        let found = revision::find(read.conn(), id, number).await?;
        let Some(revision) = found.filter(|revision| revision.finished_at.is_some()) else { return Ok(()) };
        let packs = pack::list(read.conn(), (id, number), None).await?;
        let jobs = job::list_of_video(read.conn(), id).await?;
        drop(read);
        // Its copies have no rows yet, and it sweeps behind itself.
        if jobs.iter().any(|row| row.kind == JobKind::Rename && row.state == JobState::Running) {
            return Ok(());
        }
        let nonces: HashSet<_> = packs.iter().map(|pack| pack.nonce).chain([revision.nonce]).collect();
        let ours = |key: &Key| key.folder().is_some_and(|folder| nonces.contains(&folder.nonce));
        let known: HashSet<String> =
            packs.iter().map(|pack| pack_key((id, number), pack).as_str().to_owned()).collect();
        for prefix in Key::revision_prefixes(id, number) {
            let mut after = None;
            loop {
                let page = self.storage.list(&prefix, after).await?;
                for key in page.items.iter().filter_map(|item| item.key.parse::<Key>().ok()) {
                    if matches!(key.object(), Object::Pack { .. })
                        && ours(&key)
                        && !known.contains(key.as_str())
                    {
                        self.storage.delete(&key).await?;
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        if revision.state == MediaState::Failed {
            self.drop_failed(id, number).await?;
        }
        Ok(())
    }

    /// A failed revision plays nothing: its objects need not wait.
    async fn drop_failed(&self, id: VideoId, number: u32) -> Result<(), Error> {
        let packs = pack::list(self.db.read().await?.conn(), (id, number), None).await?;
        if packs.is_empty() {
            for prefix in Key::revision_prefixes(id, number) {
                self.storage.delete_prefix(&prefix).await?;
            }
        }
        Ok(())
    }
}

/// The object of a pack.
pub(crate) fn pack_key((video, revision): (VideoId, u32), pack: &pack::Pack) -> Key {
    let first = u32::try_from(pack.first_segment).unwrap_or(0);
    let attempt = u32::try_from(pack.attempt).unwrap_or(0);
    Key::pack(Folder { video, revision, nonce: pack.nonce }, &pack.rung, first, attempt)
}
