//! Pages of objects.

use super::objects::{size, timestamp, unquoted};
use super::{Error, Storage};
use crate::domain::Timestamp;

/// One object of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    pub key: String,
    pub size_bytes: u64,
    /// Without quotes.
    pub etag: String,
    pub modified: Timestamp,
}

/// Objects in the order of their names' bytes, and what to ask for next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<Item>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<String>,
}

impl Storage {
    /// Up to 1,000 objects whose names begin with `prefix`, after the name `after`.
    pub async fn list(&self, prefix: &str, after: Option<String>) -> Result<Page, Error> {
        let request = self.client.list_objects_v2().bucket(&*self.bucket).prefix(prefix);
        let sent = request.set_start_after(after).send().await;
        let output = sent.map_err(|error| self.asked("").refused(error))?;
        let items: Vec<Item> = output.contents().iter().map(item).collect();
        let next = items.last().map(|item| item.key.clone()).filter(|_| output.is_truncated() == Some(true));
        Ok(Page { items, next })
    }
}

fn item(object: &aws_sdk_s3::types::Object) -> Item {
    Item {
        key: object.key().unwrap_or_default().to_owned(),
        size_bytes: size(object.size()),
        etag: unquoted(object.e_tag()),
        modified: timestamp(object.last_modified()),
    }
}
