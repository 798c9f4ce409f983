//! Lists objects, in both versions of the request.

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use s3s::dto::{
    CommonPrefix, ETag, ListObjectsInput, ListObjectsOutput, ListObjectsV2Input, ListObjectsV2Output, Object,
    ObjectStorageClass,
};
use s3s::{S3Request, S3Result, s3_error};

use super::backend::Backend;
use super::buckets::http_time;
use super::index::{Entry, Span, Stored};
use super::refusal;

const KEYS_MAX: i32 = 1000;

impl Backend {
    pub async fn list_v2(&self, request: S3Request<ListObjectsV2Input>) -> S3Result<ListObjectsV2Output> {
        let input = request.input;
        let after = match &input.continuation_token {
            Some(token) => position(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let (max_keys, limit) = limit(input.max_keys)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.unwrap_or_default(),
            after,
            limit,
        };
        let (entries, more) = self.entries(&span).await?;
        let next = entries.last().filter(|_| more).map(|entry| BASE64_URL_SAFE_NO_PAD.encode(entry.name()));
        let key_count = i32::try_from(entries.len()).ok();
        let (contents, prefixes) = split(entries);
        Ok(ListObjectsV2Output {
            name: Some(span.bucket),
            prefix: Some(span.prefix),
            delimiter: Some(span.delimiter).filter(|delimiter| !delimiter.is_empty()),
            max_keys: Some(max_keys),
            key_count,
            is_truncated: Some(more),
            continuation_token: input.continuation_token,
            next_continuation_token: next,
            start_after: input.start_after,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..Default::default()
        })
    }

    pub async fn list_v1(&self, request: S3Request<ListObjectsInput>) -> S3Result<ListObjectsOutput> {
        let input = request.input;
        let (max_keys, limit) = limit(input.max_keys)?;
        let span = Span {
            bucket: input.bucket,
            prefix: input.prefix.unwrap_or_default(),
            delimiter: input.delimiter.unwrap_or_default(),
            after: input.marker.clone().unwrap_or_default(),
            limit,
        };
        let (entries, more) = self.entries(&span).await?;
        let next_marker = entries.last().filter(|_| more).map(|entry| entry.name().to_owned());
        let (contents, prefixes) = split(entries);
        Ok(ListObjectsOutput {
            name: Some(span.bucket),
            prefix: Some(span.prefix),
            delimiter: Some(span.delimiter).filter(|delimiter| !delimiter.is_empty()),
            marker: input.marker,
            max_keys: Some(max_keys),
            is_truncated: Some(more),
            next_marker,
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            ..Default::default()
        })
    }

    async fn entries(&self, span: &Span) -> S3Result<(Vec<Entry>, bool)> {
        self.index.check_bucket(&span.bucket).await?;
        if span.limit == 0 {
            return Ok((Vec::new(), false));
        }
        self.index.list(span).await.map_err(refusal::index)
    }
}

fn limit(asked: Option<i32>) -> S3Result<(i32, u32)> {
    let max_keys = asked.unwrap_or(KEYS_MAX).min(KEYS_MAX);
    match u32::try_from(max_keys) {
        Ok(limit) => Ok((max_keys, limit)),
        Err(_negative) => Err(s3_error!(InvalidArgument, "max-keys is {max_keys}, expected 0 or more")),
    }
}

fn position(token: &str) -> S3Result<String> {
    let decoded = BASE64_URL_SAFE_NO_PAD.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not one of ours"))
}

fn split(entries: Vec<Entry>) -> (Vec<Object>, Vec<CommonPrefix>) {
    let (mut objects, mut prefixes) = (Vec::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::Object(stored) => objects.push(object(*stored)),
            Entry::Prefix(prefix) => prefixes.push(CommonPrefix { prefix: Some(prefix) }),
        }
    }
    (objects, prefixes)
}

fn object(stored: Stored) -> Object {
    Object {
        e_tag: Some(ETag::Strong(stored.etag)),
        key: Some(stored.key),
        last_modified: Some(http_time(stored.modified)),
        size: i64::try_from(stored.size_bytes).ok(),
        storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
        ..Default::default()
    }
}
