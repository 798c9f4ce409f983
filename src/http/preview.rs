//! Links to what isn't public yet, called back.

use axum::extract::State;

use super::auth::Member;
use super::extract::Path;
use super::reply::Gone;
use super::{App, Error};
use crate::domain::VideoId;

/// Call back every preview link of a video
///
/// A token in an address handed out before is refused from now on, on every node within a second; the addresses in the
/// next authorised answer carry a new one.
#[utoipa::path(delete, path = "/api/v1/videos/{id}/preview", operation_id = "revoke_preview_links",
    tag = "videos", security(("key" = [])),
    params(("id" = String, Path, format = Uuid)), responses((status = 204,
        description = "They are good for nothing")))]
pub async fn call_back(
    State(app): State<App>,
    Member(caller): Member,
    Path(id): Path<VideoId>,
) -> Result<Gone, Error> {
    app.publishing.call_back_previews(caller, id).await?;
    Ok(Gone)
}
