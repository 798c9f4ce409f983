//! The queue: looking, trying again, calling off.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::super::auth::Operator;
use super::super::extract::{Json, Path, Query};
use super::super::page::{Page, limit};
use super::super::{App, Error};
use crate::catalogue::job::{self, Filter, Row};
use crate::domain::job::{JobKind, JobState};
use crate::domain::{JobId, Timestamp, VideoId};

/// One piece of background work.
#[derive(Debug, Serialize, ToSchema)]
pub struct Job {
    #[schema(value_type = String, format = Uuid)]
    pub id: JobId,
    pub kind: JobKind,
    /// No two jobs of one name wait or run at a time.
    pub name: String,
    #[schema(value_type = Option<String>, format = Uuid)]
    pub video: Option<VideoId>,
    pub revision: Option<i64>,
    pub state: JobState,
    pub attempt: i64,
    pub max_attempts: i64,
    /// Not before.
    #[schema(value_type = String, format = DateTime)]
    pub run_at: Timestamp,
    /// The worker that has it.
    pub lease_by: Option<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub lease_until: Option<Timestamp>,
    /// 0 to 1.
    pub progress: f64,
    /// It runs, and will stop.
    pub cancel_requested: bool,
    pub last_error: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    pub finished_at: Option<Timestamp>,
}

impl From<Row> for Job {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            kind: row.kind,
            name: row.name,
            video: row.video_id,
            revision: row.revision,
            state: row.state,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            run_at: row.run_at,
            lease_by: row.lease_by,
            lease_until: row.lease_until,
            progress: row.progress,
            cancel_requested: row.cancel_requested,
            last_error: row.last_error,
            created_at: row.created_at,
            finished_at: row.finished_at,
        }
    }
}

/// What a list of jobs is narrowed by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    state: Option<JobState>,
    #[param(value_type = Option<String>, format = Uuid)]
    video: Option<VideoId>,
    kind: Option<JobKind>,
    /// `next` of the page before.
    #[param(value_type = Option<String>, format = Uuid)]
    cursor: Option<JobId>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List jobs
///
/// Takes an operator's key. Newest first, a page at a time.
#[utoipa::path(get, path = "/api/v1/admin/jobs", operation_id = "list_jobs", tag = "admin", params(Narrowing),
    security(("key" = [])),
    responses((status = 200, description = "A page of jobs", body = Page<Job>)))]
pub async fn list(
    State(app): State<App>,
    _: Operator,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Page<Job>>, Error> {
    let Narrowing { state, video, kind, cursor, limit: asked } = narrowing;
    let filter = Filter { state, video, kind, cursor, limit: limit(asked)? };
    let page = job::list(app.read().await?.conn(), &filter).await?;
    Ok(Json(Page { items: page.items.into_iter().map(Job::from).collect(), next: page.next }))
}

/// Try a dead or cancelled job again
///
/// Takes an operator's key. It gets all its attempts anew.
#[utoipa::path(post, path = "/api/v1/admin/jobs/{id}/retry", operation_id = "retry_job", tag = "admin",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The job",
        body = Job)))]
pub async fn retry(State(app): State<App>, _: Operator, Path(id): Path<JobId>) -> Result<Json<Job>, Error> {
    Ok(Json(app.publishing.retry_job(id).await?.into()))
}

/// Call a job off
///
/// Takes an operator's key. A waiting job ends at once, a running one as soon as its worker hears of it.
#[utoipa::path(post, path = "/api/v1/admin/jobs/{id}/cancel", operation_id = "cancel_job", tag = "admin",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200, description = "The job",
        body = Job)))]
pub async fn cancel(State(app): State<App>, _: Operator, Path(id): Path<JobId>) -> Result<Json<Job>, Error> {
    Ok(Json(app.publishing.cancel_job(id).await?.into()))
}
