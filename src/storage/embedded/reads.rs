//! GET and HEAD of an object: whole or by range, under conditions, a few hundred kilobytes in memory at a time.

use std::io::{ErrorKind, SeekFrom};
use std::ops::Range as Span;

use bytes::Bytes;
use futures::{Stream, StreamExt, TryStreamExt, stream};
use http_body_util::StreamBody;
use hyper::body::Frame;
use s3s::dto::{
    ETag, GetObjectInput, GetObjectOutput, HeadObjectInput, HeadObjectOutput, Range, StreamingBlob,
};
use s3s::{Body, S3Request, S3Result, s3_error};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::backend::Backend;
use super::blobs::Blobs;
use super::buckets::http_time;
use super::checksum::Sums;
use super::condition::Conditions;
use super::index::{Blob, Headers, Stored};
use super::refusal;

/// Read from the disk at a time.
const CHUNK_BYTES: usize = 128 * 1024;
/// An object that is replaced between looking and opening is looked up again, this often.
const LOOKS: u32 = 3;

/// A stretch of one blob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub blob: String,
    pub span: Span<u64>,
}

impl Backend {
    pub async fn read(&self, request: S3Request<GetObjectInput>) -> S3Result<GetObjectOutput> {
        let input = request.input;
        if input.part_number.is_some() {
            return Err(s3_error!(NotImplemented, "reading by part number"));
        }
        let conditions = Conditions {
            wanted: input.if_match,
            known: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        for _ in 1..LOOKS {
            let (stored, blobs) = self.index.object(&input.bucket, &input.key).await?;
            conditions.allow_read(&stored)?;
            let (span, content_range) = select(input.range.as_ref(), stored.size_bytes)?;
            match self.body(&blobs, span.clone()).await {
                Ok(body) => return Ok(output(stored, span, content_range, body)),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => return Err(refusal::file(error)),
            }
        }
        Err(refusal::internal("blob folder", std::io::Error::from(ErrorKind::NotFound)))
    }

    pub async fn look_at(&self, request: S3Request<HeadObjectInput>) -> S3Result<HeadObjectOutput> {
        let input = request.input;
        let (stored, _) = self.index.object(&input.bucket, &input.key).await?;
        let conditions = Conditions {
            wanted: input.if_match,
            known: input.if_none_match,
            modified_since: input.if_modified_since,
            unmodified_since: input.if_unmodified_since,
        };
        conditions.allow_read(&stored)?;
        let (span, content_range) = select(input.range.as_ref(), stored.size_bytes)?;
        let output = output(stored, span, content_range, None);
        Ok(HeadObjectOutput {
            accept_ranges: output.accept_ranges,
            cache_control: output.cache_control,
            checksum_crc32: output.checksum_crc32,
            checksum_crc32c: output.checksum_crc32c,
            checksum_crc64nvme: output.checksum_crc64nvme,
            checksum_sha1: output.checksum_sha1,
            checksum_sha256: output.checksum_sha256,
            content_disposition: output.content_disposition,
            content_encoding: output.content_encoding,
            content_language: output.content_language,
            content_length: output.content_length,
            content_range: output.content_range,
            content_type: output.content_type,
            e_tag: output.e_tag,
            last_modified: output.last_modified,
            metadata: output.metadata,
            ..Default::default()
        })
    }

    async fn body(&self, blobs: &[Blob], span: Span<u64>) -> std::io::Result<Option<StreamingBlob>> {
        let stream = self.bytes(pieces(blobs, &span)).await?;
        let body = Body::http_body_unsync(StreamBody::new(stream.map_ok(Frame::data)));
        Ok(Some(StreamingBlob::from(body)))
    }

    /// The bytes of the pieces one after another. The first is opened at once: whoever replaces the object now
    /// doesn't disturb.
    pub async fn bytes(
        &self,
        pieces: Vec<Piece>,
    ) -> std::io::Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>> {
        let blobs = self.blobs.clone();
        let mut pieces = pieces.into_iter();
        let first = match pieces.next() {
            Some(piece) => Some(open(blobs.clone(), piece).await?),
            None => None,
        };
        let rest = stream::iter(pieces).then(move |piece| open(blobs.clone(), piece));
        Ok(stream::iter(first.map(Ok)).chain(rest).try_flatten())
    }
}

async fn open(
    blobs: Blobs,
    piece: Piece,
) -> std::io::Result<impl Stream<Item = std::io::Result<Bytes>> + Send + use<>> {
    let mut file = tokio::fs::File::open(blobs.path(&piece.blob)).await?;
    let size_bytes = file.metadata().await?.len();
    if size_bytes < piece.span.end {
        let text =
            format!("blob {} has {size_bytes} bytes, expected {} at least", piece.blob, piece.span.end);
        return Err(std::io::Error::new(ErrorKind::UnexpectedEof, text));
    }
    file.seek(SeekFrom::Start(piece.span.start)).await?;
    Ok(ReaderStream::with_capacity(file.take(piece.span.end - piece.span.start), CHUNK_BYTES))
}

/// Which bytes are asked for, and the `Content-Range` where it is not simply all.
pub(super) fn select(range: Option<&Range>, size_bytes: u64) -> S3Result<(Span<u64>, Option<String>)> {
    let Some(range) = range else { return Ok((0..size_bytes, None)) };
    let Ok(span) = range.check(size_bytes) else {
        return Err(s3_error!(InvalidRange, "the range is not within the object's {size_bytes} bytes"));
    };
    let header = format!("bytes {}-{}/{size_bytes}", span.start, span.end.saturating_sub(1));
    Ok((span, Some(header)))
}

/// Where the bytes of `span` lie.
pub(super) fn pieces(blobs: &[Blob], span: &Span<u64>) -> Vec<Piece> {
    let mut start = 0;
    let mut found = Vec::new();
    for blob in blobs {
        let end = start + blob.size_bytes;
        let (from, to) = (span.start.max(start), span.end.min(end));
        if from < to {
            found.push(Piece { blob: blob.name.clone(), span: from - start..to - start });
        }
        start = end;
    }
    found
}

fn output(
    stored: Stored,
    span: Span<u64>,
    content_range: Option<String>,
    body: Option<StreamingBlob>,
) -> GetObjectOutput {
    let Headers {
        content_type, cache_control, content_disposition, content_encoding, content_language, ..
    } = stored.headers.0;
    // The stored sums are those of the whole object.
    let sums = if content_range.is_none() { stored.headers.0.sums } else { Sums::default() };
    GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        body,
        cache_control,
        checksum_crc32: sums.crc32,
        checksum_crc32c: sums.crc32c,
        checksum_crc64nvme: sums.crc64nvme,
        checksum_sha1: sums.sha1,
        checksum_sha256: sums.sha256,
        content_disposition,
        content_encoding,
        content_language,
        content_length: i64::try_from(span.end - span.start).ok(),
        content_range,
        content_type: content_type.or_else(|| Some("binary/octet-stream".to_owned())),
        e_tag: Some(ETag::Strong(stored.etag)),
        last_modified: Some(http_time(stored.modified)),
        metadata: Some(stored.headers.0.metadata.into_iter().collect()),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Timestamp;

    fn blobs(sizes: &[u64]) -> Vec<Blob> {
        let blob = |(at, size): (usize, &u64)| Blob {
            name: at.to_string(),
            number: u32::try_from(at).unwrap(),
            etag: String::new(),
            size_bytes: *size,
            modified: Timestamp(0),
            sums: sqlx::types::Json::default(),
        };
        sizes.iter().enumerate().map(blob).collect()
    }

    fn found(sizes: &[u64], span: Span<u64>) -> Vec<(String, Span<u64>)> {
        pieces(&blobs(sizes), &span).into_iter().map(|piece| (piece.blob, piece.span)).collect()
    }

    #[test]
    fn a_range_touches_only_the_blobs_it_lies_in() {
        let piece = |blob: &str, span| (blob.to_owned(), span);
        assert_eq!(found(&[10, 10, 10], 12..18), [piece("1", 2..8)]);
        assert_eq!(found(&[10, 10, 10], 9..21), [piece("0", 9..10), piece("1", 0..10), piece("2", 0..1)]);
        assert_eq!(found(&[10, 0, 10], 10..11), [piece("2", 0..1)]);
        assert_eq!(found(&[0], 0..0), []);
    }
}
