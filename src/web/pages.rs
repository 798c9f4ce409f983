//! The pages' handlers: each loads what its page shows and renders it.

use crate::http::App;
use axum::Router;

/// Every page and asset.
pub fn router(_app: App) -> Router {
    super::assets::router()
}
