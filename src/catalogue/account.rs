//! The table of accounts.

use sqlx::types::Json;

use super::{Conn, Error, Page, on};
use crate::domain::account::{Handle, Level};
use crate::domain::{AccountId, Texts, Timestamp};

/// An account, with the handle of the one above it.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Account {
    pub id: AccountId,
    pub handle: Handle,
    pub name: Json<Texts>,
    pub sector: String,
    pub level: Level,
    pub region: String,
    pub parent: Option<Handle>,
    /// Bytes one upload may have; `None`: the instance's limit.
    pub max_video_bytes: Option<i64>,
    /// Bytes all sources may have; `None`: no limit.
    pub quota_bytes: Option<i64>,
    /// Raised by every change that people make.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select a.id, a.handle, a.name, a.sector, a.level, a.region,
             (select p.handle from account p where p.id = a.parent_id) as parent, a.max_video_bytes, a.quota_bytes,
             a.version, a.created_at, a.updated_at from account a ",
            $rest
        )
    };
}

const SELECT: &str = select!("where a.handle = $1");
const SELECT_BY_ID: &str = select!("where a.id = $1");
const SELECT_ID: &str = "select id from account where handle = $1";
// Each goes along one index, from the cursor on; the reason for the ranges is in `video`.
const LIST: &str = select!("where a.handle > coalesce($1, '') order by a.handle limit $2");
const LIST_OF_LEVEL: &str = select!(
    "where a.level <= $3 and (a.level, a.handle) > ($3, coalesce($1, '')) order by a.level, a.handle limit $2"
);
const LIST_OF_SECTOR: &str = select!(
    "where a.sector <= $3 and (a.sector, a.handle) > ($3, coalesce($1, '')) order by a.sector, a.handle limit $2"
);
const LIST_OF_BOTH: &str = select!(
    "where (a.sector, a.level) <= ($4, $3) and (a.sector, a.level, a.handle) > ($4, $3, coalesce($1, ''))
     order by a.sector, a.level, a.handle limit $2"
);
const LIST_BELOW: &str = select!("where a.parent_id = $1 order by a.handle limit $2");
const INSERT: &str =
    "insert into account (id, handle, name, sector, level, region, parent_id, max_video_bytes,
    quota_bytes, created_at, updated_at)
    values ($1, $2, $3, $4, $5, $6, (select p.id from account p where p.handle = $7), $8, $9, $10, $11)";
const UPDATE: &str = "update account set name = $2, sector = $3, level = $4, region = $5,
    parent_id = (select p.id from account p where p.handle = $6), max_video_bytes = $7, quota_bytes = $8,
    version = version + 1, updated_at = $9 where id = $1";
const LOCK: &str = "update account set updated_at = updated_at where id = $1";
const RESERVE: &str = "update account set used_bytes = used_bytes + cast($2 as bigint) where id = $1
    and (cast($2 as bigint) <= 0 or quota_bytes is null or used_bytes + cast($2 as bigint) <= quota_bytes)";
const COUNT: &str = "update account set used_bytes = used_bytes + cast($2 as bigint) where id = $1";
const USED: &str = "select used_bytes from account where id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    SELECT_BY_ID,
    SELECT_ID,
    LIST,
    LIST_OF_LEVEL,
    LIST_OF_SECTOR,
    LIST_OF_BOTH,
    LIST_BELOW,
    INSERT,
    UPDATE,
    LOCK,
    RESERVE,
    COUNT,
    USED,
];

/// What a list of accounts is narrowed by.
#[derive(Debug, Default)]
pub struct Filter {
    pub level: Option<Level>,
    pub sector: Option<String>,
    pub cursor: Option<String>,
    pub limit: u32,
}

/// The account of a handle.
pub async fn find(conn: Conn<'_>, handle: &Handle) -> Result<Option<Account>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(handle).fetch_optional(c).await?))
}

/// The account of an id.
pub async fn find_by_id(conn: Conn<'_>, id: AccountId) -> Result<Option<Account>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT_BY_ID).bind(id).fetch_optional(c).await?))
}

/// The id of the account of a handle.
pub async fn find_id(conn: Conn<'_>, handle: &Handle) -> Result<Option<AccountId>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(SELECT_ID).bind(handle).fetch_optional(c).await?))
}

/// A page of accounts by handle.
pub async fn list(conn: Conn<'_>, filter: &Filter) -> Result<Page<Account>, Error> {
    let rows: Vec<Account> = on!(conn, c => {
        let ask = |statement| {
            sqlx::query_as(statement).bind(filter.cursor.as_deref()).bind(i64::from(filter.limit) + 1)
        };
        match (filter.level, filter.sector.as_deref()) {
            (None, None) => ask(LIST),
            (Some(level), None) => ask(LIST_OF_LEVEL).bind(level),
            (None, Some(sector)) => ask(LIST_OF_SECTOR).bind(sector),
            (Some(level), Some(sector)) => ask(LIST_OF_BOTH).bind(level).bind(sector),
        }
        .fetch_all(c)
        .await?
    });
    Ok(Page::of(rows, filter.limit, |account| account.handle.to_string()))
}

/// The accounts right below one, by handle; at most so many.
pub async fn list_below(conn: Conn<'_>, id: AccountId, most: u32) -> Result<Vec<Account>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_BELOW).bind(id).bind(i64::from(most)).fetch_all(c).await?))
}

/// Adds an account; `Taken` where the handle is.
pub async fn insert(conn: Conn<'_>, account: &Account) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(account.id)
        .bind(&account.handle)
        .bind(&account.name)
        .bind(&account.sector)
        .bind(account.level)
        .bind(&account.region)
        .bind(&account.parent)
        .bind(account.max_video_bytes)
        .bind(account.quota_bytes)
        .bind(account.created_at)
        .bind(account.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Writes what may change of an account.
pub async fn update(conn: Conn<'_>, account: &Account) -> Result<(), Error> {
    on!(conn, c => sqlx::query(UPDATE)
        .bind(account.id)
        .bind(&account.name)
        .bind(&account.sector)
        .bind(account.level)
        .bind(&account.region)
        .bind(&account.parent)
        .bind(account.max_video_bytes)
        .bind(account.quota_bytes)
        .bind(account.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Locks the row to the end of the transaction, so that two changes go one after the other.
pub async fn lock(conn: Conn<'_>, id: AccountId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(LOCK).bind(id).execute(c).await.map(drop)?);
    Ok(())
}

/// Adds bytes that are promised to those the account keeps; false where its quota has no room for them. The row stays
/// locked, so a transaction does this last.
pub async fn reserve(conn: Conn<'_>, id: AccountId, bytes: i64) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(RESERVE).bind(id).bind(bytes).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Adds bytes that are there, or takes off what is gone, whatever the quota; the last thing a transaction does.
pub async fn count(conn: Conn<'_>, id: AccountId, bytes: i64) -> Result<(), Error> {
    on!(conn, c => sqlx::query(COUNT).bind(id).bind(bytes).execute(c).await.map(drop)?);
    Ok(())
}

/// Bytes the account keeps or was promised room for.
pub async fn used_bytes(conn: Conn<'_>, id: AccountId) -> Result<i64, Error> {
    let used: Option<i64> = on!(conn, c => sqlx::query_scalar(USED).bind(id).fetch_optional(c).await?);
    Ok(used.unwrap_or(0))
}
