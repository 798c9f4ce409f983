//! API keys: issued with their secret once, listed without, revoked at once.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Admin, Operator};
use super::extract::{Json, Path};
use super::reply::{Created, Gone};
use super::{App, Error, accounts};
use crate::catalogue::account;
use crate::catalogue::key::{self, Key as Row};
use crate::domain::account::Handle;
use crate::domain::key::{Caller, Role};
use crate::domain::{AccountId, KeyId, Timestamp};
use crate::publishing::{self, KeyDraft};

/// A key, without its secret.
#[derive(Debug, Serialize, ToSchema)]
pub struct Key {
    #[schema(value_type = String, format = Uuid)]
    id: KeyId,
    role: Role,
    label: String,
    /// Null for an operator's.
    account: Option<Handle>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = IssuedKey)]
pub struct Issued {
    #[serde(flatten)]
    key: Key,
    /// Shown once: null where the answer is given again under its Idempotency-Key.
    secret: Option<String>,
    /// `secret_shown_once` where the secret is withheld.
    code: Option<String>,
}

/// All keys of an account.
#[derive(Debug, Serialize, ToSchema)]
pub struct Keys {
    items: Vec<Key>,
    /// Always null: they come all at once.
    next: Option<String>,
}

/// What is said of a new key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeyDraft)]
pub struct Draft {
    role: Role,
    /// What it is for; at most 300 characters.
    #[serde(default)]
    #[schema(max_length = 300)]
    label: String,
}

/// What is said of a new key of any account, or of none.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AnyKeyDraft)]
pub struct AnyDraft {
    role: Role,
    /// What it is for; at most 300 characters.
    #[serde(default)]
    #[schema(max_length = 300)]
    label: String,
    /// Null for a key that covers every account; with the role admin it is an operator's.
    account: Option<Handle>,
}

impl From<Row> for Key {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            role: row.role,
            label: row.label,
            account: row.account,
            created_at: row.created_at,
            revoked_at: row.revoked_at,
        }
    }
}

async fn issue(app: &App, draft: KeyDraft) -> Result<Created<Issued>, Error> {
    let (row, secret) = app.publishing.issue_key(draft).await?;
    let secret = Some(secret.reveal().to_owned());
    Ok(Created(app.url(&format!("/api/v1/keys/{}", row.id)), Issued { key: row.into(), secret, code: None }))
}

/// The account, where the caller covers it; to others it has no keys.
async fn covered(app: &App, caller: Caller, handle: &Handle) -> Result<AccountId, Error> {
    let account = accounts::find_row(app, handle).await?;
    if caller.covers(account.id) {
        Ok(account.id)
    } else {
        Err(publishing::Error::NotFound("account").into())
    }
}

/// Issue a key of an account
///
/// The secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/accounts/{handle}/keys", operation_id = "create_account_key", tag = "keys",
    request_body = Draft,
    security(("key" = [])), params(("Idempotency-Key" = Option<String>, Header),
        ("handle" = Handle, Path)),
    responses((status = 201, description = "The new key, with its secret", body = Issued,
        headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(handle): Path<Handle>,
    Json(draft): Json<Draft>,
) -> Result<Created<Issued>, Error> {
    let account = Some(covered(&app, caller, &handle).await?);
    issue(&app, KeyDraft { account, role: draft.role, label: draft.label }).await
}

/// List the keys of an account
///
/// Without their secrets, which nobody can read again.
#[utoipa::path(get, path = "/api/v1/accounts/{handle}/keys", operation_id = "list_account_keys", tag = "keys",
    security(("key" = [])),
    params(("handle" = Handle, Path)),
    responses((status = 200, description = "All keys of the account", body = Keys)))]
pub async fn list(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(handle): Path<Handle>,
) -> Result<Json<Keys>, Error> {
    let account = covered(&app, caller, &handle).await?;
    let rows = key::list(app.read().await?.conn(), Some(account)).await?;
    Ok(Json(Keys { items: rows.into_iter().map(Key::from).collect(), next: None }))
}

/// Issue a key of any account, or an operator's
///
/// Takes an operator's key. The secret is in this answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/keys", operation_id = "create_key", tag = "keys", request_body = AnyDraft,
    security(("key" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new key, with its secret", body = Issued,
        headers(("Location" = String)))))]
pub async fn add_any(
    State(app): State<App>,
    _: Operator,
    Json(draft): Json<AnyDraft>,
) -> Result<Created<Issued>, Error> {
    let account = match &draft.account {
        Some(handle) => {
            let found = account::find(app.read().await?.conn(), handle).await?;
            Some(found.ok_or_else(|| publishing::Error::UnknownAccount(handle.clone()))?.id)
        }
        None => None,
    };
    issue(&app, KeyDraft { account, role: draft.role, label: draft.label }).await
}

/// List every key
///
/// Takes an operator's key.
#[utoipa::path(get, path = "/api/v1/keys", operation_id = "list_keys", tag = "keys", security(("key" = [])),
    responses((status = 200, description = "All keys", body = Keys)))]
pub async fn list_any(State(app): State<App>, _: Operator) -> Result<Json<Keys>, Error> {
    let rows = key::list(app.read().await?.conn(), None).await?;
    Ok(Json(Keys { items: rows.into_iter().map(Key::from).collect(), next: None }))
}

/// Revoke a key
///
/// It is good for nothing from now on.
#[utoipa::path(delete, path = "/api/v1/keys/{id}", operation_id = "revoke_key", tag = "keys",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 204, description = "It is revoked")))]
pub async fn revoke(
    State(app): State<App>,
    Admin(caller): Admin,
    Path(id): Path<KeyId>,
) -> Result<Gone, Error> {
    let found = key::find(app.read().await?.conn(), id).await?;
    let covers = |row: &Row| row.account_id.map_or(caller.is_operator(), |account| caller.covers(account));
    found.filter(covers).ok_or(publishing::Error::NotFound("key"))?;
    app.publishing.revoke_key(id).await?;
    Ok(Gone)
}
