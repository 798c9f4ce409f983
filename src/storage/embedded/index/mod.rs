//! The embedded server's own SQLite file: an object is there when its row is, whatever lies in the blob folder.

mod buckets;
mod listing;
mod multiparts;
mod objects;

use std::path::Path;
use std::time::Duration;

use s3s::{S3Error, s3_error};
use serde::{Deserialize, Serialize};
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::types::Json;
use sqlx::{Connection, SqlitePool};

use super::checksum::Sums;
use super::refusal;
use crate::domain::Timestamp;

pub(super) use listing::{Entry, Span};
pub(super) use multiparts::{Completion, Multipart, MultipartSpan};
pub(super) use objects::NewObject;

/// Readers beside the one writer.
const READERS: u32 = 4;
const BUSY_TIMEOUT: Duration = Duration::from_secs(10);

const SCHEMA: &str = "
create table if not exists state (name text primary key, value integer not null) strict;
create table if not exists bucket (name text primary key, created_at integer not null) strict;
create table if not exists object (
    bucket text not null references bucket (name),
    key text not null,
    version text not null unique,
    etag text not null,
    size_bytes integer not null,
    modified_at integer not null,
    headers text not null,
    primary key (bucket, key)
) strict, without rowid;
create table if not exists multipart (
    id text primary key,
    bucket text not null references bucket (name),
    key text not null,
    headers text not null,
    begun_at integer not null
) strict;
create index if not exists multipart_by_key on multipart (bucket, key, id);
create table if not exists blob (
    name text primary key,
    version text not null,
    number integer not null,
    etag text not null,
    size_bytes integer not null,
    modified_at integer not null,
    sums text not null,
    unique (version, number)
) strict;
";

const NEXT_BOOT: &str = "
insert into state (name, value) values ('boot', 1)
on conflict (name) do update set value = value + 1
returning value";

const KNOWS: &str = "select exists (select 1 from blob where name = $1)";

/// What a statement came to.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    #[error("the index can't be used")]
    Sql(#[from] sqlx::Error),
    #[error("{0}")]
    Refused(S3Error),
}

impl From<S3Error> for Fault {
    fn from(error: S3Error) -> Self {
        Self::Refused(error)
    }
}

impl From<Fault> for S3Error {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Sql(error) => refusal::index(error),
            Fault::Refused(error) => error,
        }
    }
}

/// What is told with an object's bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Headers {
    pub content_type: Option<String>,
    pub cache_control: Option<String>,
    pub content_disposition: Option<String>,
    pub content_encoding: Option<String>,
    pub content_language: Option<String>,
    pub metadata: std::collections::BTreeMap<String, String>,
    pub sums: Sums,
}

/// The headers of a request that are kept; S3's inputs name them alike but share no type.
macro_rules! headers {
    ($input:ident, $sums:expr) => {
        $crate::storage::embedded::index::Headers {
            content_type: $input.content_type,
            cache_control: $input.cache_control,
            content_disposition: $input.content_disposition,
            content_encoding: $input.content_encoding,
            content_language: $input.content_language,
            metadata: $input.metadata.unwrap_or_default().into_iter().collect(),
            sums: $sums,
        }
    };
}
pub(super) use headers;

/// An object that is there.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Stored {
    pub key: String,
    /// Names this very content; another PUT is another version.
    pub version: String,
    pub etag: String,
    #[sqlx(try_from = "i64")]
    pub size_bytes: u64,
    #[sqlx(rename = "modified_at")]
    pub modified: Timestamp,
    pub headers: Json<Headers>,
}

/// A file in the blob folder and which piece of which version it holds.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(super) struct Blob {
    pub name: String,
    #[sqlx(try_from = "i64")]
    pub number: u32,
    pub etag: String,
    #[sqlx(try_from = "i64")]
    pub size_bytes: u64,
    #[sqlx(rename = "modified_at")]
    pub modified: Timestamp,
    pub sums: Json<Sums>,
}

/// The file. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Index {
    read: SqlitePool,
    /// One connection: SQLite has one writer at a time anyway.
    write: SqlitePool,
}

impl Index {
    /// Opens the file, making it where it is missing. Every commit is synced: an answered write survives.
    pub async fn open(path: &Path) -> Result<Self, sqlx::Error> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        // As in the catalogue: SQLite rolls back by itself on a full disk, which the driver doesn't hear of.
        let write = SqlitePoolOptions::new()
            .max_connections(1)
            .before_acquire(|used, _| Box::pin(async { Ok(!used.is_in_transaction()) }))
            .connect_with(options.clone())
            .await?;
        sqlx::raw_sql(SCHEMA).execute(&write).await?;
        let read =
            SqlitePoolOptions::new().max_connections(READERS).connect_with(options.read_only(true)).await?;
        Ok(Self { read, write })
    }

    /// Counts the starts: blobs of an earlier start that no row names are nobody's.
    pub async fn next_boot(&self) -> Result<i64, sqlx::Error> {
        sqlx::query_scalar(NEXT_BOOT).fetch_one(&self.write).await
    }

    /// Whether a row names this blob.
    pub async fn knows(&self, blob: &str) -> Result<bool, sqlx::Error> {
        sqlx::query_scalar(KNOWS).bind(blob).fetch_one(&self.read).await
    }

    pub async fn close(&self) {
        self.read.close().await;
        self.write.close().await;
    }
}

/// SQLite has signed integers only.
fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn no_such_bucket() -> S3Error {
    s3_error!(NoSuchBucket, "the bucket does not exist")
}
