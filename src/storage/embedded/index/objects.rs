//! Objects and the blobs that hold their bytes. Each change is one transaction; the blobs it set free are returned
//! for the caller to unlink once it is committed.

use s3s::s3_error;
use sqlx::SqliteConnection;
use sqlx::types::Json;

use super::{Blob, Fault, Headers, Index, Stored, no_such_bucket, signed};
use crate::domain::Timestamp;
use crate::storage::embedded::condition::Conditions;

const FIND: &str = "
select key, version, etag, size_bytes, modified_at, headers from object where bucket = $1 and key = $2";
const BLOBS: &str = "
select name, number, etag, size_bytes, modified_at, sums from blob where version = $1 order by number";
const BUCKET: &str = "select exists (select 1 from bucket where name = $1)";
const PUT: &str = "
insert into object (bucket, key, version, etag, size_bytes, modified_at, headers) values ($1, $2, $3, $4, $5, $6, $7)
on conflict (bucket, key) do update set
    version = excluded.version, etag = excluded.etag, size_bytes = excluded.size_bytes,
    modified_at = excluded.modified_at, headers = excluded.headers";
const PUT_BLOB: &str = "
insert into blob (version, name, number, etag, size_bytes, modified_at, sums) values ($1, $2, $3, $4, $5, $6, $7)";
const DROP_BLOBS: &str = "delete from blob where version = $1 returning name";
const DELETE: &str = "delete from object where bucket = $1 and key = $2";

/// An object about to be there.
#[derive(Debug, Clone)]
pub(in crate::storage::embedded) struct NewObject {
    pub bucket: String,
    pub key: String,
    pub version: String,
    pub etag: String,
    pub size_bytes: u64,
    pub now: Timestamp,
    pub headers: Headers,
}

impl Index {
    /// The object and its blobs in order, as of one moment.
    pub async fn find(&self, bucket: &str, key: &str) -> Result<Option<(Stored, Vec<Blob>)>, sqlx::Error> {
        let mut tx = self.read.begin().await?;
        let Some(stored) = find(&mut tx, bucket, key).await? else { return Ok(None) };
        let blobs = sqlx::query_as(BLOBS).bind(&stored.version).fetch_all(&mut *tx).await?;
        Ok(Some((stored, blobs)))
    }

    /// The object; refuses where there is none.
    pub async fn object(&self, bucket: &str, key: &str) -> Result<(Stored, Vec<Blob>), Fault> {
        if let Some(found) = self.find(bucket, key).await? {
            return Ok(found);
        }
        self.check_bucket(bucket).await?;
        Err(s3_error!(NoSuchKey, "the key does not exist").into())
    }

    /// Puts an object of these blobs in place of what is there, where the conditions hold.
    pub async fn put(&self, new: &NewObject, blobs: &[Blob], if_: &Conditions) -> Result<Vec<String>, Fault> {
        let mut tx = self.write.begin().await?;
        let dropped = place(&mut tx, new, if_).await?;
        for blob in blobs {
            insert_blob(&mut tx, &new.version, blob).await?;
        }
        tx.commit().await?;
        Ok(dropped)
    }

    /// Deletes objects; those that aren't there are passed over.
    pub async fn delete(&self, bucket: &str, keys: &[(String, Conditions)]) -> Result<Vec<String>, Fault> {
        let mut tx = self.write.begin().await?;
        let mut dropped = Vec::new();
        for (key, conditions) in keys {
            let found = find(&mut tx, bucket, key).await?;
            conditions.allow_write(found.as_ref())?;
            let Some(stored) = found else { continue };
            sqlx::query(DELETE).bind(bucket).bind(key).execute(&mut *tx).await?;
            dropped.extend(drop_blobs(&mut tx, &stored.version).await?);
        }
        tx.commit().await?;
        Ok(dropped)
    }
}

/// Writes the object's row; what it replaces loses its blobs.
pub(super) async fn place(
    tx: &mut SqliteConnection,
    new: &NewObject,
    conditions: &Conditions,
) -> Result<Vec<String>, Fault> {
    if !sqlx::query_scalar(BUCKET).bind(&new.bucket).fetch_one(&mut *tx).await? {
        return Err(no_such_bucket().into());
    }
    let replaced = find(tx, &new.bucket, &new.key).await?;
    conditions.allow_write(replaced.as_ref())?;
    let put = sqlx::query(PUT).bind(&new.bucket).bind(&new.key).bind(&new.version).bind(&new.etag);
    let put = put.bind(signed(new.size_bytes)).bind(new.now).bind(Json(&new.headers));
    put.execute(&mut *tx).await?;
    match replaced {
        Some(replaced) => Ok(drop_blobs(tx, &replaced.version).await?),
        None => Ok(Vec::new()),
    }
}

pub(super) async fn insert_blob(
    tx: &mut SqliteConnection,
    version: &str,
    blob: &Blob,
) -> Result<(), sqlx::Error> {
    let put = sqlx::query(PUT_BLOB).bind(version).bind(&blob.name).bind(blob.number).bind(&blob.etag);
    let put = put.bind(signed(blob.size_bytes)).bind(blob.modified).bind(&blob.sums);
    put.execute(tx).await.map(drop)
}

pub(super) async fn drop_blobs(tx: &mut SqliteConnection, version: &str) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(DROP_BLOBS).bind(version).fetch_all(tx).await
}

async fn find(tx: &mut SqliteConnection, bucket: &str, key: &str) -> Result<Option<Stored>, sqlx::Error> {
    sqlx::query_as(FIND).bind(bucket).bind(key).fetch_optional(tx).await
}
