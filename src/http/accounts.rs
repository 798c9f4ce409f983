//! Verified accounts.

use axum::extract::State;
use serde::{Deserialize, Deserializer, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Operator, Viewer};
use super::extract::{Json, Path, Query};
use super::page::{Page, limit};
use super::precondition::{IfMatch, IfMatchHeader, Versioned};
use super::reply::Created;
use super::words::{self, ByLanguage, Words};
use super::{App, Error};
use crate::catalogue::account::{self, Account as Row, Filter};
use crate::domain::account::{Handle, Level};
use crate::domain::{AccountId, Language, TextChange, Texts, Timestamp};
use crate::publishing::{self, AccountDraft};

/// Who speaks.
#[derive(Debug, Serialize, ToSchema)]
pub struct Account {
    #[schema(value_type = String, format = Uuid)]
    id: AccountId,
    handle: Handle,
    #[schema(value_type = ByLanguage)]
    name: Texts,
    sector: String,
    level: Level,
    region: String,
    /// The handle of the account above.
    parent: Option<Handle>,
    /// For its own keys and operators only.
    limits: Option<Limits>,
    /// What its `ETag` says.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// What an account may keep.
#[derive(Debug, Serialize, ToSchema)]
pub struct Limits {
    /// Bytes one upload may have; null: as many as the instance allows.
    max_video_bytes: Option<i64>,
    /// Bytes all sources may have; null: no limit.
    quota_bytes: Option<i64>,
}

/// A new account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountDraft)]
pub struct Draft {
    handle: Handle,
    /// At most 300 characters; a plain text is English.
    #[schema(schema_with = words::name)]
    name: Words,
    #[schema(max_length = 300, example = "environment")]
    sector: String,
    level: Level,
    #[schema(max_length = 300, example = "Shenyang")]
    region: String,
    parent: Option<Handle>,
    #[schema(minimum = 0)]
    max_video_bytes: Option<u64>,
    #[schema(minimum = 0)]
    quota_bytes: Option<u64>,
}

/// What is changed of an account; what is left out stays, null takes away.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = AccountChange)]
#[expect(clippy::option_option, reason = "null is not the same as left out")]
pub struct Change {
    #[schema(schema_with = words::new_name)]
    name: Option<Words>,
    #[schema(max_length = 300)]
    sector: Option<String>,
    level: Option<Level>,
    #[schema(max_length = 300)]
    region: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Handle>)]
    parent: Option<Option<Handle>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 0)]
    max_video_bytes: Option<Option<u64>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>, minimum = 0)]
    quota_bytes: Option<Option<u64>>,
}

/// Tells null from left out.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// What a list of accounts is narrowed by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    level: Option<Level>,
    sector: Option<String>,
    /// `next` of the page before.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

fn describe(viewer: Viewer, row: Row) -> Account {
    let limits = Limits { max_video_bytes: row.max_video_bytes, quota_bytes: row.quota_bytes };
    Account {
        limits: viewer.covers(row.id).then_some(limits),
        id: row.id,
        handle: row.handle,
        name: row.name.0,
        sector: row.sector,
        level: row.level,
        region: row.region,
        parent: row.parent,
        version: row.version,
        created_at: row.created_at,
        updated_at: row.updated_at,
    }
}

/// List accounts
///
/// By handle, a page at a time.
#[utoipa::path(get, path = "/api/v1/accounts", operation_id = "list_accounts", tag = "accounts",
    params(Narrowing), security((), ("key" = [])),
    responses((status = 200, description = "A page of accounts", body = Page<Account>)))]
pub async fn list(
    State(app): State<App>,
    viewer: Viewer,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Page<Account>>, Error> {
    let Narrowing { level, sector, cursor, limit: asked } = narrowing;
    let filter = Filter { level, sector, cursor, limit: limit(asked)? };
    let page = account::list(app.read().await?.conn(), &filter).await?;
    let items = page.items.into_iter().map(|row| describe(viewer, row)).collect();
    Ok(Json(Page { items, next: page.next }))
}

/// Add a verified account
///
/// Takes an operator's key. The handle is part of addresses and never changes.
#[utoipa::path(post, path = "/api/v1/accounts", operation_id = "create_account", tag = "accounts",
    request_body = Draft, security(("key" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new account", body = Account, headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    Operator(caller): Operator,
    Json(draft): Json<Draft>,
) -> Result<Created<Account>, Error> {
    let about = AccountDraft {
        name: draft.name.into_texts(&Language::english()),
        sector: draft.sector,
        level: draft.level,
        region: draft.region,
        parent: draft.parent,
        max_video_bytes: draft.max_video_bytes,
        quota_bytes: draft.quota_bytes,
    };
    let row = app.publishing.add_account(draft.handle, about).await?;
    Ok(Created(app.url(&format!("/api/v1/accounts/{}", row.handle)), describe(Viewer(Some(caller)), row)))
}

/// The account of a handle; to be asked for by others than operators it need not be covered.
pub(super) async fn find_row(app: &App, handle: &Handle) -> Result<Row, Error> {
    let found = account::find(app.read().await?.conn(), handle).await?;
    found.ok_or_else(|| publishing::Error::NotFound("account").into())
}

/// Look at one account
///
/// `limits` is there for its own keys and for operators only.
#[utoipa::path(get, path = "/api/v1/accounts/{handle}", operation_id = "get_account", tag = "accounts",
    security((), ("key" = [])),
    params(("handle" = Handle, Path)),
    responses((status = 200, description = "The account", body = Account, headers(("ETag" = String)))))]
pub async fn find(
    State(app): State<App>,
    viewer: Viewer,
    Path(handle): Path<Handle>,
) -> Result<Versioned<Json<Account>>, Error> {
    Ok(answer(viewer, find_row(&app, &handle).await?))
}

fn answer(viewer: Viewer, row: Row) -> Versioned<Json<Account>> {
    Versioned(row.version, Json(describe(viewer, row)))
}

/// Change an account
///
/// Takes an operator's key. What is left out stays.
#[utoipa::path(patch, path = "/api/v1/accounts/{handle}", operation_id = "update_account", tag = "accounts",
    security(("key" = [])),
    request_body = Change,
    params(("handle" = Handle, Path), IfMatchHeader),
    responses((status = 200, description = "The account as it is now", body = Account,
        headers(("ETag" = String)))))]
pub async fn change(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(handle): Path<Handle>,
    version: IfMatch,
    Json(change): Json<Change>,
) -> Result<Versioned<Json<Account>>, Error> {
    let row = app.publishing.change_account(version.of(handle), |before| apply(change, before)).await?;
    Ok(answer(Viewer(Some(caller)), row))
}

fn apply(change: Change, before: AccountDraft) -> AccountDraft {
    let name = change.name.map(TextChange::from);
    AccountDraft {
        name: match name {
            Some(name) => name.apply(&before.name, &Language::english()),
            None => before.name,
        },
        sector: change.sector.unwrap_or(before.sector),
        level: change.level.unwrap_or(before.level),
        region: change.region.unwrap_or(before.region),
        parent: change.parent.unwrap_or(before.parent),
        max_video_bytes: change.max_video_bytes.unwrap_or(before.max_video_bytes),
        quota_bytes: change.quota_bytes.unwrap_or(before.quota_bytes),
    }
}
