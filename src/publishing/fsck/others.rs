//! What belongs to no span of videos: bytes on their way, strangers' objects, unfinished multipart uploads, and the
//! sums of accounts. And the question asked once more of whatever a listing has and no row seems to know.

use std::collections::HashSet;

use super::super::retire::pack_key;
use super::super::uploads::unsigned;
use super::super::{Error, Publishing};
use super::{Finding, Run, blank, finding};
use crate::catalogue::inventory::{self, Usage};
use crate::catalogue::video::Video;
use crate::catalogue::{Conn, account, pack, revision, upload, video};
use crate::domain::upload::UploadState;
use crate::domain::{Nonce, VideoId};
use crate::storage::{Key, Object};

/// Accounts whose sums are compared in one go.
const ACCOUNTS: u32 = 200;
/// Names before, between and behind ours: from one up to another and without it.
const FOREIGN: [(&str, Option<&str>); 5] = [
    ("", Some("arriving/")),
    ("arriving0", Some("media/")),
    ("media0", Some("sources/")),
    ("sources0", Some("stills/")),
    ("stills0", None),
];

impl Run<'_> {
    pub(super) async fn check_others(&self) -> Result<(), Error> {
        self.check_names("arriving/", ("", None)).await?;
        for gap in FOREIGN {
            self.check_names("", gap).await?;
        }
        self.check_multiparts().await?;
        self.check_usages().await
    }

    async fn check_names(&self, prefix: &str, (from, to): (&str, Option<&str>)) -> Result<(), Error> {
        let old = self.publishing.clock.now().minus(self.check.grace);
        let mut after = Some(from.to_owned()).filter(|from| !from.is_empty());
        loop {
            let page = self.publishing.storage.list(prefix, after).await?;
            for item in &page.items {
                if to.is_some_and(|to| item.key.as_str() >= to) {
                    return Ok(());
                }
                if item.modified <= old {
                    self.check_unknown(&item.key).await?;
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// An object that no row seemed to know: rows are asked once more, of this moment.
    pub(super) async fn check_unknown(&self, name: &str) -> Result<(), Error> {
        let Ok(key) = name.parse::<Key>() else {
            // Somebody else's, in our bucket: told, never touched.
            return self.tell(Finding { key: name.to_owned(), ..blank("foreign_object") }).await;
        };
        if self.publishing.knows_object(&key).await? {
            return Ok(());
        }
        if self.check.repair {
            self.publishing.storage.delete(&key).await?;
        }
        self.tell(Finding { repaired: self.check.repair, ..finding("orphan_object", &key, None) }).await
    }

    async fn check_multiparts(&self) -> Result<(), Error> {
        let old = self.publishing.clock.now().minus(self.check.grace);
        for stray in self.publishing.storage.list_multiparts("").await? {
            if stray.begun <= old && !self.publishing.knows_multipart(&stray).await? {
                if self.check.repair {
                    self.publishing.abort_stray(&stray).await?;
                }
                let repaired = self.check.repair;
                self.tell(Finding { key: stray.key, repaired, ..blank("stray_multipart") }).await?;
            }
        }
        Ok(())
    }

    async fn check_usages(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let mut read = self.publishing.db.read().await?;
            let page = inventory::list_usages(read.conn(), after, ACCOUNTS).await?;
            drop(read);
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for usage in page.iter().filter(|usage| usage.used_bytes != usage.counted) {
                self.check_usage(usage).await?;
            }
        }
    }

    /// Under the lock of the account: an upload may have ended in between.
    async fn check_usage(&self, seen: &Usage) -> Result<(), Error> {
        let mut tx = self.publishing.db.begin().await?;
        let Some(usage) = inventory::lock_usage(tx.conn(), seen.id).await? else { return Ok(()) };
        if usage.used_bytes == usage.counted {
            return Ok(());
        }
        if self.check.repair {
            account::count(tx.conn(), usage.id, usage.counted - usage.used_bytes).await?;
        }
        tx.commit().await?;
        let repaired = self.check.repair;
        self.tell(Finding { key: usage.handle.to_string(), repaired, ..blank("wrong_usage") }).await
    }
}

impl Publishing {
    async fn knows_object(&self, key: &Key) -> Result<bool, Error> {
        let mut read = self.db.read().await?;
        let is_under_way = |state| matches!(state, UploadState::Open | UploadState::Finishing);
        Ok(match *key.object() {
            Object::Source { upload, .. } => upload::find(read.conn(), upload)
                .await?
                .is_some_and(|upload| upload.state != UploadState::Abandoned),
            Object::Partial { upload } => upload::find(read.conn(), upload)
                .await?
                .is_some_and(|upload| upload.state != UploadState::Abandoned),
            Object::Tail { upload, offset } => upload::find(read.conn(), upload)
                .await?
                .filter(|upload| is_under_way(upload.state))
                .is_some_and(|upload| upload.tail > 0 && unsigned(upload.received) == offset),
            Object::Pack { folder, .. } => {
                let id = (folder.video, folder.revision);
                let packs = pack::list(read.conn(), id, None).await?;
                packs.iter().any(|pack| pack_key(id, pack).as_str() == key.as_str())
            }
            Object::Init { folder, .. } | Object::Still { folder, .. } => {
                let id = (folder.video, folder.revision);
                let Some(found) = revision::find(read.conn(), id.0, id.1).await? else { return Ok(false) };
                let stills = found.poster.iter().chain(&found.storyboard).map(|still| still.nonce);
                let mut known: HashSet<Option<Nonce>> = stills.chain([found.nonce]).collect();
                known.extend(pack::list(read.conn(), id, None).await?.iter().map(|pack| pack.nonce));
                known.contains(&folder.nonce)
            }
            Object::NewPoster { video, poster } => {
                knows_poster(read.conn(), video, |video| video.poster_upload == Some(poster)).await?
            }
            Object::Poster { video, poster } => {
                let shown = |video: &Video| video.poster.as_ref().is_some_and(|shown| shown.id == poster);
                knows_poster(read.conn(), video, shown).await?
            }
        })
    }
}

/// A deleted video's pictures are its purge's to remove.
async fn knows_poster(
    mut conn: Conn<'_>,
    id: VideoId,
    is_its: impl FnOnce(&Video) -> bool,
) -> Result<bool, Error> {
    match video::find(conn.again(), id).await? {
        Some(video) => Ok(is_its(&video)),
        None => Ok(video::exists(conn, id).await?),
    }
}
