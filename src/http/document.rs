//! The `OpenAPI` 3.1 document, made from the code, and a page to try it.

use axum::Router;
use axum::http::HeaderValue;
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::middleware::map_response;
use utoipa::openapi::path::{Operation, Parameter, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    Components, Content, InfoBuilder, License, OpenApi, OpenApiBuilder, Ref, RefOr, Response, ResponseBuilder,
};
use utoipa::{PartialSchema, ToSchema};
use utoipa_swagger_ui::SwaggerUi;

use super::App;
use super::csp::{self, Framing};
use super::problem::Problem;

/// What any request may get.
const ALWAYS: &[(&str, &str)] = &[
    ("400", "The request is malformed"),
    ("429", "Too much was asked, or too many wrong keys were shown; Retry-After says when to come back"),
    ("500", "A fault of ours; the request id finds it in the log"),
    ("503", "The database or the object store can't be reached now"),
];
/// What a request with a key may get.
const KEYED: &[(&str, &str)] =
    &[("401", "The key is missing, wrong or revoked"), ("403", "The key or token may not do this")];
/// What a request that changes something may get.
const CHANGING: &[(&str, &str)] = &[
    ("408", "The client sent nothing for too long"),
    ("409", "It can't be done in the present state"),
    ("413", "The body is too large, or the quota exceeded"),
    ("415", "The body is of another type than expected"),
    ("422", "What is said can't be taken"),
    ("507", "No space is left to store it"),
];
/// What a request for something certain may get.
const NAMED: &[(&str, &str)] = &[("404", "It isn't there, or not for this caller")];
/// What a request for one version may get.
const VERSIONED: &[(&str, &str)] = &[("412", "It was changed since the version that If-Match names")];
/// What a tus request may get.
const TUS: &[(&str, &str)] = &[
    ("410", "The upload was given up or has expired"),
    ("412", "Tus-Resumable is missing or of another version"),
    ("460", "The checksum does not match"),
];

/// The document before the routes add themselves.
pub fn outline() -> OpenApi {
    let info = InfoBuilder::new()
        .title("policast")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("Video publishing for government agencies' policy explainers."))
        .license(Some(License::new("Apache-2.0")));
    let mut components = Components::new();
    components.add_security_scheme("key", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)));
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    OpenApiBuilder::new().info(info.build()).components(Some(components)).build()
}

/// The document with every refusal a route can give, and addresses as `OpenAPI` writes them.
pub fn complete(mut document: OpenApi) -> OpenApi {
    let paths = std::mem::take(&mut document.paths.paths);
    for (path, mut item) in paths {
        for (operation, changes) in operations(&mut item) {
            refuse(operation, &path, changes);
        }
        document.paths.paths.insert(path.replace("{*", "{"), item);
    }
    document
}

fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reading = [&mut item.get, &mut item.head, &mut item.options].map(|operation| (operation, false));
    let changing = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    let all = reading.into_iter().chain(changing.map(|operation| (operation, true)));
    all.filter_map(|(operation, changes)| Some((operation.as_mut()?, changes)))
}

fn refuse(operation: &mut Operation, path: &str, changes: bool) {
    let keyed = operation.security.is_some() || path.starts_with("/play/");
    let groups = [
        (true, ALWAYS),
        (keyed, KEYED),
        (changes, CHANGING),
        (path.contains('{'), NAMED),
        (path.starts_with("/api/v1/uploads"), TUS),
        (takes_version(operation), VERSIONED),
        (!changes, &[("422", "What is said can't be taken")]),
    ];
    for (status, description) in groups.into_iter().filter(|(given, _)| *given).flat_map(|(_, group)| group) {
        let responses = &mut operation.responses.responses;
        responses.entry((*status).to_owned()).or_insert_with(|| problem(description));
    }
}

fn takes_version(operation: &Operation) -> bool {
    let named = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(it) if it.name == "If-Match");
    operation.parameters.iter().flatten().any(named)
}

fn problem(description: &str) -> RefOr<Response> {
    let schema = Ref::from_schema_name(Problem::name());
    let content = Content::new(Some(schema));
    ResponseBuilder::new()
        .description(description)
        .content("application/problem+json", content)
        .build()
        .into()
}

/// `/api/openapi.json` and `/api/docs`. A key is typed in there: nothing from elsewhere runs beside it, and no page has
/// it in a frame.
pub fn router(document: OpenApi) -> Router<App> {
    let router: Router<App> = SwaggerUi::new("/api/docs").url("/api/openapi.json", document).into();
    router.layer(map_response(async |mut response: axum::response::Response| {
        if let Ok(policy) = HeaderValue::from_str(&csp::policy(&[], Framing::Nobody)) {
            response.headers_mut().insert(CONTENT_SECURITY_POLICY, policy);
        }
        response
    }))
}
