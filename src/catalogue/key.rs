//! The table of API keys: digests only.

use super::{Conn, Error, on};
use crate::domain::account::Handle;
use crate::domain::key::{Caller, Role};
use crate::domain::{AccountId, KeyId, Timestamp};

/// A key as it is kept.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Key {
    pub id: KeyId,
    pub account: Option<Handle>,
    pub account_id: Option<AccountId>,
    pub role: Role,
    pub label: String,
    pub created_at: Timestamp,
    pub revoked_at: Option<Timestamp>,
}

impl Key {
    /// Its holder runs the whole instance.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Admin && self.account_id.is_none()
    }
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select k.id, a.handle as account, k.account_id, k.role, k.label, k.created_at, k.revoked_at
             from api_key k left join account a on a.id = k.account_id ",
            $rest
        )
    };
}

const SELECT: &str = select!("where k.id = $1");
const SELECT_BY_DIGEST: &str = select!("where k.hash = $1 and k.revoked_at is null");
const LIST: &str = select!("where (k.account_id = $1 or $1 is null) order by k.id");
const INSERT: &str = "insert into api_key (id, account_id, role, label, hash, created_at)
    values ($1, $2, $3, $4, $5, $6) on conflict (hash) do nothing";
const REVOKE: &str = "update api_key set revoked_at = $2 where id = $1 and revoked_at is null";
const LOCK_OPERATORS: &str = "update api_key set revoked_at = revoked_at
    where role = 'admin' and account_id is null and revoked_at is null";
const COUNT: &str =
    "select count(*) from api_key where role = 'admin' and account_id is null and revoked_at is null";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] =
    &[SELECT, SELECT_BY_DIGEST, LIST, INSERT, REVOKE, LOCK_OPERATORS, COUNT];

/// Who holds the secret with this digest; `None` for a wrong or revoked one.
pub async fn find_caller(conn: Conn<'_>, digest: &str) -> Result<Option<Caller>, Error> {
    let key: Option<Key> =
        on!(conn, c => sqlx::query_as(SELECT_BY_DIGEST).bind(digest).fetch_optional(c).await?);
    Ok(key.map(|key| Caller { key: key.id, role: key.role, account: key.account_id }))
}

/// The key of an id.
pub async fn find(conn: Conn<'_>, id: KeyId) -> Result<Option<Key>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// The keys of an account, or all of them.
pub async fn list(conn: Conn<'_>, account: Option<AccountId>) -> Result<Vec<Key>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST).bind(account).fetch_all(c).await?))
}

/// Keeps a key's digest.
pub async fn insert(conn: Conn<'_>, key: &Key, digest: &str) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(key.id)
        .bind(key.account_id)
        .bind(key.role)
        .bind(&key.label)
        .bind(digest)
        .bind(key.created_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Revokes a key; whether it was good until now.
pub async fn revoke(conn: Conn<'_>, id: KeyId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(REVOKE).bind(id).bind(now).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Locks the good keys of operators to the end of the transaction, so that none is revoked while they are counted.
pub async fn lock_operators(conn: Conn<'_>) -> Result<(), Error> {
    on!(conn, c => sqlx::query(LOCK_OPERATORS).execute(c).await.map(drop)?);
    Ok(())
}

/// How many operators' keys are good.
pub async fn count_operators(conn: Conn<'_>) -> Result<i64, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(COUNT).fetch_one(c).await?))
}
