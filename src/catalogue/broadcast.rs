//! The tables of broadcasts and of what happened to them.

use std::time::Duration;

use sqlx::types::Json;

use super::{Conn, Error, Page, dialect, on};
use crate::domain::broadcast::{BroadcastState, Health};
use crate::domain::{AccountId, BroadcastId, Timestamp, UploadId, VideoId};

/// One live event.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Broadcast {
    pub id: BroadcastId,
    pub video_id: VideoId,
    pub account_id: AccountId,
    /// As stored: `Waiting` only ever follows from the time, see `state_at`.
    pub state: BroadcastState,
    pub starts_at: Option<Timestamp>,
    /// How long it waits for an encoder that dropped, in milliseconds.
    pub grace_ms: i64,
    /// How far back viewers may seek while it is live, in milliseconds; `None`: to its start.
    pub dvr_ms: Option<i64>,
    /// While an encoder is away, viewers see a still picture.
    pub slate: bool,
    /// The first segment of the slate that is shown now, or was when nobody came back.
    pub slate_from: Option<i64>,
    /// The recording.
    pub revision: Option<i64>,
    pub upload_id: Option<UploadId>,
    /// Goes up with every encoder that takes the channel; an older owner can't write any more.
    pub epoch: i64,
    /// Where other nodes reach the owner.
    pub owner: Option<String>,
    /// By the database's clock, as `interrupted_at`: nodes' own clocks disagree.
    pub lease_until: Option<Timestamp>,
    /// Number of the segment after the last that is kept.
    pub next_segment: i64,
    /// Where that one starts, in ticks.
    pub next_start: i64,
    /// Players know of no segment from this number on.
    pub told_segment: i64,
    pub health: Option<Json<Health>>,
    pub viewers: i64,
    pub peak_viewers: i64,
    pub started_at: Option<Timestamp>,
    pub interrupted_at: Option<Timestamp>,
    /// Its people want it over; the owner closes what is open first.
    pub end_requested: bool,
    pub ended_at: Option<Timestamp>,
    /// Raised by every change that people make.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl Broadcast {
    /// Its owner holds the channel at a moment of the database's clock.
    pub fn is_held(&self, now: Timestamp) -> bool {
        self.state == BroadcastState::Live && self.lease_until.is_some_and(|until| until > now)
    }

    /// The state at a moment: one that is due and has no encoder yet is waiting.
    pub fn state_at(&self, now: Timestamp) -> BroadcastState {
        self.state.at(self.starts_at, now)
    }

    /// How long it waits for an encoder that dropped.
    pub fn grace(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.grace_ms).unwrap_or(0))
    }
}

/// A line of a broadcast's log.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Line {
    pub at: Timestamp,
    pub code: String,
    pub message: String,
}

/// Proof of holding a channel: good as long as no later epoch exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tenure {
    pub id: BroadcastId,
    pub epoch: i64,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select id, video_id, account_id, state, starts_at, grace_ms, dvr_ms, slate, slate_from, revision, upload_id,
             epoch, owner, lease_until, next_segment, next_start, told_segment, health, viewers, peak_viewers, started_at, interrupted_at,
             end_requested, ended_at, version, created_at, updated_at from broadcast ",
            $rest
        )
    };
}

const SELECT: &str = select!("where id = $1");
const SELECT_BY_VIDEO: &str = select!("where video_id = $1");
const SELECT_BY_KEY: &str = select!("where key_hash = $1");
const LIST: &str =
    select!("where id < coalesce($1, 'g') and (account_id = $2 or $2 is null) order by id desc limit $3");
const LIST_UNDER_WAY: &str = select!("where state in ('live', 'interrupted') order by id limit 1000");
const INSERT: &str =
    "insert into broadcast (id, video_id, account_id, state, starts_at, key_hash, grace_ms, dvr_ms, slate,
    epoch, next_segment, next_start, viewers, peak_viewers, created_at, updated_at)
    values ($1, $2, $3, 'scheduled', $4, $5, $6, $7, $8, 0, 0, 0, 0, 0, $9, $9)";
const UPDATE: &str = "update broadcast set starts_at = $2, grace_ms = $3, dvr_ms = $4, slate = $5,
    version = version + 1, updated_at = $6 where id = $1";
const SET_KEY: &str = "update broadcast set key_hash = $2, version = version + 1, updated_at = $3
    where id = $1";
const BEGIN: &str = "update broadcast set state = 'live', epoch = epoch + 1, owner = $2, lease_until = $3,
    revision = $4, upload_id = $5, started_at = coalesce(started_at, $6), interrupted_at = null,
    slate_from = null, told_segment = case when told_segment > next_segment then told_segment else next_segment end + $7,
    updated_at = $6 where id = $1 and state <> 'ended' returning epoch";
const LOCK: &str = "update broadcast set epoch = epoch where id = $1 and state <> 'ended'";
const HOLD: &str = "update broadcast set epoch = epoch where id = $1 and epoch = $2 and state <> 'ended'";
const RENEW: &str = "update broadcast set lease_until = $3, health = $4, viewers = $5,
    peak_viewers = case when $5 > peak_viewers then $5 else peak_viewers end, state = 'live', interrupted_at = null,
    told_segment = case when $6 > told_segment then $6 else told_segment end
    where id = $1 and epoch = $2 and state <> 'ended'";
const ADVANCE: &str = "update broadcast set next_segment = $3, next_start = $4 where id = $1 and epoch = $2";
const INTERRUPT: &str = "update broadcast set state = 'interrupted', interrupted_at = $3, lease_until = null,
    viewers = 0, updated_at = $3 where id = $1 and epoch = $2 and state = 'live'";
const CLOSE: &str = "update broadcast set told_segment = next_segment where id = $1 and epoch = $2";
const RESERVE: &str =
    "update broadcast set told_segment = case when $3 > told_segment then $3 else told_segment end,
    viewers = $4, peak_viewers = case when $4 > peak_viewers then $4 else peak_viewers end
    where id = $1 and epoch = $2 and state = 'interrupted'";
const BEGIN_SLATE: &str =
    "update broadcast set slate_from = next_segment, told_segment = told_segment + $3 where id = $1 and epoch = $2
    and state = 'interrupted' and slate and not end_requested";
const ASK_END: &str = "update broadcast set end_requested = true, version = version + 1, updated_at = $2 where id = $1 and state <> 'ended'";
const END: &str = "update broadcast set state = 'ended', ended_at = $2, lease_until = null, owner = null,
    viewers = 0, epoch = epoch + 1, updated_at = $2 where id = $1 and state <> 'ended'";
const LOG: &str =
    "insert into broadcast_log (broadcast_id, id, at, code, message) values ($1, $2, $3, $4, $5)";
const LIST_LOG: &str =
    "select at, code, message from broadcast_log where broadcast_id = $1 order by id desc limit $2";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    SELECT_BY_VIDEO,
    SELECT_BY_KEY,
    LIST,
    LIST_UNDER_WAY,
    INSERT,
    UPDATE,
    SET_KEY,
    BEGIN,
    LOCK,
    HOLD,
    RENEW,
    ADVANCE,
    INTERRUPT,
    CLOSE,
    RESERVE,
    BEGIN_SLATE,
    ASK_END,
    END,
    LOG,
    LIST_LOG,
];

/// The broadcast of an id.
pub async fn find(conn: Conn<'_>, id: BroadcastId) -> Result<Option<Broadcast>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// The broadcast a video came from.
pub async fn find_by_video(conn: Conn<'_>, id: VideoId) -> Result<Option<Broadcast>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT_BY_VIDEO).bind(id).fetch_optional(c).await?))
}

/// The broadcast whose stream key has this digest.
pub async fn find_by_key(conn: Conn<'_>, digest: &str) -> Result<Option<Broadcast>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT_BY_KEY).bind(digest).fetch_optional(c).await?))
}

/// A page of broadcasts, newest first; of one account, or of all.
pub async fn list(
    conn: Conn<'_>,
    account: Option<AccountId>,
    cursor: Option<BroadcastId>,
    limit: u32,
) -> Result<Page<Broadcast>, Error> {
    let many = i64::from(limit) + 1;
    let rows: Vec<Broadcast> =
        on!(conn, c => sqlx::query_as(LIST).bind(cursor).bind(account).bind(many).fetch_all(c).await?);
    Ok(Page::of(rows, limit, |broadcast| broadcast.id.to_string()))
}

/// Those that are live or interrupted.
pub async fn list_under_way(conn: Conn<'_>) -> Result<Vec<Broadcast>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_UNDER_WAY).fetch_all(c).await?))
}

/// Announces a broadcast; `digest` is its stream key's.
pub async fn insert(conn: Conn<'_>, broadcast: &Broadcast, digest: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(broadcast.id)
        .bind(broadcast.video_id)
        .bind(broadcast.account_id)
        .bind(broadcast.starts_at)
        .bind(digest)
        .bind(broadcast.grace_ms)
        .bind(broadcast.dvr_ms)
        .bind(broadcast.slate)
        .bind(broadcast.created_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Writes what people may change of a broadcast.
pub async fn update(conn: Conn<'_>, broadcast: &Broadcast) -> Result<(), Error> {
    on!(conn, c => sqlx::query(UPDATE)
        .bind(broadcast.id)
        .bind(broadcast.starts_at)
        .bind(broadcast.grace_ms)
        .bind(broadcast.dvr_ms)
        .bind(broadcast.slate)
        .bind(broadcast.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Gives it another stream key, or none.
pub async fn set_key(
    conn: Conn<'_>,
    id: BroadcastId,
    digest: Option<&str>,
    now: Timestamp,
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_KEY).bind(id).bind(digest).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Who takes a channel, for how long, and where its recording goes.
#[derive(Debug, Clone)]
pub struct Taking<'a> {
    pub owner: &'a str,
    pub lease: Duration,
    pub revision: u32,
    pub upload: UploadId,
    /// Segments it may tell players of before it is heard of again.
    pub ahead: u32,
}

/// How a stream goes.
#[derive(Debug, Clone, Copy)]
pub struct Going<'a> {
    pub health: &'a Health,
    pub viewers: u32,
    /// Players will know of no segment from this number on before it is heard of again.
    pub told: u32,
}

/// Takes the channel; `None` where the broadcast is over.
pub async fn begin(
    mut conn: Conn<'_>,
    id: BroadcastId,
    taking: &Taking<'_>,
) -> Result<Option<Tenure>, Error> {
    let now = dialect::now(conn.again()).await?;
    let epoch: Option<i64> = on!(conn, c => sqlx::query_scalar(BEGIN)
        .bind(id)
        .bind(taking.owner)
        .bind(now.plus(taking.lease))
        .bind(i64::from(taking.revision))
        .bind(taking.upload)
        .bind(now)
        .bind(i64::from(taking.ahead))
        .fetch_optional(c)
        .await?);
    Ok(epoch.map(|epoch| Tenure { id, epoch }))
}

/// Locks the row to the end of the transaction, whoever owns the channel; false where the broadcast is over.
pub async fn lock(conn: Conn<'_>, id: BroadcastId) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(LOCK).bind(id).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Locks the row to the end of the transaction; false where another owner has the channel or the broadcast is over.
pub async fn hold(conn: Conn<'_>, tenure: Tenure) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(HOLD).bind(tenure.id).bind(tenure.epoch).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Keeps the channel, and says how it goes; false where it is lost.
pub async fn renew(
    mut conn: Conn<'_>,
    tenure: Tenure,
    lease: Duration,
    going: Going<'_>,
) -> Result<bool, Error> {
    let lease_until = dialect::now(conn.again()).await?.plus(lease);
    let rows = on!(conn, c => sqlx::query(RENEW)
        .bind(tenure.id)
        .bind(tenure.epoch)
        .bind(lease_until)
        .bind(Json(going.health))
        .bind(i64::from(going.viewers))
        .bind(i64::from(going.told))
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Says where the recording goes on.
pub async fn advance(conn: Conn<'_>, tenure: Tenure, next: (u32, i64)) -> Result<(), Error> {
    on!(conn, c => sqlx::query(ADVANCE)
        .bind(tenure.id)
        .bind(tenure.epoch)
        .bind(i64::from(next.0))
        .bind(next.1)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// The encoder dropped; false where that is no news.
pub async fn interrupt(conn: Conn<'_>, tenure: Tenure, at: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(INTERRUPT)
        .bind(tenure.id)
        .bind(tenure.epoch)
        .bind(at)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// All that players know of is kept.
pub async fn close(conn: Conn<'_>, tenure: Tenure) -> Result<(), Error> {
    on!(conn, c => sqlx::query(CLOSE).bind(tenure.id).bind(tenure.epoch).execute(c).await.map(drop)?);
    Ok(())
}

/// Players will know of no segment from this number on before this is said again.
pub async fn reserve(conn: Conn<'_>, tenure: Tenure, (viewers, told): (u32, u32)) -> Result<(), Error> {
    let (viewers, told) = (i64::from(viewers), i64::from(told));
    on!(conn, c => sqlx::query(RESERVE)
        .bind(tenure.id)
        .bind(tenure.epoch)
        .bind(told)
        .bind(viewers)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// What comes now is slate, so many segments before it is heard of again; false where nobody is waited for, or none is
/// wanted.
pub async fn begin_slate(conn: Conn<'_>, tenure: Tenure, ahead: u32) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(BEGIN_SLATE)
        .bind(tenure.id)
        .bind(tenure.epoch)
        .bind(i64::from(ahead))
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Asks whoever owns the channel to end it.
pub async fn ask_end(conn: Conn<'_>, id: BroadcastId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(ASK_END).bind(id).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Ends it for good; false where it had ended before.
pub async fn end(conn: Conn<'_>, id: BroadcastId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(END).bind(id).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Adds a line to its log.
pub async fn log(conn: Conn<'_>, id: BroadcastId, line: &Line) -> Result<(), Error> {
    // A later line sorts later, like every id of ours.
    let line_id = BroadcastId::new();
    on!(conn, c => sqlx::query(LOG)
        .bind(id)
        .bind(line_id)
        .bind(line.at)
        .bind(&line.code)
        .bind(&line.message)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// The last lines of its log, newest first.
pub async fn list_log(conn: Conn<'_>, id: BroadcastId, limit: u32) -> Result<Vec<Line>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_LOG).bind(id).bind(i64::from(limit)).fetch_all(c).await?))
}
