//! The steps between an upload's last byte and its source. Each may be done again after a crash, by any process.

use std::time::Duration;

use super::uploads::{signed, source_key, unsigned};
use super::{Error, Publishing};
use crate::catalogue::upload::Upload;
use crate::catalogue::{Tx, job, upload};
use crate::domain::UploadId;
use crate::domain::job::Job;
use crate::domain::upload::{Door, UploadState};
use crate::storage::{self, Key, MultipartId, Part as StoredPart, PartTag};

/// How long after the last byte a finish that nobody completed is picked up by a worker.
const FINISH_SAFETY: Duration = Duration::from_secs(30);

impl Publishing {
    /// Asks a worker to finish what the request that brought the last byte may not live to finish; in the transaction
    /// of that byte.
    pub(super) async fn enqueue_finish(&self, tx: &mut Tx, upload: &Upload) -> Result<(), Error> {
        let run_at = self.clock.now().plus(FINISH_SAFETY);
        job::enqueue(tx.conn(), &Job::Assemble { upload: upload.id }, upload.account_id, run_at).await?;
        Ok(())
    }

    /// As `finish_received`; where the bucket or the database is away, the upload's job finishes it later.
    pub(super) async fn finish_or_leave(&self, id: UploadId) -> Result<(), Error> {
        match self.finish_received(id).await {
            Err(error) if error.is_outage() => {
                tracing::warn!(upload = %id, %error, "the upload is left to its job to finish");
                Ok(())
            }
            finished => finished,
        }
    }

    /// Makes one object of an upload whose last byte has come. May be called again after a crash at any step.
    pub async fn finish_received(&self, id: UploadId) -> Result<(), Error> {
        let upload = self.find_any_upload(id).await?;
        match upload.state {
            UploadState::Finished => return Ok(()),
            UploadState::Abandoned => return Err(Error::UploadGone("it was given up or has expired")),
            UploadState::Open | UploadState::Finishing => {}
        }
        let length = unsigned(upload.length.unwrap_or(upload.received));
        if unsigned(upload.received) < length {
            return Err(Error::Unfinished { received: unsigned(upload.received), length });
        }
        match self.make_source(&upload, length).await {
            Ok(()) => {
                let digest = super::receive::digest_of(&upload);
                self.finish_upload(&upload, length, digest.as_deref()).await
            }
            // Another process may have been quicker.
            Err(_) if self.find_any_upload(id).await?.state == UploadState::Finished => Ok(()),
            Err(error) => {
                self.reopen_where_parts_changed(&upload, &error).await?;
                Err(error)
            }
        }
    }

    async fn find_any_upload(&self, id: UploadId) -> Result<Upload, Error> {
        upload::find(self.db.read().await?.conn(), id).await?.ok_or(Error::NotFound("upload"))
    }

    async fn make_source(&self, upload: &Upload, length: u64) -> Result<(), Error> {
        let key = source_key(upload);
        if self.storage.head(&key).await?.is_some_and(|head| head.size_bytes == length) {
            return Ok(());
        }
        let multipart = upload.multipart.clone().map(MultipartId);
        if upload.tail > 0 {
            self.fold_tail(upload, &key, multipart.as_ref()).await?;
        }
        match multipart {
            Some(multipart) => {
                let parts = upload::list_parts(self.db.read().await?.conn(), upload.id).await?;
                let parts: Vec<StoredPart> = parts.into_iter().map(stored).collect();
                self.storage.complete_multipart(&key, &multipart, &parts).await?;
            }
            None if length == 0 => self.storage.put(&key, bytes::Bytes::new()).await?,
            None => {}
        }
        Ok(())
    }

    /// The length was declared after its last byte had come: the tail is the last part, or all there is.
    async fn fold_tail(
        &self,
        upload: &Upload,
        key: &Key,
        multipart: Option<&MultipartId>,
    ) -> Result<(), Error> {
        let at = unsigned(upload.received);
        let bytes = self.storage.read_all(&Key::tail(upload.id, at)).await?;
        let Some(multipart) = multipart else { return Ok(self.storage.put(key, bytes).await?) };
        let number = u32::try_from((at - 1) / unsigned(upload.part_size).max(1) + 1).unwrap_or(u32::MAX);
        let size_bytes = signed(bytes.len() as u64);
        let tag = self.storage.upload_part(key, multipart, number, bytes).await?;
        let part = upload::Part { number: i64::from(number), size_bytes, etag: tag.0 };
        let mut tx = self.db.begin().await?;
        upload::insert_part(tx.conn(), upload.id, &part).await?;
        upload::fold_tail(tx.conn(), upload.id).await?;
        Ok(tx.commit().await?)
    }

    /// Parts at presigned addresses may be put again after they were counted: their client may finish once more.
    async fn reopen_where_parts_changed(&self, upload: &Upload, error: &Error) -> Result<(), Error> {
        let changed = matches!(
            error,
            Error::Storage(storage::Error::PartMissing { .. } | storage::Error::PartTooSmall { .. })
        );
        if upload.door != Door::Parts || !changed {
            return Ok(());
        }
        let mut tx = self.db.begin().await?;
        upload::reopen(tx.conn(), upload.id, self.clock.now().plus(self.limits.upload_ttl)).await?;
        job::withdraw(tx.conn(), &Job::Assemble { upload: upload.id }).await?;
        Ok(tx.commit().await?)
    }

    /// Uploads whose bytes are all there and whose process died before it said so are finished, never abandoned;
    /// returns how many.
    pub async fn finish_whole(&self) -> Result<usize, Error> {
        let (mut after, mut closed) = (None, 0);
        loop {
            let page = upload::list_whole(self.db.read().await?.conn(), after).await?;
            let Some(last) = page.last() else { return Ok(closed) };
            after = Some(last.id);
            for upload in &page {
                let mut tx = self.db.begin().await?;
                if upload::close(tx.conn(), upload.id, None).await? {
                    let work = Job::Assemble { upload: upload.id };
                    job::enqueue(tx.conn(), &work, upload.account_id, self.clock.now()).await?;
                    tx.commit().await?;
                    closed += 1;
                }
            }
        }
    }
}

fn stored(part: upload::Part) -> StoredPart {
    StoredPart {
        number: u32::try_from(part.number).unwrap_or(0),
        size_bytes: unsigned(part.size_bytes),
        tag: PartTag(part.etag),
    }
}
