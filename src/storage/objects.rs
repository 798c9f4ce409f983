//! Whole objects: put, get, stream, look at, delete.

use std::ops::Range;

use aws_sdk_s3::operation::get_object::GetObjectOutput;
use aws_sdk_s3::primitives::{ByteStream, DateTime};
use aws_sdk_s3::types::{Delete, ObjectIdentifier};
use bytes::Bytes;
use futures::Stream;

use super::{Error, Key, Storage};
use crate::domain::Timestamp;
use crate::fault::{self, Change};

/// What is known of an object without reading it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    pub size_bytes: u64,
    /// Without quotes.
    pub etag: String,
    pub modified: Timestamp,
}

impl Storage {
    /// Stores an object; what was there before is replaced at once or not at all.
    pub async fn put(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        fault::around(Change::Put, async {
            let sent = self.put_request(key, body).send().await;
            sent.map(drop).map_err(|error| self.asked(key.as_str()).refused(error))
        })
        .await
    }

    /// Stores an object unless there is one already: then `PreconditionFailed`.
    pub async fn put_new(&self, key: &Key, body: Bytes) -> Result<(), Error> {
        fault::around(Change::Put, async {
            let sent = self.put_request(key, body).if_none_match("*").send().await;
            sent.map(drop).map_err(|error| self.asked(key.as_str()).refused(error))
        })
        .await
    }

    fn put_request(
        &self,
        key: &Key,
        body: Bytes,
    ) -> aws_sdk_s3::operation::put_object::builders::PutObjectFluentBuilder {
        self.client
            .put_object()
            .bucket(&*self.bucket)
            .key(key.as_str())
            .content_type(key.content_type())
            .cache_control(key.cache_control())
            .body(ByteStream::from(body))
    }

    /// The bytes of a range; fewer where the object ends before it does.
    pub async fn get(&self, key: &Key, range: Range<u64>) -> Result<Bytes, Error> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        self.collect(key, Some(range)).await
    }

    /// The whole object, in memory.
    pub async fn read_all(&self, key: &Key) -> Result<Bytes, Error> {
        self.collect(key, None).await
    }

    async fn collect(&self, key: &Key, range: Option<Range<u64>>) -> Result<Bytes, Error> {
        let body = self.open(key, range).await?.body;
        body.collect()
            .await
            .map(aws_sdk_s3::primitives::AggregatedBytes::into_bytes)
            .map_err(Error::unavailable)
    }

    /// The object, or a range of it, as it arrives.
    pub async fn stream(
        &self,
        key: &Key,
        range: Option<Range<u64>>,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + 'static, Error> {
        let body = if range.as_ref().is_some_and(Range::is_empty) {
            ByteStream::default()
        } else {
            self.open(key, range).await?.body
        };
        Ok(futures::stream::unfold(body, |mut body| async move {
            let chunk = body.next().await?.map_err(Error::unavailable);
            Some((chunk, body))
        }))
    }

    async fn open(&self, key: &Key, range: Option<Range<u64>>) -> Result<GetObjectOutput, Error> {
        let mut request = self.client.get_object().bucket(&*self.bucket).key(key.as_str());
        if let Some(range) = range {
            request = request.range(format!("bytes={}-{}", range.start, range.end - 1));
        }
        request.send().await.map_err(|error| self.asked(key.as_str()).refused(error))
    }

    /// What is known of the object; `None` where there is none.
    pub async fn head(&self, key: &Key) -> Result<Option<Head>, Error> {
        let sent = self.client.head_object().bucket(&*self.bucket).key(key.as_str()).send().await;
        match sent.map_err(|error| self.asked(key.as_str()).refused(error)) {
            Ok(head) => Ok(Some(Head {
                size_bytes: size(head.content_length()),
                etag: unquoted(head.e_tag()),
                modified: timestamp(head.last_modified()),
            })),
            Err(Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Copies an object inside the bucket without its bytes passing through here; at most 5 GiB.
    pub async fn copy(&self, from: &Key, to: &Key) -> Result<(), Error> {
        let source = format!("{}/{}", self.bucket, from.as_str());
        let request = self.client.copy_object().bucket(&*self.bucket).key(to.as_str()).copy_source(source);
        let request = request.content_type(to.content_type()).cache_control(to.cache_control());
        let request = request.metadata_directive(aws_sdk_s3::types::MetadataDirective::Replace);
        fault::around(Change::Copy, async {
            request.send().await.map(drop).map_err(|error| self.asked(from.as_str()).refused(error))
        })
        .await
    }

    /// Deletes an object; that there is none is no error.
    pub async fn delete(&self, key: &Key) -> Result<(), Error> {
        let request = self.client.delete_object().bucket(&*self.bucket).key(key.as_str());
        fault::around(Change::Delete, async {
            match request.send().await.map_err(|error| self.asked(key.as_str()).refused(error)) {
                Err(Error::NotFound { .. }) | Ok(_) => Ok(()),
                Err(error) => Err(error),
            }
        })
        .await
    }

    /// Deletes everything whose name begins so, and says how many objects that were.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<u64, Error> {
        let mut deleted = 0;
        let mut after = None;
        loop {
            let page = self.list(prefix, after).await?;
            deleted += page.items.len() as u64;
            self.delete_named(page.items.into_iter().map(|item| item.key)).await?;
            after = page.next;
            if after.is_none() {
                return Ok(deleted);
            }
        }
    }

    async fn delete_named(&self, keys: impl Iterator<Item = String>) -> Result<(), Error> {
        let named =
            keys.map(|key| ObjectIdentifier::builder().key(key).build()).collect::<Result<Vec<_>, _>>();
        let objects = named.map_err(Error::unavailable)?;
        if objects.is_empty() {
            return Ok(());
        }
        let delete =
            Delete::builder().set_objects(Some(objects)).quiet(true).build().map_err(Error::unavailable)?;
        let request = self.client.delete_objects().bucket(&*self.bucket).delete(delete);
        let output = fault::around(Change::Delete, async {
            request.send().await.map_err(|error| self.asked("").refused(error))
        })
        .await?;
        output.errors().first().map_or(Ok(()), |error| {
            let key = error.key().unwrap_or_default();
            let message = format!("{key}: {}", error.message().unwrap_or_default());
            Err(self.asked(key).refused_in_part(error.code().unwrap_or_default(), message))
        })
    }
}

pub(super) fn size(length: Option<i64>) -> u64 {
    u64::try_from(length.unwrap_or(0)).unwrap_or(0)
}

pub(super) fn unquoted(etag: Option<&str>) -> String {
    etag.unwrap_or_default().trim_matches('"').to_owned()
}

pub(super) fn timestamp(time: Option<&DateTime>) -> Timestamp {
    Timestamp(time.and_then(|time| time.to_millis().ok()).unwrap_or(0))
}
