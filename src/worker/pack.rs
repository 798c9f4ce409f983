//! Gathers a rung's segments into packs, and puts each into the bucket before it is told.

use bytes::{Bytes, BytesMut};

use super::{Error, Worker};
use crate::catalogue::job::Fence;
use crate::domain::VideoId;
use crate::domain::media::Segment;
use crate::media::timeline;
use crate::publishing::NewPack;
use crate::storage::Key;

/// A pack is closed at this size whatever its number of segments: it is held in memory until then.
const MAX_PACK_BYTES: usize = 16 << 20;

/// The pack of one rung that is still open.
pub(super) struct Packer {
    rung: String,
    /// The segment the next one must be.
    next: u32,
    first: u32,
    bytes: BytesMut,
    segments: Vec<Segment>,
}

impl Packer {
    /// Goes on with the first segment the rung lacks.
    pub(super) fn new(rung: &str, next: u32) -> Self {
        Self { rung: rung.to_owned(), next, first: next, bytes: BytesMut::new(), segments: Vec::new() }
    }

    /// Takes a segment; one that an earlier attempt stored is passed over. A full pack comes back.
    pub(super) fn push(&mut self, index: u32, segment: Segment, bytes: &Bytes) -> Option<(NewPack, Bytes)> {
        if index != self.next {
            return None;
        }
        self.next += 1;
        self.bytes.extend_from_slice(bytes);
        self.segments.push(segment);
        let full = self.next >= timeline::pack_end(self.first) || self.bytes.len() >= MAX_PACK_BYTES;
        if full { self.close() } else { None }
    }

    /// What is left at the end.
    pub(super) fn close(&mut self) -> Option<(NewPack, Bytes)> {
        if self.segments.is_empty() {
            return None;
        }
        let bytes = self.bytes.split().freeze();
        let pack = NewPack {
            rung: self.rung.clone(),
            first_segment: self.first,
            size_bytes: bytes.len() as u64,
            segments: std::mem::take(&mut self.segments),
            nonce: None,
        };
        self.first = self.next;
        Some((pack, bytes))
    }
}

impl Worker {
    /// The bytes first, then the row.
    pub(super) async fn store_pack(
        &self,
        fence: Fence,
        id: (VideoId, u32),
        closed: Option<(NewPack, Bytes)>,
    ) -> Result<(), Error> {
        let Some((pack, bytes)) = closed else { return Ok(()) };
        let attempt = u32::try_from(fence.attempt).unwrap_or(u32::MAX);
        let folder = self.publishing.folder(id).await?;
        let pack = NewPack { nonce: folder.nonce, ..pack };
        let key = Key::pack(folder, &pack.rung, pack.first_segment, attempt);
        self.publishing.storage.put(&key, bytes).await?;
        self.publishing.add_pack(fence, id, pack).await?;
        Ok(())
    }

    /// A rung's initialisation segment: byte-identical whichever chunk makes it.
    pub(super) async fn store_init(
        &self,
        fence: Fence,
        id: (VideoId, u32),
        (rung, codecs): (&str, &str),
        bytes: Bytes,
    ) -> Result<(), Error> {
        let folder = self.publishing.folder(id).await?;
        self.publishing.storage.put(&Key::init(folder, rung), bytes).await?;
        Ok(self.publishing.add_init(fence, id, (rung, codecs)).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEGMENT: Segment = Segment { start: 0, duration: 360_000, size_bytes: 3, key_bytes: 1 };

    #[test]
    fn the_first_segment_is_a_pack_of_its_own() {
        let mut packer = Packer::new("720p", 0);
        let (pack, bytes) = packer.push(0, SEGMENT, &Bytes::from_static(b"abc")).expect("a pack");
        assert_eq!((pack.first_segment, pack.size_bytes, bytes.len()), (0, 3, 3));
        assert!(packer.push(1, SEGMENT, &Bytes::from_static(b"abc")).is_none());
        assert_eq!(packer.close().map(|(pack, _)| pack.first_segment), Some(1));
    }

    #[test]
    fn what_an_earlier_attempt_stored_is_passed_over() {
        let mut packer = Packer::new("720p", 5);
        assert!(packer.push(4, SEGMENT, &Bytes::from_static(b"abc")).is_none());
        assert!(packer.close().is_none());
    }
}
