//! A picture of one's own in place of the frame: uploaded, made fit by a job, shown, refused, taken away.

use bytes::Bytes;

use super::processing::hold;
use super::rights::{Takes, owned};
use super::{Error, Publishing};
use crate::catalogue::job::Fence;
use crate::catalogue::revision::Still;
use crate::catalogue::video::{Poster, Video};
use crate::catalogue::{Tx, job, video};
use crate::domain::cdn::CacheTag;
use crate::domain::job::{Job, JobState};
use crate::domain::key::Caller;
use crate::domain::version::Guarded;
use crate::domain::{PosterId, Refusal, RefusalCode, Timestamp, VideoId};
use crate::storage::Key;

/// Which picture of which video.
pub type PosterOf = (VideoId, PosterId);

impl Publishing {
    /// Takes a picture that is to stand for a video; what is shown stays until it is made fit.
    pub async fn upload_poster(
        &self,
        caller: Caller,
        of: impl Into<Guarded<VideoId>>,
        bytes: Bytes,
    ) -> Result<Video, Error> {
        let of = of.into();
        let id = of.id;
        let most = self.limits.max_poster_bytes;
        if bytes.len() as u64 > most {
            return Err(Error::PosterTooLarge { most });
        }
        self.check_changeable(caller, of.clone()).await?;
        let poster = PosterId::new();
        let key = Key::new_poster(id, poster);
        self.storage.put(&key, bytes).await?;
        let (before, video) = match self.take_poster(caller, &of, poster).await {
            Ok(taken) => taken,
            Err(error) => {
                // What can't be removed either, fsck finds.
                let _ = self.storage.delete(&key).await;
                return Err(error);
            }
        };
        self.changes.tell(id);
        self.drop_refused(&before).await?;
        Ok(video)
    }

    /// The video before and after.
    async fn take_poster(
        &self,
        caller: Caller,
        of: &Guarded<VideoId>,
        poster: PosterId,
    ) -> Result<(Video, Video), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Editing), of).await?;
        let id = before.id;
        video::set_poster_upload(tx.conn(), id, poster, now).await?;
        let work = Job::Poster { video: id, poster };
        job::enqueue(tx.conn(), &work, Some(before.account_id), now).await?;
        let video = owned(tx.conn(), caller, id).await?;
        tx.commit().await?;
        Ok((before, video))
    }

    /// Takes every uploaded picture away: the frame is shown again. There may be none.
    pub async fn remove_poster(&self, caller: Caller, of: impl Into<Guarded<VideoId>>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Editing), &of.into()).await?;
        let id = before.id;
        if before.poster_state().is_none() {
            return Ok(());
        }
        video::remove_poster(tx.conn(), id, now).await?;
        self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        tx.commit().await?;
        self.changes.tell(id);
        self.drop_shown(&before).await?;
        self.drop_refused(&before).await
    }

    /// A picture is made fit and in the bucket: shows it, unless it was replaced or taken away meanwhile. Its job is
    /// done.
    pub async fn show_poster(&self, fence: Fence, of: PosterOf, still: Still) -> Result<(), Error> {
        let (id, poster) = of;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        video::lock(tx.conn(), id, now).await?;
        let before = video::find(tx.conn(), id).await?;
        let shown = video::set_poster(tx.conn(), id, &Poster { id: poster, still }, now).await?;
        if shown {
            self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        }
        job::end(&mut tx, fence, (JobState::Done, None), now).await?;
        tx.commit().await?;
        self.changes.tell(id);
        self.storage.delete(&Key::new_poster(id, poster)).await?;
        match before.filter(|_| shown) {
            Some(before) => self.drop_shown(&before).await,
            None => Ok(self.storage.delete(&Key::poster(id, poster)).await?),
        }
    }

    /// The picture can't be shown, for a reason its editor is told; its job is done.
    pub async fn refuse_poster(&self, fence: Fence, of: PosterOf, refusal: &Refusal) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        video::refuse_poster(tx.conn(), of, refusal, now).await?;
        job::end(&mut tx, fence, (JobState::Done, Some(&refusal.to_string())), now).await?;
        tx.commit().await?;
        self.changes.tell(of.0);
        Ok(self.storage.delete(&Key::new_poster(of.0, of.1)).await?)
    }

    /// Nobody works at a picture any more that is not shown. What was uploaded stays, for its job may be tried again.
    pub(super) async fn give_up_poster(
        &self,
        tx: &mut Tx,
        of: PosterOf,
        now: Timestamp,
    ) -> Result<(), Error> {
        let work = Job::Poster { video: of.0, poster: of.1 };
        let jobs = job::list_of_video(tx.conn(), of.0).await?;
        let cancelled = jobs.iter().any(|row| row.work.0 == work && row.state == JobState::Cancelled);
        let refusal = if cancelled {
            Refusal::new(RefusalCode::Cancelled, "Processing was called off.")
        } else {
            Refusal::new(RefusalCode::ProcessingFailed, "The picture could not be processed.")
        };
        Ok(video::refuse_poster(tx.conn(), of, &refusal, now).await?)
    }

    /// Shows a picture no more whose object is lost; false where another has taken its place.
    pub(super) async fn forget_poster(&self, (id, poster): PosterOf) -> Result<bool, Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        video::lock(tx.conn(), id, now).await?;
        let shown = video::find(tx.conn(), id).await?.and_then(|video| video.poster);
        if shown.is_none_or(|shown| shown.id != poster) {
            return Ok(false);
        }
        video::hide_poster(tx.conn(), id, now).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(true)
    }

    async fn drop_shown(&self, before: &Video) -> Result<(), Error> {
        let Some(poster) = &before.poster else { return Ok(()) };
        Ok(self.storage.delete(&Key::poster(before.id, poster.id)).await?)
    }

    /// What a job still works at, it removes itself.
    async fn drop_refused(&self, before: &Video) -> Result<(), Error> {
        let refused = before.poster_upload.filter(|_| before.poster_error.is_some());
        let Some(poster) = refused else { return Ok(()) };
        Ok(self.storage.delete(&Key::new_poster(before.id, poster)).await?)
    }
}
