//! The JSON API, tus and playback: the whole public surface on one page, grouped by who calls it.

mod accounts;
mod admin;
mod app;
pub mod auth;
mod body;
mod broadcasts;
mod buffers;
mod check;
mod compress;
mod coverage;
pub mod csp;
mod document;
mod error;
mod events;
pub mod extract;
pub mod gate;
mod headers;
mod health;
mod idempotency;
mod keys;
mod layers;
mod me;
mod nodes;
mod page;
mod pages;
pub mod play;
mod poster;
mod precondition;
mod preview;
mod problem;
pub mod rate;
mod reply;
mod source;
mod strict;
mod targets;
mod topics;
mod uploads;
pub mod video;
mod videos;
mod words;
mod writers;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware::{from_fn, from_fn_with_state};
use tower_http::catch_panic::CatchPanicLayer;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use app::{App, Ingest, Settings};
pub use error::Error;
pub use pages::{Pages, Refusal};

/// Bytes a JSON body may have.
const MAX_JSON_BYTES: usize = 1 << 20;

/// Everything there is to be asked, with the pages for people beside it.
pub fn router(app: App, pages: impl Into<Pages>) -> Router {
    let Pages { routes: pages, refusal } = pages.into();
    let (api, document) = api().split_for_parts();
    let document = document::finish(&document);
    let known = Arc::new(strict::Known::of(&document));
    api.layer(from_fn(layers::hold_one_connection))
        .layer(from_fn_with_state(app.clone(), idempotency::once))
        .layer(from_fn_with_state(known, strict::refuse_unknown))
        .merge(undocumented(document::router(&document::of(document, &app))))
        .merge(undocumented(nodes::routes()))
        .with_state(app.clone())
        .merge(pages.layer(from_fn(layers::hold_one_connection)))
        .layer(from_fn_with_state(app, rate::limit))
        .layer(from_fn(layers::cors))
        .layer(from_fn(layers::harden))
        .layer(CatchPanicLayer::custom(layers::catch))
        .layer(from_fn(layers::identify))
        .layer(from_fn_with_state(refusal, pages::tell_people))
        .layer(from_fn(compress::compress))
}

/// Addresses of programs beside those that the document tells of; none takes a parameter.
fn undocumented(routes: Router<App>) -> Router<App> {
    routes.layer(from_fn(strict::refuse_all))
}

/// The `OpenAPI` document, for `policast openapi`.
pub fn openapi() -> serde_json::Value {
    document::finish(&api().into_openapi())
}

/// The routes that are documented: all.
fn api() -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(document::outline())
        .merge(questions().layer(from_fn(layers::hurry)))
        .merge(tus().layer(from_fn(uploads::protocol::speak)))
        .merge(streams())
        .layer(DefaultBodyLimit::max(MAX_JSON_BYTES))
}

/// Answered at once.
fn questions() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        // Everybody; some of these give more to those who may see more.
        .routes(routes!(health::live))
        .routes(routes!(health::ready))
        // Members, for what is their account's.
        .routes(routes!(me::me))
        .routes(routes!(videos::list, videos::add))
        .routes(routes!(videos::find, videos::change, videos::delete))
        .routes(routes!(preview::call_back))
        .routes(routes!(uploads::parts::parts))
        .routes(routes!(uploads::parts::finish))
        .routes(routes!(broadcasts::list, broadcasts::add))
        .routes(routes!(broadcasts::find, broadcasts::change))
        .routes(routes!(broadcasts::rotate, broadcasts::revoke))
        // Publishers; members may look at targets.
        .routes(routes!(broadcasts::end))
        .routes(routes!(targets::list, targets::add))
        .routes(routes!(targets::remove))
        .routes(routes!(videos::publish))
        .routes(routes!(videos::withdraw))
        // Admins, for the keys of their account; operators, for every account.
        .routes(routes!(keys::list, keys::add))
        .routes(routes!(keys::revoke))
        // Operators.
        .routes(routes!(accounts::list, accounts::add))
        .routes(routes!(accounts::find, accounts::change))
        .routes(routes!(topics::list, topics::add))
        .routes(routes!(topics::find, topics::change))
        .routes(routes!(keys::list_any, keys::add_any))
        .routes(routes!(admin::jobs::list))
        .routes(routes!(admin::jobs::retry))
        .routes(routes!(admin::jobs::cancel))
        .routes(routes!(admin::why::why))
        .routes(routes!(admin::fsck::roll_back))
        // Players.
        .routes(routes!(play::playlists::master))
}

/// Resumable uploads.
fn tus() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(uploads::protocol::discover, uploads::announce::announce)).routes(
        routes!(
            uploads::look::find,
            uploads::look::head,
            uploads::send::send,
            uploads::send::terminate,
            uploads::send::overridden
        ),
    )
}

/// Streams last as long as they need.
fn streams() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(source::put))
        .routes(routes!(poster::put, poster::remove))
        .routes(routes!(admin::reprocess::reprocess))
        .routes(routes!(admin::fsck::fsck))
        .routes(routes!(events::events))
        .routes(routes!(play::media::file))
        .routes(routes!(play::stills::still))
        .routes(routes!(play::stills::poster))
}
