//! The table of policy topics.

use sqlx::types::Json;

use super::{Conn, Error, Page, on};
use crate::domain::topic::Slug;
use crate::domain::{Texts, Timestamp, TopicId};

/// A topic.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Topic {
    pub id: TopicId,
    pub slug: Slug,
    pub name: Json<Texts>,
    /// Raised by every change that people make.
    pub version: i64,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

const SELECT: &str = "select id, slug, name, version, created_at, updated_at from topic where slug = $1";
const SELECT_BY_ID: &str = "select id, slug, name, version, created_at, updated_at from topic where id = $1";
const LIST: &str = "select id, slug, name, version, created_at, updated_at from topic
    where slug > coalesce($1, '') and (slug = $2 or slug like $3 or $2 is null)
    order by slug limit $4";
const LIST_BELOW: &str = "select id, slug, name, version, created_at, updated_at from topic
    where slug > $1 and slug like $1 || '/%' and slug not like $1 || '/%/%' order by slug";
const INSERT: &str = "insert into topic (id, slug, name, created_at, updated_at) values ($1, $2, $3, $4, $5)";
const UPDATE: &str = "update topic set name = $2, version = version + 1, updated_at = $3 where id = $1";
const LOCK: &str = "update topic set updated_at = updated_at where id = $1";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[SELECT, SELECT_BY_ID, LIST, LIST_BELOW, INSERT, UPDATE, LOCK];

/// The topic of a slug.
pub async fn find(conn: Conn<'_>, slug: &Slug) -> Result<Option<Topic>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(slug).fetch_optional(c).await?))
}

/// The topic of an id.
pub async fn find_by_id(conn: Conn<'_>, id: TopicId) -> Result<Option<Topic>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT_BY_ID).bind(id).fetch_optional(c).await?))
}

/// The topics from the root down to this slug.
pub async fn list_path(mut conn: Conn<'_>, slug: &Slug) -> Result<Vec<Topic>, Error> {
    let mut path = Vec::new();
    for step in slug.path() {
        path.extend(find(conn.again(), &step).await?);
    }
    Ok(path)
}

/// A page of topics by slug; `under` narrows it to one branch.
pub async fn list(
    conn: Conn<'_>,
    under: Option<&Slug>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Topic>, Error> {
    let rows: Vec<Topic> = on!(conn, c => sqlx::query_as(LIST)
        .bind(cursor)
        .bind(under.map(Slug::as_str))
        .bind(under.map(|slug| format!("{slug}/%")))
        .bind(i64::from(limit) + 1)
        .fetch_all(c)
        .await?);
    Ok(Page::of(rows, limit, |topic| topic.slug.to_string()))
}

/// The topics right below one, by slug.
pub async fn list_below(conn: Conn<'_>, slug: &Slug) -> Result<Vec<Topic>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_BELOW).bind(slug).fetch_all(c).await?))
}

/// Adds a topic; `Taken` where the slug is.
pub async fn insert(conn: Conn<'_>, topic: &Topic) -> Result<(), Error> {
    on!(conn, c => sqlx::query(INSERT)
        .bind(topic.id)
        .bind(&topic.slug)
        .bind(&topic.name)
        .bind(topic.created_at)
        .bind(topic.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Writes a topic's names.
pub async fn update(conn: Conn<'_>, topic: &Topic) -> Result<(), Error> {
    on!(conn, c => sqlx::query(UPDATE)
        .bind(topic.id)
        .bind(&topic.name)
        .bind(topic.updated_at)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Locks the row to the end of the transaction, so that two changes go one after the other.
pub async fn lock(conn: Conn<'_>, id: TopicId) -> Result<(), Error> {
    on!(conn, c => sqlx::query(LOCK).bind(id).execute(c).await.map(drop)?);
    Ok(())
}
