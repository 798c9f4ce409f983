//! Targets a broadcast is pushed on to: the agency's accounts elsewhere. Their stream keys go in and never come out.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::auth::{Member, Publisher};
use super::extract::{Json, Path};
use super::reply::{Created, Gone};
use super::{App, Error};
use crate::catalogue::broadcast;
use crate::catalogue::push_target::{self, PushTarget as Row};
use crate::domain::key::Secret;
use crate::domain::push::{PushState, PushUrl};
use crate::domain::{BroadcastId, TargetId, Timestamp};
use crate::publishing::{self, TargetDraft};

/// What is said of a new target.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TargetDraft)]
pub struct Draft {
    /// What your people call it.
    #[schema(min_length = 1, max_length = 300)]
    name: String,
    /// Without the stream key.
    url: PushUrl,
    /// Kept until the broadcast is over, and shown in no answer.
    #[schema(min_length = 1, max_length = 500, write_only)]
    stream_key: String,
}

/// Where a broadcast is pushed on to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Target {
    #[schema(value_type = String, format = Uuid)]
    id: TargetId,
    name: String,
    /// Without the stream key, which is never shown.
    url: PushUrl,
    state: PushState,
    /// Why it is waiting or failed, in the target's own words where it has some.
    error: Option<String>,
    /// When it came into its state.
    #[schema(value_type = String, format = DateTime)]
    since: Timestamp,
    /// Times it was tried since it last took the stream for a while.
    attempts: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

/// All targets of a broadcast.
#[derive(Debug, Serialize, ToSchema)]
pub struct Targets {
    items: Vec<Target>,
    /// Always null: they come all at once.
    next: Option<String>,
}

impl From<Row> for Target {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            name: row.name,
            url: row.url,
            state: row.state,
            error: row.error,
            since: row.since,
            attempts: row.attempts,
            created_at: row.created_at,
        }
    }
}

/// Push a broadcast on to a further target
///
/// An RTMP or RTMPS address of your account elsewhere. A broadcast that is live is pushed to it at once, others with
/// their first encoder; a target that is lost is tried again for as long as the stream comes in.
#[utoipa::path(post, path = "/api/v1/broadcasts/{id}/targets", operation_id = "create_target",
    tag = "broadcasts", request_body = Draft,
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new target", body = Target, headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    Publisher(caller): Publisher,
    Path(id): Path<BroadcastId>,
    Json(draft): Json<Draft>,
) -> Result<Created<Target>, Error> {
    // Copied keys come with a line's end.
    let stream_key = Secret::new(draft.stream_key.trim());
    let draft = TargetDraft { name: draft.name, url: draft.url, stream_key };
    let row = app.publishing.add_target(caller, id, draft).await?;
    Ok(Created(app.url(&format!("/api/v1/broadcasts/{id}/targets/{}", row.id)), row.into()))
}

/// List the targets of a broadcast
///
/// With how each takes the stream.
#[utoipa::path(get, path = "/api/v1/broadcasts/{id}/targets", operation_id = "list_targets", tag = "broadcasts",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200,
        description = "All targets of the broadcast", body = Targets)))]
pub async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<BroadcastId>,
) -> Result<Json<Targets>, Error> {
    let mut read = app.read().await?;
    let found = broadcast::find(read.conn(), id).await?.filter(|row| caller.covers(row.account_id));
    found.ok_or(publishing::Error::NotFound("broadcast"))?;
    let rows = push_target::list(read.conn(), id).await?;
    Ok(Json(Targets { items: rows.into_iter().map(Target::from).collect(), next: None }))
}

/// Remove a target
///
/// A stream to it ends.
#[utoipa::path(delete, path = "/api/v1/broadcasts/{id}/targets/{target}", operation_id = "delete_target",
    tag = "broadcasts",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), ("target" = String, Path, format = Uuid)),
    responses((status = 204, description = "It is removed")))]
pub async fn remove(
    State(app): State<App>,
    Publisher(caller): Publisher,
    Path((id, target)): Path<(BroadcastId, TargetId)>,
) -> Result<Gone, Error> {
    app.publishing.remove_target(caller, id, target).await?;
    Ok(Gone)
}
