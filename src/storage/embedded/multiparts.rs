//! Multipart uploads as S3 clients ask for them; completing one writes a row and copies nothing.

use s3s::dto::{
    AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
    CompleteMultipartUploadOutput, CompletedPart, CopyPartResult, CreateMultipartUploadInput,
    CreateMultipartUploadOutput, ETag, ListMultipartUploadsInput, ListMultipartUploadsOutput, ListPartsInput,
    ListPartsOutput, MultipartUpload, Part, Range, StreamingBlob, UploadPartCopyInput, UploadPartCopyOutput,
    UploadPartInput, UploadPartOutput,
};
use s3s::{S3Request, S3Result, s3_error};
use sqlx::types::Json;
use uuid::Uuid;

use super::backend::Backend;
use super::buckets::http_time;
use super::checksum::{Promised, Sums};
use super::condition::Conditions;
use super::index::{Blob, Completion, Multipart, MultipartSpan, NewObject, Stored, headers};
use super::reads::{pieces, select};
use super::refusal;
use super::writes::{Received, source};
use crate::storage::multipart::etag_of;
use crate::storage::{PART_SIZE_MIN, PARTS_MAX};

const PAGE_MAX: u32 = 1000;

impl Backend {
    pub async fn begin(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<CreateMultipartUploadOutput> {
        let input = request.input;
        let headers = headers!(input, Sums::default());
        let id = Uuid::now_v7().to_string();
        let upload = Multipart {
            id: id.clone(),
            key: input.key.clone(),
            headers: Json(headers),
            begun: self.clock.now(),
        };
        self.index.begin_multipart(&input.bucket, &upload).await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    pub async fn write_part(&self, request: S3Request<UploadPartInput>) -> S3Result<UploadPartOutput> {
        let promised = Promised::from_headers(&request.headers, request.trailing_headers);
        let input = request.input;
        let number = part_number(input.part_number)?;
        self.index.multipart(&input.bucket, &input.key, &input.upload_id).await?;
        let received = self.receive(input.body, &promised, input.content_length).await?;
        let (etag, sums) = (received.blob.etag.clone(), received.blob.sums.0.clone());
        self.put_part((input.bucket, input.key, input.upload_id), number, received).await?;
        Ok(UploadPartOutput {
            e_tag: Some(ETag::Strong(etag)),
            checksum_crc32: sums.crc32,
            checksum_crc32c: sums.crc32c,
            checksum_crc64nvme: sums.crc64nvme,
            checksum_sha1: sums.sha1,
            checksum_sha256: sums.sha256,
            ..Default::default()
        })
    }

    pub async fn duplicate_part(
        &self,
        request: S3Request<UploadPartCopyInput>,
    ) -> S3Result<UploadPartCopyOutput> {
        let input = request.input;
        let number = part_number(input.part_number)?;
        self.index.multipart(&input.bucket, &input.key, &input.upload_id).await?;
        let (bucket, key) = source(&input.copy_source)?;
        let (stored, blobs) = self.index.object(bucket, key).await?;
        let range = input.copy_source_range.as_deref().map(Range::parse).transpose();
        let Ok(range) = range else { return Err(s3_error!(InvalidArgument, "the source range is none")) };
        let (span, _) = select(range.as_ref(), stored.size_bytes)?;
        let bytes = self.bytes(pieces(&blobs, &span)).await.map_err(refusal::file)?;
        let body =
            http_body_util::StreamBody::new(futures::TryStreamExt::map_ok(bytes, hyper::body::Frame::data));
        let body = StreamingBlob::from(s3s::Body::http_body_unsync(body));
        let received = self.receive(Some(body), &Promised::default(), None).await?;
        let result = CopyPartResult {
            e_tag: Some(ETag::Strong(received.blob.etag.clone())),
            last_modified: Some(http_time(received.blob.modified)),
            ..Default::default()
        };
        self.put_part((input.bucket, input.key, input.upload_id), number, received).await?;
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    async fn put_part(&self, at: (String, String, String), number: u32, received: Received) -> S3Result<()> {
        let (index, file) = (self.index.clone(), received.unfinished);
        let blob = Blob { number, ..received.blob };
        self.commit(vec![file], async move { index.put_part((&at.0, &at.1, &at.2), &blob).await }).await
    }

    pub async fn complete(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let input = request.input;
        let listed = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        if let Some(stored) = self.completed_before(&input.bucket, &input.key, &input.upload_id).await? {
            return Ok(completed(input.bucket, input.key, stored.etag));
        }
        let upload = self.index.multipart(&input.bucket, &input.key, &input.upload_id).await?;
        let there = self.index.parts(&upload.id, 0, PARTS_MAX).await.map_err(refusal::index)?;
        let parts = chosen(&listed, there)?;
        let etag = etag_of(parts.iter().map(|part| part.etag.as_str()));
        let object = NewObject {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            version: upload.id,
            etag: etag.clone(),
            size_bytes: parts.iter().map(|part| part.size_bytes).sum(),
            now: self.clock.now(),
            headers: upload.headers.0,
        };
        let conditions =
            Conditions { wanted: input.if_match, known: input.if_none_match, ..Default::default() };
        let index = self.index.clone();
        let transaction = async move {
            let completion = Completion { object: &object, parts: &parts, conditions: &conditions };
            index.complete(completion).await
        };
        self.commit(Vec::new(), transaction).await?;
        Ok(completed(input.bucket, input.key, etag))
    }

    /// A client that lost the answer asks again: the object it made says so.
    async fn completed_before(&self, bucket: &str, key: &str, id: &str) -> S3Result<Option<Stored>> {
        let found = self.index.find(bucket, key).await.map_err(refusal::index)?;
        Ok(found.map(|(stored, _)| stored).filter(|stored| stored.version == id))
    }

    pub async fn abort(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<AbortMultipartUploadOutput> {
        let AbortMultipartUploadInput { bucket, key, upload_id, .. } = request.input;
        let index = self.index.clone();
        self.commit(Vec::new(), async move { index.abort((&bucket, &key, &upload_id)).await }).await?;
        Ok(AbortMultipartUploadOutput::default())
    }

    pub async fn parts(&self, request: S3Request<ListPartsInput>) -> S3Result<ListPartsOutput> {
        let input = request.input;
        let upload = self.index.multipart(&input.bucket, &input.key, &input.upload_id).await?;
        let after = input.part_number_marker.and_then(|marker| u32::try_from(marker).ok()).unwrap_or(0);
        let limit = page_limit(input.max_parts);
        let mut found = self.index.parts(&upload.id, after, limit + 1).await.map_err(refusal::index)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let next = found.last().filter(|_| more).and_then(|part| i32::try_from(part.number).ok());
        Ok(ListPartsOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(input.upload_id),
            part_number_marker: input.part_number_marker,
            next_part_number_marker: next,
            max_parts: i32::try_from(limit).ok(),
            is_truncated: Some(more),
            parts: Some(found.into_iter().map(part).collect()),
            ..Default::default()
        })
    }

    pub async fn multiparts(
        &self,
        request: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<ListMultipartUploadsOutput> {
        let input = request.input;
        self.index.check_bucket(&input.bucket).await?;
        let limit = page_limit(input.max_uploads);
        let span = MultipartSpan {
            bucket: input.bucket.clone(),
            prefix: input.prefix.clone().unwrap_or_default(),
            after_key: input.key_marker.clone().unwrap_or_default(),
            // Without an upload the whole key is passed over.
            after_id: input.upload_id_marker.clone().unwrap_or_else(|| char::MAX.to_string()),
            limit: limit + 1,
        };
        let mut found = self.index.list_multiparts(&span).await.map_err(refusal::index)?;
        let more = found.len() > limit as usize;
        found.truncate(limit as usize);
        let last = found.last().filter(|_| more);
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: input.prefix,
            key_marker: input.key_marker,
            upload_id_marker: input.upload_id_marker,
            next_key_marker: last.map(|upload| upload.key.clone()),
            next_upload_id_marker: last.map(|upload| upload.id.clone()),
            max_uploads: i32::try_from(limit).ok(),
            is_truncated: Some(more),
            uploads: Some(found.into_iter().map(multipart).collect()),
            ..Default::default()
        })
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    let valid = u32::try_from(number).ok().filter(|number| (1..=PARTS_MAX).contains(number));
    valid.ok_or_else(|| s3_error!(InvalidArgument, "part number is {number}, expected 1 to {PARTS_MAX}"))
}

fn page_limit(asked: Option<i32>) -> u32 {
    asked.and_then(|limit| u32::try_from(limit).ok()).unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX)
}

/// The parts the client lists, each of them there, unchanged, in order and large enough.
fn chosen(listed: &[CompletedPart], there: Vec<Blob>) -> S3Result<Vec<Blob>> {
    if listed.is_empty() {
        return Err(s3_error!(MalformedXML, "at least one part must be listed"));
    }
    let numbers = listed.iter().map(|part| part.part_number.unwrap_or(0));
    if !numbers.is_sorted_by(|one, next| one < next) {
        return Err(s3_error!(InvalidPartOrder, "the parts are not in ascending order"));
    }
    let mut there = there.into_iter();
    let parts = listed.iter().map(|listed| pick(listed, &mut there)).collect::<S3Result<Vec<_>>>()?;
    let all_but_last = &parts[..parts.len() - 1];
    match all_but_last.iter().find(|part| part.size_bytes < PART_SIZE_MIN) {
        Some(part) => Err(s3_error!(EntityTooSmall, "part {} has {} bytes", part.number, part.size_bytes)),
        None => Ok(parts),
    }
}

fn pick(listed: &CompletedPart, there: &mut impl Iterator<Item = Blob>) -> S3Result<Blob> {
    let number = listed.part_number.unwrap_or(0);
    let found = there.find(|part| i32::try_from(part.number) == Ok(number));
    let same = |part: &Blob| listed.e_tag.as_ref().is_none_or(|etag| etag.value() == part.etag);
    found.filter(same).ok_or_else(|| s3_error!(InvalidPart, "part {number} is not there or has another ETag"))
}

fn completed(bucket: String, key: String, etag: String) -> CompleteMultipartUploadOutput {
    CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket),
        key: Some(key),
        e_tag: Some(ETag::Strong(etag)),
        ..Default::default()
    }
}

fn part(blob: Blob) -> Part {
    Part {
        e_tag: Some(ETag::Strong(blob.etag)),
        last_modified: Some(http_time(blob.modified)),
        part_number: i32::try_from(blob.number).ok(),
        size: i64::try_from(blob.size_bytes).ok(),
        checksum_crc32: blob.sums.0.crc32,
        checksum_crc32c: blob.sums.0.crc32c,
        checksum_crc64nvme: blob.sums.0.crc64nvme,
        checksum_sha1: blob.sums.0.sha1,
        checksum_sha256: blob.sums.0.sha256,
    }
}

fn multipart(upload: Multipart) -> MultipartUpload {
    MultipartUpload {
        initiated: Some(http_time(upload.begun)),
        key: Some(upload.key),
        upload_id: Some(upload.id),
        ..Default::default()
    }
}
