//! The table of packs: objects of consecutive segments.

use sqlx::types::Json;

use super::{Conn, Error, on};
use crate::domain::media::Segment;
use crate::domain::{Nonce, Timestamp, VideoId};

/// One immutable object of consecutive segments of a rung.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Pack {
    pub rung: String,
    pub first_segment: i64,
    /// The attempt that wrote it, part of its key.
    pub attempt: i64,
    pub size_bytes: i64,
    pub segments: Json<Vec<Segment>>,
    /// Which initialisation segment it goes with; another one only in a recording whose encoder changed.
    pub init: i64,
    /// What comes before it does not lead up to it (RFC 8216 4.3.2.3).
    pub discontinuity: bool,
    /// When its first picture was taken, in a recording.
    pub shown_at: Option<Timestamp>,
    /// In the name of its object, and of its initialisation segment's.
    pub nonce: Option<Nonce>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select rung, first_segment, attempt, size_bytes, segments, init, discontinuity, shown_at, nonce from pack p ",
            $rest
        )
    };
}

const LIST: &str = select!(
    "where video_id = $1 and revision = $2 and (rung = $3 or $3 is null) order by rung, first_segment"
);
const SELECT: &str = select!("where video_id = $1 and revision = $2 and rung = $3 and first_segment = $4");
const LIST_LAST: &str = select!(
    "where video_id = $1 and revision = $2 and first_segment = (select max(l.first_segment) from pack l
      where l.video_id = p.video_id and l.revision = p.revision and l.rung = p.rung)"
);
const SIZES: &str = "select rung, cast(sum(size_bytes) as bigint) from pack
    where video_id = $1 and revision = $2 group by rung";
const INSERT: &str =
    "insert into pack (video_id, revision, rung, first_segment, attempt, size_bytes, segments, init, discontinuity, shown_at, nonce)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) on conflict do nothing";
const SET_NONCE: &str = "update pack set nonce = $5
    where video_id = $1 and revision = $2 and rung = $3 and first_segment = $4";
const CUT: &str = "delete from pack where video_id = $1 and revision = $2 and first_segment >= $3";
const SIZE: &str = "select cast(coalesce(sum(size_bytes), 0) as bigint) from pack where video_id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[LIST, SELECT, LIST_LAST, SIZES, INSERT, SET_NONCE, CUT, SIZE];

/// The packs of a revision, or of one of its rungs, in order.
pub async fn list(
    conn: Conn<'_>,
    (video, revision): (VideoId, u32),
    rung: Option<&str>,
) -> Result<Vec<Pack>, Error> {
    Ok(
        on!(conn, c => sqlx::query_as(LIST).bind(video).bind(i64::from(revision)).bind(rung).fetch_all(c).await?),
    )
}

/// The pack that begins with this segment.
pub async fn find(
    conn: Conn<'_>,
    (video, revision): (VideoId, u32),
    rung: &str,
    first_segment: u32,
) -> Result<Option<Pack>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT)
        .bind(video)
        .bind(i64::from(revision))
        .bind(rung)
        .bind(i64::from(first_segment))
        .fetch_optional(c)
        .await?))
}

/// The last pack of each rung, which says how far the rung goes.
pub async fn list_last(conn: Conn<'_>, (video, revision): (VideoId, u32)) -> Result<Vec<Pack>, Error> {
    let revision = i64::from(revision);
    Ok(on!(conn, c => sqlx::query_as(LIST_LAST).bind(video).bind(revision).fetch_all(c).await?))
}

/// Bytes of each rung.
pub async fn list_sizes(
    conn: Conn<'_>,
    (video, revision): (VideoId, u32),
) -> Result<Vec<(String, i64)>, Error> {
    let revision = i64::from(revision);
    Ok(on!(conn, c => sqlx::query_as(SIZES).bind(video).bind(revision).fetch_all(c).await?))
}

/// Adds a pack; false where an earlier attempt had stored these segments already.
pub async fn insert(conn: Conn<'_>, (video, revision): (VideoId, u32), pack: &Pack) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(INSERT)
        .bind(video)
        .bind(i64::from(revision))
        .bind(&pack.rung)
        .bind(pack.first_segment)
        .bind(pack.attempt)
        .bind(pack.size_bytes)
        .bind(&pack.segments)
        .bind(pack.init)
        .bind(pack.discontinuity)
        .bind(pack.shown_at)
        .bind(pack.nonce)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// The pack's object has this nonce in its name now.
pub async fn set_nonce(conn: Conn<'_>, (video, revision): (VideoId, u32), pack: &Pack) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_NONCE)
        .bind(video)
        .bind(i64::from(revision))
        .bind(&pack.rung)
        .bind(pack.first_segment)
        .bind(pack.nonce)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Drops the rows from this segment on, in every rung.
pub async fn cut(conn: Conn<'_>, (video, revision): (VideoId, u32), first: i64) -> Result<(), Error> {
    let revision = i64::from(revision);
    on!(conn, c => sqlx::query(CUT).bind(video).bind(revision).bind(first).execute(c).await.map(drop)?);
    Ok(())
}

/// Bytes of all packs of a video.
pub async fn stored_bytes(conn: Conn<'_>, video: VideoId) -> Result<i64, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(SIZE).bind(video).fetch_one(c).await?))
}
