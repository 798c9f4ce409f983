//! Why a video is where it is: every state, job and attempt, and what is next.

use std::collections::BTreeMap;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::super::auth::Operator;
use super::super::extract::{Json, Path};
use super::super::uploads::look::Upload;
use super::super::{App, Error};
use super::jobs::Job;
use super::story;
use crate::catalogue::job::{self, Attempt as AttemptRow};
use crate::catalogue::revision::Revision as RevisionRow;
use crate::catalogue::rung::Rung as RungRow;
use crate::catalogue::{Conn, revision, rung, upload, video};
use crate::domain::media::{MediaState, RungState};
use crate::domain::video::VideoState;
use crate::domain::{JobId, Refusal, Timestamp, UploadId, VideoId};
use crate::publishing;

/// The whole story of a video.
#[derive(Debug, Serialize, ToSchema)]
pub struct Why {
    #[schema(value_type = String, format = Uuid)]
    video: VideoId,
    state: VideoState,
    media_state: MediaState,
    error: Option<Refusal>,
    /// The revision that plays.
    plays: Option<i64>,
    /// What is next, in one sentence.
    next: String,
    uploads: Vec<Upload>,
    /// Newest first.
    revisions: Vec<Revision>,
    /// Oldest first.
    jobs: Vec<Work>,
}

/// One processing of a source.
#[derive(Debug, Serialize, ToSchema)]
pub struct Revision {
    number: i64,
    state: MediaState,
    #[schema(value_type = String, format = Uuid)]
    upload: UploadId,
    ladder_version: i64,
    rungs: Vec<Rung>,
    /// What made it.
    provenance: BTreeMap<String, String>,
    warnings: Vec<Refusal>,
    error: Option<Refusal>,
    cpu_ms: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    finished_at: Option<Timestamp>,
    /// When its objects go.
    #[schema(value_type = Option<String>, format = DateTime)]
    retire_at: Option<Timestamp>,
}

/// One rendition.
#[derive(Debug, Serialize, ToSchema)]
pub struct Rung {
    name: String,
    state: RungState,
    codecs: Option<String>,
    error: Option<String>,
}

/// A job with every try at it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Work {
    #[serde(flatten)]
    job: Job,
    attempts: Vec<Attempt>,
}

/// One try at a job.
#[derive(Debug, Serialize, ToSchema)]
pub struct Attempt {
    attempt: i64,
    worker: String,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    outcome: Option<String>,
    error: Option<String>,
}

/// Why a video is where it is
#[utoipa::path(get, path = "/api/v1/admin/videos/{id}/why", tag = "admin", security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Why)))]
pub async fn why(State(app): State<App>, _: Operator, Path(id): Path<VideoId>) -> Result<Json<Why>, Error> {
    let mut read = app.read().await?;
    let row = video::find(read.conn(), id).await?.ok_or(publishing::Error::NotFound("video"))?;
    let uploads = upload::list_of_video(read.conn(), id).await?;
    let jobs = job::list_of_video(read.conn(), id).await?;
    let attempts = job::list_attempts(read.conn(), id).await?;
    Ok(Json(Why {
        video: id,
        state: row.state,
        media_state: row.media_state,
        next: story::next(&row, &uploads, &jobs),
        error: row.error.map(|error| error.0),
        plays: row.revision,
        uploads: uploads.iter().map(Upload::from).collect(),
        revisions: revisions(read.conn(), id).await?,
        jobs: jobs.into_iter().map(|job| work(job.into(), &attempts)).collect(),
    }))
}

async fn revisions(mut conn: Conn<'_>, id: VideoId) -> Result<Vec<Revision>, Error> {
    let mut revisions = Vec::new();
    for row in revision::list(conn.again(), id).await? {
        let rungs = rung::list(conn.again(), id, u32::try_from(row.number).unwrap_or(0)).await?;
        revisions.push(describe(row, rungs));
    }
    Ok(revisions)
}

fn describe(row: RevisionRow, rungs: Vec<RungRow>) -> Revision {
    let rung = |row: RungRow| Rung { name: row.name, state: row.state, codecs: row.codecs, error: row.error };
    Revision {
        number: row.number,
        state: row.state,
        upload: row.upload_id,
        ladder_version: row.ladder_version,
        rungs: rungs.into_iter().map(rung).collect(),
        provenance: row.provenance.0,
        warnings: row.warnings.0,
        error: row.error.map(|error| error.0),
        cpu_ms: row.cpu_ms,
        created_at: row.created_at,
        finished_at: row.finished_at,
        retire_at: row.retire_at,
    }
}

fn work(job: Job, attempts: &[AttemptRow]) -> Work {
    let of = |id: JobId| attempts.iter().filter(move |attempt| attempt.job_id == id);
    let attempt = |row: &AttemptRow| Attempt {
        attempt: row.attempt,
        worker: row.worker.clone(),
        started_at: row.started_at,
        ended_at: row.ended_at,
        outcome: row.outcome.clone(),
        error: row.error.clone(),
    };
    Work { attempts: of(job.id).map(attempt).collect(), job }
}
