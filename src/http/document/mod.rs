//! The `OpenAPI` 3.1 document, made from the code.

mod finish;
mod refusals;
mod words;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use bytes::Bytes;
use serde_json::Value;
use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::server::ServerBuilder;
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{Components, ContactBuilder, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder};
use utoipa::{PartialSchema, ToSchema};

pub use finish::finish;

use super::App;
use super::problem::{Fault, Problem};

/// The document before the routes add themselves.
pub fn outline() -> OpenApi {
    let license = LicenseBuilder::new()
        .name("Apache-2.0")
        .url(Some("https://www.apache.org/licenses/LICENSE-2.0"))
        .build();
    let contact = ContactBuilder::new().name(Some("The operator of this server")).build();
    let info = InfoBuilder::new()
        .title("policast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some(words::ABOUT))
        .contact(Some(contact))
        .license(Some(license));
    let key = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some("A key of an account or an operator's: `Authorization: Bearer KEY`"));
    let mut components = Components::new();
    components.add_security_scheme("key", SecurityScheme::Http(key.build()));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(Fault::name().into_owned(), Fault::schema());
    let tags = words::TAGS.iter().map(|(name, about)| {
        let tag = TagBuilder::new().name(*name).description(Some(*about));
        tag.build()
    });
    let here = ServerBuilder::new().url("/").description(Some("The server this document comes from"));
    OpenApiBuilder::new()
        .info(info.build())
        .servers(Some([here.build()]))
        .tags(Some(tags.collect::<Vec<_>>()))
        .components(Some(components))
        .build()
}

/// The document of this server: with the address it is reached at.
pub fn of(mut document: Value, app: &App) -> Value {
    document["servers"][0]["url"] = app.settings.public_url.as_str().into();
    document
}

/// `/api/openapi.json`.
pub fn router(document: &Value) -> Router<App> {
    let json = Bytes::from(document.to_string());
    let answer = async move || ([(CONTENT_TYPE, "application/json")], json.clone());
    Router::new().route("/api/openapi.json", get(answer))
}
