//! What people change of a video, each statement writing nothing else, and its picture.

use sqlx::types::Json;

use super::super::{Conn, Error, on};
use super::Poster;
use crate::domain::trim::Trim;
use crate::domain::video::VideoState;
use crate::domain::{Language, PosterId, Refusal, Texts, Timestamp, TopicId, VideoId};

/// What people change of a video; `None` stays as it is.
#[derive(Debug, Default)]
pub struct Changed {
    pub topic: Option<TopicId>,
    pub title: Option<Texts>,
    pub description: Option<Texts>,
    pub language: Option<Language>,
    pub poster_alt: Option<Texts>,
    pub trim: Option<Trim>,
}

/// Who may see a video from now on.
#[derive(Debug)]
pub struct Moved {
    pub state: VideoState,
    pub published_at: Option<Timestamp>,
    pub withdrawn_reason: Option<Texts>,
}

const CHANGE: &str = "update video set topic_id = coalesce($2, topic_id), title = coalesce($3, title),
    description = coalesce($4, description), language = coalesce($5, language),
    poster_alt = coalesce($6, poster_alt), trim_start_ms = coalesce($7, trim_start_ms),
    trim_end_ms = case when $7 is null then trim_end_ms else $8 end, version = version + 1, updated_at = $9
    where id = $1 and deleted_at is null";
const MOVE: &str = "update video set state = $2, published_at = $3, withdrawn_reason = $4,
    version = version + 1, updated_at = $5 where id = $1 and deleted_at is null";
const RAISE_VERSION: &str = "update video set version = version + 1 where id = $1";
const SET_POSTER_UPLOAD: &str =
    "update video set poster_upload = $2, poster_error = null, version = version + 1,
    updated_at = $3 where id = $1 and deleted_at is null";
const SET_POSTER: &str =
    "update video set poster = $3, poster_upload = null, poster_error = null, updated_at = $4
    where id = $1 and poster_upload = $2 and deleted_at is null";
const REFUSE_POSTER: &str =
    "update video set poster_error = $3, updated_at = $4 where id = $1 and poster_upload = $2";
const HIDE_POSTER: &str = "update video set poster = null, updated_at = $2 where id = $1";
const RENAME_POSTER: &str = "update video set poster = $2 where id = $1";
const REMOVE_POSTER: &str = "update video set poster = null, poster_upload = null, poster_error = null,
    version = version + 1, updated_at = $2 where id = $1";
// The state is none that anybody may ask for: no list goes past it.
const DELETE: &str = "update video set deleted_at = $2, state = 'deleted', updated_at = $2
    where id = $1 and deleted_at is null";

/// Every statement, to be prepared as a check of the schema.
pub const STATEMENTS: &[&str] = &[
    CHANGE,
    MOVE,
    RAISE_VERSION,
    SET_POSTER_UPLOAD,
    SET_POSTER,
    REFUSE_POSTER,
    HIDE_POSTER,
    RENAME_POSTER,
    REMOVE_POSTER,
    DELETE,
];

/// Writes what is changed of a video, and nothing else.
pub async fn change(conn: Conn<'_>, id: VideoId, changed: &Changed, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(CHANGE)
        .bind(id)
        .bind(changed.topic)
        .bind(changed.title.as_ref().map(Json))
        .bind(changed.description.as_ref().map(Json))
        .bind(&changed.language)
        .bind(changed.poster_alt.as_ref().map(Json))
        .bind(changed.trim.map(|trim| trim.start_ms))
        .bind(changed.trim.and_then(|trim| trim.end_ms))
        .bind(now)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Publishes or withdraws a video.
pub async fn set_state(conn: Conn<'_>, id: VideoId, moved: &Moved, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(MOVE)
        .bind(id)
        .bind(moved.state)
        .bind(moved.published_at)
        .bind(moved.withdrawn_reason.as_ref().map(Json))
        .bind(now)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// People changed what plays.
pub async fn raise_version(conn: Conn<'_>, id: VideoId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(RAISE_VERSION).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// Which picture is to stand for a video, once it is made fit.
pub async fn set_poster_upload(
    conn: Conn<'_>,
    id: VideoId,
    poster: PosterId,
    now: Timestamp,
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_POSTER_UPLOAD).bind(id).bind(poster).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Shows a picture, where no newer one was uploaded meanwhile.
pub async fn set_poster(conn: Conn<'_>, id: VideoId, poster: &Poster, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(SET_POSTER)
        .bind(id)
        .bind(poster.id)
        .bind(Json(poster))
        .bind(now)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Says why a picture can't be shown, where no newer one was uploaded meanwhile.
pub async fn refuse_poster(
    conn: Conn<'_>,
    (id, poster): (VideoId, PosterId),
    refusal: &Refusal,
    now: Timestamp,
) -> Result<(), Error> {
    let refusal = Json(refusal);
    on!(conn, c => sqlx::query(REFUSE_POSTER).bind(id).bind(poster).bind(refusal).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Shows the uploaded picture no more; one that is to take its place stays.
pub async fn hide_poster(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(HIDE_POSTER).bind(id).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// The picture that is shown has another name.
pub async fn rename_poster(conn: Conn<'_>, id: VideoId, poster: &Poster) -> Result<(), Error> {
    on!(conn, c => sqlx::query(RENAME_POSTER).bind(id).bind(Json(poster)).execute(c).await.map(drop)?);
    Ok(())
}

/// Forgets every uploaded picture of a video.
pub async fn remove_poster(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(REMOVE_POSTER).bind(id).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Hides a video for good; its objects go by a job.
pub async fn delete(conn: Conn<'_>, id: VideoId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(DELETE).bind(id).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
}
