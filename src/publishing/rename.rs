//! New names for the objects of a video that was taken back: whoever knows the old ones finds nothing there.

use futures::{StreamExt, TryStreamExt, stream};

use super::retire::pack_key;
use super::{Error, Publishing, RevisionId};
use crate::catalogue::pack::Pack;
use crate::catalogue::revision::Revision;
use crate::catalogue::{broadcast, job, one_connection, pack, revision, video};
use crate::domain::broadcast::BroadcastState;
use crate::domain::job::{Job, JobState};
use crate::domain::{Nonce, PosterId, VideoId};
use crate::storage::{Folder, Key, Object, Still};

/// Objects copied at a time; the bucket copies by itself.
const COPIES: usize = 8;

impl Publishing {
    /// Gives every object of the video's media and stills a name that nobody knows. A row names its object at any
    /// moment: the copy first, then the row, the old object last. Done again after a crash, it goes on.
    pub async fn rename(&self, id: VideoId, to: (Nonce, PosterId)) -> Result<(), Error> {
        self.check_idle(id, to.0).await?;
        let revisions = revision::list(self.db.read().await?.conn(), id).await?;
        for found in &revisions {
            let mut tx = self.db.begin().await?;
            revision::set_nonce(tx.conn(), (id, number(found)), to.0).await?;
            tx.commit().await?;
        }
        // Whoever began in between may still write under the old name; whoever begins from now on does not.
        self.check_idle(id, to.0).await?;
        for found in &revisions {
            self.rename_revision(found, to.0).await?;
        }
        self.rename_poster(id, to.1).await?;
        self.changes.tell(id);
        Ok(())
    }

    /// Refuses while anything is being made for the video.
    async fn check_idle(&self, id: VideoId, nonce: Nonce) -> Result<(), Error> {
        let mut read = self.db.read().await?;
        let own = |work: &Job| matches!(work, Job::Rename { nonce: mine, .. } if *mine == nonce);
        let jobs = job::list_of_video(read.conn(), id).await?;
        let busy = jobs.iter().any(|row| row.state == JobState::Running && !own(&row.work.0));
        let recorded = broadcast::find_by_video(read.conn(), id).await?;
        let live = recorded.is_some_and(|row| row.revision.is_some() && row.state != BroadcastState::Ended);
        if busy || live { Err(Error::StillWorking) } else { Ok(()) }
    }

    async fn rename_revision(&self, found: &Revision, to: Nonce) -> Result<(), Error> {
        let id = (found.video_id, number(found));
        let folder = Folder { nonce: Some(to), ..Folder::from(id) };
        let old = self.list_outside(folder).await?;
        for key in old.iter().filter(|key| matches!(key.object(), Object::Init { .. })) {
            self.copy_there(key, &key.inside(folder)).await?;
        }
        let packs = pack::list(self.db.read().await?.conn(), id, None).await?;
        let moving = packs.iter().filter(|pack| pack.nonce != Some(to));
        let moving: Vec<_> = moving.map(|pack| one_connection(self.rename_pack(id, pack, to))).collect();
        stream::iter(moving).buffer_unordered(COPIES).try_collect::<()>().await?;
        self.rename_stills(found, folder).await?;
        for key in &old {
            self.storage.delete(key).await?;
        }
        Ok(())
    }

    /// What the revision has under other names.
    async fn list_outside(&self, folder: Folder) -> Result<Vec<Key>, Error> {
        let mut found = Vec::new();
        for prefix in Key::revision_prefixes(folder.video, folder.revision) {
            let mut after = None;
            loop {
                let page = self.storage.list(&prefix, after).await?;
                let keys = page.items.iter().filter_map(|item| item.key.parse::<Key>().ok());
                found.extend(keys.filter(|key| key.folder() != Some(folder)));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(found)
    }

    async fn rename_pack(&self, id: RevisionId, old: &Pack, to: Nonce) -> Result<(), Error> {
        let new = Pack { nonce: Some(to), ..old.clone() };
        if !self.copy_there(&pack_key(id, old), &pack_key(id, &new)).await? {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        pack::set_nonce(tx.conn(), id, &new).await?;
        Ok(tx.commit().await?)
    }

    /// False where there is nothing to copy: what is lost is fsck's to tell.
    async fn copy_there(&self, from: &Key, to: &Key) -> Result<bool, Error> {
        match self.storage.copy(from, to).await {
            Ok(()) => Ok(true),
            Err(error) if error.is_not_found() => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    async fn rename_stills(&self, found: &Revision, folder: Folder) -> Result<(), Error> {
        let renamed = |still: &Option<sqlx::types::Json<revision::Still>>| {
            let old = still.as_ref().filter(|still| still.nonce != folder.nonce)?;
            Some(revision::Still { nonce: folder.nonce, ..old.0.clone() })
        };
        let (poster, storyboard) = (renamed(&found.poster), renamed(&found.storyboard));
        for (kind, old, new) in
            [(Still::Poster, &found.poster, &poster), (Still::Storyboard, &found.storyboard, &storyboard)]
        {
            if let (Some(old), Some(_)) = (old, new) {
                let before = Folder { nonce: old.nonce, ..folder };
                self.copy_there(&Key::still(before, kind), &Key::still(folder, kind)).await?;
            }
        }
        let mut tx = self.db.begin().await?;
        let id = (folder.video, folder.revision);
        revision::set_stills(tx.conn(), id, poster.as_ref(), storyboard.as_ref()).await?;
        Ok(tx.commit().await?)
    }

    /// An uploaded picture is named by its id: it gets another.
    async fn rename_poster(&self, id: VideoId, to: PosterId) -> Result<(), Error> {
        let shown = video::find(self.db.read().await?.conn(), id).await?.and_then(|video| video.poster);
        if let Some(old) = shown.filter(|shown| shown.id != to) {
            self.copy_there(&Key::poster(id, old.id), &Key::poster(id, to)).await?;
            let now = self.clock.now();
            let mut tx = self.db.begin().await?;
            video::lock(tx.conn(), id, now).await?;
            let shown = video::find(tx.conn(), id).await?.and_then(|video| video.poster);
            if shown.is_some_and(|shown| shown.id == old.id) {
                let new = video::Poster { id: to, still: old.still.clone() };
                video::rename_poster(tx.conn(), id, &new).await?;
            }
            tx.commit().await?;
        }
        let shown = video::find(self.db.read().await?.conn(), id).await?.and_then(|video| video.poster);
        for item in self.storage.list(&Key::poster_prefix(id), None).await?.items {
            let key = item.key.parse::<Key>().ok();
            let current = shown.as_ref().map(|shown| Key::poster(id, shown.id));
            if let Some(key) = key.filter(|key| Some(key) != current.as_ref()) {
                self.storage.delete(&key).await?;
            }
        }
        Ok(())
    }
}

fn number(found: &Revision) -> u32 {
    u32::try_from(found.number).unwrap_or(0)
}
