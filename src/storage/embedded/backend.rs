//! What every request of the embedded server works with, and S3's operations, each in one line.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use s3s::{S3, S3Request, S3Response, S3Result, dto};
use tokio::sync::watch;
use tokio_util::task::TaskTracker;

use super::OpenError;
use super::blobs::Blobs;
use super::index::Index;
use crate::domain::Clock;

/// Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Backend {
    pub index: Index,
    pub blobs: Blobs,
    pub clock: Clock,
    /// Owns what must not end half-way because a caller hung up.
    pub tasks: TaskTracker,
    swept: watch::Sender<Option<u64>>,
    /// Held as long as the folder is used.
    lock: Arc<File>,
}

impl Backend {
    pub async fn open(folder: &Path, reserve_bytes: u64) -> Result<Self, OpenError> {
        let unusable = |source| OpenError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(unusable)?;
        let lock = File::create(folder.join("lock")).map_err(unusable)?;
        lock.try_lock().map_err(|_held| OpenError::Locked { path: folder.to_owned() })?;
        let index = Index::open(&folder.join("index.sqlite")).await.map_err(OpenError::Index)?;
        let boot = index.next_boot().await.map_err(OpenError::Index)?;
        let blobs = Blobs::open(&folder.join("blobs"), boot, reserve_bytes).map_err(unusable)?;
        let (swept, tasks) = (watch::Sender::new(None), TaskTracker::new());
        Ok(Self { index, blobs, clock: Clock::System, tasks, swept, lock: Arc::new(lock) })
    }

    pub fn start_sweep(&self) {
        let backend = self.clone();
        self.tasks.spawn(async move {
            let swept = backend.sweep().await;
            backend.swept.send_replace(Some(swept));
        });
    }

    pub async fn swept(&self) -> u64 {
        let mut swept = self.swept.subscribe();
        swept.wait_for(Option::is_some).await.ok().and_then(|swept| *swept).unwrap_or(0)
    }

    pub async fn close(&self) {
        self.tasks.close();
        self.tasks.wait().await;
        self.index.close().await;
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock of the embedded object store stays until the process ends");
        }
    }
}

/// One line an operation: `name = ours(Input) -> Output`.
macro_rules! operations {
    ($($name:ident = $ours:ident($input:ident) -> $output:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Backend {
            $(async fn $name(&self, request: S3Request<dto::$input>) -> S3Result<S3Response<dto::$output>> {
                self.$ours(request).await.map(S3Response::new)
            })*
        }
    };
}

operations! {
    list_buckets = buckets(ListBucketsInput) -> ListBucketsOutput;
    head_bucket = look_at_bucket(HeadBucketInput) -> HeadBucketOutput;
    get_bucket_location = locate_bucket(GetBucketLocationInput) -> GetBucketLocationOutput;
    get_bucket_cors = cors(GetBucketCorsInput) -> GetBucketCorsOutput;
    create_bucket = make_bucket(CreateBucketInput) -> CreateBucketOutput;
    delete_bucket = drop_bucket(DeleteBucketInput) -> DeleteBucketOutput;
    list_objects = list_v1(ListObjectsInput) -> ListObjectsOutput;
    list_objects_v2 = list_v2(ListObjectsV2Input) -> ListObjectsV2Output;
    get_object = read(GetObjectInput) -> GetObjectOutput;
    head_object = look_at(HeadObjectInput) -> HeadObjectOutput;
    put_object = write(PutObjectInput) -> PutObjectOutput;
    copy_object = duplicate(CopyObjectInput) -> CopyObjectOutput;
    delete_object = delete(DeleteObjectInput) -> DeleteObjectOutput;
    delete_objects = delete_many(DeleteObjectsInput) -> DeleteObjectsOutput;
    create_multipart_upload = begin(CreateMultipartUploadInput) -> CreateMultipartUploadOutput;
    upload_part = write_part(UploadPartInput) -> UploadPartOutput;
    upload_part_copy = duplicate_part(UploadPartCopyInput) -> UploadPartCopyOutput;
    complete_multipart_upload = complete(CompleteMultipartUploadInput) -> CompleteMultipartUploadOutput;
    abort_multipart_upload = abort(AbortMultipartUploadInput) -> AbortMultipartUploadOutput;
    list_parts = parts(ListPartsInput) -> ListPartsOutput;
    list_multipart_uploads = multiparts(ListMultipartUploadsInput) -> ListMultipartUploadsOutput;
}
