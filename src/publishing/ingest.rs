//! A broadcast under way: who owns its channel, what is kept of it, how it ends. Each step is fenced by the epoch.

use std::collections::BTreeMap;
use std::time::Duration;

use sqlx::types::Json;

use super::broadcasts::log;
use super::processing::{NewPack, RevisionId};
use super::{Error, Publishing};
use crate::catalogue::broadcast::{self, Broadcast, Going, Taking, Tenure};
use crate::catalogue::pack::Pack;
use crate::catalogue::upload::Upload;
use crate::catalogue::video::Video;
use crate::catalogue::{self, Tx, job, pack, push_target, revision, rung, upload, video};
use crate::domain::broadcast::{BroadcastState, Health};
use crate::domain::job::Job;
use crate::domain::key::Secret;
use crate::domain::media::{
    AudioRung, Coding, Fraction, Ladder, MediaState, Rung, RungState, TICKS_PER_SECOND, Ticks,
};
use crate::domain::upload::{Concat, Door, UploadState};
use crate::domain::{KeyId, Timestamp, UploadId, VideoId};

/// Ten thousand of them (S3 takes no more) are a day at 15 Mbit/s.
const RECORDING_PART_BYTES: i64 = 16 << 20;

/// Segments that may begin before a tenure is heard of again: it says how far it is every second, and one lasts two. A
/// successor goes on after them, for a player that knows a segment never takes another one of its number.
const AHEAD: u32 = 2;

/// A channel that was taken.
#[derive(Debug, Clone)]
pub struct Ingest {
    pub broadcast: Broadcast,
    pub video: Video,
    pub tenure: Tenure,
    pub revision: u32,
}

impl Ingest {
    /// The revision that is being recorded.
    pub fn recording(&self) -> RevisionId {
        (self.video.id, self.revision)
    }

    /// The number of this tenure.
    pub fn epoch(&self) -> u32 {
        u32::try_from(self.tenure.epoch).unwrap_or(u32::MAX)
    }

    /// How many segments are kept, and where the last of them ends.
    pub fn kept(&self) -> (u32, Ticks) {
        (u32::try_from(self.broadcast.next_segment).unwrap_or(0), self.broadcast.next_start)
    }

    /// The number to go on with: none that players may know already.
    pub fn next(&self) -> u32 {
        self.kept().0.max(u32::try_from(self.broadcast.told_segment).unwrap_or(0))
    }

    /// The tenure before this one, and the node that had the channel then.
    pub fn before(&self) -> (u32, Option<&str>) {
        (u32::try_from(self.broadcast.epoch).unwrap_or(0), self.broadcast.owner.as_deref())
    }
}

/// A rendition of a broadcast, known with its initialisation segment.
#[derive(Debug, Clone)]
pub struct LiveRung {
    pub name: String,
    pub position: u32,
    pub codecs: String,
    pub form: LiveForm,
}

/// What is in it.
#[derive(Debug, Clone, Copy)]
pub enum LiveForm {
    Video { width: u32, height: u32, frame_rate: Fraction },
    Audio { channels: u16 },
}

/// What a pack of a recording says beside its segments.
#[derive(Debug, Clone, Copy)]
pub struct Seam {
    /// The tenure that told of it, part of its name.
    pub epoch: u32,
    pub init: u32,
    pub discontinuity: bool,
    pub shown_at: Timestamp,
}

/// The rows of a recording.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub ladder: Option<Ladder>,
    pub rungs: Vec<rung::Rung>,
    pub packs: Vec<Pack>,
}

/// What a stream key would be let in to.
#[derive(Debug, Clone, Copy)]
pub struct Admission {
    pub video: VideoId,
    /// Another encoder sends to it.
    pub is_held: bool,
}

/// The node that takes a broadcast in.
#[derive(Debug, Clone)]
pub struct Owner {
    pub node: String,
    pub revision: u32,
    /// How far back viewers may seek; `None`: to the start.
    pub dvr: Option<Ticks>,
}

impl Publishing {
    /// Who takes in the broadcast of a video, or did before it was interrupted; `None` where none is under way.
    pub async fn find_owner(&self, video: VideoId) -> Result<Option<Owner>, Error> {
        let found = broadcast::find_by_video(self.db.read().await?.conn(), video).await?;
        let found =
            found.filter(|found| matches!(found.state, BroadcastState::Live | BroadcastState::Interrupted));
        Ok(found.and_then(|found| {
            let revision = u32::try_from(found.revision?).ok()?;
            let dvr = found.dvr_ms.map(|ms| ms * TICKS_PER_SECOND / 1000);
            Some(Owner { node: found.owner?, revision, dvr })
        }))
    }

    /// Whether the holder of a stream key would get its channel now, and the video it belongs to; takes nothing.
    pub async fn find_ingest(&self, key: &Secret) -> Result<Admission, Error> {
        let mut read = self.db.read().await?;
        let found = broadcast::find_by_key(read.conn(), &key.digest()).await?.ok_or(Error::StreamKey)?;
        if found.state == BroadcastState::Ended || found.end_requested {
            return Err(Error::BroadcastOver);
        }
        let is_held = found.is_held(catalogue::now(read.conn()).await?);
        Ok(Admission { video: found.video_id, is_held })
    }

    /// Lets the holder of a stream key take its channel. While an owner holds it and its media
    /// comes, nobody else may.
    pub async fn begin_ingest(&self, key: &Secret, owner: &str, lease: Duration) -> Result<Ingest, Error> {
        let mut tx = self.db.begin().await?;
        let found = broadcast::find_by_key(tx.conn(), &key.digest()).await?.ok_or(Error::StreamKey)?;
        video::lock(tx.conn(), found.video_id, self.clock.now()).await?;
        let broadcast = broadcast::find(tx.conn(), found.id).await?.ok_or(Error::StreamKey)?;
        if broadcast.state == BroadcastState::Ended || broadcast.end_requested {
            return Err(Error::BroadcastOver);
        }
        let now = catalogue::now(tx.conn()).await?;
        if broadcast.is_held(now) {
            return Err(Error::ChannelTaken);
        }
        let video = video::find(tx.conn(), found.video_id).await?.ok_or(Error::BroadcastOver)?;
        let (revision, upload) = self.recording_of(&mut tx, (&broadcast, &video), now).await?;
        // Sound of a segment whose pictures were lost with the node before.
        pack::cut(tx.conn(), (video.id, revision), broadcast.next_segment).await?;
        let taking = Taking { owner, lease, revision, upload, ahead: AHEAD };
        let tenure = broadcast::begin(tx.conn(), broadcast.id, &taking).await?;
        let tenure = tenure.ok_or(Error::BroadcastOver)?;
        log(&mut tx, broadcast.id, ("encoder_came", "an encoder took the channel"), now).await?;
        tx.commit().await?;
        self.changes.tell(video.id);
        tracing::info!(broadcast = %broadcast.id, video = %video.id, owner, "an encoder took the channel");
        Ok(Ingest { broadcast, video, tenure, revision })
    }

    /// The revision and the upload that hold the recording; begun with the first encoder.
    async fn recording_of(
        &self,
        tx: &mut Tx,
        (broadcast, video): (&Broadcast, &Video),
        now: Timestamp,
    ) -> Result<(u32, UploadId), Error> {
        let known = broadcast.revision.and_then(|number| u32::try_from(number).ok());
        if let (Some(revision), Some(upload)) = (known, broadcast.upload_id) {
            return Ok((revision, upload));
        }
        let upload = recording_upload(video, now);
        upload::insert(tx.conn(), &upload).await?;
        let number = revision::insert(tx.conn(), video.id, upload.id, now).await?;
        let provenance = BTreeMap::from([("recording".to_owned(), broadcast.id.to_string())]);
        revision::set_provenance(tx.conn(), (video.id, number), &provenance).await?;
        Ok((number, upload.id))
    }

    /// Keeps the channel while media comes, whose `next` segment has this number; an error where it or the key is lost,
    /// or its people want it over.
    pub async fn keep_ingest(
        &self,
        (key, tenure): (&Secret, Tenure),
        lease: Duration,
        (health, viewers, next): (&Health, u32, u32),
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let found = broadcast::find_by_key(tx.conn(), &key.digest()).await?;
        let found = found.filter(|found| found.id == tenure.id).ok_or(Error::StreamKey)?;
        if found.end_requested || found.state == BroadcastState::Ended {
            return Err(Error::BroadcastOver);
        }
        let going = Going { health, viewers, told: next + AHEAD };
        if !broadcast::renew(tx.conn(), tenure, lease, going).await? {
            return Err(Error::ChannelLost);
        }
        tx.commit().await?;
        Ok(())
    }

    /// What is recorded so far, for a node that goes on with it.
    pub async fn find_recorded(&self, id: RevisionId) -> Result<Recorded, Error> {
        let mut read = self.db.read().await?;
        let ladder = revision::find(read.conn(), id.0, id.1).await?.and_then(|revision| revision.ladder);
        let rungs = rung::list(read.conn(), id.0, id.1).await?;
        let packs = pack::list(read.conn(), id, None).await?;
        Ok(Recorded { ladder: ladder.map(|Json(ladder)| ladder), rungs, packs })
    }

    /// A rendition's initialisation segment is in the bucket.
    pub async fn add_live_rung(&self, tenure: Tenure, id: RevisionId, rung: &LiveRung) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, tenure).await?;
        let found = revision::find(tx.conn(), id.0, id.1).await?.ok_or(Error::ChannelLost)?;
        let ladder = with_rung(found.ladder.map(|Json(ladder)| ladder), rung);
        revision::set_ladder(tx.conn(), id, &ladder).await?;
        rung::insert(tx.conn(), id, &row_of(rung)).await?;
        rung::set_codecs(tx.conn(), id, &rung.name, &rung.codecs).await?;
        Ok(tx.commit().await?)
    }

    /// A segment of the recording is in the bucket. `next` is where the recording goes on, told with the source rung's.
    pub async fn add_live_pack(
        &self,
        tenure: Tenure,
        id: RevisionId,
        (new, seam): (NewPack, Seam),
        next: Option<(u32, Ticks)>,
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let first = new.first_segment;
        let row = Pack {
            rung: new.rung,
            first_segment: i64::from(first),
            attempt: i64::from(seam.epoch),
            size_bytes: i64::try_from(new.size_bytes).unwrap_or(i64::MAX),
            segments: Json(new.segments),
            init: i64::from(seam.init),
            discontinuity: seam.discontinuity,
            shown_at: Some(seam.shown_at),
            nonce: new.nonce,
        };
        let mut tx = self.db.begin().await?;
        hold(&mut tx, tenure).await?;
        pack::insert(tx.conn(), id, &row).await?;
        if let Some(next) = next {
            broadcast::advance(tx.conn(), tenure, next).await?;
        }
        let plays = video::find(tx.conn(), id.0).await?.and_then(|video| video.revision);
        let begins = plays != Some(i64::from(id.1)) && has_both(&mut tx, id).await?;
        if begins {
            revision::set_state(tx.conn(), id, (MediaState::Playable, None), None).await?;
            video::set_revision(tx.conn(), id.0, id.1, now).await?;
            video::set_media(tx.conn(), id.0, (MediaState::Playable, None), now).await?;
        }
        tx.commit().await?;
        // Not for every segment: each piece of news makes every viewer's page look.
        if begins {
            self.changes.tell(id.0);
        }
        Ok(())
    }

    /// Something its people should know is added to a broadcast's log.
    pub async fn log_ingest(&self, tenure: Tenure, code: &str, message: &str) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        log(&mut tx, tenure.id, (code, message), self.clock.now()).await?;
        Ok(tx.commit().await?)
    }

    /// The encoder went, for this reason: the broadcast waits for it, or ends where its people asked for that.
    pub async fn leave_ingest(&self, ingest: &Ingest, (code, message): (&str, &str)) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, ingest.tenure).await?;
        let now = catalogue::now(tx.conn()).await?;
        log(&mut tx, ingest.tenure.id, (code, message), now).await?;
        broadcast::close(tx.conn(), ingest.tenure).await?;
        broadcast::interrupt(tx.conn(), ingest.tenure, now).await?;
        push_target::rest(tx.conn(), ingest.tenure.id, now).await?;
        let found =
            broadcast::find(tx.conn(), ingest.tenure.id).await?.ok_or(Error::NotFound("broadcast"))?;
        if is_over(&found, now) {
            self.finish_broadcast(&mut tx, &found, now).await?;
        }
        tx.commit().await?;
        self.changes.tell(ingest.video.id);
        Ok(())
    }

    /// The encoder went and its viewers are to see the slate: where to go on with it. `None` where nobody is waited for,
    /// or the broadcast has no slate.
    pub async fn begin_slate(&self, ingest: &Ingest) -> Result<Option<Ingest>, Error> {
        let mut tx = self.db.begin().await?;
        let broadcast = broadcast::find(tx.conn(), ingest.tenure.id).await?.ok_or(Error::ChannelLost)?;
        if !broadcast::begin_slate(tx.conn(), ingest.tenure, AHEAD).await? {
            return Ok(None);
        }
        tx.commit().await?;
        Ok(Some(Ingest { broadcast, ..ingest.clone() }))
    }

    /// Keeps the slate, which so many watch and whose `next` segment has this number; an error where an encoder has come back, or nobody waits
    /// for one any more.
    pub async fn keep_slate(&self, tenure: Tenure, (viewers, next): (u32, u32)) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        hold(&mut tx, tenure).await?;
        let found = broadcast::find(tx.conn(), tenure.id).await?.ok_or(Error::ChannelLost)?;
        if is_over(&found, catalogue::now(tx.conn()).await?) {
            return Err(Error::BroadcastOver);
        }
        broadcast::reserve(tx.conn(), tenure, (viewers, next + AHEAD)).await?;
        Ok(tx.commit().await?)
    }

    /// THE end of a broadcast: what was recorded is whole now, and the ordinary worker adds what is missing.
    pub(super) async fn finish_broadcast(
        &self,
        tx: &mut Tx,
        found: &Broadcast,
        now: Timestamp,
    ) -> Result<(), Error> {
        if !broadcast::end(tx.conn(), found.id, now).await? {
            return Ok(());
        }
        push_target::end(tx.conn(), found.id, now).await?;
        log(tx, found.id, ("ended", "the broadcast is over"), now).await?;
        let number = found.revision.and_then(|number| u32::try_from(number).ok());
        let (Some(number), Some(source)) = (number, found.upload_id) else { return Ok(()) };
        let id = (found.video_id, number);
        let found = &without_last_slate(tx, id, found).await?;
        let rungs = rung::list(tx.conn(), id.0, id.1).await?;
        let source_rung = rungs.iter().find(|rung| !rung.audio && rung.position == 0);
        let source_rung = source_rung.map_or(String::new(), |rung| rung.name.clone());
        for rung in rungs {
            // Lower rungs may have gaps, which the worker fills; the other two are whole by themselves.
            if rung.audio || rung.position == 0 || is_whole(tx, id, (&rung.name, &source_rung)).await? {
                rung::set_state(tx.conn(), id, &rung.name, (RungState::Ready, None)).await?;
            }
        }
        if found.next_segment > 0 {
            // Of the very first segment the sound may have been lost with its node.
            let plays = video::find(tx.conn(), id.0).await?.and_then(|video| video.revision);
            if plays.is_none() {
                video::set_revision(tx.conn(), id.0, number, now).await?;
            }
            let ready = (MediaState::Ready, None);
            revision::set_state(tx.conn(), id, ready, Some(now)).await?;
            video::set_media(tx.conn(), id.0, ready, now).await?;
            job::enqueue(tx.conn(), &Job::Assemble { upload: source }, Some(found.account_id), now).await?;
        }
        Ok(())
    }
}

/// Nobody came back: the recording ends with the last picture that was sent.
async fn without_last_slate(tx: &mut Tx, id: RevisionId, found: &Broadcast) -> Result<Broadcast, Error> {
    let Some(from) = found.slate_from else { return Ok(found.clone()) };
    pack::cut(tx.conn(), id, from).await?;
    Ok(Broadcast { next_segment: from, ..found.clone() })
}

/// A lower rung has every segment of the source.
async fn is_whole(tx: &mut Tx, id: RevisionId, (rung, source): (&str, &str)) -> Result<bool, Error> {
    let segments = pack::list(tx.conn(), id, Some(rung)).await?.len();
    Ok(segments == pack::list(tx.conn(), id, Some(source)).await?.len())
}

/// Pictures and sound are there: a player that began with one of them would never play the other.
async fn has_both(tx: &mut Tx, id: RevisionId) -> Result<bool, Error> {
    let rungs = rung::list(tx.conn(), id.0, id.1).await?;
    let packs = pack::list(tx.conn(), id, None).await?;
    let has = |audio: bool| {
        let mut of_kind = rungs.iter().filter(|rung| rung.audio == audio);
        of_kind.any(|rung| packs.iter().any(|pack| pack.rung == rung.name))
    };
    Ok(has(true) && has(false))
}

/// Whoever no longer owns the channel changes nothing.
pub(super) async fn hold(tx: &mut Tx, tenure: Tenure) -> Result<(), Error> {
    if broadcast::hold(tx.conn(), tenure).await? { Ok(()) } else { Err(Error::ChannelLost) }
}

/// Nobody waits for an encoder any more at a moment of the database's clock.
pub(super) fn is_over(broadcast: &Broadcast, now: Timestamp) -> bool {
    let waited = broadcast.interrupted_at.is_some_and(|at| at.plus(broadcast.grace()) <= now);
    broadcast.state == BroadcastState::Interrupted && (broadcast.end_requested || waited)
}

fn recording_upload(video: &Video, now: Timestamp) -> Upload {
    Upload {
        id: UploadId::new(),
        video_id: Some(video.id),
        account_id: Some(video.account_id),
        api_key_id: KeyId::new(),
        door: Door::Live,
        concat: Concat::None,
        partials: Json(Vec::new()),
        length: None,
        received: 0,
        part_size: RECORDING_PART_BYTES,
        tail: 0,
        multipart: None,
        reserved: Some(0),
        hash_state: None,
        sha256: None,
        fence: 0,
        // Never open: nobody sends bytes to it, so it never expires.
        state: UploadState::Finishing,
        filename: "recording.mp4".to_owned(),
        metadata: Json(BTreeMap::new()),
        created_at: now,
        expires_at: now,
        finished_at: None,
    }
}

fn row_of(rung: &LiveRung) -> rung::Rung {
    let (audio, width, height) = match rung.form {
        LiveForm::Video { width, height, .. } => (false, width, height),
        LiveForm::Audio { .. } => (true, 0, 0),
    };
    rung::Rung {
        name: rung.name.clone(),
        position: i64::from(rung.position),
        audio,
        width: i64::from(width),
        height: i64::from(height),
        codecs: None,
        state: RungState::Queued,
        error: None,
    }
}

/// The ladder of a recording so far, with one rung more or as it is now.
fn with_rung(ladder: Option<Ladder>, rung: &LiveRung) -> Ladder {
    let mut ladder = ladder.unwrap_or(Ladder { version: 0, rungs: Vec::new(), audio: None });
    match rung.form {
        LiveForm::Video { width, height, frame_rate } => {
            ladder.rungs.retain(|known| known.name != rung.name);
            let name = rung.name.clone();
            ladder.rungs.push(Rung { name, width, height, frame_rate, coding: Coding::Copy });
            ladder.rungs.sort_by_key(|rung| std::cmp::Reverse(rung.height.min(rung.width)));
        }
        LiveForm::Audio { channels } => {
            let name = rung.name.clone();
            ladder.audio = Some(AudioRung { name, channels, bitrate: 0, loudness_lufs: 0.0 });
        }
    }
    ladder
}
