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

/// The process answers
#[utoipa::path(get, path = "/health/live", tag = "health", responses((status = 200, body = Health)))]
pub async fn live() -> Json<Health> {
    Json(Health { status: "ok" })
}

/// Database and bucket answer too
#[utoipa::path(get, path = "/health/ready", tag = "health", responses((status = 200, body = Health)))]
pub async fn ready(State(app): State<App>) -> Result<Json<Health>, Error> {
    let check = async {
        key::count_operators(app.read().await?.conn()).await?;
        app.publishing.storage.check().await?;
        Ok(Json(Health { status: "ok" }))
    };
    timeout(PATIENCE, check).await.unwrap_or(Err(Error::TooSlow))
}
