//! Holding rows against objects, and going back to an earlier revision.

use std::time::Duration;

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::auth::{Operator, Viewer};
use super::super::extract::{Json, MaybeJson, Path};
use super::super::video::{Video, look};
use super::super::{App, Error};
use crate::domain::VideoId;
use crate::publishing::{Finding, Fsck};

/// Objects younger than this may belong to work under way, in seconds.
const GRACE_SECS: u64 = 3600;

/// What is to be checked.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Check {
    /// Also read every source and compare its digest.
    rehash: bool,
    /// Mend what can be mended.
    repair: bool,
    /// Leave objects alone that are younger; an hour where it is left out.
    #[schema(minimum = 0, maximum = 31_536_000)]
    grace_seconds: Option<u64>,
}

/// What was found.
#[derive(Debug, Serialize, ToSchema)]
pub struct Findings {
    findings: Vec<Finding>,
}

/// Hold rows against objects
#[utoipa::path(post, path = "/api/v1/admin/fsck", tag = "admin", security(("key" = [])),
    request_body(content = Option<Check>), responses((status = 200, body = Findings)))]
pub async fn fsck(
    State(app): State<App>,
    _: Operator,
    MaybeJson(check): MaybeJson<Check>,
) -> Result<Json<Findings>, Error> {
    let grace = Duration::from_secs(check.grace_seconds.unwrap_or(GRACE_SECS));
    let check = Fsck { rehash: check.rehash, repair: check.repair, grace };
    Ok(Json(Findings { findings: app.publishing.fsck(&check).await? }))
}

/// Where to go back to.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Back {
    #[schema(minimum = 1, maximum = 2_147_483_647)]
    revision: u32,
}

/// Play an earlier revision again
#[utoipa::path(post, path = "/api/v1/admin/videos/{id}/rollback", tag = "admin", security(("key" = [])),
    request_body = Back, params(("id" = String, Path, format = Uuid)), responses((status = 200, body = Video)))]
pub async fn roll_back(
    State(app): State<App>,
    Operator(caller): Operator,
    Path(id): Path<VideoId>,
    Json(back): Json<Back>,
) -> Result<Json<Video>, Error> {
    app.publishing.roll_back(id, back.revision).await?;
    Ok(Json(look(&app, Viewer(Some(caller)), None, id).await?.1))
}
