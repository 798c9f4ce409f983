//! Multipart uploads: an object that arrives in pieces and appears whole.

use std::collections::BTreeMap;

use aws_sdk_s3::primitives::ByteStream;
use aws_sdk_s3::types::{CompletedMultipartUpload, CompletedPart};
use bytes::Bytes;
use md5::{Digest, Md5};

use super::objects::{size, timestamp, unquoted};
use super::{Error, Key, PART_SIZE_MIN, Storage};
use crate::domain::Timestamp;
use crate::fault::{self, Change};

/// Names one multipart upload; given by the server.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MultipartId(pub String);

/// A part's `ETag` as the server gave it, without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PartTag(pub String);

/// A part the server has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// From 1 to 10,000.
    pub number: u32,
    pub size_bytes: u64,
    pub tag: PartTag,
}

/// An unfinished multipart upload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    pub key: String,
    pub id: MultipartId,
    pub begun: Timestamp,
}

impl Storage {
    /// Begins a multipart upload; the object isn't there until it is completed.
    pub async fn begin_multipart(&self, key: &Key) -> Result<MultipartId, Error> {
        let request = self.client.create_multipart_upload().bucket(&*self.bucket).key(key.as_str());
        let request = request.content_type(key.content_type()).cache_control(key.cache_control());
        let begun = fault::around(Change::BeginMultipart, async {
            request.send().await.map_err(|error| self.asked(key.as_str()).refused(error))
        })
        .await?;
        Ok(MultipartId(begun.upload_id().unwrap_or_default().to_owned()))
    }

    /// Stores a part, in place of one with the same number.
    pub async fn upload_part(
        &self,
        key: &Key,
        id: &MultipartId,
        number: u32,
        body: Bytes,
    ) -> Result<PartTag, Error> {
        let request = self.client.upload_part().bucket(&*self.bucket).key(key.as_str()).upload_id(&id.0);
        let request = request.part_number(part_number(number)).body(ByteStream::from(body));
        let stored = fault::around(Change::UploadPart, async {
            request.send().await.map_err(|error| self.asked_part(key, id).refused(error))
        })
        .await?;
        Ok(PartTag(unquoted(stored.e_tag())))
    }

    /// Every part the server has, by number. Of a part sent twice with different bytes one is told, the later where
    /// their times differ: some servers keep both, with times in seconds. Who sends so keeps the tags.
    pub async fn list_parts(&self, key: &Key, id: &MultipartId) -> Result<Vec<Part>, Error> {
        let request = self.client.list_parts().bucket(&*self.bucket).key(key.as_str()).upload_id(&id.0);
        let mut pages = request.into_paginator().send();
        let mut latest = BTreeMap::<u32, (Timestamp, Part)>::new();
        while let Some(page) = pages.next().await {
            let page = page.map_err(|error| self.asked_part(key, id).refused(error))?;
            for found in page.parts() {
                let (sent, part) = (timestamp(found.last_modified()), part(found));
                if latest.get(&part.number).is_none_or(|(earlier, _)| *earlier <= sent) {
                    latest.insert(part.number, (sent, part));
                }
            }
        }
        Ok(latest.into_values().map(|(_, part)| part).collect())
    }

    /// Makes the object of these parts, in this order; numbers ascend and may have gaps. Again is no error: whoever
    /// lost the answer, or died before writing it down, just asks once more.
    pub async fn complete_multipart(&self, key: &Key, id: &MultipartId, parts: &[Part]) -> Result<(), Error> {
        let listed =
            CompletedMultipartUpload::builder().set_parts(Some(parts.iter().map(completed).collect()));
        let request = self.client.complete_multipart_upload().bucket(&*self.bucket).key(key.as_str());
        let request = request.upload_id(&id.0).multipart_upload(listed.build());
        let made = fault::around(Change::CompleteMultipart, async {
            request.send().await.map_err(|error| self.asked_part(key, id).refused(error))
        });
        let Err(error) = made.await else { return Ok(()) };
        match error {
            Error::MultipartMissing { .. } if self.is_made_of(key, parts).await? => Ok(()),
            Error::Refused { ref code, .. } if code == "InvalidPart" => {
                Err(self.missing_part(key, id, parts).await?.unwrap_or(error))
            }
            Error::Refused { ref code, .. } if code == "EntityTooSmall" => {
                Err(small_part(parts).unwrap_or(error))
            }
            error => Err(error),
        }
    }

    async fn is_made_of(&self, key: &Key, parts: &[Part]) -> Result<bool, Error> {
        let etag = etag_of(parts.iter().map(|part| part.tag.0.as_str()));
        Ok(self.head(key).await?.is_some_and(|head| head.etag == etag))
    }

    /// S3 says only that some part is wrong; this says which.
    async fn missing_part(
        &self,
        key: &Key,
        id: &MultipartId,
        asked: &[Part],
    ) -> Result<Option<Error>, Error> {
        let there = self.list_parts(key, id).await?;
        let is_there = |part: &Part| there.iter().any(|t| t.number == part.number && t.tag == part.tag);
        let missing = asked.iter().find(|part| !is_there(part));
        Ok(missing.map(|part| Error::PartMissing { number: part.number }))
    }

    /// Drops an unfinished upload and its parts; that there is none is no error.
    pub async fn abort_multipart(&self, key: &Key, id: &MultipartId) -> Result<(), Error> {
        let request = self.client.abort_multipart_upload().bucket(&*self.bucket).key(key.as_str());
        let request = request.upload_id(&id.0);
        fault::around(Change::AbortMultipart, async {
            match request.send().await.map_err(|error| self.asked_part(key, id).refused(error)) {
                Err(Error::MultipartMissing { .. } | Error::NotFound { .. }) | Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Every unfinished multipart upload of names that begin so.
    pub async fn list_multiparts(&self, prefix: &str) -> Result<Vec<Multipart>, Error> {
        let mut found = Vec::new();
        let (mut key_marker, mut id_marker) = (None, None);
        loop {
            let request = self.client.list_multipart_uploads().bucket(&*self.bucket).prefix(prefix);
            let request = request.set_key_marker(key_marker).set_upload_id_marker(id_marker);
            let page = request.send().await.map_err(|error| self.asked("").refused(error))?;
            found.extend(page.uploads().iter().map(multipart));
            if page.is_truncated() != Some(true) {
                return Ok(found);
            }
            key_marker = page.next_key_marker().map(str::to_owned);
            id_marker = page.next_upload_id_marker().map(str::to_owned);
        }
    }

    fn asked_part<'a>(&'a self, key: &'a Key, id: &'a MultipartId) -> super::Asked<'a> {
        super::Asked { bucket: &self.bucket, key: key.as_str(), multipart: &id.0 }
    }
}

/// The `ETag` of an object made of parts: the MD5 of their MD5s, and how many there were.
pub(super) fn etag_of<'a>(tags: impl ExactSizeIterator<Item = &'a str>) -> String {
    let count = tags.len();
    let mut whole = Md5::new();
    for tag in tags {
        whole.update(hex::decode(tag).unwrap_or_default());
    }
    format!("{}-{count}", hex::encode(whole.finalize()))
}

pub(super) fn part_number(number: u32) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

fn small_part(parts: &[Part]) -> Option<Error> {
    let (_, all_but_last) = parts.split_last()?;
    let small = all_but_last.iter().find(|part| part.size_bytes < PART_SIZE_MIN)?;
    Some(Error::PartTooSmall { number: small.number, size_bytes: small.size_bytes })
}

fn part(part: &aws_sdk_s3::types::Part) -> Part {
    Part {
        number: part.part_number().and_then(|number| u32::try_from(number).ok()).unwrap_or(0),
        size_bytes: size(part.size()),
        tag: PartTag(unquoted(part.e_tag())),
    }
}

fn completed(part: &Part) -> CompletedPart {
    CompletedPart::builder()
        .part_number(part_number(part.number))
        .e_tag(format!("\"{}\"", part.tag.0))
        .build()
}

fn multipart(upload: &aws_sdk_s3::types::MultipartUpload) -> Multipart {
    Multipart {
        key: upload.key().unwrap_or_default().to_owned(),
        id: MultipartId(upload.upload_id().unwrap_or_default().to_owned()),
        begun: timestamp(upload.initiated()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tag_of_parts_is_the_digest_of_their_digests() {
        let one = hex::encode(Md5::digest(b"one"));
        let two = hex::encode(Md5::digest(b"two"));
        let whole = Md5::digest([Md5::digest(b"one"), Md5::digest(b"two")].concat());
        assert_eq!(etag_of([&*one, &*two].into_iter()), format!("{}-2", hex::encode(whole)));
    }
}
