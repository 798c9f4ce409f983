//! The tables of uploads and their parts.

use std::collections::BTreeMap;

use sqlx::types::Json;

use super::{Conn, Error, on};
use crate::domain::upload::{Concat, Door, UploadState};
use crate::domain::{AccountId, KeyId, Timestamp, UploadId, VideoId};

/// An upload: while it is open the bytes that are durable, later the finished source.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Upload {
    pub id: UploadId,
    /// `None` for a partial upload of a concatenation, which belongs to a key only.
    pub video_id: Option<VideoId>,
    pub account_id: Option<AccountId>,
    pub api_key_id: KeyId,
    pub door: Door,
    pub concat: Concat,
    /// What a final upload is put together from, in order.
    pub partials: Json<Vec<UploadId>>,
    /// Bytes it will have; `None` while deferred.
    pub length: Option<i64>,
    /// Bytes that are durable and acknowledged.
    pub received: i64,
    /// Bytes of every part but the last.
    pub part_size: i64,
    /// Of `received`, the bytes after the last whole part, kept in an object of their own.
    pub tail: i64,
    pub multipart: Option<String>,
    /// Bytes it counts for in its account, where its own don't say: what was promised before it came.
    pub reserved: Option<i64>,
    /// The running SHA-256 after `received` bytes, serialised.
    pub hash_state: Option<String>,
    pub sha256: Option<String>,
    /// Goes up with every writer; an older one can't write any more.
    pub fence: i64,
    pub state: UploadState,
    pub filename: String,
    pub metadata: Json<BTreeMap<String, String>>,
    pub created_at: Timestamp,
    pub expires_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

impl Upload {
    /// Every byte that was declared is durable; of presigned parts only their client knows.
    pub fn is_whole(&self) -> bool {
        self.length == Some(self.received) && self.door != Door::Parts
    }

    /// Bytes it counts for in its account.
    pub fn counted(&self) -> i64 {
        match self.state {
            UploadState::Abandoned => 0,
            UploadState::Finished => self.reserved.unwrap_or(self.received),
            UploadState::Open | UploadState::Finishing => {
                self.reserved.unwrap_or(self.received.max(self.length.unwrap_or(0)))
            }
        }
    }
}

/// A part that S3 has.
#[derive(Debug, Clone, PartialEq, Eq, sqlx::FromRow)]
pub struct Part {
    pub number: i64,
    pub size_bytes: i64,
    pub etag: String,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, video_id, account_id, api_key_id, door, concat, partials, length, received, part_size, tail,
             multipart, reserved, hash_state, sha256, fence, state, filename, metadata, created_at, expires_at, finished_at
             from upload ",
            $rest
        )
    };
}

const SELECT: &str = select!("where id = $1");
const LIST_OF_VIDEO: &str = select!("where video_id = $1 order by id");
const LOCK: &str = "update upload set fence = fence where id = $1";
const LOCK_OF_VIDEO: &str = "update upload set fence = fence where video_id = $1";
const LIST_EXPIRED: &str = select!(
    "where (state = 'open' or (concat = 'partial' and state = 'finished')) and expires_at < $1
     and (expires_at, id) > ($2, $3) order by expires_at, id limit 100"
);
const LIST_WHOLE: &str = select!(
    "where state = 'open' and received = length and door <> 'parts' and id > coalesce($1, '') order by id limit 100"
);
const LIST_LEFT: &str = select!("where sweep_at <= $1 order by sweep_at limit 100");
const PARTIALS_IN_USE: &str = "select partials from upload where concat = 'final' and state = 'finishing'";
const LIST_FINISHED: &str =
    select!("where state = 'finished' and id > coalesce($1, '') order by id limit $2");
const INSERT: &str =
    "insert into upload (id, video_id, account_id, api_key_id, door, concat, partials, length,
    received, part_size, tail, fence, state, filename, metadata, created_at, expires_at, reserved)
    values ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, 0, 0, $10, $11, $12, $13, $14, $15)";
const ACQUIRE: &str = "update upload set fence = fence + 1, expires_at = $2 where id = $1 and state = 'open'";
const ADVANCE: &str =
    "update upload set received = $3, tail = $4, multipart = $5, hash_state = $6, expires_at = $7, state = $8
    where id = $1 and fence = $2 and state = 'open'";
const SET_LENGTH: &str = "update upload set length = $2, part_size = $3
    where id = $1 and length is null and state = 'open'";
const SET_MULTIPART: &str = "update upload set multipart = $2, length = $3, part_size = $4, expires_at = $5
    where id = $1 and state = 'open' and multipart is null";
const SET_RESERVED: &str = "update upload set reserved = $2 where id = $1";
const CLOSE: &str = "update upload set state = 'finishing', received = coalesce($2, received)
    where id = $1 and state = 'open'";
const REOPEN: &str =
    "update upload set state = 'open', received = 0, expires_at = $2 where id = $1 and state = 'finishing'";
const FOLD_TAIL: &str = "update upload set tail = 0 where id = $1 and state = 'finishing'";
const KEEP: &str = "update upload set expires_at = $2 where id = $1 and expires_at < $2";
const ABANDON: &str = "update upload set state = 'abandoned', sweep_at = $2, reserved = null where id = $1
    and (state = 'open' or (state = 'finishing' and $3) or (concat = 'partial' and state = 'finished' and $3))";
const EXPIRE: &str = "update upload set state = 'abandoned', sweep_at = $2, reserved = null
    where id = $1 and expires_at < $2
      and ((state = 'open' and (coalesce(received < length, true) or door = 'parts')) or (concat = 'partial' and state = 'finished'))";
const CLAIM_SWEEP: &str = "update upload set sweep_at = $2 where id = $1 and sweep_at <= $3";
const SET_SWEEP: &str = "update upload set sweep_at = $2 where id = $1";
const DELETE_UNUSED: &str = "delete from upload where video_id = $1 and id <> $2 and door = 'parts'
    and state = 'open' and multipart is null and coalesce(reserved, 0) = 0";
const FINISH: &str =
    "update upload set state = 'finished', received = $2, length = $2, tail = 0, multipart = null,
    hash_state = null, sha256 = $3, finished_at = $4, reserved = $5, sweep_at = $4
    where id = $1 and state in ('open', 'finishing')";
const SET_SHA256: &str = "update upload set sha256 = $2 where id = $1 and sha256 is null";
const SAME: &str = "select u.video_id from upload u join video v on v.id = u.video_id
    where u.account_id = $1 and u.sha256 = $2 and u.state = 'finished' and u.video_id <> $3
      and v.deleted_at is null order by u.video_id limit 10";
const SET_SENDER: &str = "update upload set api_key_id = $2 where id = $1 and state in ('open', 'finishing')";
const DELETE: &str = "delete from upload where id = $1";
const DELETE_PARTS: &str = "delete from upload_part where upload_id = $1";
const PARTS: &str = "select number, size_bytes, etag from upload_part where upload_id = $1 order by number";
const INSERT_PART: &str =
    "insert into upload_part (upload_id, number, size_bytes, etag) values ($1, $2, $3, $4)
    on conflict (upload_id, number) do update set size_bytes = excluded.size_bytes, etag = excluded.etag";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    LIST_OF_VIDEO,
    LOCK,
    LOCK_OF_VIDEO,
    LIST_EXPIRED,
    LIST_WHOLE,
    LIST_LEFT,
    LIST_FINISHED,
    PARTIALS_IN_USE,
    INSERT,
    ACQUIRE,
    ADVANCE,
    SET_LENGTH,
    SET_MULTIPART,
    SET_RESERVED,
    CLOSE,
    REOPEN,
    FOLD_TAIL,
    KEEP,
    ABANDON,
    EXPIRE,
    CLAIM_SWEEP,
    SET_SWEEP,
    DELETE_UNUSED,
    FINISH,
    SET_SHA256,
    SAME,
    SET_SENDER,
    DELETE,
    PARTS,
    INSERT_PART,
    DELETE_PARTS,
];

/// The upload of an id.
pub async fn find(conn: Conn<'_>, id: UploadId) -> Result<Option<Upload>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// Every upload of a video, oldest first.
pub async fn list_of_video(conn: Conn<'_>, video: VideoId) -> Result<Vec<Upload>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_OF_VIDEO).bind(video).fetch_all(c).await?))
}

/// The upload of an id, locked to the end of the transaction. Where a transaction locks several rows, the order is
/// video, upload, account.
pub async fn lock(mut conn: Conn<'_>, id: UploadId) -> Result<Option<Upload>, Error> {
    on!(conn.again(), c => sqlx::query(LOCK).bind(id).execute(c).await.map(drop)?);
    find(conn, id).await
}

/// Open uploads and finished partials whose time is over, a hundred at a time, after this one.
pub async fn list_expired(
    conn: Conn<'_>,
    now: Timestamp,
    after: Option<&Upload>,
) -> Result<Vec<Upload>, Error> {
    let (at, id) = after.map_or((Timestamp(0), String::new()), |last| (last.expires_at, last.id.to_string()));
    Ok(on!(conn, c => sqlx::query_as(LIST_EXPIRED).bind(now).bind(at).bind(id).fetch_all(c).await?))
}

/// Open uploads whose bytes are all there, a hundred at a time, after this one.
pub async fn list_whole(conn: Conn<'_>, after: Option<UploadId>) -> Result<Vec<Upload>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_WHOLE).bind(after).fetch_all(c).await?))
}

/// Uploads that may have left something in the bucket, a hundred at a time.
pub async fn list_left(conn: Conn<'_>, now: Timestamp) -> Result<Vec<Upload>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_LEFT).bind(now).fetch_all(c).await?))
}

/// Every partial that a final upload is still to be put together from.
pub async fn list_partials_in_use(conn: Conn<'_>) -> Result<Vec<UploadId>, Error> {
    let finals: Vec<Json<Vec<UploadId>>> =
        on!(conn, c => sqlx::query_scalar(PARTIALS_IN_USE).fetch_all(c).await?);
    Ok(finals.into_iter().flat_map(|partials| partials.0).collect())
}

/// Finished uploads after this one, for `fsck`.
pub async fn list_finished(
    conn: Conn<'_>,
    after: Option<UploadId>,
    limit: u32,
) -> Result<Vec<Upload>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_FINISHED).bind(after).bind(i64::from(limit)).fetch_all(c).await?))
}

/// Adds an upload with nothing received.
pub async fn insert(conn: Conn<'_>, upload: &Upload) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(upload.id)
        .bind(upload.video_id)
        .bind(upload.account_id)
        .bind(upload.api_key_id)
        .bind(upload.door)
        .bind(upload.concat)
        .bind(&upload.partials)
        .bind(upload.length)
        .bind(upload.part_size)
        .bind(upload.state)
        .bind(&upload.filename)
        .bind(&upload.metadata)
        .bind(upload.created_at)
        .bind(upload.expires_at)
        .bind(upload.reserved)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Makes the caller the only writer; whatever wrote before is fenced off.
pub async fn acquire(
    mut conn: Conn<'_>,
    id: UploadId,
    expires_at: Timestamp,
) -> Result<Option<Upload>, Error> {
    on!(conn.again(), c => sqlx::query(ACQUIRE).bind(id).bind(expires_at).execute(c).await.map(drop)?);
    find(conn, id).await
}

/// Writes how far the writer with `upload.fence` is, and that the upload is finishing where those were its last bytes;
/// false where another one has taken over.
pub async fn advance(conn: Conn<'_>, upload: &Upload) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(ADVANCE)
        .bind(upload.id)
        .bind(upload.fence)
        .bind(upload.received)
        .bind(upload.tail)
        .bind(&upload.multipart)
        .bind(&upload.hash_state)
        .bind(upload.expires_at)
        .bind(upload.state)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Says how long a deferred upload is; false where that was said before.
pub async fn set_length(conn: Conn<'_>, id: UploadId, length: i64, part_size: i64) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(SET_LENGTH).bind(id).bind(length).bind(part_size).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Ties the upload to its multipart upload in S3; false where another request was first.
pub async fn set_multipart(conn: Conn<'_>, upload: &Upload) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(SET_MULTIPART)
        .bind(upload.id)
        .bind(&upload.multipart)
        .bind(upload.length)
        .bind(upload.part_size)
        .bind(upload.expires_at)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Says what the upload counts for in its account, whose sum is the caller's to change.
pub async fn set_reserved(conn: Conn<'_>, id: UploadId, bytes: i64) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_RESERVED).bind(id).bind(bytes).execute(c).await.map(drop)?);
    Ok(())
}

/// No more bytes come: they are `size`, or as many as were received. False where the upload wasn't open.
pub async fn close(conn: Conn<'_>, id: UploadId, size: Option<i64>) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(CLOSE).bind(id).bind(size).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// The parts of a presigned upload were not what they had been when it was closed: it is open again.
pub async fn reopen(mut conn: Conn<'_>, id: UploadId, expires_at: Timestamp) -> Result<(), Error> {
    on!(conn.again(), c => sqlx::query(REOPEN).bind(id).bind(expires_at).execute(c).await.map(drop)?);
    on!(conn, c => sqlx::query(DELETE_PARTS).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// The tail has become the last part.
pub async fn fold_tail(conn: Conn<'_>, id: UploadId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(FOLD_TAIL).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// Every upload of a video, locked to the end of the transaction.
pub async fn lock_of_video(mut conn: Conn<'_>, video: VideoId) -> Result<Vec<Upload>, Error> {
    on!(conn.again(), c => sqlx::query(LOCK_OF_VIDEO).bind(video).execute(c).await.map(drop)?);
    list_of_video(conn, video).await
}

/// Keeps an upload until then at least.
pub async fn keep(conn: Conn<'_>, id: UploadId, until: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(KEEP).bind(id).bind(until).execute(c).await.map(drop)?);
    Ok(())
}

/// Gives an open upload up, and where somebody asked for that also one whose bytes are all there; false where it
/// can't be given up.
pub async fn abandon(conn: Conn<'_>, id: UploadId, asked: bool, now: Timestamp) -> Result<bool, Error> {
    let rows =
        on!(conn, c => sqlx::query(ABANDON).bind(id).bind(now).bind(asked).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Gives an upload up whose time is over; false where it was written, finished or given up meanwhile.
pub async fn expire(conn: Conn<'_>, id: UploadId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(EXPIRE).bind(id).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Lets one node remove what the upload left, until `retry_at`; false where another one does.
pub async fn claim_sweep(
    conn: Conn<'_>,
    id: UploadId,
    retry_at: Timestamp,
    now: Timestamp,
) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(CLAIM_SWEEP).bind(id).bind(retry_at).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// When to look for leftovers again; `None`: nothing is left.
pub async fn set_sweep(conn: Conn<'_>, id: UploadId, at: Option<Timestamp>) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_SWEEP).bind(id).bind(at).execute(c).await.map(drop)?);
    Ok(())
}

/// Forgets the presigned uploads that a video was offered and nobody has begun, but for this one.
pub async fn delete_unused(conn: Conn<'_>, video: VideoId, but: UploadId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(DELETE_UNUSED).bind(video).bind(but).execute(c).await.map(drop)?);
    Ok(())
}

/// The source is in the bucket, whole, and counts for `reserved` bytes or as many as it has; false where that was said
/// before.
pub async fn finish(
    conn: Conn<'_>,
    id: UploadId,
    (size, sha256, reserved): (i64, Option<&str>, Option<i64>),
    now: Timestamp,
) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(FINISH)
        .bind(id)
        .bind(size)
        .bind(sha256)
        .bind(now)
        .bind(reserved)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// The digest of a source whose bytes did not pass through us.
pub async fn set_sha256(conn: Conn<'_>, id: UploadId, sha256: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_SHA256).bind(id).bind(sha256).execute(c).await.map(drop)?);
    Ok(())
}

/// Other videos of the account with the same source.
pub async fn list_same(
    conn: Conn<'_>,
    account: AccountId,
    sha256: &str,
    but: VideoId,
) -> Result<Vec<VideoId>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(SAME).bind(account).bind(sha256).bind(but).fetch_all(c).await?))
}

/// Whose key answers for the upload from now on: that of who sent last.
pub async fn set_sender(conn: Conn<'_>, id: UploadId, key: KeyId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_SENDER).bind(id).bind(key).execute(c).await.map(drop)?);
    Ok(())
}

/// Forgets an upload.
pub async fn delete(conn: Conn<'_>, id: UploadId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(DELETE).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// The parts that S3 has, by number.
pub async fn list_parts(conn: Conn<'_>, id: UploadId) -> Result<Vec<Part>, Error> {
    Ok(on!(conn, c => sqlx::query_as(PARTS).bind(id).fetch_all(c).await?))
}

/// Notes a part that S3 has.
pub async fn insert_part(conn: Conn<'_>, id: UploadId, part: &Part) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT_PART)
        .bind(id)
        .bind(part.number)
        .bind(part.size_bytes)
        .bind(&part.etag)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}
