//! Uploads from beginning to finished source: whatever the door, all end in `finish_upload`.

use std::collections::BTreeMap;

use sqlx::types::Json;

use super::videos::owned;
use super::{Error, Publishing, VideoDraft};
use crate::catalogue::upload::Upload;
use crate::catalogue::{Tx, account, job, revision, upload, video};
use crate::domain::job::Job;
use crate::domain::key::Caller;
use crate::domain::media::MediaState;
use crate::domain::upload::{Concat, Door, MAX_PARTS, UploadState, cut_filename, part_bytes};
use crate::domain::{AccountId, Refusal, RefusalCode, Timestamp, UploadId, VideoId};
use crate::storage::{self, Key, MultipartId, Part as StoredPart, PartTag};

/// How long after the last byte a finish that nobody completed is picked up by a worker, in seconds.
const FINISH_SAFETY_SECS: u64 = 30;
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
        let mut tx = self.db.begin().await?;
        let upload = self.begin_in(&mut tx, caller, incoming).await?;
        tx.commit().await?;
        self.changes.tell_work();
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
            Target::Video(id) => Some(owned(tx.conn(), caller, id).await?),
            Target::New(draft) => Some(self.draft_in(tx.conn(), caller, *draft).await?),
            Target::Partial => None,
        };
        let account = owner.as_ref().map(|video| video.account_id).or(caller.account);
        let concat = match (&owner, incoming.partials.is_empty()) {
            (None, _) => Concat::Partial,
            (Some(_), true) => Concat::None,
            (Some(_), false) => Concat::Final,
        };
        let length = match concat {
            Concat::Final => Some(sum_partials(tx, caller, &incoming.partials).await?),
            Concat::None | Concat::Partial => incoming.length,
        };
        // The partials of a concatenation were counted when they came.
        if concat != Concat::Final {
            self.check_size(tx, account, length.unwrap_or(0)).await?;
        }
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
            hash_state: None,
            sha256: None,
            fence: 0,
            state: if concat == Concat::Final { UploadState::Finishing } else { UploadState::Open },
            filename: cut_filename(&incoming.filename).to_owned(),
            metadata: Json(incoming.metadata),
            created_at: now,
            expires_at: now.plus(self.limits.upload_ttl),
            finished_at: None,
        };
        upload::insert(tx.conn(), &upload).await?;
        if concat == Concat::Final {
            job::enqueue(tx.conn(), &Job::Assemble { upload: upload.id }, account, now).await?;
        }
        Ok(upload)
    }

    /// A source of `size` bytes may come to this account.
    pub(super) async fn check_size(
        &self,
        tx: &mut Tx,
        id: Option<AccountId>,
        size: u64,
    ) -> Result<(), Error> {
        let account = match id {
            Some(id) => account::find_by_id(tx.conn(), id).await?,
            None => None,
        };
        let own = account.as_ref().and_then(|account| account.max_video_bytes);
        let most = own.map_or(self.limits.max_upload_bytes, unsigned).min(self.limits.max_upload_bytes);
        if size > most {
            return Err(Error::TooLarge { size, most });
        }
        if let Some((id, quota)) =
            account.and_then(|account| account.quota_bytes.map(|quota| (account.id, quota)))
        {
            let (quota, stored) = (unsigned(quota), unsigned(account::stored_bytes(tx.conn(), id).await?));
            if stored.saturating_add(size) > quota {
                return Err(Error::Quota { quota, stored, size });
            }
        }
        Ok(())
    }

    /// The upload, where the caller may touch it.
    pub async fn find_upload(&self, caller: Caller, id: UploadId) -> Result<Upload, Error> {
        let found = upload::find(self.db.read().await?.conn(), id).await?;
        found.filter(|upload| may_touch(caller, upload)).ok_or(Error::NotFound("upload"))
    }

    /// Says how long a deferred upload will be (tus 1.0, creation-defer-length).
    pub async fn declare_length(&self, upload: &Upload, length: u64) -> Result<(), Error> {
        if let Some(known) = upload.length.map(unsigned) {
            return if known == length { Ok(()) } else { Err(Error::LengthKnown { length: known }) };
        }
        if unsigned(upload.received) > length {
            return Err(Error::PastLength { length });
        }
        let mut tx = self.db.begin().await?;
        self.check_size(&mut tx, upload.account_id, length).await?;
        // Parts may have gone out at the first size: it stays.
        upload::set_length(tx.conn(), upload.id, signed(length), upload.part_size).await?;
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
        let mut urls = Vec::with_capacity(numbers.len());
        for &number in numbers {
            if number == 0 || u64::from(number) > MAX_PARTS {
                return Err(Error::PartNumber { number, most: MAX_PARTS });
            }
            let url = self.storage.presign_part(&key, &multipart, number, self.limits.part_url_ttl).await?;
            urls.push(PartUrl { number, url });
        }
        Ok((upload, urls))
    }

    /// The upload with its multipart upload begun in the bucket.
    async fn open_parts(&self, caller: Caller, id: UploadId, size: Option<u64>) -> Result<Upload, Error> {
        let mut upload = self.find_upload(caller, id).await?;
        check_open(&upload, Door::Parts)?;
        if let Some(size) = size {
            let mut tx = self.db.begin().await?;
            self.check_size(&mut tx, upload.account_id, size).await?;
        }
        if upload.multipart.is_none() {
            let key = source_key(&upload);
            let multipart = self.storage.begin_multipart(&key).await?;
            upload.multipart = Some(multipart.0.clone());
            upload.length = size.map(signed);
            upload.part_size = signed(part_bytes(size));
            upload.expires_at = self.clock.now().plus(self.limits.upload_ttl);
            let mut tx = self.db.begin().await?;
            let first = upload::set_multipart(tx.conn(), &upload).await?;
            tx.commit().await?;
            if !first {
                self.storage.abort_multipart(&key, &multipart).await?;
                upload = self.find_upload(caller, id).await?;
            }
        }
        Ok(upload)
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
        check_open(&upload, Door::Parts)?;
        let Some(multipart) = upload.multipart.clone().map(MultipartId) else {
            return Err(Error::PartMissing { number: 1 });
        };
        let key = source_key(&upload);
        let parts = match self.storage.list_parts(&key, &multipart).await {
            // Completed before, and the process died before it could say so.
            Err(storage::Error::MultipartMissing { .. }) if self.storage.head(&key).await?.is_some() => {
                Vec::new()
            }
            listed => {
                let parts = listed?;
                check_parts(&upload, &parts, claimed)?;
                parts
            }
        };
        let size = parts.iter().map(|part| part.size_bytes).sum();
        let mut tx = self.db.begin().await?;
        self.check_size(&mut tx, upload.account_id, size).await?;
        drop(tx);
        if !parts.is_empty() {
            self.storage.complete_multipart(&key, &multipart, &parts).await?;
        }
        let size = self.storage.head(&key).await?.ok_or(Error::PartMissing { number: 1 })?.size_bytes;
        self.finish_upload(&upload, size, None).await?;
        self.find_upload(caller, id).await
    }

    /// Makes one object of an upload whose last byte has come. May be called again after a crash at any step.
    pub async fn finish_received(&self, id: UploadId) -> Result<(), Error> {
        let (upload, parts) = {
            let mut read = self.db.read().await?;
            let upload = upload::find(read.conn(), id).await?.ok_or(Error::NotFound("upload"))?;
            (upload, upload::list_parts(read.conn(), id).await?)
        };
        if upload.state == UploadState::Finished {
            return Ok(());
        }
        let length = unsigned(upload.length.unwrap_or(upload.received));
        if unsigned(upload.received) < length {
            return Err(Error::Unfinished { received: unsigned(upload.received), length });
        }
        let key = source_key(&upload);
        let there = self.storage.head(&key).await?.is_some_and(|head| head.size_bytes == length);
        match upload.multipart.clone().map(MultipartId) {
            _ if there => {}
            Some(multipart) => {
                let parts: Vec<StoredPart> = parts.into_iter().map(stored).collect();
                self.storage.complete_multipart(&key, &multipart, &parts).await?;
            }
            None => self.storage.put(&key, bytes::Bytes::new()).await?,
        }
        let digest = super::receive::digest_of(&upload);
        self.finish_upload(&upload, length, digest.as_deref()).await
    }

    /// THE end of every door: the source is recorded, the video moves on, its probe is asked for, in one transaction.
    pub async fn finish_upload(&self, upload: &Upload, size: u64, sha256: Option<&str>) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let fresh = upload::finish(tx.conn(), upload.id, (signed(size), sha256), now).await?;
        // The safety net of `enqueue_finish`, where it still waits.
        job::withdraw(tx.conn(), &Job::Assemble { upload: upload.id }).await?;
        if let (true, Some(id)) = (fresh, upload.video_id) {
            self.begin_processing(&mut tx, (id, upload.id), now).await?;
            if sha256.is_none() {
                job::enqueue(tx.conn(), &Job::Digest { upload: upload.id }, upload.account_id, now).await?;
            }
        }
        tx.commit().await?;
        if let Some(id) = upload.video_id {
            self.changes.tell(id);
        }
        self.sweep_arrivals(upload).await
    }

    /// What processes that died left of an upload beside its source: tails, and multipart uploads no row knows.
    async fn sweep_arrivals(&self, upload: &Upload) -> Result<(), Error> {
        self.storage.delete_prefix(&Key::tail_prefix(upload.id)).await?;
        let key = source_key(upload);
        for stray in self.storage.list_multiparts(key.as_str()).await? {
            self.storage.abort_multipart(&key, &stray.id).await?;
        }
        Ok(())
    }

    /// Begins the next revision of a video from this source; older work on it is called off.
    pub(super) async fn begin_processing(
        &self,
        tx: &mut Tx,
        (id, source): (VideoId, UploadId),
        now: Timestamp,
    ) -> Result<u32, Error> {
        video::lock(tx.conn(), id, now).await?;
        for row in job::list_of_video(tx.conn(), id).await? {
            job::cancel(tx.conn(), row.id, now).await?;
        }
        self.give_up_unfinished(tx, id, now).await?;
        let video = video::find(tx.conn(), id).await?.ok_or(Error::NotFound("video"))?;
        video::set_source(tx.conn(), id, source, now).await?;
        let revision = revision::insert(tx.conn(), id, source, now).await?;
        if video.revision.is_none() {
            video::set_media(tx.conn(), id, (MediaState::Processing, None), now).await?;
        }
        job::enqueue(tx.conn(), &Job::Probe { video: id, revision }, Some(video.account_id), now).await?;
        Ok(revision)
    }

    /// Revisions that were still being made are overtaken: what there is of them goes when its grace is over.
    async fn give_up_unfinished(&self, tx: &mut Tx, id: VideoId, now: Timestamp) -> Result<(), Error> {
        let overtaken =
            Refusal::new(RefusalCode::Cancelled, "A newer source or reprocessing took its place.");
        for revision in revision::list(tx.conn(), id).await? {
            if revision.finished_at.is_none() {
                let this = (id, u32::try_from(revision.number).unwrap_or(0));
                let state = (MediaState::Failed, Some(&overtaken));
                revision::set_state(tx.conn(), this, state, Some(now)).await?;
                revision::set_retire(tx.conn(), this, Some(now.plus(self.limits.revision_grace))).await?;
                video::take_back(tx.conn(), id, this.1, now).await?;
            }
        }
        Ok(())
    }

    /// Gives an upload up: its parts and its tail go from the bucket.
    pub async fn abandon_upload(&self, upload: &Upload) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        if !upload::set_state(tx.conn(), upload.id, UploadState::Abandoned).await? {
            return Err(Error::UploadFinished);
        }
        tx.commit().await?;
        self.drop_remains(upload).await
    }

    /// Takes what an unfinished upload left in the bucket.
    pub(super) async fn drop_remains(&self, upload: &Upload) -> Result<(), Error> {
        let key = source_key(upload);
        if let Some(multipart) = upload.multipart.clone().map(MultipartId) {
            match self.storage.abort_multipart(&key, &multipart).await {
                Ok(()) | Err(storage::Error::MultipartMissing { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.sweep_arrivals(upload).await?;
        if upload.concat == Concat::Partial {
            self.storage.delete(&key).await?;
        }
        Ok(())
    }

    /// Abandons every upload whose time is over; returns how many.
    pub async fn expire_uploads(&self) -> Result<usize, Error> {
        let now = self.clock.now();
        let expired = upload::list_expired(self.db.read().await?.conn(), now).await?;
        for upload in &expired {
            self.abandon_upload(upload).await?;
            if upload.concat == Concat::Partial {
                let mut tx = self.db.begin().await?;
                upload::delete(tx.conn(), upload.id).await?;
                tx.commit().await?;
            }
        }
        Ok(expired.len())
    }

    /// Asks a worker to finish what the request that brought the last byte may not live to finish.
    pub(super) async fn enqueue_finish(&self, tx: &mut Tx, upload: &Upload) -> Result<(), Error> {
        let run_at = self.clock.now().plus(std::time::Duration::from_secs(FINISH_SAFETY_SECS));
        upload::set_state(tx.conn(), upload.id, UploadState::Finishing).await?;
        job::enqueue(tx.conn(), &Job::Assemble { upload: upload.id }, upload.account_id, run_at).await?;
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

async fn sum_partials(tx: &mut Tx, caller: Caller, partials: &[UploadId]) -> Result<u64, Error> {
    if partials.len() > MAX_PARTIALS {
        return Err(Error::TooLarge { size: partials.len() as u64, most: MAX_PARTIALS as u64 });
    }
    let mut sum = 0;
    for id in partials {
        let partial = upload::find(tx.conn(), *id).await?.filter(|upload| may_touch(caller, upload));
        let partial = partial.ok_or(Error::NotFound("upload"))?;
        let (received, length) = (unsigned(partial.received), partial.length.map_or(u64::MAX, unsigned));
        match (partial.concat, partial.state) {
            (Concat::Partial, UploadState::Finished | UploadState::Finishing) => sum += received,
            (Concat::Partial, UploadState::Open) => return Err(Error::Unfinished { received, length }),
            (Concat::Partial, UploadState::Abandoned) => {
                return Err(Error::UploadGone("a partial has expired"));
            }
            (Concat::None | Concat::Final, _) => return Err(Error::WrongDoor("it is no partial upload")),
        }
    }
    Ok(sum)
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

fn stored(part: upload::Part) -> StoredPart {
    StoredPart {
        number: u32::try_from(part.number).unwrap_or(0),
        size_bytes: unsigned(part.size_bytes),
        tag: PartTag(part.etag),
    }
}

/// SQL's integers are signed; sizes never are.
pub(crate) fn unsigned(bytes: i64) -> u64 {
    u64::try_from(bytes).unwrap_or(0)
}

pub(crate) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
