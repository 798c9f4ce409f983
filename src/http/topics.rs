//! Policy topics: a tree of slugs.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::auth::Operator;
use super::extract::{Json, Path, Query};
use super::page::{Page, limit};
use super::precondition::{IfMatch, IfMatchHeader, Versioned};
use super::reply::Created;
use super::words::{self, ByLanguage, Words};
use super::{App, Error};
use crate::catalogue::topic::{self, Topic as Row};
use crate::domain::topic::Slug;
use crate::domain::{Language, Texts, Timestamp, TopicId};
use crate::publishing::{self, TopicDraft};

/// What a video explains.
#[derive(Debug, Serialize, ToSchema)]
pub struct Topic {
    #[schema(value_type = String, format = Uuid)]
    id: TopicId,
    slug: Slug,
    #[schema(value_type = ByLanguage)]
    name: Texts,
    /// The slug above; null at the root.
    parent: Option<Slug>,
    /// What its `ETag` says.
    version: i64,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

impl From<Row> for Topic {
    fn from(row: Row) -> Self {
        Self {
            id: row.id,
            parent: row.slug.parent(),
            slug: row.slug,
            name: row.name.0,
            version: row.version,
            created_at: row.created_at,
            updated_at: row.updated_at,
        }
    }
}

/// A new topic.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopicDraft)]
pub struct Draft {
    slug: Slug,
    /// At most 300 characters; a plain text is English.
    #[schema(schema_with = words::name)]
    name: Words,
}

/// What is changed of a topic.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = TopicChange)]
pub struct Change {
    #[schema(schema_with = words::name)]
    name: Words,
}

/// What a list of topics is narrowed by.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Narrowing {
    /// This topic and all below it.
    under: Option<Slug>,
    /// `next` of the page before.
    cursor: Option<String>,
    #[param(minimum = 1, maximum = 100)]
    limit: Option<u32>,
}

/// List topics
///
/// By slug, a page at a time.
#[utoipa::path(get, path = "/api/v1/topics", operation_id = "list_topics", tag = "topics", params(Narrowing),
    responses((status = 200, description = "A page of topics", body = Page<Topic>)))]
pub async fn list(
    State(app): State<App>,
    Query(narrowing): Query<Narrowing>,
) -> Result<Json<Page<Topic>>, Error> {
    let Narrowing { under, cursor, limit: asked } = narrowing;
    let limit = limit(asked)?;
    let page = topic::list(app.read().await?.conn(), under.as_ref(), cursor.as_deref(), limit).await?;
    Ok(Json(Page { items: page.items.into_iter().map(Topic::from).collect(), next: page.next }))
}

/// Add a topic
///
/// Takes an operator's key. Topics above it that are missing are added with it.
#[utoipa::path(post, path = "/api/v1/topics", operation_id = "create_topic", tag = "topics",
    request_body = Draft, security(("key" = [])),
    params(("Idempotency-Key" = Option<String>, Header)),
    responses((status = 201, description = "The new topic", body = Topic, headers(("Location" = String)))))]
pub async fn add(
    State(app): State<App>,
    _: Operator,
    Json(draft): Json<Draft>,
) -> Result<Created<Topic>, Error> {
    let about = TopicDraft { name: draft.name.into_texts(&Language::english()) };
    let row = app.publishing.add_topic(draft.slug, about).await?;
    Ok(Created(app.url(&format!("/api/v1/topics/{}", row.slug)), row.into()))
}

/// Look at one topic
///
/// Its slug goes into the address as it is, with its slashes.
#[utoipa::path(get, path = "/api/v1/topics/{*slug}", operation_id = "get_topic", tag = "topics",
    params(("slug" = Slug, Path)),
    responses((status = 200, description = "The topic", body = Topic, headers(("ETag" = String)))))]
pub async fn find(State(app): State<App>, Path(slug): Path<Slug>) -> Result<Versioned<Json<Topic>>, Error> {
    let found = topic::find(app.read().await?.conn(), &slug).await?;
    Ok(answer(found.ok_or(publishing::Error::NotFound("topic"))?))
}

fn answer(row: Row) -> Versioned<Json<Topic>> {
    Versioned(row.version, Json(row.into()))
}

/// Change the names of a topic
///
/// Takes an operator's key. The slug stays.
#[utoipa::path(patch, path = "/api/v1/topics/{*slug}", operation_id = "update_topic", tag = "topics",
    request_body = Change,
    params(("slug" = Slug, Path), IfMatchHeader), security(("key" = [])),
    responses((status = 200, description = "The topic as it is now", body = Topic,
        headers(("ETag" = String)))))]
pub async fn change(
    State(app): State<App>,
    _: Operator,
    Path(slug): Path<Slug>,
    version: IfMatch,
    Json(change): Json<Change>,
) -> Result<Versioned<Json<Topic>>, Error> {
    Ok(answer(app.publishing.change_topic(version.of(slug), change.name).await?))
}
