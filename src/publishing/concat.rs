//! The worker's share of uploading: puts the partials of a tus concatenation together, and finishes what a dead
//! process could not.

use std::collections::BTreeSet;

use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::uploads::{source_key, unsigned};
use super::{Error, Publishing};
use crate::catalogue::upload::{self, Upload};
use crate::domain::UploadId;
use crate::domain::upload::{Concat, UploadState};
use crate::storage::{Key, MultipartId, Part};

/// One object that is written part by part.
pub struct Joint<'a> {
    publishing: &'a Publishing,
    key: Key,
    multipart: MultipartId,
    parts: Vec<Part>,
    buffer: BytesMut,
    part_size: usize,
    hash: Sha256,
}

impl Publishing {
    /// Makes a finished source of an upload whose bytes are all there. May be called again after a crash.
    pub async fn assemble(&self, id: UploadId) -> Result<(), Error> {
        let found = upload::find(self.db.read().await?.conn(), id).await?;
        let Some(upload) = found.filter(|upload| upload.state == UploadState::Finishing) else {
            return Ok(());
        };
        let finished = if upload.concat == Concat::Final {
            self.finish_final(&upload).await
        } else {
            self.finish_received(id).await
        };
        match finished {
            // Deleted meanwhile: its purge takes the upload too. Refused: the video says so.
            Err(Error::NotFound("video") | Error::Forbidden(_) | Error::KeyRevoked) => Ok(()),
            finished => finished,
        }
    }

    async fn finish_final(&self, upload: &Upload) -> Result<(), Error> {
        let (size, sha256) = self.join(upload).await?;
        let finished = self.finish_upload(upload, size, sha256.as_deref()).await;
        if !matches!(finished, Ok(()) | Err(Error::Forbidden(_) | Error::KeyRevoked)) {
            return finished;
        }
        for partial in upload.partials.iter().collect::<BTreeSet<_>>() {
            if let Err(error) = self.drop_partial(*partial).await {
                // Its time runs out.
                tracing::warn!(upload = %partial, %error, "a partial upload stays for now");
            }
        }
        finished
    }

    async fn join(&self, upload: &Upload) -> Result<(u64, Option<String>), Error> {
        let length = unsigned(upload.length.unwrap_or(0));
        if self.storage.head(&source_key(upload)).await?.is_some_and(|head| head.size_bytes == length) {
            return Ok((length, None));
        }
        let mut joint = self.begin_joint(upload).await?;
        for partial in &upload.partials.0 {
            self.finish_received(*partial).await?;
            let mut stream = Box::pin(self.storage.stream(&Key::partial(*partial), None).await?);
            while let Some(bytes) = stream.try_next().await? {
                joint.write(bytes).await?;
            }
        }
        let digest = joint.close().await?;
        Ok((length, Some(digest)))
    }

    /// Begins to write a source that is made here, part by part.
    pub async fn begin_joint(&self, upload: &Upload) -> Result<Joint<'_>, Error> {
        let key = source_key(upload);
        let multipart = self.storage.begin_multipart(&key).await?;
        Ok(Joint {
            publishing: self,
            key,
            multipart,
            parts: Vec::new(),
            buffer: BytesMut::new(),
            part_size: usize::try_from(upload.part_size).unwrap_or(usize::MAX),
            hash: Sha256::new(),
        })
    }
}

impl Joint<'_> {
    /// Adds to the end.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        self.hash.update(&bytes);
        while !bytes.is_empty() {
            let room = self.part_size.saturating_sub(self.buffer.len());
            self.buffer.extend_from_slice(&bytes.split_to(room.min(bytes.len())));
            if self.buffer.len() >= self.part_size {
                self.store().await?;
            }
        }
        Ok(())
    }

    async fn store(&mut self) -> Result<(), Error> {
        let number = u32::try_from(self.parts.len() + 1).unwrap_or(u32::MAX);
        let bytes = self.buffer.split().freeze();
        let size_bytes = bytes.len() as u64;
        let tag = self.publishing.storage.upload_part(&self.key, &self.multipart, number, bytes).await?;
        self.parts.push(Part { number, size_bytes, tag });
        Ok(())
    }

    /// Makes the object of what was written; its SHA-256.
    pub async fn close(mut self) -> Result<String, Error> {
        if !self.buffer.is_empty() {
            self.store().await?;
        }
        if self.parts.is_empty() {
            self.publishing.storage.abort_multipart(&self.key, &self.multipart).await?;
            self.publishing.storage.put(&self.key, Bytes::new()).await?;
        } else {
            self.publishing.storage.complete_multipart(&self.key, &self.multipart, &self.parts).await?;
        }
        Ok(hex::encode(self.hash.finalize()))
    }
}
