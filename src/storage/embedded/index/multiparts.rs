//! Multipart uploads and their parts. Completing one is a row: the parts' blobs already carry the upload's id, and
//! the object takes that id for its version.

use s3s::{S3Error, s3_error};
use sqlx::SqliteConnection;
use sqlx::types::Json;

use super::objects::{NewObject, drop_blobs, insert_blob, place};
use super::{Blob, Fault, Headers, Index, no_such_bucket};
use crate::domain::Timestamp;
use crate::storage::embedded::condition::Conditions;

const BEGIN: &str = "
insert into multipart (id, bucket, key, headers, begun_at)
select $1, name, $3, $4, $5 from bucket where name = $2";
const FIND: &str = "
select id, key, headers, begun_at from multipart where id = $1 and bucket = $2 and key = $3";
const DROP_PART: &str = "delete from blob where version = $1 and number = $2 returning name";
const PARTS: &str = "
select name, number, etag, size_bytes, modified_at, sums from blob
where version = $1 and number > $2 order by number limit $3";
const END: &str = "delete from multipart where id = $1";
const LIST: &str = "
select id, key, headers, begun_at from multipart
where bucket = $1 and key >= $2 and (key > $3 or (key = $3 and id > $4))
order by key, id limit $5";

/// An unfinished upload.
#[derive(Debug, Clone, sqlx::FromRow)]
pub(in crate::storage::embedded) struct Multipart {
    pub id: String,
    pub key: String,
    pub headers: Json<Headers>,
    #[sqlx(rename = "begun_at")]
    pub begun: Timestamp,
}

/// Which unfinished uploads to list.
#[derive(Debug, Clone, Default)]
pub(in crate::storage::embedded) struct MultipartSpan {
    pub bucket: String,
    pub prefix: String,
    pub after_key: String,
    pub after_id: String,
    pub limit: u32,
}

/// What completing an upload makes, of which parts.
pub(in crate::storage::embedded) struct Completion<'a> {
    pub object: &'a NewObject,
    /// In ascending order.
    pub parts: &'a [Blob],
    pub conditions: &'a Conditions,
}

impl Index {
    pub async fn begin_multipart(&self, bucket: &str, upload: &Multipart) -> Result<(), Fault> {
        let insert = sqlx::query(BEGIN).bind(&upload.id).bind(bucket).bind(&upload.key);
        let done = insert.bind(&upload.headers).bind(upload.begun).execute(&self.write).await?;
        if done.rows_affected() == 1 { Ok(()) } else { Err(no_such_bucket().into()) }
    }

    /// The upload; refuses where there is none of this id for this key.
    pub async fn multipart(&self, bucket: &str, key: &str, id: &str) -> Result<Multipart, Fault> {
        let found = sqlx::query_as(FIND).bind(id).bind(bucket).bind(key).fetch_optional(&self.read).await?;
        found.ok_or_else(|| no_such_upload().into())
    }

    /// Stores a part in place of one with the same number; returns the blob that was set free.
    pub async fn put_part(
        &self,
        (bucket, key, id): (&str, &str, &str),
        part: &Blob,
    ) -> Result<Vec<String>, Fault> {
        let mut tx = self.write.begin().await?;
        still_open(&mut tx, (bucket, key, id)).await?;
        let dropped = drop_part(&mut tx, id, part.number).await?;
        insert_blob(&mut tx, id, part).await?;
        tx.commit().await?;
        Ok(dropped)
    }

    /// Up to `limit` parts with numbers above `after`.
    pub async fn parts(&self, id: &str, after: u32, limit: u32) -> Result<Vec<Blob>, sqlx::Error> {
        sqlx::query_as(PARTS).bind(id).bind(after).bind(limit).fetch_all(&self.read).await
    }

    /// Makes the object of the listed parts, provided each is still the one that was listed.
    pub async fn complete(&self, completion: Completion<'_>) -> Result<Vec<String>, Fault> {
        let Completion { object, parts, conditions } = completion;
        let id = &object.version;
        let mut tx = self.write.begin().await?;
        still_open(&mut tx, (&object.bucket, &object.key, id)).await?;
        let there: Vec<Blob> =
            sqlx::query_as(PARTS).bind(id).bind(0).bind(i64::MAX).fetch_all(&mut *tx).await?;
        let is_listed = |blob: &Blob| parts.iter().any(|part| part.name == blob.name);
        let (kept, unlisted): (Vec<Blob>, Vec<Blob>) = there.into_iter().partition(is_listed);
        if kept.len() != parts.len() {
            return Err(s3_error!(InvalidPart, "a part was replaced while the upload was completed").into());
        }
        let mut dropped = place(&mut tx, object, conditions).await?;
        for part in unlisted {
            dropped.extend(drop_part(&mut tx, id, part.number).await?);
        }
        sqlx::query(END).bind(id).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(dropped)
    }

    /// Drops an unfinished upload with its parts.
    pub async fn abort(&self, at: (&str, &str, &str)) -> Result<Vec<String>, Fault> {
        let mut tx = self.write.begin().await?;
        still_open(&mut tx, at).await?;
        sqlx::query(END).bind(at.2).execute(&mut *tx).await?;
        let dropped = drop_blobs(&mut tx, at.2).await?;
        tx.commit().await?;
        Ok(dropped)
    }

    pub async fn list_multiparts(&self, span: &MultipartSpan) -> Result<Vec<Multipart>, sqlx::Error> {
        let list = sqlx::query_as(LIST).bind(&span.bucket).bind(&span.prefix).bind(&span.after_key);
        let found: Vec<Multipart> = list.bind(&span.after_id).bind(span.limit).fetch_all(&self.read).await?;
        Ok(found.into_iter().take_while(|upload| upload.key.starts_with(&span.prefix)).collect())
    }
}

async fn still_open(tx: &mut SqliteConnection, (bucket, key, id): (&str, &str, &str)) -> Result<(), Fault> {
    let found: Option<Multipart> =
        sqlx::query_as(FIND).bind(id).bind(bucket).bind(key).fetch_optional(tx).await?;
    found.map(drop).ok_or_else(|| no_such_upload().into())
}

async fn drop_part(tx: &mut SqliteConnection, id: &str, number: u32) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(DROP_PART).bind(id).bind(number).fetch_all(tx).await
}

fn no_such_upload() -> S3Error {
    s3_error!(NoSuchUpload, "the upload is completed, aborted or never was")
}
