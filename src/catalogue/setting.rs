//! Settings that the instance makes for itself, such as the secret that signs playback.

use super::{Conn, Error, on};

const FIND: &str = "select value from setting where name = $1";
const INSERT: &str = "insert into setting (name, value) values ($1, $2) on conflict (name) do nothing";

/// The value of a setting.
pub async fn find(conn: Conn<'_>, name: &str) -> Result<Option<String>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(FIND).bind(name).fetch_optional(c).await?))
}

/// Sets it where it isn't set yet; the first to come decides for every node.
pub async fn insert(conn: Conn<'_>, name: &str, value: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT).bind(name).bind(value).execute(c).await.map(drop)?);
    Ok(())
}
