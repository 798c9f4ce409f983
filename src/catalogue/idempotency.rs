//! The table of answers kept under an `Idempotency-Key`.

use std::time::Duration;

use super::{Conn, Error, on};
use crate::domain::{KeyId, Timestamp};

/// An answer given before, or the mark of a request still being answered (`status` is `None`).
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Answer {
    /// Digest of the request, so that a key used for something else is told.
    pub digest: String,
    pub status: Option<i64>,
    /// The `Location` header, where there was one.
    pub location: Option<String>,
    pub body: Option<String>,
}

const CLAIM: &str = "insert into idempotency (api_key_id, key, digest, created_at) values ($1, $2, $3, $4)
    on conflict (api_key_id, key) do update set digest = excluded.digest, created_at = excluded.created_at
    where idempotency.status is null and idempotency.created_at < $5";
const SELECT: &str =
    "select digest, status, location, body from idempotency where api_key_id = $1 and key = $2";
const ANSWER: &str =
    "update idempotency set status = $3, location = $4, body = $5 where api_key_id = $1 and key = $2";
const FORGET: &str = "delete from idempotency where api_key_id = $1 and key = $2";
const EXPIRE: &str = "delete from idempotency where created_at < $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[CLAIM, SELECT, ANSWER, FORGET, EXPIRE];

/// How long an answer may take; then its process is taken for dead, and the same key may try again.
const PATIENCE: Duration = Duration::from_mins(10);

/// A request's place in the table.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    pub api_key: KeyId,
    pub key: &'a str,
}

/// Takes the place; false where somebody has it.
pub async fn claim(conn: Conn<'_>, place: Place<'_>, digest: &str, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(CLAIM)
        .bind(place.api_key)
        .bind(place.key)
        .bind(digest)
        .bind(now)
        .bind(now.minus(PATIENCE))
        .execute(c)
        .await?
        .rows_affected());
    Ok(rows > 0)
}

/// What is at the place.
pub async fn find(conn: Conn<'_>, place: Place<'_>) -> Result<Option<Answer>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(place.api_key).bind(place.key).fetch_optional(c).await?))
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

/// Gives the place back, after a refusal or a fault.
pub async fn forget(conn: Conn<'_>, place: Place<'_>) -> Result<(), Error> {
    on!(conn, c => sqlx::query(FORGET).bind(place.api_key).bind(place.key).execute(c).await.map(drop)?);
    Ok(())
}

/// Drops what is older than this.
pub async fn expire(conn: Conn<'_>, before: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(EXPIRE).bind(before).execute(c).await.map(drop)?);
    Ok(())
}
