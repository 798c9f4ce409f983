//! PUT and COPY of an object: the bytes to a blob, checked and synced, then the row; only then the answer.

use futures::StreamExt;
use s3s::dto::{
    CopyObjectInput, CopyObjectOutput, CopyObjectResult, CopySource, ETag, MetadataDirective, PutObjectInput,
    PutObjectOutput, StreamingBlob,
};
use s3s::{S3Error, S3Request, S3Result, s3_error};
use sqlx::types::Json;
use uuid::Uuid;

use super::backend::Backend;
use super::blobs::Unfinished;
use super::buckets::http_time;
use super::checksum::{Hasher, Promised, Summed};
use super::condition::Conditions;
use super::index::{Blob, Fault, NewObject, headers};
use super::refusal;

/// S3 takes no larger object or part in one request.
const SIZE_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Chunks of a body that are written in one go where they have arrived already.
const CHUNKS_AT_ONCE: usize = 8;

/// Bytes that are on the disk and as promised, but not yet in any row.
pub(super) struct Received {
    pub unfinished: Unfinished,
    pub blob: Blob,
}

impl Backend {
    pub async fn write(&self, request: S3Request<PutObjectInput>) -> S3Result<PutObjectOutput> {
        let promised = Promised::from_headers(&request.headers, request.trailing_headers);
        let input = request.input;
        let conditions =
            Conditions { wanted: input.if_match, known: input.if_none_match, ..Default::default() };
        self.refuse_early(&input.bucket, &input.key, &conditions).await?;
        let received = self.receive(input.body, &promised, input.content_length).await?;
        let (etag, sums) = (received.blob.etag.clone(), received.blob.sums.0.clone());
        let new = NewObject {
            bucket: input.bucket,
            key: input.key,
            version: Uuid::now_v7().to_string(),
            etag: etag.clone(),
            size_bytes: received.blob.size_bytes,
            now: self.clock.now(),
            headers: headers!(input, sums.clone()),
        };
        self.put(new, vec![received], conditions).await?;
        Ok(PutObjectOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            ..Default::default()
        })
    }

    pub async fn duplicate(&self, request: S3Request<CopyObjectInput>) -> S3Result<CopyObjectOutput> {
        let input = request.input;
        let (bucket, key) = source(&input.copy_source)?;
        let (stored, blobs) = self.index.object(bucket, key).await?;
        let conditions = Conditions {
            wanted: input.copy_source_if_match,
            known: input.copy_source_if_none_match,
            modified_since: input.copy_source_if_modified_since,
            unmodified_since: input.copy_source_if_unmodified_since,
        };
        if conditions.allow_read(&stored).is_err() {
            return Err(s3_error!(PreconditionFailed, "a condition on the source doesn't hold"));
        }
        let mut headers = stored.headers.0;
        if input.metadata_directive.as_ref().is_some_and(|d| d.as_str() == MetadataDirective::REPLACE) {
            headers = headers!(input, headers.sums);
        }
        let now = self.clock.now();
        let new = NewObject {
            bucket: input.bucket,
            key: input.key,
            version: Uuid::now_v7().to_string(),
            etag: stored.etag.clone(),
            size_bytes: stored.size_bytes,
            now,
            headers,
        };
        let copies = self.link(blobs).await?;
        self.put(new, copies, Conditions::default()).await?;
        let result = CopyObjectResult {
            e_tag: Some(ETag::Strong(stored.etag)),
            last_modified: Some(http_time(now)),
            ..Default::default()
        };
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    /// A copy shares the bytes on the disk, not the blob: either may go without the other.
    async fn link(&self, originals: Vec<Blob>) -> S3Result<Vec<Received>> {
        let blobs = self.blobs.clone();
        let linked = blocking(move || {
            let link = |blob: Blob| {
                let unfinished = blobs.duplicate(&blob.name)?;
                let name = unfinished.name.clone();
                Ok(Received { unfinished, blob: Blob { name, ..blob } })
            };
            originals.into_iter().map(link).collect::<std::io::Result<Vec<_>>>()
        });
        linked.await
    }

    async fn put(&self, new: NewObject, received: Vec<Received>, conditions: Conditions) -> S3Result<()> {
        let index = self.index.clone();
        let (files, blobs) = received.into_iter().map(|one| (one.unfinished, one.blob)).unzip();
        let blobs: Vec<Blob> = blobs;
        self.commit(files, async move { index.put(&new, &blobs, &conditions).await }).await
    }

    /// Spares a client the sending where the end is clear already; the row's transaction checks again.
    async fn refuse_early(&self, bucket: &str, key: &str, conditions: &Conditions) -> S3Result<()> {
        if conditions.is_empty() {
            return Ok(self.index.check_bucket(bucket).await?);
        }
        let found = self.index.find(bucket, key).await.map_err(refusal::index)?;
        conditions.allow_write(found.as_ref().map(|(stored, _)| stored))
    }

    /// Streams a body to a new blob and syncs it. Refused bytes leave nothing behind.
    pub async fn receive(
        &self,
        body: Option<StreamingBlob>,
        promised: &Promised,
        declared: Option<i64>,
    ) -> S3Result<Received> {
        self.check_size(declared.and_then(|size| u64::try_from(size).ok()).unwrap_or(0))?;
        let blobs = self.blobs.clone();
        let unfinished = blocking(move || blobs.create()).await?;
        let mut arriving = Arriving { unfinished, hasher: promised.hasher(), size_bytes: 0 };
        if let Some(body) = body {
            let mut batches = body.ready_chunks(CHUNKS_AT_ONCE);
            while let Some(batch) = batches.next().await {
                let chunks = batch.into_iter().collect::<Result<Vec<_>, _>>().map_err(broken_off)?;
                arriving = blocking(move || arriving.take(&chunks)).await?;
                if arriving.size_bytes > SIZE_BYTES_MAX {
                    return Err(too_large());
                }
            }
        }
        if declared.is_some_and(|size| u64::try_from(size) != Ok(arriving.size_bytes)) {
            return Err(s3_error!(IncompleteBody, "the body is not as long as Content-Length says"));
        }
        self.seal(arriving, promised).await
    }

    async fn seal(&self, arriving: Arriving, promised: &Promised) -> S3Result<Received> {
        let Arriving { mut unfinished, hasher, size_bytes } = arriving;
        let Summed { md5, sums } = promised.verify(hasher.finish())?;
        let unfinished = blocking(move || unfinished.sync().map(|()| unfinished)).await?;
        let blob = Blob {
            name: unfinished.name.clone(),
            number: 1,
            etag: hex::encode(md5),
            size_bytes,
            modified: self.clock.now(),
            sums: Json(sums),
        };
        Ok(Received { unfinished, blob })
    }

    fn check_size(&self, size_bytes: u64) -> S3Result<()> {
        if size_bytes > SIZE_BYTES_MAX {
            return Err(too_large());
        }
        match self.blobs.has_room(size_bytes) {
            Ok(true) => Ok(()),
            Ok(false) => Err(refusal::full()),
            Err(error) => Err(refusal::file(error)),
        }
    }

    /// Runs the transaction to its end also where the caller hangs up, then keeps the new blobs and unlinks those
    /// it set free. Where a commit's end is unclear, a blob that a row may name is kept.
    pub async fn commit<F>(&self, files: Vec<Unfinished>, transaction: F) -> S3Result<()>
    where
        F: Future<Output = Result<Vec<String>, Fault>> + Send + 'static,
    {
        let backend = self.clone();
        let task = self.tasks.spawn(async move {
            match transaction.await {
                Ok(dropped) => {
                    files.into_iter().for_each(Unfinished::keep);
                    blocking(move || {
                        backend.blobs.remove(&dropped);
                        Ok(())
                    })
                    .await
                }
                Err(fault) => {
                    for file in files {
                        if backend.index.knows(&file.name).await.unwrap_or(true) {
                            file.keep();
                        }
                    }
                    Err(S3Error::from(fault))
                }
            }
        });
        task.await.map_err(|error| refusal::internal("task", error))?
    }
}

/// A blob and what is known of it so far.
struct Arriving {
    unfinished: Unfinished,
    hasher: Hasher,
    size_bytes: u64,
}

impl Arriving {
    fn take(mut self, chunks: &[bytes::Bytes]) -> std::io::Result<Self> {
        for chunk in chunks {
            self.unfinished.write(chunk)?;
            self.hasher.update(chunk);
            self.size_bytes += chunk.len() as u64;
        }
        Ok(self)
    }
}

/// What a copy is made of.
pub(super) fn source(source: &CopySource) -> S3Result<(&str, &str)> {
    match source {
        CopySource::Bucket { bucket, key, version_id: None } => Ok((bucket, key)),
        _ => Err(s3_error!(NotImplemented, "copying by version or access point")),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<T> + Send + 'static,
) -> S3Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| refusal::internal("thread", error))?.map_err(refusal::file)
}

/// A wrong signature or sum found on the way has its own error; anything else is a client that hung up.
fn broken_off(error: s3s::StdError) -> S3Error {
    match error.downcast::<S3Error>() {
        Ok(refused) => *refused,
        Err(error) => {
            let mut broken = s3_error!(IncompleteBody, "the body broke off or its signature is wrong");
            broken.set_source(error);
            broken
        }
    }
}

fn too_large() -> S3Error {
    s3_error!(EntityTooLarge, "an object or part has at most {SIZE_BYTES_MAX} bytes")
}
