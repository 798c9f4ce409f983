//! A picture of one's own in place of the frame: uploaded, made fit by a job, shown, refused, taken away. A job that is
//! asked for before an object is there, and ends after it is gone, clears away whatever a process that dies leaves.

use std::time::Duration;

use bytes::Bytes;

use super::processing::hold;
use super::rights::{Takes, owned, permitted};
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
use crate::storage::{Key, Object};

/// How long a request may take to bring a picture and to tell its video of it; after that what it left is cleared away.
const UPLOAD_SAFETY: Duration = Duration::from_mins(10);

/// Which picture of which video.
pub type PosterOf = (VideoId, PosterId);

/// What a picture's job is to do with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PosterStage {
    /// Make it fit.
    Arrived,
    /// Try again what was refused before.
    Refused,
    /// Clear up: it is shown, replaced, taken away, or never was told of.
    Over,
}

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
        let poster = PosterId::new();
        self.expect_poster(caller, &of, poster).await?;
        let key = Key::new_poster(id, poster);
        self.storage.put(&key, bytes).await?;
        let video = match self.take_poster(caller, &of, poster).await {
            Ok(video) => video,
            Err(error) => {
                // What can't be removed now, its job removes.
                let _ = self.storage.delete(&key).await;
                return Err(error);
            }
        };
        self.changes.tell(id);
        Ok(video)
    }

    /// Asks for the job before the object is there: should this process die, the job finds one that no row knows.
    async fn expect_poster(
        &self,
        caller: Caller,
        of: &Guarded<VideoId>,
        poster: PosterId,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let video = permitted(tx.conn(), (caller, Takes::Editing), of).await?;
        let run_at = self.clock.now().plus(UPLOAD_SAFETY);
        let work = Job::Poster { video: video.id, poster };
        job::enqueue(tx.conn(), &work, Some(video.account_id), run_at).await?;
        Ok(tx.commit().await?)
    }

    async fn take_poster(
        &self,
        caller: Caller,
        of: &Guarded<VideoId>,
        poster: PosterId,
    ) -> Result<Video, Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Editing), of).await?;
        let id = before.id;
        video::set_poster_upload(tx.conn(), id, poster, now).await?;
        let work = Job::Poster { video: id, poster };
        job::withdraw(tx.conn(), &work).await?;
        job::enqueue(tx.conn(), &work, Some(before.account_id), now).await?;
        let video = owned(tx.conn(), caller, id).await?;
        tx.commit().await?;
        Ok(video)
    }

    /// Takes every uploaded picture away: the frame is shown again. There may be none.
    pub async fn remove_poster(&self, caller: Caller, of: impl Into<Guarded<VideoId>>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Editing), &of.into()).await?;
        let id = before.id;
        let shown = before.poster.as_ref().map(|poster| poster.id);
        let Some(poster) = shown.or(before.poster_upload) else { return Ok(()) };
        video::remove_poster(tx.conn(), id, now).await?;
        self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        let work = Job::Poster { video: id, poster };
        job::enqueue(tx.conn(), &work, Some(before.account_id), now).await?;
        tx.commit().await?;
        self.changes.tell(id);
        if let Err(error) = self.clear_posters(id, shown).await {
            tracing::warn!(video = %id, %error, "pictures that were taken away stay for their job");
        }
        Ok(())
    }

    /// What a picture's job is to do.
    pub async fn find_poster_stage(&self, (id, poster): PosterOf) -> Result<PosterStage, Error> {
        let found = video::find(self.db.read().await?.conn(), id).await?;
        Ok(match found.filter(|video| video.poster_upload == Some(poster)) {
            Some(video) if video.poster_error.is_some() => PosterStage::Refused,
            Some(_) => PosterStage::Arrived,
            None => PosterStage::Over,
        })
    }

    /// A picture is made fit and in the bucket: shows it, unless it was replaced or taken away meanwhile. Its job is
    /// done.
    pub async fn show_poster(&self, fence: Fence, of: PosterOf, still: Still) -> Result<(), Error> {
        let (id, poster) = of;
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        video::lock(tx.conn(), id, now).await?;
        if video::set_poster(tx.conn(), id, &Poster { id: poster, still }, now).await? {
            self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        }
        tx.commit().await?;
        self.changes.tell(id);
        self.end_poster(fence, of).await
    }

    /// The picture can't be shown, for a reason its editor is told; its job is done.
    pub async fn refuse_poster(&self, fence: Fence, of: PosterOf, refusal: &Refusal) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        video::refuse_poster(tx.conn(), of, refusal, now).await?;
        tx.commit().await?;
        self.changes.tell(of.0);
        self.storage.delete(&Key::new_poster(of.0, of.1)).await?;
        self.end_poster_job(fence, of, Some(&refusal.to_string())).await
    }

    /// A picture's job has nothing left to do but to clear up.
    pub async fn end_poster(&self, fence: Fence, of: PosterOf) -> Result<(), Error> {
        self.end_poster_job(fence, of, None).await
    }

    /// The job ends after the objects are gone: where its process dies in between, the next attempt clears up.
    async fn end_poster_job(&self, fence: Fence, of: PosterOf, said: Option<&str>) -> Result<(), Error> {
        self.clear_posters(of.0, Some(of.1)).await?;
        let mut tx = self.db.begin().await?;
        hold(&mut tx, fence).await?;
        job::end(&mut tx, fence, (JobState::Done, said), self.clock.now()).await?;
        tx.commit().await?;
        self.changes.tell(of.0);
        Ok(())
    }

    /// Removes every picture that neither its video's row knows nor a job other than that of `own` is at.
    pub async fn clear_posters(&self, id: VideoId, own: Option<PosterId>) -> Result<(), Error> {
        let found = self.list_posters(id).await?;
        if found.is_empty() {
            return Ok(());
        }
        let mut read = self.db.read().await?;
        let video = video::find(read.conn(), id).await?;
        let jobs = job::list_of_video(read.conn(), id).await?;
        drop(read);
        let under_way: Vec<PosterId> = jobs
            .iter()
            .filter(|row| row.finished_at.is_none())
            .filter_map(|row| match row.work.0 {
                Job::Poster { poster, .. } | Job::Rename { poster, .. } => Some(poster),
                _ => None,
            })
            .filter(|poster| Some(*poster) != own)
            .collect();
        let shown = video.as_ref().and_then(|video| video.poster.as_ref()).map(|shown| shown.id);
        let arrived = video.as_ref().and_then(|video| video.poster_upload);
        for key in found {
            let (poster, known) = match *key.object() {
                Object::NewPoster { poster, .. } => (poster, arrived),
                Object::Poster { poster, .. } => (poster, shown),
                _ => continue,
            };
            if known != Some(poster) && !under_way.contains(&poster) {
                self.storage.delete(&key).await?;
            }
        }
        Ok(())
    }

    async fn list_posters(&self, id: VideoId) -> Result<Vec<Key>, Error> {
        let mut found = Vec::new();
        for prefix in Key::poster_prefixes(id) {
            let mut after = None;
            loop {
                let page = self.storage.list(&prefix, after).await?;
                found.extend(page.items.iter().filter_map(|item| item.key.parse::<Key>().ok()));
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(found)
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
}
