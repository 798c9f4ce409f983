//! Media that is asked for often, held in memory within a bound; many who ask at once cause one read.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use moka::future::Cache;

use crate::storage::{Error, Key, Storage};

/// An entry's share of the cache at most; what is larger is passed through.
const LARGEST_SHARE: u64 = 8;

/// A bounded cache over the bucket; cheap to clone.
#[derive(Clone)]
pub struct SegmentCache {
    storage: Storage,
    entries: Cache<(String, u64, u64), Bytes>,
    max_bytes: u64,
}

impl SegmentCache {
    /// Holds at most `max_bytes`.
    pub(in crate::http) fn new(storage: Storage, max_bytes: u64) -> Self {
        let weigh = |_: &(String, u64, u64), bytes: &Bytes| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
        Self { storage, entries: Cache::builder().weigher(weigh).max_capacity(max_bytes).build(), max_bytes }
    }

    /// Worth keeping.
    pub fn takes(&self, range: &Range<u64>) -> bool {
        range.end.saturating_sub(range.start) <= self.max_bytes / LARGEST_SHARE
    }

    /// These bytes of an immutable object.
    pub async fn read(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Arc<Error>> {
        let entry = (key.as_str().to_owned(), range.start, range.end);
        self.entries.try_get_with(entry, self.storage.get(key, range)).await
    }

    /// The whole of an immutable object that is known to be small.
    pub async fn read_all(&self, key: &Key) -> Result<Bytes, Arc<Error>> {
        let entry = (key.as_str().to_owned(), 0, u64::MAX);
        self.entries.try_get_with(entry, self.storage.read_all(key)).await
    }
}
