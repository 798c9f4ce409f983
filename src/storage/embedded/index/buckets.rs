//! Which buckets there are.

use s3s::s3_error;

use super::{Fault, Index, no_such_bucket};
use crate::domain::Timestamp;

const INSERT: &str = "insert into bucket (name, created_at) values ($1, $2) on conflict do nothing";
const EXISTS: &str = "select exists (select 1 from bucket where name = $1)";
const LIST: &str = "select name, created_at from bucket order by name";
const IN_USE: &str = "
select exists (select 1 from object where bucket = $1) or exists (select 1 from multipart where bucket = $1)";
const DELETE: &str = "delete from bucket where name = $1";

impl Index {
    /// Makes the bucket; false where it was there already.
    pub async fn ensure_bucket(&self, name: &str, now: Timestamp) -> Result<bool, sqlx::Error> {
        let made = sqlx::query(INSERT).bind(name).bind(now).execute(&self.write).await?;
        Ok(made.rows_affected() == 1)
    }

    /// Refuses where there is no such bucket.
    pub async fn check_bucket(&self, name: &str) -> Result<(), Fault> {
        let exists: bool = sqlx::query_scalar(EXISTS).bind(name).fetch_one(&self.read).await?;
        if exists { Ok(()) } else { Err(no_such_bucket().into()) }
    }

    pub async fn list_buckets(&self) -> Result<Vec<(String, Timestamp)>, sqlx::Error> {
        sqlx::query_as(LIST).fetch_all(&self.read).await
    }

    /// Deletes an empty bucket.
    pub async fn delete_bucket(&self, name: &str) -> Result<(), Fault> {
        let mut tx = self.write.begin().await?;
        if sqlx::query_scalar(IN_USE).bind(name).fetch_one(&mut *tx).await? {
            return Err(s3_error!(BucketNotEmpty, "the bucket is not empty").into());
        }
        if sqlx::query(DELETE).bind(name).execute(&mut *tx).await?.rows_affected() == 0 {
            return Err(no_such_bucket().into());
        }
        Ok(tx.commit().await?)
    }
}
