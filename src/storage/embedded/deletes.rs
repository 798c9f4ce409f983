//! DELETE of one object or of many.

use s3s::dto::{
    DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput, DeletedObject,
};
use s3s::{S3Request, S3Result};

use super::backend::Backend;
use super::condition::Conditions;

impl Backend {
    pub async fn delete(&self, request: S3Request<DeleteObjectInput>) -> S3Result<DeleteObjectOutput> {
        let input = request.input;
        let conditions = Conditions { wanted: input.if_match, ..Default::default() };
        self.delete_keys(input.bucket, vec![(input.key, conditions)]).await?;
        Ok(DeleteObjectOutput::default())
    }

    pub async fn delete_many(&self, request: S3Request<DeleteObjectsInput>) -> S3Result<DeleteObjectsOutput> {
        let DeleteObjectsInput { bucket, delete, .. } = request.input;
        let keys: Vec<String> = delete.objects.into_iter().map(|object| object.key).collect();
        let unconditional = keys.iter().map(|key| (key.clone(), Conditions::default())).collect();
        self.delete_keys(bucket, unconditional).await?;
        let told = keys.into_iter().filter(|_| delete.quiet != Some(true));
        let deleted = told.map(|key| DeletedObject { key: Some(key), ..Default::default() });
        Ok(DeleteObjectsOutput { deleted: Some(deleted.collect()), ..Default::default() })
    }

    async fn delete_keys(&self, bucket: String, keys: Vec<(String, Conditions)>) -> S3Result<()> {
        self.index.check_bucket(&bucket).await?;
        let index = self.index.clone();
        self.commit(Vec::new(), async move { index.delete(&bucket, &keys).await }).await
    }
}
