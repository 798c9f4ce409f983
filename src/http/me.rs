//! Who the holder of a key is, so that a page offers nothing that the key may not do.

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::auth::Member;
use super::extract::Json;
use super::{App, Error};
use crate::catalogue::account;
use crate::domain::account::Handle;
use crate::domain::key::Role;

/// The holder of a key.
#[derive(Debug, Serialize, ToSchema)]
pub struct Me {
    /// What the key may do.
    role: Role,
    /// Null for an operator.
    account: Option<Handle>,
}

/// Look at one's own key
///
/// Which account it belongs to and what it may do, so that nothing is offered that it may not.
#[utoipa::path(get, path = "/api/v1/me", operation_id = "get_me", tag = "keys", security(("key" = [])),
    responses((status = 200, description = "The holder of the key", body = Me)))]
pub async fn me(State(app): State<App>, Member(caller): Member) -> Result<Json<Me>, Error> {
    let account = match caller.account {
        Some(id) => account::find_by_id(app.read().await?.conn(), id).await?.map(|account| account.handle),
        None => None,
    };
    Ok(Json(Me { role: caller.role, account }))
}
