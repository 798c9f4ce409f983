//! Uploads from beginning to finished source: whatever the door, all end in `finish_upload`.

use std::collections::{BTreeMap, BTreeSet};

use sqlx::types::Json;

use super::quota::{recount, reserve};
use super::rights::{Takes, permitted, refusal_of};
use super::{Error, Publishing, VideoDraft, once};
use crate::catalogue::upload::Upload;
use crate::catalogue::{Tx, job, upload, video};
use crate::domain::job::Job;
use crate::domain::key::Caller;
use crate::domain::upload::{Concat, Door, MAX_PARTS, UploadState, clean_filename, part_bytes};
use crate::domain::{AccountId, UploadId, VideoId};
use crate::storage::{self, Key, MultipartId, Part as StoredPart};

/// Partial uploads one concatenation may have.
const MAX_PARTIALS: usize = 1000;

/// What a new upload belongs to.
#[derive(Debug, Clone)]
pub enum Target {
    /// A video that is there.
    Video(VideoId),
    /// A video to be drafted with it.
    New(Box<VideoDraft>),
    /// Nothing yet: a part of a later concatenation.
    Partial,
}

/// An upload that is announced.
#[derive(Debug, Clone)]
pub struct Incoming {
    pub door: Door,
    pub target: Target,
    /// Finished partial uploads to put together, in order; empty for bytes that still come.
    pub partials: Vec<UploadId>,
    /// Bytes it will have; `None` while the client doesn't know.
    pub length: Option<u64>,
    pub filename: String,
    pub metadata: BTreeMap<String, String>,
}

/// Where one part may be put, straight into the bucket.
#[derive(Debug, Clone)]
pub struct PartUrl {
    pub number: u32,
    pub url: String,
}

impl Publishing {
    /// Begins an upload; its length is checked against limit and quota before a byte comes.
    pub async fn begin_upload(&self, caller: Caller, incoming: Incoming) -> Result<Upload, Error> {
        if let Some(id) = once::made() {
            let found = upload::find(self.db.read().await?.conn(), id).await?;
            return found.ok_or(Error::NotFound("upload"));
        }
        let is_new = matches!(incoming.target, Target::New(_));
        let mut tx = self.db.begin().await?;
        let upload = self.begin_in(&mut tx, caller, incoming).await?;
        once::note(&mut tx, upload.id).await?;
        tx.commit().await?;
        self.changes.tell_work();
        if let Some(video) = upload.video_id.filter(|_| is_new) {
            tracing::info!(%video, key = %caller.key, "video drafted");
        }
        Ok(upload)
    }

    /// Drafts a video together with the upload its parts may go to.
    pub async fn draft_with_parts(&self, caller: Caller, draft: VideoDraft) -> Result<Upload, Error> {
        let target = Target::New(Box::new(draft));
        let (partials, metadata) = (Vec::new(), BTreeMap::new());
        let incoming =
            Incoming { door: Door::Parts, target, partials, length: None, filename: String::new(), metadata };
        self.begin_upload(caller, incoming).await
    }

    async fn begin_in(&self, tx: &mut Tx, caller: Caller, incoming: Incoming) -> Result<Upload, Error> {
        let owner = match incoming.target {
            Target::Video(id) => Some(permitted(tx.conn(), (caller, Takes::Editing), &id.into()).await?),
            Target::New(draft) => Some(self.draft_in(tx.conn(), caller, *draft).await?),
            Target::Partial => None,
        };
        let account = owner.as_ref().map(|video| video.account_id).or(caller.account);
        let concat = match (&owner, incoming.partials.is_empty()) {
            (None, _) => Concat::Partial,
            (Some(_), true) => Concat::None,
            (Some(_), false) => Concat::Final,
        };
        let (length, moved) = match concat {
            Concat::Final => {
                let partials = self.lock_partials(tx, caller, &incoming.partials).await?;
                let moved = partials.values().filter(|partial| partial.account_id == account);
                let moved: Vec<Upload> = moved.cloned().collect();
                (Some(sum_partials(&partials, &incoming.partials)?), moved)
            }
            Concat::None | Concat::Partial => (incoming.length, Vec::new()),
        };
        self.check_size(tx.conn(), account, length.unwrap_or(0)).await?;
        let now = self.clock.now();
        let upload = Upload {
            id: UploadId::new(),
            video_id: owner.as_ref().map(|video| video.id),
            account_id: account,
            api_key_id: caller.key,
            door: incoming.door,
            concat,
            partials: Json(incoming.partials),
            length: length.map(signed),
            received: 0,
            part_size: signed(part_bytes(length)),
            tail: 0,
            multipart: None,
            reserved: Some(0),
            hash_state: None,
            sha256: None,
            fence: 0,
            state: if concat == Concat::Final { UploadState::Finishing } else { UploadState::Open },
            filename: clean_filename(&incoming.filename),
            metadata: Json(incoming.metadata),
            created_at: now,
            expires_at: now.plus(self.limits.upload_ttl),
            finished_at: None,
        };
        upload::insert(tx.conn(), &upload).await?;
        if concat == Concat::Final {
            job::enqueue(tx.conn(), &Job::Assemble { upload: upload.id }, account, now).await?;
        }
        move_promises(tx, account, &moved).await?;
        reserve(tx, upload.id, length.unwrap_or(0)).await?;
        Ok(upload)
    }

    /// The partials that are named, each once, kept for as long as it may take to put them together.
    async fn lock_partials(
        &self,
        tx: &mut Tx,
        caller: Caller,
        named: &[UploadId],
    ) -> Result<BTreeMap<UploadId, Upload>, Error> {
        if named.len() > MAX_PARTIALS {
            return Err(Error::TooLarge { size: named.len() as u64, most: MAX_PARTIALS as u64 });
        }
        let until = self.clock.now().plus(self.limits.upload_ttl);
        let mut partials = BTreeMap::new();
        // In the order of their ids: two that name the same ones never wait for each other.
        for id in named.iter().copied().collect::<BTreeSet<_>>() {
            let partial = upload::lock(tx.conn(), id).await?.filter(|upload| may_touch(caller, upload));
            let partial = partial.ok_or(Error::NotFound("upload"))?;
            upload::keep(tx.conn(), id, until).await?;
            partials.insert(id, partial);
        }
        Ok(partials)
    }

    /// The upload, where the caller may touch it.
    pub async fn find_upload(&self, caller: Caller, id: UploadId) -> Result<Upload, Error> {
        let found = upload::find(self.db.read().await?.conn(), id).await?;
        found.filter(|upload| may_touch(caller, upload)).ok_or(Error::NotFound("upload"))
    }

    /// Says how long a deferred upload will be (tus 1.0, creation-defer-length).
    pub async fn declare_length(&self, upload: &Upload, length: u64) -> Result<(), Error> {
        if upload.length.is_some() {
            return known_length(upload, length);
        }
        let mut tx = self.db.begin().await?;
        self.check_size(tx.conn(), upload.account_id, length).await?;
        // Parts may have gone out at the first size: it stays.
        let declared = upload::set_length(tx.conn(), upload.id, signed(length), upload.part_size).await?;
        let upload = upload::find(tx.conn(), upload.id).await?.ok_or(Error::NotFound("upload"))?;
        if !declared {
            check_open(&upload, upload.door)?;
            return known_length(&upload, length);
        }
        if unsigned(upload.received) > length {
            return Err(Error::PastLength { length });
        }
        if upload.is_whole() {
            upload::close(tx.conn(), upload.id, None).await?;
            self.enqueue_finish(&mut tx, &upload).await?;
        }
        reserve(&mut tx, upload.id, length).await?;
        Ok(tx.commit().await?)
    }

    /// Presigned addresses for these parts, straight into the bucket.
    pub async fn part_urls(
        &self,
        caller: Caller,
        id: UploadId,
        size: Option<u64>,
        numbers: &[u32],
    ) -> Result<(Upload, Vec<PartUrl>), Error> {
        let upload = self.open_parts(caller, id, size).await?;
        let key = source_key(&upload);
        let multipart = MultipartId(upload.multipart.clone().unwrap_or_default());
        let lengths =
            numbers.iter().map(|number| part_length(&upload, *number)).collect::<Result<Vec<_>, _>>()?;
        if upload.length.is_none() {
            self.promise_parts(&upload, numbers).await?;
        }
        let mut urls = Vec::with_capacity(numbers.len());
        for (&number, length) in numbers.iter().zip(lengths) {
            let part = (&key, &multipart, number);
            let url = self.storage.presign_part(part, Some(length), self.limits.part_url_ttl).await?;
            urls.push(PartUrl { number, url });
        }
        Ok((upload, urls))
    }

    /// Nobody said how long the file is: room is kept for every part up to the last one asked for.
    async fn promise_parts(&self, upload: &Upload, numbers: &[u32]) -> Result<(), Error> {
        let last = numbers.iter().copied().max().map_or(0, u64::from);
        let (size, whole) = (unsigned(upload.part_size), last.saturating_sub(1));
        let mut tx = self.db.begin().await?;
        let most = self.max_source_bytes(tx.conn(), upload.account_id).await?;
        if size * whole > most {
            return Err(Error::TooLarge { size: size * whole, most });
        }
        let room = (size * last).min(most);
        let known = upload::lock(tx.conn(), upload.id).await?.ok_or(Error::NotFound("upload"))?;
        if signed(room) > known.counted() {
            reserve(&mut tx, upload.id, room).await?;
        }
        Ok(tx.commit().await?)
    }

    /// The upload with its multipart upload begun in the bucket, and room kept for its bytes.
    async fn open_parts(&self, caller: Caller, id: UploadId, size: Option<u64>) -> Result<Upload, Error> {
        let upload = self.find_upload(caller, id).await?;
        check_open(&upload, Door::Parts)?;
        self.check_sender(caller, &upload).await?;
        if let Some(size) = size {
            self.check_size(self.db.read().await?.conn(), upload.account_id, size).await?;
        }
        match (&upload.multipart, size) {
            (None, _) => self.begin_parts(caller, upload, size).await,
            (Some(_), Some(size)) => {
                self.declare_length(&upload, size).await?;
                self.find_upload(caller, id).await
            }
            (Some(_), None) => Ok(upload),
        }
    }

    async fn begin_parts(
        &self,
        caller: Caller,
        mut upload: Upload,
        size: Option<u64>,
    ) -> Result<Upload, Error> {
        let key = source_key(&upload);
        let multipart = self.storage.begin_multipart(&key).await?;
        upload.multipart = Some(multipart.0.clone());
        upload.length = size.map(signed);
        upload.part_size = signed(part_bytes(size));
        upload.expires_at = self.clock.now().plus(self.limits.upload_ttl);
        match self.note_multipart(&upload, size).await {
            Ok(true) => Ok(upload),
            Ok(false) => {
                self.storage.abort_multipart(&key, &multipart).await?;
                let other = self.find_upload(caller, upload.id).await?;
                size.map_or(Ok(()), |size| known_length(&other, size))?;
                Ok(other)
            }
            Err(error) => {
                self.storage.abort_multipart(&key, &multipart).await?;
                Err(error)
            }
        }
    }

    /// False where another request was first.
    async fn note_multipart(&self, upload: &Upload, size: Option<u64>) -> Result<bool, Error> {
        let mut tx = self.db.begin().await?;
        let first = upload::set_multipart(tx.conn(), upload).await?;
        if first {
            reserve(&mut tx, upload.id, size.unwrap_or(0)).await?;
        }
        tx.commit().await?;
        Ok(first)
    }

    /// Completes an upload whose parts went straight into the bucket.
    pub async fn finish_parts(
        &self,
        caller: Caller,
        id: UploadId,
        claimed: &[StoredPart],
    ) -> Result<Upload, Error> {
        let upload = self.find_upload(caller, id).await?;
        if upload.state == UploadState::Finished {
            return Ok(upload);
        }
        self.answer_for(self.db.begin().await?, caller, &upload).await?.commit().await?;
        if upload.state != UploadState::Finishing {
            check_open(&upload, Door::Parts)?;
            self.close_parts(&upload, claimed).await?;
        }
        self.finish_or_leave(id).await?;
        self.find_upload(caller, id).await
    }

    /// Says which parts the source is made of, and asks for it to be made, in one transaction.
    async fn close_parts(&self, upload: &Upload, claimed: &[StoredPart]) -> Result<(), Error> {
        let Some(multipart) = upload.multipart.clone().map(MultipartId) else {
            return Err(Error::PartMissing { number: 1 });
        };
        let key = source_key(upload);
        let parts = match self.storage.list_parts(&key, &multipart).await {
            // Completed by a process that died before it could say so.
            Err(storage::Error::MultipartMissing { .. }) => Vec::new(),
            listed => listed?,
        };
        let size = if parts.is_empty() {
            self.storage.head(&key).await?.ok_or(Error::PartMissing { number: 1 })?.size_bytes
        } else {
            check_parts(upload, &parts, claimed)?;
            parts.iter().map(|part| part.size_bytes).sum()
        };
        let mut tx = self.db.begin().await?;
        self.check_size(tx.conn(), upload.account_id, size).await?;
        if !upload::close(tx.conn(), upload.id, Some(signed(size))).await? {
            return Ok(());
        }
        for part in parts {
            let (number, size_bytes) = (i64::from(part.number), signed(part.size_bytes));
            let part = upload::Part { number, size_bytes, etag: part.tag.0 };
            upload::insert_part(tx.conn(), upload.id, &part).await?;
        }
        self.enqueue_finish(&mut tx, upload).await?;
        reserve(&mut tx, upload.id, size).await?;
        Ok(tx.commit().await?)
    }

    /// THE end of every door: the source is recorded, the video moves on, its probe is asked for, in one transaction.
    pub async fn finish_upload(&self, upload: &Upload, size: u64, sha256: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        if let Some(id) = upload.video_id {
            video::lock(tx.conn(), id, now).await?;
            if let Some(why) = refusal_of(&mut tx, upload.id).await? {
                return self.refuse_upload(tx, upload, why).await;
            }
        }
        let before = upload::lock(tx.conn(), upload.id).await?.ok_or(Error::NotFound("upload"))?;
        // What a final upload counts, its partials don't.
        let reserved = before.reserved.filter(|bytes| before.concat == Concat::Partial && *bytes == 0);
        let finished = (signed(size), sha256, reserved);
        let fresh = upload::finish(tx.conn(), upload.id, finished, now).await?;
        // The safety net of `enqueue_finish`, where it still waits.
        job::withdraw(tx.conn(), &Job::Assemble { upload: upload.id }).await?;
        if let (true, Some(id)) = (fresh, upload.video_id) {
            self.begin_processing(&mut tx, (id, upload.id), now).await?;
            video::raise_version(tx.conn(), id).await?;
            if sha256.is_none() {
                job::enqueue(tx.conn(), &Job::Digest { upload: upload.id }, upload.account_id, now).await?;
            }
        }
        if fresh {
            let counts = reserved.unwrap_or(signed(size));
            recount(&mut tx, upload.account_id, counts - before.counted()).await?;
        }
        tx.commit().await?;
        if let Some(id) = upload.video_id {
            self.changes.tell(id);
            if fresh {
                let (door, key) = (upload.door, upload.api_key_id);
                tracing::info!(video = %id, upload = %upload.id, bytes = size, %door, %key, "source received");
            }
        }
        self.clean_up(upload.id).await;
        Ok(())
    }
}

/// Where an upload's bytes are, arriving and finished.
pub(crate) fn source_key(upload: &Upload) -> Key {
    match upload.video_id {
        Some(video) => Key::source(video, upload.id),
        None => Key::partial(upload.id),
    }
}

fn may_touch(caller: Caller, upload: &Upload) -> bool {
    match upload.account_id {
        Some(account) => caller.covers(account),
        None => caller.key == upload.api_key_id,
    }
}

pub(super) fn check_open(upload: &Upload, door: Door) -> Result<(), Error> {
    match upload.state {
        UploadState::Open if upload.door == door => Ok(()),
        UploadState::Open => Err(Error::WrongDoor(upload.door.as_str())),
        UploadState::Finishing | UploadState::Finished => Err(Error::UploadFinished),
        UploadState::Abandoned => Err(Error::UploadGone("it was given up or has expired")),
    }
}

/// Bytes of the partials as they are named: one that is named twice counts twice.
fn sum_partials(partials: &BTreeMap<UploadId, Upload>, named: &[UploadId]) -> Result<u64, Error> {
    let mut sum: u64 = 0;
    for partial in named.iter().filter_map(|id| partials.get(id)) {
        let (received, length) = (unsigned(partial.received), partial.length.map_or(u64::MAX, unsigned));
        match (partial.concat, partial.state) {
            (Concat::Partial, UploadState::Finished | UploadState::Finishing) => {
                sum = sum.saturating_add(received);
            }
            (Concat::Partial, UploadState::Open) => return Err(Error::Unfinished { received, length }),
            (Concat::Partial, UploadState::Abandoned) => {
                return Err(Error::UploadGone("a partial has expired"));
            }
            (Concat::None | Concat::Final, _) => return Err(Error::WrongDoor("it is no partial upload")),
        }
    }
    Ok(sum)
}

/// What these partials counted for, their final upload counts for from now on.
async fn move_promises(tx: &mut Tx, account: Option<AccountId>, partials: &[Upload]) -> Result<(), Error> {
    for partial in partials {
        upload::set_reserved(tx.conn(), partial.id, 0).await?;
    }
    recount(tx, account, -partials.iter().map(Upload::counted).sum::<i64>()).await
}

fn known_length(upload: &Upload, length: u64) -> Result<(), Error> {
    match upload.length.map(unsigned) {
        Some(known) if known != length => Err(Error::LengthKnown { length: known }),
        _ => Ok(()),
    }
}

/// Bytes of a presigned part, exactly. While nobody has said how long the file is, every part is a whole one: the last
/// part's address is for whoever says it.
fn part_length(upload: &Upload, number: u32) -> Result<u64, Error> {
    let size = unsigned(upload.part_size).max(1);
    let count = upload.length.map(|length| unsigned(length).div_ceil(size).max(1));
    let most = count.unwrap_or(MAX_PARTS).min(MAX_PARTS);
    if number == 0 || u64::from(number) > most {
        return Err(Error::PartNumber { number, most });
    }
    let before = size * (u64::from(number) - 1);
    Ok(upload.length.map_or(size, |length| (unsigned(length) - before).min(size)))
}

/// Parts go from 1 without a gap, as the client says they do, and to the declared length.
fn check_parts(upload: &Upload, parts: &[StoredPart], claimed: &[StoredPart]) -> Result<(), Error> {
    let most = parts.iter().chain(claimed).map(|part| part.number).max().unwrap_or(1);
    for number in 1..=most {
        let Some(part) = parts.iter().find(|part| part.number == number) else {
            return Err(Error::PartMissing { number });
        };
        let said = claimed.iter().find(|part| part.number == number);
        if let Some(said) = said.filter(|said| said.tag != part.tag) {
            let (actual, expected) = (part.tag.0.clone(), said.tag.0.clone());
            return Err(Error::Checksum { kind: "etag", actual, expected });
        }
    }
    let size: u64 = parts.iter().map(|part| part.size_bytes).sum();
    match upload.length.map(unsigned) {
        Some(length) if length != size => Err(Error::Unfinished { received: size, length }),
        _ => Ok(()),
    }
}

/// SQL's integers are signed; sizes never are.
pub(crate) fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
