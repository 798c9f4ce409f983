//! The table of videos.

use sqlx::types::Json;

use super::{Conn, Error, Page, on};
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::video::VideoState;
use crate::domain::{AccountId, Language, Refusal, Texts, Timestamp, TopicId, UploadId, VideoId};

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
    pub media_state: MediaState,
    pub error: Option<Json<Refusal>>,
    /// The revision that plays.
    pub revision: Option<i64>,
    /// The newest source.
    pub upload_id: Option<UploadId>,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select v.id, v.account_id, a.handle as account, v.topic_id, t.slug as topic, v.title, v.description,
             v.language, v.state, v.published_at, v.withdrawn_reason, v.poster_alt, v.media_state, v.error,
             v.revision, v.upload_id, v.created_at, v.updated_at
             from video v join account a on a.id = v.account_id join topic t on t.id = v.topic_id ",
            $rest
        )
    };
}

const SELECT: &str = select!("where v.id = $1 and v.deleted_at is null");
const LIST: &str = select!(
    "where v.deleted_at is null
       and v.id < coalesce($1, 'g')
       and (v.account_id = $2 or $2 is null)
       and (a.handle = $3 or $3 is null)
       and (t.slug = $4 or t.slug like $5 or $4 is null)
       and (v.state = $6 or v.media_state = $6 or $6 is null)
       and ($7 = false or v.state = 'published' or v.account_id = $13)
       and (exists (select 1 from video_token k where k.video_id = v.id and k.token = $8) or $8 is null)
       and (exists (select 1 from video_token k where k.video_id = v.id and k.token = $9) or $9 is null)
       and (exists (select 1 from video_token k where k.video_id = v.id and k.token = $10) or $10 is null)
       and (exists (select 1 from video_token k where k.video_id = v.id and k.token = $11) or $11 is null)
     order by v.id desc limit $12"
);
const INSERT: &str =
    "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt,
    media_state, created_at, updated_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)";
const UPDATE: &str = "update video set topic_id = $2, title = $3, description = $4, language = $5, state = $6,
    published_at = $7, withdrawn_reason = $8, poster_alt = $9, updated_at = $10 where id = $1 and deleted_at is null";
const SET_MEDIA: &str = "update video set media_state = $2, error = $3, updated_at = $4 where id = $1";
const SET_REVISION: &str = "update video set revision = $2, updated_at = $3 where id = $1";
const TAKE_BACK: &str = "update video set revision = null, updated_at = $3 where id = $1 and revision = $2";
const SET_SOURCE: &str = "update video set upload_id = $2, updated_at = $3 where id = $1";
const TOUCH: &str = "update video set updated_at = $2 where id = $1";
const DELETE: &str = "update video set deleted_at = $2, state = 'withdrawn', updated_at = $2
    where id = $1 and deleted_at is null";
const PURGE: &str = "delete from video where id = $1 and deleted_at is not null";
const EXISTS: &str = "select count(*) from video where id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    LIST,
    INSERT,
    UPDATE,
    SET_MEDIA,
    SET_REVISION,
    TAKE_BACK,
    SET_SOURCE,
    TOUCH,
    DELETE,
    PURGE,
    EXISTS,
];

/// What a list of videos is narrowed by.
#[derive(Debug, Default)]
pub struct Filter {
    /// Only what this account owns.
    pub owner: Option<AccountId>,
    pub account: Option<Handle>,
    /// This topic and all below it.
    pub topic: Option<Slug>,
    /// A word of either `VideoState` or `MediaState`.
    pub state: Option<String>,
    pub published_only: bool,
    /// With `published_only`: also all of this account.
    pub or_owner: Option<AccountId>,
    /// Tokens that must all be there; the first four count.
    pub tokens: Vec<String>,
    pub cursor: Option<VideoId>,
    pub limit: u32,
}

/// The video of an id; `None` also once it is deleted.
pub async fn find(conn: Conn<'_>, id: VideoId) -> Result<Option<Video>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// A page of videos, newest first.
pub async fn list(conn: Conn<'_>, filter: &Filter) -> Result<Page<Video>, Error> {
    let below = filter.topic.as_ref().map(|slug| format!("{slug}/%"));
    let rows: Vec<Video> = on!(conn, c => sqlx::query_as(LIST)
        .bind(filter.cursor)
        .bind(filter.owner)
        .bind(&filter.account)
        .bind(&filter.topic)
        .bind(below)
        .bind(filter.state.as_deref())
        .bind(filter.published_only)
        .bind(filter.tokens.first())
        .bind(filter.tokens.get(1))
        .bind(filter.tokens.get(2))
        .bind(filter.tokens.get(3))
        .bind(i64::from(filter.limit) + 1)
        .bind(filter.or_owner)
        .fetch_all(c)
        .await?);
    Ok(Page::of(rows, filter.limit, |video| video.id.to_string()))
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

/// Writes what people may change of a video.
pub async fn update(conn: Conn<'_>, video: &Video) -> Result<(), Error> {
    on!(conn, c => sqlx::query(UPDATE)
        .bind(video.id)
        .bind(video.topic_id)
        .bind(&video.title)
        .bind(&video.description)
        .bind(&video.language)
        .bind(video.state)
        .bind(video.published_at)
        .bind(&video.withdrawn_reason)
        .bind(&video.poster_alt)
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

/// Locks the row to the end of the transaction, so that two finishing steps of one video go one after the other.
pub async fn lock(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(TOUCH).bind(id).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Hides a video for good; its objects go by a job.
pub async fn delete(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(DELETE).bind(id).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
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
