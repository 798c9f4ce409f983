//! The table of revisions: each processing of a source.

use std::collections::BTreeMap;

use sqlx::types::Json;

pub use super::selection::{Selected, Selection, select};
use super::{Conn, Error, on};
use crate::domain::media::{Ladder, MediaState, Probe, Timeline};
use crate::domain::{Nonce, Refusal, Timestamp, UploadId, VideoId};

/// One processing of a source.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Revision {
    pub video_id: VideoId,
    pub number: i64,
    pub state: MediaState,
    pub upload_id: UploadId,
    pub ladder_version: i64,
    pub probe: Option<Json<Probe>>,
    pub ladder: Option<Json<Ladder>>,
    pub timeline: Option<Json<Timeline>>,
    pub storyboard: Option<Json<Still>>,
    pub poster: Option<Json<Still>>,
    pub warnings: Json<Vec<Refusal>>,
    pub error: Option<Json<Refusal>>,
    /// What made it: FFmpeg's build, the encoder's settings, the source's digest.
    pub provenance: Json<BTreeMap<String, String>>,
    /// CPU spent on it so far, in milliseconds.
    pub cpu_ms: i64,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
    /// When its objects go, once another revision plays.
    pub retire_at: Option<Timestamp>,
    /// In the names of the objects that are made for it from now on.
    pub nonce: Option<Nonce>,
}

/// A picture in the bucket.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Still {
    pub width: u32,
    pub height: u32,
    pub size_bytes: u64,
    /// In the name of its object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nonce: Option<Nonce>,
}

/// What a probe led to.
#[derive(Debug, Clone)]
pub struct Plan {
    pub probe: Probe,
    pub ladder: Ladder,
    pub timeline: Timeline,
    pub provenance: BTreeMap<String, String>,
}

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "select video_id, number, state, upload_id, ladder_version, probe, ladder, timeline, storyboard, poster,
             warnings, error, provenance, cpu_ms, created_at, finished_at, retire_at, nonce from revision ",
            $rest
        )
    };
}

const SELECT: &str = select!("where video_id = $1 and number = $2");
const LIST: &str = select!("where video_id = $1 order by number desc");
// Where a job for it is dead, an operator decides.
const LIST_DUE: &str = "select r.retire_at, r.video_id, r.number from revision r
    where r.retire_at < $1 and (r.retire_at, r.video_id, r.number) > ($2, $3, $4)
      and not exists (select 1 from job j where j.video_id = r.video_id
        and j.name = 'retire/' || r.video_id || '/' || cast(r.number as text)
        and j.state in ('queued', 'running', 'dead'))
    order by r.retire_at, r.video_id, r.number limit 100";
const NEXT: &str = "select coalesce(max(number), 0) + 1 from revision where video_id = $1";
const INSERT: &str =
    "insert into revision (video_id, number, state, upload_id, ladder_version, warnings, provenance,
    cpu_ms, created_at, nonce) values ($1, $2, $3, $4, 0, $5, $6, 0, $7, $8)";
const FIND_NONCE: &str = "select nonce from revision where video_id = $1 and number = $2";
const SET_NONCE: &str = "update revision set nonce = $3 where video_id = $1 and number = $2";
const SET_PLAN: &str = "update revision set ladder_version = $3, probe = $4, ladder = $5, timeline = $6,
    provenance = $7, warnings = $8 where video_id = $1 and number = $2";
const SET_PROVENANCE: &str = "update revision set provenance = $3 where video_id = $1 and number = $2";
const SET_LADDER: &str = "update revision set ladder = $3 where video_id = $1 and number = $2";
const SET_STATE: &str = "update revision set state = $3, error = $4, finished_at = $5
    where video_id = $1 and number = $2";
const REOPEN: &str =
    "update revision set finished_at = null, retire_at = null where video_id = $1 and number = $2";
const SET_STILLS: &str =
    "update revision set poster = coalesce($3, poster), storyboard = coalesce($4, storyboard)
    where video_id = $1 and number = $2";
const SET_WARNINGS: &str = "update revision set warnings = $3 where video_id = $1 and number = $2";
const SET_RETIRE: &str = "update revision set retire_at = $3 where video_id = $1 and number = $2";
const ADD_CPU: &str = "update revision set cpu_ms = cpu_ms + $3 where video_id = $1 and number = $2";
const DELETE: &str = "delete from revision where video_id = $1 and number = $2";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    SELECT,
    LIST,
    LIST_DUE,
    NEXT,
    INSERT,
    FIND_NONCE,
    SET_NONCE,
    SET_PLAN,
    SET_PROVENANCE,
    SET_LADDER,
    SET_STATE,
    REOPEN,
    SET_STILLS,
    SET_WARNINGS,
    SET_RETIRE,
    ADD_CPU,
    DELETE,
];

/// A revision of a video.
pub async fn find(conn: Conn<'_>, video: VideoId, number: u32) -> Result<Option<Revision>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(video).bind(i64::from(number)).fetch_optional(c).await?))
}

/// All revisions of a video, newest first.
pub async fn list(conn: Conn<'_>, video: VideoId) -> Result<Vec<Revision>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST).bind(video).fetch_all(c).await?))
}

/// A revision whose grace is over: since when, and which.
pub type Due = (Timestamp, VideoId, i64);

/// Revisions whose grace is over and that no job removes yet, a hundred at a time, after this one.
pub async fn list_due(conn: Conn<'_>, now: Timestamp, after: Option<&Due>) -> Result<Vec<Due>, Error> {
    let (at, video, number) =
        after.map_or((0, String::new(), 0), |(at, video, number)| (at.0, video.to_string(), *number));
    Ok(
        on!(conn, c => sqlx::query_as(LIST_DUE).bind(now).bind(at).bind(video).bind(number).fetch_all(c).await?),
    )
}

/// Begins the next revision of a video; returns its number.
pub async fn insert(
    mut conn: Conn<'_>,
    video: VideoId,
    upload: UploadId,
    now: Timestamp,
) -> Result<u32, Error> {
    let number: i64 = on!(conn.again(), c => sqlx::query_scalar(NEXT).bind(video).fetch_one(c).await?);
    on!(conn, c => sqlx::query(INSERT)
        .bind(video)
        .bind(number)
        .bind(MediaState::Processing)
        .bind(upload)
        .bind(Json(Vec::<Refusal>::new()))
        .bind(Json(BTreeMap::<String, String>::new()))
        .bind(now)
        .bind(Nonce::random())
        .execute(c)
        .await
        .map(drop)?);
    Ok(u32::try_from(number).unwrap_or(u32::MAX))
}

/// What the names of the objects made for it from now on have in them; `None` also where there is no such revision.
pub async fn find_nonce(conn: Conn<'_>, (video, number): (VideoId, u32)) -> Result<Option<Nonce>, Error> {
    let number = i64::from(number);
    let row: Option<Option<Nonce>> =
        on!(conn, c => sqlx::query_scalar(FIND_NONCE).bind(video).bind(number).fetch_optional(c).await?);
    Ok(row.flatten())
}

/// Objects made for it from now on have this in their names.
pub async fn set_nonce(conn: Conn<'_>, (video, number): (VideoId, u32), nonce: Nonce) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(SET_NONCE).bind(video).bind(number).bind(nonce).execute(c).await.map(drop)?);
    Ok(())
}

/// Keeps what the probe found and what is to be made of it.
pub async fn set_plan(conn: Conn<'_>, video: VideoId, number: u32, plan: &Plan) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_PLAN)
        .bind(video)
        .bind(i64::from(number))
        .bind(i64::from(plan.ladder.version))
        .bind(Json(&plan.probe))
        .bind(Json(&plan.ladder))
        .bind(Json(&plan.timeline))
        .bind(Json(&plan.provenance))
        .bind(Json(&plan.probe.warnings))
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Says what makes the revision, before its plan does.
pub async fn set_provenance(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    provenance: &BTreeMap<String, String>,
) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(SET_PROVENANCE).bind(video).bind(number).bind(Json(provenance)).execute(c).await.map(drop)?);
    Ok(())
}

/// What a recording consists of, before a probe plans the rest.
pub async fn set_ladder(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    ladder: &Ladder,
) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(SET_LADDER).bind(video).bind(number).bind(Json(ladder)).execute(c).await.map(drop)?);
    Ok(())
}

/// How far the revision is; `finished_at` where that is the end of it.
pub async fn set_state(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    (state, error): (MediaState, Option<&Refusal>),
    finished_at: Option<Timestamp>,
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_STATE)
        .bind(video)
        .bind(i64::from(number))
        .bind(state)
        .bind(error.map(Json))
        .bind(finished_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Takes work on a revision up again.
pub async fn reopen(conn: Conn<'_>, (video, number): (VideoId, u32)) -> Result<(), Error> {
    on!(conn, c => sqlx::query(REOPEN).bind(video).bind(i64::from(number)).execute(c).await.map(drop)?);
    Ok(())
}

/// Notes the pictures that are in the bucket.
pub async fn set_stills(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    poster: Option<&Still>,
    storyboard: Option<&Still>,
) -> Result<(), Error> {
    on!(conn, c => sqlx::query(SET_STILLS)
        .bind(video)
        .bind(i64::from(number))
        .bind(poster.map(Json))
        .bind(storyboard.map(Json))
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Writes the warnings an editor is shown.
pub async fn set_warnings(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    warnings: &[Refusal],
) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(SET_WARNINGS).bind(video).bind(number).bind(Json(warnings)).execute(c).await.map(drop)?);
    Ok(())
}

/// Says when the revision's objects go; `None`: they stay.
pub async fn set_retire(
    conn: Conn<'_>,
    (video, number): (VideoId, u32),
    at: Option<Timestamp>,
) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(SET_RETIRE).bind(video).bind(number).bind(at).execute(c).await.map(drop)?);
    Ok(())
}

/// Adds CPU time spent.
pub async fn add_cpu(conn: Conn<'_>, (video, number): (VideoId, u32), cpu_ms: i64) -> Result<(), Error> {
    let number = i64::from(number);
    on!(conn, c => sqlx::query(ADD_CPU).bind(video).bind(number).bind(cpu_ms).execute(c).await.map(drop)?);
    Ok(())
}

/// Forgets a revision with its rungs and packs.
pub async fn delete(conn: Conn<'_>, video: VideoId, number: u32) -> Result<(), Error> {
    on!(conn, c => sqlx::query(DELETE).bind(video).bind(i64::from(number)).execute(c).await.map(drop)?);
    Ok(())
}
