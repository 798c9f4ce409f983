//! Videos: drafting, changing, publishing, withdrawing, deleting.

use std::time::Duration;

use sqlx::types::Json;

use super::rights::{Takes, owned};
use super::{Error, Publishing, once, searchable};
use crate::catalogue::video::{Changed, Moved, Video};
use crate::catalogue::{Conn, Tx, account, broadcast, job, topic, video};
use crate::domain::account::Handle;
use crate::domain::broadcast::BroadcastState;
use crate::domain::cdn::CacheTag;
use crate::domain::job::Job;
use crate::domain::key::Caller;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::version::Guarded;
use crate::domain::video::{
    MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_TITLE_CHARS, VideoState, check_length, check_texts,
};
use crate::domain::{Language, Nonce, PosterId, TextChange, Texts, Timestamp, VideoId};

/// What is said of a new video.
#[derive(Debug, Clone)]
pub struct VideoDraft {
    pub account: Handle,
    pub topic: Slug,
    pub title: Texts,
    pub description: Texts,
    pub language: Language,
}

/// What is changed of a video; `None` stays as it is.
#[derive(Debug, Clone, Default)]
pub struct VideoChange {
    pub topic: Option<Slug>,
    pub title: Option<TextChange>,
    pub description: Option<TextChange>,
    pub language: Option<Language>,
    pub poster_alt: Option<TextChange>,
    pub trim: Option<Trim>,
}

impl Publishing {
    /// Adds a draft tied to its account and topic.
    pub async fn draft_video(&self, caller: Caller, draft: VideoDraft) -> Result<Video, Error> {
        if let Some(id) = once::made::<VideoId>() {
            let found = video::find(self.db.read().await?.conn(), id).await?;
            return found.ok_or(Error::NotFound("video"));
        }
        let mut tx = self.db.begin().await?;
        let video = self.draft_in(tx.conn(), caller, draft).await?;
        once::note(&mut tx, video.id).await?;
        tx.commit().await?;
        tracing::info!(video = %video.id, account = %video.account, key = %caller.key, "video drafted");
        Ok(video)
    }

    /// The same inside a transaction of somebody else's.
    pub(super) async fn draft_in(
        &self,
        mut conn: Conn<'_>,
        caller: Caller,
        draft: VideoDraft,
    ) -> Result<Video, Error> {
        let account = account::find(conn.again(), &draft.account).await?;
        let account = account.filter(|account| caller.covers(account.id));
        let account = account.ok_or(Error::UnknownAccount(draft.account))?;
        let topic = topic::find(conn.again(), &draft.topic).await?;
        let topic = topic.ok_or(Error::UnknownTopic(draft.topic))?;
        let now = self.clock.now();
        let video = Video {
            id: VideoId::new(),
            account_id: account.id,
            account: account.handle,
            topic_id: topic.id,
            topic: topic.slug,
            title: Json(draft.title),
            description: Json(draft.description),
            language: draft.language,
            state: VideoState::Draft,
            published_at: None,
            withdrawn_reason: None,
            poster_alt: Json(Texts::default()),
            poster: None,
            poster_upload: None,
            poster_error: None,
            media_state: MediaState::Waiting,
            error: None,
            revision: None,
            upload_id: None,
            source_refused: None,
            trim_start_ms: 0,
            trim_end_ms: None,
            preview: 0,
            version: 1,
            created_at: now,
            updated_at: now,
        };
        check_video(&video)?;
        video::insert(conn.again(), &video).await?;
        searchable::index(conn, &video).await?;
        Ok(video)
    }

    /// Changes what is said of a video, and nothing else of it.
    pub async fn change_video(
        &self,
        caller: Caller,
        of: impl Into<Guarded<VideoId>>,
        change: VideoChange,
    ) -> Result<Video, Error> {
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Editing), &of.into()).await?;
        let id = before.id;
        let changed = changed(&mut tx, &before, change).await?;
        video::change(tx.conn(), id, &changed, self.clock.now()).await?;
        let video = owned(tx.conn(), caller, id).await?;
        check_video(&video)?;
        searchable::index(tx.conn(), &video).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(video)
    }

    /// Shows a video to everybody, from now on. `NoMedia` where it has nothing to play and no broadcast is announced
    /// that will bring it.
    pub async fn publish(&self, caller: Caller, of: impl Into<Guarded<VideoId>>) -> Result<Video, Error> {
        let now = self.clock.now();
        self.move_video(caller, of.into(), |video, has_broadcast| {
            let is_empty = matches!(video.media_state, MediaState::Waiting | MediaState::Failed);
            if is_empty && !has_broadcast && video.state != VideoState::Published {
                return Err(Error::NoMedia(video.media_state));
            }
            Ok(published(video, now))
        })
        .await
    }

    /// The same for a video whose source is still to come: its page says so until then.
    pub async fn publish_without_media(
        &self,
        caller: Caller,
        of: impl Into<Guarded<VideoId>>,
    ) -> Result<Video, Error> {
        let now = self.clock.now();
        self.move_video(caller, of.into(), |video, _| Ok(published(video, now))).await
    }

    /// Takes a published video back, with a reason that everybody may read.
    pub async fn withdraw(
        &self,
        caller: Caller,
        of: impl Into<Guarded<VideoId>>,
        reason: impl Into<TextChange>,
    ) -> Result<Video, Error> {
        let reason = reason.into();
        self.move_video(caller, of.into(), |video, _| {
            let reason = reason.apply(&Texts::default(), &video.language);
            check_texts("reason", &reason, MAX_NAME_CHARS)?;
            let state = VideoState::Withdrawn;
            if video.state == VideoState::Draft {
                return Err(Error::Move { from: video.state, to: state });
            }
            Ok(Moved { state, published_at: video.published_at, withdrawn_reason: Some(reason) })
        })
        .await
    }

    async fn move_video(
        &self,
        caller: Caller,
        of: Guarded<VideoId>,
        decide: impl FnOnce(&Video, bool) -> Result<Moved, Error>,
    ) -> Result<Video, Error> {
        let mut tx = self.db.begin().await?;
        let before = self.lock_video(&mut tx, (caller, Takes::Publishing), &of).await?;
        let broadcast = broadcast::find_by_video(tx.conn(), of.id).await?;
        let has_broadcast = broadcast.is_some_and(|broadcast| broadcast.state != BroadcastState::Ended);
        video::set_state(tx.conn(), of.id, &decide(&before, has_broadcast)?, self.clock.now()).await?;
        let video = owned(tx.conn(), caller, of.id).await?;
        if video.state == VideoState::Withdrawn {
            self.invalidate(tx.conn(), CacheTag::Video(of.id)).await?;
            // Whoever has seen it knows the names of its objects.
            let work = Job::Rename { video: of.id, nonce: Nonce::random(), poster: PosterId::new() };
            job::enqueue(tx.conn(), &work, Some(video.account_id), video.updated_at).await?;
        }
        tx.commit().await?;
        self.changes.tell(of.id);
        let (account, key) = (&video.account, caller.key);
        tracing::info!(video = %of.id, %account, %key, before = %before.state, "video {}", video.state);
        Ok(video)
    }

    /// Makes every link to the video while it isn't public worthless: they carry how often that was done.
    pub async fn call_back_previews(&self, caller: Caller, id: VideoId) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        owned(tx.conn(), caller, id).await?;
        video::call_back(tx.conn(), id).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(())
    }

    /// Deletes a video: gone from every page at once, its objects by a job.
    pub async fn delete_video(&self, caller: Caller, of: impl Into<Guarded<VideoId>>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let video = self.lock_video(&mut tx, (caller, Takes::Editing), &of.into()).await?;
        video::delete(tx.conn(), video.id, now).await?;
        for row in job::list_of_video(tx.conn(), video.id).await? {
            job::cancel(tx.conn(), row.id, now).await?;
        }
        job::enqueue(tx.conn(), &Job::Purge { video: video.id }, Some(video.account_id), now).await?;
        self.invalidate(tx.conn(), CacheTag::Video(video.id)).await?;
        tx.commit().await?;
        self.changes.tell(video.id);
        tracing::info!(video = %video.id, account = %video.account, key = %caller.key, "video deleted");
        Ok(())
    }
}

/// Public from `now` on; a video that is public already stays so since when it was.
fn published(video: &Video, now: Timestamp) -> Moved {
    let shown = video.published_at.filter(|_| video.state == VideoState::Published);
    Moved { state: VideoState::Published, published_at: shown.or(Some(now)), withdrawn_reason: None }
}

/// The columns that a change writes; texts in the video's own language are laid over those that are there.
async fn changed(tx: &mut Tx, before: &Video, change: VideoChange) -> Result<Changed, Error> {
    let topic = match change.topic {
        Some(slug) => Some(topic::find(tx.conn(), &slug).await?.ok_or(Error::UnknownTopic(slug))?.id),
        None => None,
    };
    if let Some(trim) = change.trim {
        check_trim(trim)?;
    }
    let language = change.language.as_ref().unwrap_or(&before.language);
    let texts = |change: Option<TextChange>, old: &Texts| change.map(|change| change.apply(old, language));
    Ok(Changed {
        topic,
        title: texts(change.title, &before.title),
        description: texts(change.description, &before.description),
        poster_alt: texts(change.poster_alt, &before.poster_alt),
        language: change.language,
        trim: change.trim,
    })
}

fn check_video(video: &Video) -> Result<(), Error> {
    check_texts("title", &video.title, MAX_TITLE_CHARS)?;
    check_length("description", &video.description, MAX_DESCRIPTION_CHARS)?;
    check_length("poster_alt", &video.poster_alt, MAX_NAME_CHARS)?;
    Ok(())
}

fn check_trim(trim: Trim) -> Result<(), Error> {
    let least = Duration::from_millis(u64::try_from(trim.start_ms).unwrap_or(0) + 1);
    if trim.is_sound() { Ok(()) } else { Err(Error::Span { field: "trim.end_ms", least, most: None }) }
}
