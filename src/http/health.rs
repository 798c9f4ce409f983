//! Whether this process lives, and whether it can do its work.

use std::time::Duration;

use axum::extract::State;
use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::extract::Json;
use super::{App, Error};
use crate::catalogue::key;

/// A dependency that takes longer is out of reach.
const PATIENCE: Duration = Duration::from_secs(5);

/// All is well.
#[derive(Debug, Serialize, ToSchema)]
pub struct Health {
    #[schema(example = "ok")]
    status: &'static str,
}

/// Ask whether the process answers
///
/// For whoever restarts processes: it depends on nothing else.
#[utoipa::path(get, path = "/health/live", operation_id = "check_liveness", tag = "health",
    responses((status = 200, description = "The process answers", body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Ask whether the server can work
///
/// The database and the object store answer too.
#[utoipa::path(get, path = "/health/ready", operation_id = "check_readiness", tag = "health",
    responses((status = 200, description = "The server can work", body = Health)))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, Error> {
    let check = async {
        key::count_operators(app.read().await?.conn()).await?;
        app.publishing.storage.check().await?;
        Ok(Json(Health { status: "ok" }))
    };
    let checked = timeout(PATIENCE, check).await.unwrap_or(Err(Error::TooSlow));
    checked.map_err(|error| Error::Unready(Box::new(error)))
}
