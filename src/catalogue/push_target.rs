//! The table of targets a broadcast is pushed on to. Their stream keys are asked for by one question only.

use super::{Conn, Error, on};
use crate::domain::key::Secret;
use crate::domain::push::{PushState, PushUrl};
use crate::domain::{BroadcastId, TargetId, Timestamp};

/// A target, without its stream key.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct PushTarget {
    pub id: TargetId,
    pub broadcast_id: BroadcastId,
    pub name: String,
    pub url: PushUrl,
    pub state: PushState,
    /// Why it is waiting or failed.
    pub error: Option<String>,
    /// When it came into its state.
    pub since: Timestamp,
    /// Times it was tried since it last took the stream for a while.
    pub attempts: i64,
    pub created_at: Timestamp,
}

/// All it takes to push.
#[derive(Clone, sqlx::FromRow)]
pub struct Push {
    pub id: TargetId,
    pub name: String,
    pub url: PushUrl,
    #[sqlx(try_from = "String")]
    pub stream_key: Secret,
}

/// How a target takes the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PushNote {
    pub state: PushState,
    pub error: Option<String>,
    pub attempts: u32,
}

const LIST: &str = "select id, broadcast_id, name, url, state, error, since, attempts, created_at
    from push_target where broadcast_id = $1 order by id";
const LIST_PUSHES: &str = "select id, name, url, stream_key from push_target
    where broadcast_id = $1 and stream_key is not null order by id";
const INSERT: &str =
    "insert into push_target (id, broadcast_id, name, url, stream_key, state, since, attempts, created_at)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
const DELETE: &str = "delete from push_target where id = $1 and broadcast_id = $2";
const NOTE: &str = "update push_target set since = case when state = $3 then since else $6 end,
    state = $3, error = $4, attempts = $5
    where id = $1 and broadcast_id = $2 and exists (select 1 from broadcast where id = $2 and state = 'live')";
const REST: &str = "update push_target set state = 'idle', error = null, attempts = 0, since = $2
    where broadcast_id = $1 and state <> 'ended'";
const END: &str =
    "update push_target set state = 'ended', stream_key = null, since = $2 where broadcast_id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[LIST, LIST_PUSHES, INSERT, DELETE, NOTE, REST, END];

/// The targets of a broadcast, oldest first.
pub async fn list(conn: Conn<'_>, id: BroadcastId) -> Result<Vec<PushTarget>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST).bind(id).fetch_all(c).await?))
}

/// The same with their stream keys, for whoever pushes.
pub async fn list_pushes(conn: Conn<'_>, id: BroadcastId) -> Result<Vec<Push>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_PUSHES).bind(id).fetch_all(c).await?))
}

/// Adds a target.
pub async fn insert(conn: Conn<'_>, target: &PushTarget, stream_key: &Secret) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(target.id)
        .bind(target.broadcast_id)
        .bind(&target.name)
        .bind(&target.url)
        .bind(stream_key.reveal())
        .bind(target.state)
        .bind(target.since)
        .bind(target.attempts)
        .bind(target.created_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Removes a target of a broadcast; false where it has none such.
pub async fn delete(conn: Conn<'_>, of: BroadcastId, id: TargetId) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(DELETE).bind(id).bind(of).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Notes how a target takes the stream; false where it was removed or no stream comes in any more.
pub async fn note(
    conn: Conn<'_>,
    (of, id): (BroadcastId, TargetId),
    note: &PushNote,
    now: Timestamp,
) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(NOTE)
        .bind(id)
        .bind(of)
        .bind(note.state)
        .bind(&note.error)
        .bind(i64::from(note.attempts))
        .bind(now)
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// No stream comes in any more: nothing is pushed.
pub async fn rest(conn: Conn<'_>, of: BroadcastId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(REST).bind(of).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// The broadcast is over: nothing will be pushed any more, and the stream keys are forgotten.
pub async fn end(conn: Conn<'_>, of: BroadcastId, now: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(END).bind(of).bind(now).execute(c).await.map(drop)?);
    Ok(())
}
