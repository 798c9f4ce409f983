//! What the bucket should have, and what an account should count, by rows: a span at a time, for `fsck`.

use sqlx::types::Json;

use super::revision::Still;
use super::video::Poster;
use super::{Conn, Error, account, on};
use crate::domain::account::Handle;
use crate::domain::upload::UploadState;
use crate::domain::{AccountId, Nonce, PosterId, UploadId, VideoId};

/// Videos whose ids come after one, up to another and with it; `None` is where all begin or end.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub after: Option<VideoId>,
    pub to: Option<VideoId>,
}

/// What a video's own row says of the bucket.
#[derive(Debug, sqlx::FromRow)]
pub struct VideoRow {
    pub id: VideoId,
    pub deleted: bool,
    pub poster: Option<Json<Poster>>,
    pub poster_upload: Option<PosterId>,
    /// The uploaded picture can't be shown, and is gone.
    pub poster_refused: bool,
}

/// A source, in the bucket or on its way.
#[derive(Debug, sqlx::FromRow)]
pub struct Source {
    pub id: UploadId,
    pub video_id: VideoId,
    pub state: UploadState,
    pub received: i64,
    pub sha256: Option<String>,
}

/// A revision and the pictures it has.
#[derive(Debug, sqlx::FromRow)]
pub struct Revision {
    pub video_id: VideoId,
    pub number: i64,
    pub nonce: Option<Nonce>,
    pub poster: Option<Json<Still>>,
    pub storyboard: Option<Json<Still>>,
}

/// A pack, without its segments.
#[derive(Debug, sqlx::FromRow)]
pub struct Pack {
    pub video_id: VideoId,
    pub revision: i64,
    pub rung: String,
    pub first_segment: i64,
    pub attempt: i64,
    pub init: i64,
    pub nonce: Option<Nonce>,
}

/// What an account says that it keeps, and what its uploads come to.
#[derive(Debug, sqlx::FromRow)]
pub struct Usage {
    pub id: AccountId,
    pub handle: Handle,
    pub used_bytes: i64,
    pub counted: i64,
}

/// Every row of a span.
#[derive(Debug)]
pub struct Inventory {
    pub videos: Vec<VideoRow>,
    pub sources: Vec<Source>,
    pub revisions: Vec<Revision>,
    pub packs: Vec<Pack>,
}

const NEXT: &str = "select id from video where id > coalesce($1, '') order by id limit 1 offset $2";
const VIDEOS: &str = "select id, deleted_at is not null as deleted, poster, poster_upload,
    poster_error is not null as poster_refused
    from video where id > coalesce($1, '') and id <= coalesce($2, 'g')";
const SOURCES: &str = "select id, video_id, state, received, sha256 from upload
    where video_id > coalesce($1, '') and video_id <= coalesce($2, 'g') and state <> 'abandoned'";
const REVISIONS: &str = "select video_id, number, nonce, poster, storyboard from revision
    where video_id > coalesce($1, '') and video_id <= coalesce($2, 'g')";
const PACKS: &str = "select video_id, revision, rung, first_segment, attempt, init, nonce from pack
    where video_id > coalesce($1, '') and video_id <= coalesce($2, 'g')";
/// As `Upload::counted` counts.
macro_rules! usage {
    ($rest:literal) => {
        concat!(
            "select a.id, a.handle, a.used_bytes, (select cast(coalesce(sum(case u.state when 'abandoned' then 0
               when 'finished' then coalesce(u.reserved, u.received)
               else coalesce(u.reserved, case when u.length > u.received then u.length else u.received end) end), 0)
               as bigint) from upload u where u.account_id = a.id) as counted from account a ",
            $rest
        )
    };
}

const USAGES: &str = usage!("where a.id > coalesce($1, '') order by a.id limit $2");
const USAGE: &str = usage!("where a.id = $1");

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[NEXT, VIDEOS, SOURCES, REVISIONS, PACKS, USAGES, USAGE];

/// The last video of the span of `count` after this one; `None` where fewer are left. Deleted ones count too.
pub async fn span_end(conn: Conn<'_>, after: Option<VideoId>, count: u32) -> Result<Option<VideoId>, Error> {
    let offset = i64::from(count.max(1)) - 1;
    Ok(on!(conn, c => sqlx::query_scalar(NEXT)
        .persistent(false)
        .bind(after)
        .bind(offset)
        .fetch_optional(c)
        .await?))
}

/// The rows of a span. A generic plan would read the whole table.
pub async fn list(mut conn: Conn<'_>, Span { after, to }: Span) -> Result<Inventory, Error> {
    Ok(Inventory {
        videos: on!(conn.again(), c => sqlx::query_as(VIDEOS).persistent(false).bind(after).bind(to).fetch_all(c).await?),
        sources: on!(conn.again(), c => sqlx::query_as(SOURCES).persistent(false).bind(after).bind(to).fetch_all(c).await?),
        revisions: on!(conn.again(), c => sqlx::query_as(REVISIONS).persistent(false).bind(after).bind(to).fetch_all(c).await?),
        packs: on!(conn, c => sqlx::query_as(PACKS).persistent(false).bind(after).bind(to).fetch_all(c).await?),
    })
}

/// What accounts count, by id, after this one.
pub async fn list_usages(conn: Conn<'_>, after: Option<AccountId>, limit: u32) -> Result<Vec<Usage>, Error> {
    Ok(on!(conn, c => sqlx::query_as(USAGES).bind(after).bind(i64::from(limit)).fetch_all(c).await?))
}

/// What one account counts. Its row is locked first, so that the sum and its uploads are of the same moment.
pub async fn lock_usage(mut conn: Conn<'_>, id: AccountId) -> Result<Option<Usage>, Error> {
    account::count(conn.again(), id, 0).await?;
    Ok(on!(conn, c => sqlx::query_as(USAGE).bind(id).fetch_optional(c).await?))
}
