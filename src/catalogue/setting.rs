//! Settings that the instance makes for itself, such as the secret that signs playback.

use super::{Conn, Error, on};

const FIND: &str = "select value from setting where name = $1";
const INSERT: &str = "insert into setting (name, value) values ($1, $2) on conflict (name) do nothing";

const SET: &str = "insert into setting (name, value) values ($1, $2)
    on conflict (name) do update set value = excluded.value";
const APPEND: &str = "update setting set value = value || ',' || $2 where name = $1";
const SWAP: &str = "update setting set value = $3 where name = $1 and value = $2";
const DELETE: &str = "delete from setting where name = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[FIND, INSERT, SET, APPEND, SWAP, DELETE];

/// The value of a setting.
pub async fn find(conn: Conn<'_>, name: &str) -> Result<Option<String>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(FIND).bind(name).fetch_optional(c).await?))
}

/// Sets it where it isn't set yet; the first to come decides for every node.
pub async fn insert(conn: Conn<'_>, name: &str, value: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT).bind(name).bind(value).execute(c).await.map(drop)?);
    Ok(())
}

/// Sets it, whatever it was.
pub async fn set(conn: Conn<'_>, name: &str, value: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET).bind(name).bind(value).execute(c).await.map(drop)?);
    Ok(())
}

/// Adds to its end, after a comma.
pub async fn append(conn: Conn<'_>, name: &str, value: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(APPEND).bind(name).bind(value).execute(c).await.map(drop)?);
    Ok(())
}

/// Sets it where it is still `before`; whether it was.
pub async fn swap(conn: Conn<'_>, name: &str, before: &str, value: &str) -> Result<bool, Error> {
    let changed = on!(conn, c => sqlx::query(SWAP).bind(name).bind(before).bind(value).execute(c).await?.rows_affected());
    Ok(changed > 0)
}

/// Forgets it.
pub async fn delete(conn: Conn<'_>, name: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(DELETE).bind(name).execute(c).await.map(drop)?);
    Ok(())
}
