//! Buckets as S3 clients ask for them.

use s3s::dto::{
    Bucket, CORSRule, CreateBucketInput, CreateBucketOutput, DeleteBucketInput, DeleteBucketOutput,
    GetBucketCorsInput, GetBucketCorsOutput, GetBucketLocationInput, GetBucketLocationOutput,
    HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput, Timestamp,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};

use super::backend::Backend;
use super::{refusal, server};
use crate::domain::Timestamp as Millis;

impl Backend {
    pub async fn buckets(&self, _: S3Request<ListBucketsInput>) -> S3Result<ListBucketsOutput> {
        let found = self.index.list_buckets().await.map_err(refusal::index)?;
        let buckets = found.into_iter().map(|(name, created)| Bucket {
            name: Some(name),
            creation_date: Some(http_time(created)),
            bucket_region: Some(super::REGION.to_owned()),
        });
        Ok(ListBucketsOutput { buckets: Some(buckets.collect()), ..Default::default() })
    }

    pub async fn look_at_bucket(&self, request: S3Request<HeadBucketInput>) -> S3Result<HeadBucketOutput> {
        self.index.check_bucket(&request.input.bucket).await?;
        Ok(HeadBucketOutput::default())
    }

    pub async fn locate_bucket(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<GetBucketLocationOutput> {
        self.index.check_bucket(&request.input.bucket).await?;
        Ok(GetBucketLocationOutput::default())
    }

    /// The rule the server lives by on its port; it can't be changed.
    pub async fn cors(&self, request: S3Request<GetBucketCorsInput>) -> S3Result<GetBucketCorsOutput> {
        self.index.check_bucket(&request.input.bucket).await?;
        let rule = CORSRule {
            allowed_headers: Some(vec!["*".to_owned()]),
            allowed_methods: server::METHODS.iter().map(ToString::to_string).collect(),
            allowed_origins: vec!["*".to_owned()],
            expose_headers: Some(server::EXPOSED.iter().map(ToString::to_string).collect()),
            id: None,
            max_age_seconds: i32::try_from(server::CORS_MAX_AGE.as_secs()).ok(),
        };
        Ok(GetBucketCorsOutput { cors_rules: Some(vec![rule]) })
    }

    pub async fn make_bucket(&self, request: S3Request<CreateBucketInput>) -> S3Result<CreateBucketOutput> {
        let name = request.input.bucket;
        let made = self.index.ensure_bucket(&name, self.clock.now()).await.map_err(refusal::index)?;
        if !made {
            return Err(s3_error!(BucketAlreadyOwnedByYou, "the bucket is there already"));
        }
        Ok(CreateBucketOutput { location: Some(format!("/{name}")) })
    }

    pub async fn drop_bucket(&self, request: S3Request<DeleteBucketInput>) -> S3Result<DeleteBucketOutput> {
        self.index.delete_bucket(&request.input.bucket).await.map_err(S3Error::from)?;
        Ok(DeleteBucketOutput::default())
    }
}

/// S3's own kind of time.
pub(super) fn http_time(time: Millis) -> Timestamp {
    let nanos = i128::from(time.0) * 1_000_000;
    time::OffsetDateTime::from_unix_timestamp_nanos(nanos).unwrap_or(time::OffsetDateTime::UNIX_EPOCH).into()
}
