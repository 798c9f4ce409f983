//! Lists a page at a time: `{"items": […], "next": "cursor" | null}`.

use serde::Serialize;
use utoipa::ToSchema;

use super::Error;

/// Items of a page where the caller doesn't say.
const DEFAULT_LIMIT: u32 = 20;
/// More would keep a connection to the database too long.
const MAX_LIMIT: u32 = 100;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
pub struct Page<T: ToSchema> {
    pub items: Vec<T>,
    /// Goes into `cursor` for the next page; null at the end.
    pub next: Option<String>,
}

/// How many items are asked for.
pub fn limit(asked: Option<u32>) -> Result<u32, Error> {
    match asked.unwrap_or(DEFAULT_LIMIT) {
        limit @ 1..=MAX_LIMIT => Ok(limit),
        limit => Err(Error::Invalid {
            field: "limit",
            message: format!("{limit} is not between 1 and {MAX_LIMIT}"),
        }),
    }
}
