//! The table of videos.

mod changes;

use sqlx::types::Json;

use super::revision::Still;
pub use super::video_list::{Filter, Sight, list};
use super::{Conn, Error, on};
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::trim::Trim;
use crate::domain::video::{PosterState, VideoState};
use crate::domain::{AccountId, Language, PosterId, Refusal, Texts, Timestamp, TopicId, UploadId, VideoId};

pub(super) use changes::STATEMENTS as CHANGES;
pub use changes::{
    Changed, Moved, change, delete, hide_poster, raise_version, refuse_poster, remove_poster, rename_poster,
    set_poster, set_poster_upload, set_state,
};

/// A video, with the words for its account and topic.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Video {
    pub id: VideoId,
    pub account_id: AccountId,
    pub account: Handle,
    pub topic_id: TopicId,
    pub topic: Slug,
    pub title: Json<Texts>,
    pub description: Json<Texts>,
    pub language: Language,
    pub state: VideoState,
    pub published_at: Option<Timestamp>,
    pub withdrawn_reason: Option<Json<Texts>>,
    pub poster_alt: Json<Texts>,
    /// The uploaded picture that is shown in place of a revision's.
    pub poster: Option<Json<Poster>>,
    /// The one that is to take its place; with an error it never does.
    pub poster_upload: Option<PosterId>,
    pub poster_error: Option<Json<Refusal>>,
    pub media_state: MediaState,
    pub error: Option<Json<Refusal>>,
    /// The revision that plays.
    pub revision: Option<i64>,
    /// The newest source.
    pub upload_id: Option<UploadId>,
    /// The latest source, where it was refused and what was there before plays on.
    pub source_refused: Option<Json<SourceRefused>>,
    /// What is shown begins here, in milliseconds, and ends there; `None`: at the end.
    pub trim_start_ms: i64,
    pub trim_end_ms: Option<i64>,
    /// How often the links to it while it isn't public were called back.
    pub preview: i64,
    /// Raised by every change that people make.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Video {
    /// About what it takes in memory.
    pub fn bytes(&self) -> usize {
        let texts =
            [&self.title, &self.description, &self.poster_alt].into_iter().chain(&self.withdrawn_reason);
        size_of::<Self>() + texts.flat_map(|texts| texts.0.0.values()).map(String::len).sum::<usize>()
    }

    /// What of it is shown; `None`: all.
    pub fn trim(&self) -> Option<Trim> {
        let trim = Trim { start_ms: self.trim_start_ms, end_ms: self.trim_end_ms };
        (trim != Trim::default()).then_some(trim)
    }

    /// What has become of the picture uploaded last; `None` where there is none.
    pub fn poster_state(&self) -> Option<PosterState> {
        match (self.poster_upload, &self.poster_error) {
            (Some(_), None) => Some(PosterState::Processing),
            (Some(_), Some(_)) => Some(PosterState::Refused),
            (None, _) => self.poster.as_ref().map(|_| PosterState::Ready),
        }
    }
}

/// An uploaded picture that is in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Poster {
    pub id: PosterId,
    #[serde(flatten)]
    pub still: Still,
}

/// A source that came and is not played.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SourceRefused {
    pub upload: UploadId,
    pub filename: String,
    pub received_at: Option<Timestamp>,
    pub error: Refusal,
}

macro_rules! select {
    ($($rest:expr),+) => {
        concat!(
            "select v.id, v.account_id, (select a.handle from account a where a.id = v.account_id) as account,
             v.topic_id, (select t.slug from topic t where t.id = v.topic_id) as topic, v.title, v.description,
             v.language, v.state, v.published_at, v.withdrawn_reason, v.poster_alt, v.poster, v.poster_upload,
             v.poster_error, v.media_state, v.error, v.revision, v.upload_id, v.source_refused, v.trim_start_ms,
             v.trim_end_ms, v.preview, v.version, v.created_at, v.updated_at from ",
            $($rest),+
        )
    };
}

pub(super) use select;

/// What every list selects, of the videos that are to be named after it.
pub(super) const COLUMNS: &str = select!("");
const SELECT: &str = select!("video v where v.id = $1 and v.deleted_at is null");
const INSERT: &str =
    "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt,
    media_state, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const SET_MEDIA: &str = "update video set media_state = $2, error = $3, updated_at = $4 where id = $1";
const SET_REVISION: &str = "update video set revision = $2, updated_at = $3 where id = $1";
const TAKE_BACK: &str = "update video set revision = null, updated_at = $3 where id = $1 and revision = $2";
const SET_SOURCE: &str = "update video set upload_id = $2, updated_at = $3 where id = $1";
const CALL_BACK: &str = "update video set preview = preview + 1 where id = $1 and deleted_at is null";
const SET_SOURCE_REFUSED: &str = "update video set source_refused = $2, updated_at = $3 where id = $1";
const TOUCH: &str = "update video set updated_at = $2 where id = $1";
const PURGE: &str = "delete from video where id = $1 and deleted_at is not null";
const EXISTS: &str = "select count(*) from video where id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    INSERT,
    SET_MEDIA,
    SET_REVISION,
    TAKE_BACK,
    SET_SOURCE,
    CALL_BACK,
    SET_SOURCE_REFUSED,
    TOUCH,
    PURGE,
    EXISTS,
];

/// The video of an id; `None` also once it is deleted.
pub async fn find(conn: Conn<'_>, id: VideoId) -> Result<Option<Video>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// Counts one more calling back of its links.
pub async fn call_back(conn: Conn<'_>, id: VideoId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(CALL_BACK).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// Adds a video.
pub async fn insert(conn: Conn<'_>, video: &Video) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(video.id)
        .bind(video.account_id)
        .bind(video.topic_id)
        .bind(&video.title)
        .bind(&video.description)
        .bind(&video.language)
        .bind(video.state)
        .bind(&video.poster_alt)
        .bind(video.media_state)
        .bind(video.created_at)
        .bind(video.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// How far the media is, and what is wrong with it.
pub async fn set_media(
    conn: Conn<'_>,
    id: VideoId,
    (state, error): (MediaState, Option<&Refusal>),
    now: Timestamp,
) -> Result<(), Error> {
    let error = error.map(Json);
    on!(conn, c => sqlx::query(SET_MEDIA).bind(id).bind(state).bind(error).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Which revision plays: the one row that switches a video over.
pub async fn set_revision(conn: Conn<'_>, id: VideoId, revision: u32, now: Timestamp) -> Result<(), Error> {
    let revision = i64::from(revision);
    on!(conn, c => sqlx::query(SET_REVISION).bind(id).bind(revision).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Lets a video play nothing, where it plays this revision.
pub async fn take_back(conn: Conn<'_>, id: VideoId, revision: u32, now: Timestamp) -> Result<(), Error> {
    let revision = i64::from(revision);
    on!(conn, c => sqlx::query(TAKE_BACK).bind(id).bind(revision).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Which upload is the source.
pub async fn set_source(conn: Conn<'_>, id: VideoId, upload: UploadId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_SOURCE).bind(id).bind(upload).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Why the latest source is not played; `None`: it is not refused.
pub async fn set_source_refused(
    conn: Conn<'_>,
    id: VideoId,
    refused: Option<&SourceRefused>,
    now: Timestamp,
) -> Result<(), Error> {
    let refused = refused.map(Json);
    on!(conn, c => sqlx::query(SET_SOURCE_REFUSED).bind(id).bind(refused).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Locks the row to the end of the transaction, so that two finishing steps of one video go one after the other.
pub async fn lock(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(TOUCH).bind(id).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Drops the row of a deleted video and all that hangs on it.
pub async fn purge(conn: Conn<'_>, id: VideoId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(PURGE).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// A row is there, deleted or not.
pub async fn exists(conn: Conn<'_>, id: VideoId) -> Result<bool, Error> {
    let rows: i64 = on!(conn, c => sqlx::query_scalar(EXISTS).bind(id).fetch_one(c).await?);
    Ok(rows > 0)
}
