//! Why a video is where it is.

use axum::extract::State;

use super::super::auth::Operator;
use super::super::extract::{Json, Path};
use super::super::{App, Error};
use crate::domain::VideoId;
use crate::publishing::Story;

/// Ask why a video is where it is
///
/// Every upload, revision, job and attempt, who holds the lease, and what is next in one sentence.
#[utoipa::path(get, path = "/api/v1/admin/videos/{id}/why", operation_id = "explain_video", tag = "admin",
    security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 200,
        description = "The story of the video", body = Story)))]
pub async fn why(State(app): State<App>, _: Operator, Path(id): Path<VideoId>) -> Result<Json<Story>, Error> {
    Ok(Json(app.publishing.story(id).await?))
}
