//! The OpenAPI 3.1 document, made from the code, and a page to try it.

use axum::Router;
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{Components, InfoBuilder, License, OpenApi, OpenApiBuilder};
use utoipa_swagger_ui::SwaggerUi;

use super::App;

/// The document before the routes add themselves.
pub fn outline() -> OpenApi {
    let info = InfoBuilder::new()
        .title("policast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Video publishing for government agencies' policy explainers."))
        .license(Some(License::new("Apache-2.0")));
    let mut components = Components::new();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    OpenApiBuilder::new().info(info.build()).components(Some(components)).build()
}

/// `/api/openapi.json` and `/api/docs`.
pub fn router(document: OpenApi) -> Router<App> {
    SwaggerUi::new("/api/docs").url("/api/openapi.json", document).into()
}
