//! The pages' handlers: each loads what its page shows and renders it.

use axum::Router;
use crate::http::App;

/// Every page and asset.
pub fn router(_app: App) -> Router {
    super::assets::router()
}
