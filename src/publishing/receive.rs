//! Bytes on their way into the bucket: whole parts go to S3 multipart, the end that fills none to a tail object.
//! What the row says was received is durable, whatever happens next.

use bytes::{Bytes, BytesMut};
use sha1::Sha1;
use sha2::digest::common::hazmat::SerializableState;
use sha2::{Digest, Sha256};

use super::quota::reserve;
use super::uploads::{check_open, signed, source_key, unsigned};
use super::{Error, Publishing};
use crate::catalogue::upload::{self, Part, Upload};
use crate::domain::UploadId;
use crate::domain::key::Caller;
use crate::domain::upload::{Concat, MAX_PARTS, UploadState};
use crate::storage::{Key, MultipartId};

/// A digest that a client may send with its bytes (tus 1.0, checksum).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChecksumKind {
    Md5,
    Sha1,
    Sha256,
}

impl ChecksumKind {
    /// Every kind, as tus names them.
    pub const ALL: [Self; 3] = [Self::Sha1, Self::Sha256, Self::Md5];

    /// tus's name of it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "md5",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }
}

/// The digest these bytes must have; without it none of them counts.
#[derive(Debug, Clone)]
pub struct Checksum {
    pub kind: ChecksumKind,
    pub expected: Vec<u8>,
}

enum Hasher {
    Md5(md5::Md5),
    Sha1(Sha1),
    Sha256(Sha256),
}

/// The one writer of an upload, as long as nobody takes it over.
pub struct Receiver {
    publishing: Publishing,
    caller: Caller,
    upload: Upload,
    key: Key,
    /// Over all bytes up to `at`.
    hash: Sha256,
    check: Option<(Checksum, Hasher)>,
    /// What fills no part yet, with the tail of before at its head.
    buffer: BytesMut,
    /// Parts in the bucket that the row does not know yet, because their checksum is still to come.
    parts: Vec<Part>,
    at: u64,
    most: u64,
}

impl Publishing {
    /// Becomes the only writer of an upload, which must stand at `offset`.
    pub async fn receive(
        &self,
        caller: Caller,
        id: UploadId,
        offset: u64,
        checksum: Option<Checksum>,
    ) -> Result<Receiver, Error> {
        let before = self.find_upload(caller, id).await?;
        if before.concat == Concat::Final {
            return Err(Error::WrongDoor("a final upload takes no bytes"));
        }
        // Its length was declared as what it has: nothing is written any more.
        if before.state == UploadState::Finishing && before.is_whole() && offset == unsigned(before.received)
        {
            let most = offset;
            return Ok(self.receiver(caller, (before, BytesMut::new()), most, checksum));
        }
        check_open(&before, before.door)?;
        let expires_at = self.clock.now().plus(self.limits.upload_ttl);
        let mut tx = self.answer_for(self.db.begin().await?, caller, &before).await?;
        let upload = upload::acquire(tx.conn(), id, expires_at).await?.ok_or(Error::NotFound("upload"))?;
        let expected = unsigned(upload.received);
        if offset != expected {
            return Err(Error::Offset { offset, expected });
        }
        let most = match upload.length {
            Some(length) => unsigned(length),
            None => self.max_source_bytes(tx.conn(), upload.account_id).await?,
        };
        tx.commit().await?;
        let mut tail = BytesMut::new();
        if upload.tail > 0 {
            tail.extend_from_slice(&self.storage.read_all(&Key::tail(upload.id, expected)).await?);
        }
        Ok(self.receiver(caller, (upload, tail), most, checksum))
    }

    fn receiver(
        &self,
        caller: Caller,
        (upload, buffer): (Upload, BytesMut),
        most: u64,
        checksum: Option<Checksum>,
    ) -> Receiver {
        let check = checksum.map(|checksum| {
            let hasher = match checksum.kind {
                ChecksumKind::Md5 => Hasher::Md5(md5::Md5::new()),
                ChecksumKind::Sha1 => Hasher::Sha1(Sha1::new()),
                ChecksumKind::Sha256 => Hasher::Sha256(Sha256::new()),
            };
            (checksum, hasher)
        });
        Receiver {
            publishing: self.clone(),
            caller,
            key: source_key(&upload),
            hash: resume(upload.hash_state.as_deref()),
            check,
            buffer,
            parts: Vec::new(),
            at: unsigned(upload.received),
            most,
            upload,
        }
    }
}

impl Receiver {
    /// The upload it writes.
    pub fn upload(&self) -> UploadId {
        self.upload.id
    }

    /// Who writes it.
    pub fn caller(&self) -> Caller {
        self.caller
    }

    /// What it holds in memory.
    pub fn held_bytes(&self) -> u64 {
        self.buffer.len() as u64
    }

    /// Takes more bytes; whole parts go out as they fill.
    pub async fn write(&mut self, mut bytes: Bytes) -> Result<(), Error> {
        if self.at + bytes.len() as u64 > self.most {
            return Err(match self.upload.length {
                Some(length) => Error::PastLength { length: unsigned(length) },
                None => Error::TooLarge { size: self.at + bytes.len() as u64, most: self.most },
            });
        }
        if let Some((_, hasher)) = &mut self.check {
            hasher.update(&bytes);
        }
        let part_size = usize::try_from(self.upload.part_size).unwrap_or(usize::MAX);
        while !bytes.is_empty() {
            let room = part_size.saturating_sub(self.buffer.len());
            // A buffer that doubles as it grows would hold up to twice the part.
            self.buffer.reserve(room);
            let piece = bytes.split_to(room.min(bytes.len()));
            self.hash.update(&piece);
            self.buffer.extend_from_slice(&piece);
            self.at += piece.len() as u64;
            if self.buffer.len() >= part_size {
                self.store_part().await?;
            }
        }
        Ok(())
    }

    /// The request's bytes are all there: checks their digest, makes them durable, and where they were the last
    /// ones of the upload, finishes it. Returns the offset reached.
    pub async fn close(mut self) -> Result<u64, Error> {
        if let Some((checksum, hasher)) = self.check.take() {
            hasher.verify(&checksum)?;
        }
        self.put_away().await?;
        Ok(self.at)
    }

    /// The client went away: what came is made durable, unless a digest was promised that now can't be checked.
    pub async fn rescue(mut self) -> Result<(), Error> {
        if self.check.is_some() { Ok(()) } else { self.put_away().await }
    }

    /// Makes what came durable; where those were the last bytes, finishes the upload.
    async fn put_away(&mut self) -> Result<(), Error> {
        if !self.is_whole() {
            return self.store_tail().await;
        }
        if self.upload.state == UploadState::Open {
            if self.buffer.is_empty() { self.advance(0).await? } else { self.store_part().await? }
        }
        self.publishing.finish_or_leave(self.upload.id).await
    }

    fn is_whole(&self) -> bool {
        self.upload.length.map(unsigned) == Some(self.at)
    }

    async fn store_part(&mut self) -> Result<(), Error> {
        self.make_room().await?;
        let multipart = self.open_multipart().await?;
        let number = (self.at - 1) / unsigned(self.upload.part_size) + 1;
        let part = u32::try_from(number).ok().filter(|_| number <= MAX_PARTS);
        let part =
            part.ok_or(Error::TooLarge { size: self.at, most: unsigned(self.upload.part_size) * MAX_PARTS })?;
        let bytes = self.buffer.split().freeze();
        let size_bytes = bytes.len() as u64;
        let tag = self.publishing.storage.upload_part(&self.key, &multipart, part, bytes).await?;
        self.parts.push(Part { number: i64::from(part), size_bytes: signed(size_bytes), etag: tag.0 });
        if self.check.is_none() { self.advance(0).await } else { Ok(()) }
    }

    /// Of an upload whose length nobody has declared, the bytes count as they come.
    async fn make_room(&self) -> Result<(), Error> {
        if self.upload.length.is_some() || self.at == unsigned(self.upload.received) {
            return Ok(());
        }
        let mut tx = self.publishing.db.begin().await?;
        if reserve(&mut tx, self.upload.id, self.at).await?.fence != self.upload.fence {
            return Err(Error::TakenOver);
        }
        Ok(tx.commit().await?)
    }

    async fn open_multipart(&mut self) -> Result<MultipartId, Error> {
        if let Some(id) = &self.upload.multipart {
            return Ok(MultipartId(id.clone()));
        }
        let id = self.publishing.storage.begin_multipart(&self.key).await?;
        self.upload.multipart = Some(id.0.clone());
        Ok(id)
    }

    async fn store_tail(&mut self) -> Result<(), Error> {
        self.make_room().await?;
        let tail = self.buffer.len();
        if tail > 0 && self.at != unsigned(self.upload.received) {
            let key = Key::tail(self.upload.id, self.at);
            self.publishing.storage.put(&key, self.buffer.clone().freeze()).await?;
        }
        self.advance(tail).await
    }

    /// Tells the row how far the durable bytes go: `tail` of them in a tail object, the rest in parts. Where those are
    /// the last ones, the same transaction says that the upload is finishing and asks for the job that finishes it.
    async fn advance(&mut self, tail: usize) -> Result<(), Error> {
        let before = unsigned(self.upload.received);
        // The tail of before may become the last part without a byte coming: its length was declared late.
        if self.at == before && self.parts.is_empty() && !self.is_whole() {
            return Ok(());
        }
        let old_tail = (self.upload.tail > 0).then(|| Key::tail(self.upload.id, before));
        self.upload.hash_state = Some(hex::encode(self.hash.serialize()));
        self.upload.received = signed(self.at);
        self.upload.tail = signed(tail as u64);
        let publishing = &self.publishing;
        self.upload.expires_at = publishing.clock.now().plus(publishing.limits.upload_ttl);
        if self.is_whole() {
            self.upload.state = UploadState::Finishing;
        }
        let mut tx = publishing.db.begin().await?;
        for part in self.parts.drain(..) {
            upload::insert_part(tx.conn(), self.upload.id, &part).await?;
        }
        if !upload::advance(tx.conn(), &self.upload).await? {
            return Err(Error::TakenOver);
        }
        if self.upload.state == UploadState::Finishing {
            publishing.enqueue_finish(&mut tx, &self.upload).await?;
        }
        tx.commit().await?;
        if let Some(key) = old_tail
            && let Err(error) = publishing.storage.delete(&key).await
        {
            // It goes with the upload's other leftovers.
            tracing::warn!(%key, %error, "an old tail stays for now");
        }
        Ok(())
    }
}

impl Hasher {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Md5(hasher) => hasher.update(bytes),
            Self::Sha1(hasher) => hasher.update(bytes),
            Self::Sha256(hasher) => hasher.update(bytes),
        }
    }

    fn verify(self, checksum: &Checksum) -> Result<(), Error> {
        let actual = match self {
            Self::Md5(hasher) => hasher.finalize().to_vec(),
            Self::Sha1(hasher) => hasher.finalize().to_vec(),
            Self::Sha256(hasher) => hasher.finalize().to_vec(),
        };
        if actual == checksum.expected {
            return Ok(());
        }
        let (actual, expected) = (hex::encode(actual), hex::encode(&checksum.expected));
        Err(Error::Checksum { kind: checksum.kind.as_str(), actual, expected })
    }
}

/// The running digest of before, or a new one.
fn resume(state: Option<&str>) -> Sha256 {
    let bytes = state.and_then(|state| hex::decode(state).ok());
    let state = bytes.and_then(|bytes| bytes.as_slice().try_into().ok());
    state.and_then(|state| Sha256::deserialize(&state).ok()).unwrap_or_default()
}

/// The digest of all bytes of an upload that passed through us; `None` where they did not.
pub(super) fn digest_of(upload: &Upload) -> Option<String> {
    match (&upload.hash_state, upload.received) {
        (Some(state), _) => Some(hex::encode(resume(Some(state)).finalize())),
        (None, 0) => Some(hex::encode(Sha256::digest([]))),
        (None, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_goes_on_where_it_was_left() {
        let mut first = Sha256::new();
        first.update(b"policy ");
        let state = hex::encode(first.serialize());
        let mut second = resume(Some(&state));
        second.update(b"cast");
        assert_eq!(second.finalize(), Sha256::digest(b"policy cast"));
    }
}
