//! The table of answers kept under an `Idempotency-Key`.

use std::time::Duration;

use super::{Conn, Error, dialect, on};
use crate::domain::{KeyId, Timestamp};

/// An answer given before, or the mark of a request still being answered (`status` is `None`).
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Answer {
    /// Digest of the request, so that a key used for something else is told.
    pub digest: String,
    pub status: Option<i64>,
    /// The `Location` header, where there was one; the id of what the request has made, while it has no status.
    pub location: Option<String>,
    pub body: Option<String>,
}

const CLAIM: &str = "insert into idempotency (api_key_id, key, digest, created_at) values ($1, $2, $3, $4)
    on conflict (api_key_id, key) do update set digest = excluded.digest, created_at = excluded.created_at
    where idempotency.status is null and idempotency.created_at < $5
    and (idempotency.location is null or idempotency.digest = excluded.digest)";
const SELECT: &str =
    "select digest, status, location, body from idempotency where api_key_id = $1 and key = $2";
const ANSWER: &str =
    "update idempotency set status = $3, location = $4, body = $5 where api_key_id = $1 and key = $2";
const RENEW: &str =
    "update idempotency set created_at = $3 where api_key_id = $1 and key = $2 and status is null";
const NOTE: &str = "update idempotency set location = $3
    where api_key_id = $1 and key = $2 and status is null and coalesce(location, '') = $4";
const FORGET: &str = "delete from idempotency
    where api_key_id = $1 and key = $2 and status is null and location is null";
const EXPIRE: &str = "delete from idempotency where created_at < $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[CLAIM, SELECT, RENEW, NOTE, ANSWER, FORGET, EXPIRE];

/// A request's place in the table.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub api_key: KeyId,
    pub key: &'a str,
}

/// Takes the place until the lease ends by the database's clock; false where another attempt has it.
pub async fn claim(
    mut conn: Conn<'_>,
    place: Place<'_>,
    digest: &str,
    lease: Duration,
) -> Result<bool, Error> {
    let now = dialect::now(conn.again()).await?;
    let rows = on!(conn, c => sqlx::query(CLAIM)
        .bind(place.api_key)
        .bind(place.key)
        .bind(digest)
        .bind(now)
        .bind(now.minus(lease))
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// What is at the place.
pub async fn find(conn: Conn<'_>, place: Place<'_>) -> Result<Option<Answer>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(place.api_key).bind(place.key).fetch_optional(c).await?))
}

/// Keeps the place for another lease.
pub async fn renew(mut conn: Conn<'_>, place: Place<'_>) -> Result<(), Error> {
    let now = dialect::now(conn.again()).await?;
    on!(conn, c => sqlx::query(RENEW).bind(place.api_key).bind(place.key).bind(now).execute(c).await.map(drop)?);
    Ok(())
}

/// Gives the place back unanswered: the next attempt may have it at once, and finds what this one made.
pub async fn release(mut conn: Conn<'_>, place: Place<'_>, lease: Duration) -> Result<(), Error> {
    on!(conn.again(), c => sqlx::query(FORGET).bind(place.api_key).bind(place.key).execute(c).await.map(drop)?);
    let past = dialect::now(conn.again()).await?.minus(lease + Duration::from_millis(1));
    on!(conn, c => sqlx::query(RENEW).bind(place.api_key).bind(place.key).bind(past).execute(c).await.map(drop)?);
    Ok(())
}

/// Keeps the id of what the request makes; false where another attempt made something since it found `before`.
pub async fn note(conn: Conn<'_>, place: Place<'_>, made: &str, before: Option<&str>) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(NOTE)
        .bind(place.api_key)
        .bind(place.key)
        .bind(made)
        .bind(before.unwrap_or_default())
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// Keeps the answer.
pub async fn answer(conn: Conn<'_>, place: Place<'_>, answer: &Answer) -> Result<(), Error> {
    on!(conn, c => sqlx::query(ANSWER)
        .bind(place.api_key)
        .bind(place.key)
        .bind(answer.status)
        .bind(&answer.location)
        .bind(&answer.body)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Drops what is older than this.
pub async fn expire(conn: Conn<'_>, before: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(EXPIRE).bind(before).execute(c).await.map(drop)?);
    Ok(())
}
