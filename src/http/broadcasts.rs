//! Broadcasts: announced, looked at, changed, their stream keys, ended.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::{Member, Publisher};
use super::extract::{Json, Path, Query};
use super::page::{Page, limit};
use super::precondition::{IfMatch, IfMatchHeader, Versioned};
use super::reply::{Created, Gone};
use super::videos::account_of;
use super::words::{self, Words};
use super::{App, Error};
use crate::catalogue::broadcast::{self, Broadcast as Row, Line};
use crate::domain::account::Handle;
use crate::domain::broadcast::{BroadcastState, DEFAULT_GRACE, Health};
use crate::domain::key::{Caller, Secret};
use crate::domain::topic::Slug;
use crate::domain::{BroadcastId, Language, Timestamp, VideoId};
use crate::publishing::{self, BroadcastDraft, BroadcastPlan, VideoDraft};

/// Lines of the log in an answer; older ones are of no use to anybody.
const LOG_LINES: u32 = 100;

/// What is said of a new broadcast.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BroadcastDraft)]
pub struct Draft {
    /// The key's own account where it is left out.
    account: Option<Handle>,
    topic: Slug,
    /// At most 200 characters.
    #[schema(schema_with = words::title)]
    title: Words,
    /// At most 10,000 characters.
    #[schema(schema_with = words::description)]
    description: Option<Words>,
    /// The language spoken, and of plain texts.
    language: Language,
    /// For the countdown; an encoder may come earlier. Null: as soon as one comes.
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    /// How long it waits for an encoder that dropped; 60 where it is left out.
    #[schema(minimum = 0, maximum = 1800)]
    grace_seconds: Option<u32>,
    /// How far back viewers may seek while it is live; where it is left out, as far as on all of this server: 4 hours, unless
    /// its operator chose otherwise.
    #[schema(minimum = 30)]
    dvr_seconds: Option<u32>,
    /// While an encoder that dropped is waited for, viewers see a still picture that says so; no where it is left out.
    slate: Option<bool>,
}

/// What is changed of a broadcast; what is left out stays.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BroadcastChange)]
pub struct Change {
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    #[schema(minimum = 0, maximum = 1800)]
    grace_seconds: Option<u32>,
    #[schema(minimum = 30)]
    dvr_seconds: Option<u32>,
    slate: Option<bool>,
}

/// One live event, for the account it belongs to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Broadcast {
    #[schema(value_type = String, format = Uuid)]
    id: BroadcastId,
    /// What it is watched as: before, during and after.
    #[schema(value_type = String, format = Uuid)]
    video: VideoId,
    state: BroadcastState,
    #[schema(value_type = Option<String>, format = DateTime)]
    starts_at: Option<Timestamp>,
    grace_seconds: i64,
    dvr_seconds: Option<i64>,
    /// While an encoder that dropped is waited for, viewers see a still picture that says so.
    slate: bool,
    #[schema(value_type = Option<String>, format = DateTime)]
    started_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    interrupted_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// What its `ETag` says.
    version: i64,
    /// Watching now.
    viewers: i64,
    /// The most that watched at a time.
    peak_viewers: i64,
    /// How well the stream comes in; null while none does.
    health: Option<Health>,
    ingest: Ingest,
    /// What happened to it, newest first; empty in lists.
    log: Vec<LogLine>,
}

/// Where the encoder sends to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Ingest {
    /// OBS: "Server".
    rtmp_url: Option<String>,
    rtmps_url: Option<String>,
    /// With the key as its `streamid`, where the key is shown.
    srt_url: Option<String>,
    /// OBS: "Stream Key". Shown in the answer that made it only.
    stream_key: Option<String>,
}

/// A line of the log.
#[derive(Debug, Serialize, ToSchema)]
pub struct LogLine {
    #[schema(value_type = String, format = DateTime)]
    at: Timestamp,
    /// Stable.
    code: String,
    message: String,
}

/// What a list of broadcasts is narrowed by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    /// `next` of the page before.
    #[param(value_type = Option<String>, format = Uuid)]
    cursor: Option<BroadcastId>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

fn describe(app: &App, row: &Row, log: Vec<Line>, secret: Option<&Secret>) -> Broadcast {
    Broadcast {
        id: row.id,
        video: row.video_id,
        state: row.state_at(app.publishing.clock.now()),
        starts_at: row.starts_at,
        grace_seconds: row.grace_ms / 1000,
        dvr_seconds: row.dvr_ms.map(|ms| ms / 1000),
        slate: row.slate,
        started_at: row.started_at,
        interrupted_at: row.interrupted_at,
        ended_at: row.ended_at,
        version: row.version,
        viewers: row.viewers,
        peak_viewers: row.peak_viewers,
        health: row
            .health
            .as_ref()
            .filter(|_| row.state == BroadcastState::Live)
            .map(|health| health.0.clone()),
        ingest: ingest(app, secret),
        log: log
            .into_iter()
            .map(|line| LogLine { at: line.at, code: line.code, message: line.message })
            .collect(),
    }
}

fn ingest(app: &App, secret: Option<&Secret>) -> Ingest {
    let doors = &app.settings.ingest;
    let srt_url = doors.srt_url.clone().map(|url| match secret {
        Some(secret) => format!("{url}?streamid={}", secret.reveal()),
        None => url,
    });
    Ingest {
        rtmp_url: doors.rtmp_url.clone(),
        rtmps_url: doors.rtmps_url.clone(),
        srt_url,
        stream_key: secret.map(|secret| secret.reveal().to_owned()),
    }
}

/// Announce a broadcast
///
/// Its video is a draft like any other: publish it, and everybody sees the countdown. The stream key is in this
/// answer and nowhere else.
#[utoipa::path(post, path = "/api/v1/broadcasts", operation_id = "create_broadcast", tag = "broadcasts",
    request_body = Draft,
    security(("key" = [])), params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new broadcast, with its stream key", body = Broadcast,
        headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    Member(caller): Member,
    Json(draft): Json<Draft>,
) -> Result<Created<Broadcast>, Error> {
    let language = draft.language;
    let video = VideoDraft {
        account: account_of(&app, caller, draft.account).await?,
        topic: draft.topic,
        title: draft.title.into_texts(&language),
        description: draft.description.map(|words| words.into_texts(&language)).unwrap_or_default(),
        language,
    };
    let plan = BroadcastPlan {
        starts_at: draft.starts_at,
        grace: draft.grace_seconds.map_or(DEFAULT_GRACE, seconds),
        dvr: draft.dvr_seconds.map(seconds),
        slate: draft.slate.unwrap_or(false),
    };
    let (row, _, secret) = app.publishing.announce_broadcast(caller, BroadcastDraft { video, plan }).await?;
    let location = app.url(&format!("/api/v1/broadcasts/{}", row.id));
    Ok(Created(location, describe(&app, &row, Vec::new(), Some(&secret))))
}

fn seconds(seconds: u32) -> Duration {
    Duration::from_secs(seconds.into())
}

/// List broadcasts
///
/// Those of the key's account, newest first; an operator's key sees those of every account.
#[utoipa::path(get, path = "/api/v1/broadcasts", operation_id = "list_broadcasts", tag = "broadcasts",
    params(Narrowing), security(("key" = [])),
    responses((status = 200, description = "A page of broadcasts", body = Page<Broadcast>)))]
pub async fn list(
    State(app): State<App>,
    Member(caller): Member,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Page<Broadcast>>, Error> {
    let limit = limit(narrowing.limit)?;
    let page = broadcast::list(app.read().await?.conn(), caller.account, narrowing.cursor, limit).await?;
    let items = page.items.iter().map(|row| describe(&app, row, Vec::new(), None)).collect();
    Ok(Json(Page { items, next: page.next }))
}

/// Look at one broadcast
///
/// With the health of its stream and its log.
#[utoipa::path(get, path = "/api/v1/broadcasts/{id}", operation_id = "get_broadcast", tag = "broadcasts",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), 
    responses((status = 200, description = "The broadcast", body = Broadcast, headers(("ETag" = String)))))]
pub async fn find(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<BroadcastId>,
) -> Result<Versioned<Json<Broadcast>>, Error> {
    look(&app, caller, id).await
}

async fn look(app: &App, caller: Caller, id: BroadcastId) -> Result<Versioned<Json<Broadcast>>, Error> {
    let mut read = app.read().await?;
    let found = broadcast::find(read.conn(), id).await?.filter(|row| caller.covers(row.account_id));
    let row = found.ok_or(publishing::Error::NotFound("broadcast"))?;
    let log = broadcast::list_log(read.conn(), id, LOG_LINES).await?;
    Ok(Versioned(row.version, Json(describe(app, &row, log, None))))
}

/// Change a broadcast
///
/// What is left out stays.
#[utoipa::path(patch, path = "/api/v1/broadcasts/{id}", operation_id = "update_broadcast", tag = "broadcasts",
    security(("key" = [])),
    request_body = Change, params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 200, description = "The broadcast as it is now", body = Broadcast,
        headers(("ETag" = String)))))]
pub async fn change(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<BroadcastId>,
    version: IfMatch,
    Json(change): Json<Change>,
) -> Result<Versioned<Json<Broadcast>>, Error> {
    let changed = |plan: BroadcastPlan| BroadcastPlan {
        starts_at: change.starts_at.or(plan.starts_at),
        grace: change.grace_seconds.map_or(plan.grace, seconds),
        dvr: change.dvr_seconds.map(seconds).or(plan.dvr),
        slate: change.slate.unwrap_or(plan.slate),
    };
    app.publishing.change_broadcast(caller, version.of(id), changed).await?;
    look(&app, caller, id).await
}

/// Replace the stream key
///
/// The one before is good no more, and an encoder that uses it is shown out.
#[utoipa::path(post, path = "/api/v1/broadcasts/{id}/key", operation_id = "rotate_stream_key",
    tag = "broadcasts", security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 200, description = "The broadcast, with its new stream key", body = Broadcast,
        headers(("ETag" = String)))))]
pub async fn rotate(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<BroadcastId>,
    version: IfMatch,
) -> Result<Versioned<Json<Broadcast>>, Error> {
    let (row, secret) = app.publishing.rotate_stream_key(caller, version.of(id)).await?;
    Ok(Versioned(row.version, Json(describe(&app, &row, Vec::new(), Some(&secret)))))
}

/// Revoke the stream key
///
/// An encoder that uses it is disconnected.
#[utoipa::path(delete, path = "/api/v1/broadcasts/{id}/key", operation_id = "revoke_stream_key",
    tag = "broadcasts", security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 204, description = "It is good no more")))]
pub async fn revoke(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<BroadcastId>,
    version: IfMatch,
) -> Result<Gone, Error> {
    app.publishing.revoke_stream_key(caller, version.of(id)).await?;
    Ok(Gone)
}

/// End a broadcast
///
/// The recording is at the same address at once. While a stream still comes, the answer may say `live`: the end
/// follows within a second.
#[utoipa::path(post, path = "/api/v1/broadcasts/{id}/end", operation_id = "end_broadcast", tag = "broadcasts",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid), IfMatchHeader),
    responses((status = 200, description = "The broadcast", body = Broadcast, headers(("ETag" = String)))))]
pub async fn end(
    State(app): State<App>,
    Publisher(caller): Publisher,
    Path(id): Path<BroadcastId>,
    version: IfMatch,
) -> Result<Versioned<Json<Broadcast>>, Error> {
    app.publishing.end_broadcast(caller, version.of(id)).await?;
    look(&app, caller, id).await
}
