//! Videos: drafting, changing, publishing, withdrawing, deleting.

use std::time::Duration;

use sqlx::types::Json;

use super::{Error, Publishing};
use crate::catalogue::video::Video;
use crate::catalogue::{Conn, account, job, search, topic, video};
use crate::domain::account::Handle;
use crate::domain::cdn::CacheTag;
use crate::domain::job::Job;
use crate::domain::key::Caller;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::video::{
    MAX_DESCRIPTION_CHARS, MAX_NAME_CHARS, MAX_TITLE_CHARS, VideoState, check_length, check_texts,
};
use crate::domain::{Language, Texts, VideoId};

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
    pub title: Option<Texts>,
    pub description: Option<Texts>,
    pub language: Option<Language>,
    pub poster_alt: Option<Texts>,
    pub trim: Option<Trim>,
}

impl Publishing {
    /// Adds a draft tied to its account and topic.
    pub async fn draft_video(&self, caller: Caller, draft: VideoDraft) -> Result<Video, Error> {
        let mut tx = self.db.begin().await?;
        let video = self.draft_in(tx.conn(), caller, draft).await?;
        tx.commit().await?;
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
            trim_start_ms: 0,
            trim_end_ms: None,
            preview: 0,
            created_at: now,
            updated_at: now,
        };
        check_video(&video)?;
        video::insert(conn.again(), &video).await?;
        search::index(conn, video.id, &video.topic, &searchable(&video)).await?;
        Ok(video)
    }

    /// Changes what is said of a video.
    pub async fn change_video(
        &self,
        caller: Caller,
        id: VideoId,
        change: VideoChange,
    ) -> Result<Video, Error> {
        let mut tx = self.db.begin().await?;
        let mut video = owned(tx.conn(), caller, id).await?;
        if let Some(slug) = change.topic {
            let topic = topic::find(tx.conn(), &slug).await?.ok_or(Error::UnknownTopic(slug))?;
            (video.topic_id, video.topic) = (topic.id, topic.slug);
        }
        video.title = change.title.map_or(video.title, Json);
        video.description = change.description.map_or(video.description, Json);
        video.language = change.language.unwrap_or(video.language);
        video.poster_alt = change.poster_alt.map_or(video.poster_alt, Json);
        if let Some(trim) = change.trim {
            check_trim(trim)?;
            (video.trim_start_ms, video.trim_end_ms) = (trim.start_ms, trim.end_ms);
        }
        video.updated_at = self.clock.now();
        check_video(&video)?;
        video::update(tx.conn(), &video).await?;
        search::index(tx.conn(), id, &video.topic, &searchable(&video)).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(video)
    }

    /// Shows a video to everybody, from now on.
    pub async fn publish(&self, caller: Caller, id: VideoId) -> Result<Video, Error> {
        let now = self.clock.now();
        self.move_video(caller, id, |video| {
            video.published_at =
                video.published_at.filter(|_| video.state == VideoState::Published).or(Some(now));
            video.state = VideoState::Published;
            video.withdrawn_reason = None;
            Ok(())
        })
        .await
    }

    /// Takes a published video back, with a reason that everybody may read.
    pub async fn withdraw(&self, caller: Caller, id: VideoId, reason: Texts) -> Result<Video, Error> {
        check_texts("reason", &reason, MAX_NAME_CHARS)?;
        self.move_video(caller, id, |video| {
            if video.state == VideoState::Draft {
                return Err(Error::Move { from: video.state, to: VideoState::Withdrawn });
            }
            video.state = VideoState::Withdrawn;
            video.withdrawn_reason = Some(Json(reason));
            Ok(())
        })
        .await
    }

    async fn move_video(
        &self,
        caller: Caller,
        id: VideoId,
        change: impl FnOnce(&mut Video) -> Result<(), Error>,
    ) -> Result<Video, Error> {
        let mut tx = self.db.begin().await?;
        let mut video = owned(tx.conn(), caller, id).await?;
        change(&mut video)?;
        video.updated_at = self.clock.now();
        video::update(tx.conn(), &video).await?;
        if video.state == VideoState::Withdrawn {
            self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        }
        tx.commit().await?;
        self.changes.tell(id);
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
    pub async fn delete_video(&self, caller: Caller, id: VideoId) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let video = owned(tx.conn(), caller, id).await?;
        video::delete(tx.conn(), id, now).await?;
        for row in job::list_of_video(tx.conn(), id).await? {
            job::cancel(tx.conn(), row.id, now).await?;
        }
        job::enqueue(tx.conn(), &Job::Purge { video: id }, Some(video.account_id), now).await?;
        self.invalidate(tx.conn(), CacheTag::Video(id)).await?;
        tx.commit().await?;
        self.changes.tell(id);
        Ok(())
    }
}

/// The video, where the caller may touch it; to everybody else it isn't there.
pub(super) async fn owned(conn: Conn<'_>, caller: Caller, id: VideoId) -> Result<Video, Error> {
    let video = video::find(conn, id).await?;
    video.filter(|video| caller.covers(video.account_id)).ok_or(Error::NotFound("video"))
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

fn searchable(video: &Video) -> String {
    let texts = video.title.0.0.values().chain(video.description.0.0.values());
    texts
        .map(String::as_str)
        .chain([video.account.as_str(), video.topic.as_str()])
        .collect::<Vec<_>>()
        .join(" ")
}
