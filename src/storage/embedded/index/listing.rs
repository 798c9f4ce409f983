//! Objects in the order of their names' bytes, and prefixes they have in common.

use super::{Index, Stored};

const LIST: &str = "
select key, version, etag, size_bytes, modified_at, headers from object
where bucket = $1 and key >= $2 and key > $3 order by key limit $4";

/// No key begins with this: placed behind a prefix it lies after all its keys.
const BEHIND_ALL: char = char::MAX;

/// Which objects to list.
#[derive(Debug, Clone, Default)]
pub(in crate::storage::embedded) struct Span {
    pub bucket: String,
    pub prefix: String,
    /// Empty for none.
    pub delimiter: String,
    /// Names up to this one are passed over; ends with the delimiter where it was a common prefix.
    pub after: String,
    pub limit: u32,
}

/// One line of a listing.
#[derive(Debug, Clone)]
pub(in crate::storage::embedded) enum Entry {
    Object(Box<Stored>),
    /// What several names have in common up to the delimiter.
    Prefix(String),
}

impl Index {
    /// Up to `limit` entries, and whether there are more.
    pub async fn list(&self, span: &Span) -> Result<(Vec<Entry>, bool), sqlx::Error> {
        let limit = span.limit as usize;
        let mut entries = Vec::new();
        let mut after = span.resume();
        while entries.len() <= limit {
            let wanted = u32::try_from(limit + 1 - entries.len()).unwrap_or(u32::MAX);
            let rows = self.rows(span, &after, wanted).await?;
            let end = rows.len() < wanted as usize;
            for row in rows {
                if row.key <= after {
                    continue;
                }
                let entry = span.entry(row);
                after = entry.behind();
                entries.push(entry);
            }
            if end {
                break;
            }
        }
        let more = entries.len() > limit;
        entries.truncate(limit);
        Ok((entries, more))
    }

    async fn rows(&self, span: &Span, after: &str, limit: u32) -> Result<Vec<Stored>, sqlx::Error> {
        let list = sqlx::query_as(LIST).bind(&span.bucket).bind(&span.prefix).bind(after).bind(limit);
        let rows: Vec<Stored> = list.fetch_all(&self.read).await?;
        Ok(rows.into_iter().take_while(|row| row.key.starts_with(&span.prefix)).collect())
    }
}

impl Span {
    fn resume(&self) -> String {
        match self.common_prefix(&self.after) {
            Some(prefix) if prefix == self.after => format!("{prefix}{BEHIND_ALL}"),
            _ => self.after.clone(),
        }
    }

    fn entry(&self, row: Stored) -> Entry {
        match self.common_prefix(&row.key) {
            Some(prefix) => Entry::Prefix(prefix.to_owned()),
            None => Entry::Object(Box::new(row)),
        }
    }

    fn common_prefix<'a>(&self, key: &'a str) -> Option<&'a str> {
        let rest = key.strip_prefix(&self.prefix).filter(|_| !self.delimiter.is_empty())?;
        let at = rest.find(&self.delimiter)?;
        Some(&key[..self.prefix.len() + at + self.delimiter.len()])
    }
}

impl Entry {
    /// The name to go on after.
    pub fn name(&self) -> &str {
        match self {
            Self::Object(stored) => &stored.key,
            Self::Prefix(prefix) => prefix,
        }
    }

    fn behind(&self) -> String {
        match self {
            Self::Object(stored) => stored.key.clone(),
            Self::Prefix(prefix) => format!("{prefix}{BEHIND_ALL}"),
        }
    }
}
