//! Broadcasts: announcing, changing, their stream keys, ending.

use std::time::Duration;

use super::rights::{Takes, lock_broadcast};
use super::{Error, Publishing, VideoDraft, once};
use crate::catalogue::broadcast::{self, Broadcast, Line};
use crate::catalogue::video::Video;
use crate::catalogue::{self, Conn, Tx, video};
use crate::domain::broadcast::{BroadcastState, MAX_GRACE, MIN_DVR};
use crate::domain::key::{Caller, Secret};
use crate::domain::version::Guarded;
use crate::domain::{BroadcastId, Timestamp};

/// The line of a log about an encoder that was not let in.
const REFUSED: &str = "encoder_refused";

/// What is said of a new broadcast.
#[derive(Debug, Clone)]
pub struct BroadcastDraft {
    pub video: VideoDraft,
    pub plan: BroadcastPlan,
}

/// When it starts, how it waits for an encoder, how far back viewers may seek.
#[derive(Debug, Clone, Copy)]
pub struct BroadcastPlan {
    /// `None`: as soon as an encoder comes.
    pub starts_at: Option<Timestamp>,
    pub grace: Duration,
    /// `None`: to its start.
    pub dvr: Option<Duration>,
    /// While an encoder is away, viewers see a still picture.
    pub slate: bool,
}

impl Publishing {
    /// Announces a broadcast with its video, a draft like any other; the stream key is in the answer and nowhere else.
    pub async fn announce_broadcast(
        &self,
        caller: Caller,
        draft: BroadcastDraft,
    ) -> Result<(Broadcast, Video, Secret), Error> {
        check_plan(draft.plan)?;
        if let Some(id) = once::made::<BroadcastId>() {
            // Nobody has seen the key that was made with it.
            let (broadcast, secret) = self.rotate_stream_key(caller, id).await?;
            let video = video::find(self.db.read().await?.conn(), broadcast.video_id).await?;
            return Ok((broadcast, video.ok_or(Error::NotFound("video"))?, secret));
        }
        let mut tx = self.db.begin().await?;
        let video = self.draft_in(tx.conn(), caller, draft.video).await?;
        let (broadcast, secret) = (announced(&video, draft.plan, self.clock.now()), Secret::stream());
        broadcast::insert(tx.conn(), &broadcast, &secret.digest()).await?;
        once::note(&mut tx, broadcast.id).await?;
        tx.commit().await?;
        self.changes.tell(video.id);
        let (account, key) = (&video.account, caller.key);
        tracing::info!(broadcast = %broadcast.id, video = %video.id, %account, %key, "broadcast announced");
        Ok((broadcast, video, secret))
    }

    /// Changes when it starts and how it waits; what is live keeps its window.
    pub async fn change_broadcast(
        &self,
        caller: Caller,
        of: impl Into<Guarded<BroadcastId>>,
        change: impl FnOnce(BroadcastPlan) -> BroadcastPlan,
    ) -> Result<Broadcast, Error> {
        let mut tx = self.db.begin().await?;
        let mut broadcast = lock_broadcast(&mut tx, (caller, Takes::Editing), &of.into()).await?;
        refuse_ended(&broadcast)?;
        let plan = change(plan_of(&broadcast));
        check_plan(plan)?;
        broadcast.starts_at = plan.starts_at;
        broadcast.grace_ms = millis(plan.grace);
        broadcast.dvr_ms = plan.dvr.map(millis);
        broadcast.slate = plan.slate;
        broadcast.updated_at = self.clock.now();
        broadcast::update(tx.conn(), &broadcast).await?;
        broadcast.version += 1;
        tx.commit().await?;
        self.changes.tell(broadcast.video_id);
        Ok(broadcast)
    }

    /// Gives it another stream key; the one before is good no more, and an encoder that holds it is shown out.
    pub async fn rotate_stream_key(
        &self,
        caller: Caller,
        of: impl Into<Guarded<BroadcastId>>,
    ) -> Result<(Broadcast, Secret), Error> {
        let secret = Secret::stream();
        let broadcast = self.set_stream_key(caller, of.into(), Some(&secret)).await?;
        Ok((broadcast, secret))
    }

    /// Takes the stream key away.
    pub async fn revoke_stream_key(
        &self,
        caller: Caller,
        of: impl Into<Guarded<BroadcastId>>,
    ) -> Result<Broadcast, Error> {
        self.set_stream_key(caller, of.into(), None).await
    }

    async fn set_stream_key(
        &self,
        caller: Caller,
        of: Guarded<BroadcastId>,
        secret: Option<&Secret>,
    ) -> Result<Broadcast, Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        let mut broadcast = lock_broadcast(&mut tx, (caller, Takes::Editing), &of).await?;
        refuse_ended(&broadcast)?;
        let id = broadcast.id;
        let digest = secret.map(Secret::digest);
        broadcast::set_key(tx.conn(), id, digest.as_deref(), now).await?;
        let said = match secret {
            Some(_) => ("key_changed", "the stream key was replaced"),
            None => ("key_removed", "the stream key was revoked"),
        };
        log(&mut tx, id, said, now).await?;
        broadcast.version += 1;
        tx.commit().await?;
        self.changes.tell(broadcast.video_id);
        Ok(broadcast)
    }

    /// Ends a broadcast. While a node owns its channel, that one closes what is open first, and the answer may still
    /// be `live`.
    pub async fn end_broadcast(
        &self,
        caller: Caller,
        of: impl Into<Guarded<BroadcastId>>,
    ) -> Result<Broadcast, Error> {
        let mut tx = self.db.begin().await?;
        let found = lock_broadcast(&mut tx, (caller, Takes::Ending), &of.into()).await?;
        let id = found.id;
        let now = catalogue::now(tx.conn()).await?;
        broadcast::ask_end(tx.conn(), id, now).await?;
        if !found.is_held(now) {
            self.finish_broadcast(&mut tx, &found, now).await?;
        }
        let broadcast = broadcast::find(tx.conn(), id).await?.ok_or(Error::NotFound("broadcast"))?;
        tx.commit().await?;
        self.changes.tell(broadcast.video_id);
        let (video, key) = (broadcast.video_id, caller.key);
        tracing::info!(broadcast = %id, %video, %key, state = %broadcast.state, "broadcast asked to end");
        Ok(broadcast)
    }
}

/// The broadcast, where the caller may touch it; to everybody else it isn't there.
pub(super) async fn own_broadcast(
    conn: Conn<'_>,
    caller: Caller,
    id: BroadcastId,
) -> Result<Broadcast, Error> {
    let found = broadcast::find(conn, id).await?;
    found.filter(|found| caller.covers(found.account_id)).ok_or(Error::NotFound("broadcast"))
}

impl Publishing {
    /// An encoder with this key was not let in: the log of its broadcast says why, not twice in a row. `None` where the
    /// key is nobody's.
    pub async fn note_refused(&self, key: &Secret, why: &str) -> Result<Option<BroadcastId>, Error> {
        let mut tx = self.db.begin().await?;
        let Some(found) = broadcast::find_by_key(tx.conn(), &key.digest()).await? else { return Ok(None) };
        let last = broadcast::list_log(tx.conn(), found.id, 1).await?;
        if last.iter().all(|line| (line.code.as_str(), line.message.as_str()) != (REFUSED, why)) {
            log(&mut tx, found.id, (REFUSED, why), self.clock.now()).await?;
            tx.commit().await?;
            self.changes.tell(found.video_id);
        }
        Ok(Some(found.id))
    }
}

/// Adds a line to a broadcast's log.
pub(super) async fn log(
    tx: &mut Tx,
    id: BroadcastId,
    (code, message): (&str, &str),
    at: Timestamp,
) -> Result<(), Error> {
    let line = Line { at, code: code.to_owned(), message: message.to_owned() };
    Ok(broadcast::log(tx.conn(), id, &line).await?)
}

fn refuse_ended(broadcast: &Broadcast) -> Result<(), Error> {
    if broadcast.state == BroadcastState::Ended { Err(Error::BroadcastOver) } else { Ok(()) }
}

fn check_plan(plan: BroadcastPlan) -> Result<(), Error> {
    if plan.grace > MAX_GRACE {
        return Err(Error::Span { field: "grace_seconds", least: Duration::ZERO, most: Some(MAX_GRACE) });
    }
    if plan.dvr.is_some_and(|dvr| dvr < MIN_DVR) {
        return Err(Error::Span { field: "dvr_seconds", least: MIN_DVR, most: None });
    }
    Ok(())
}

fn plan_of(broadcast: &Broadcast) -> BroadcastPlan {
    let span = |ms| Duration::from_millis(u64::try_from(ms).unwrap_or(0));
    BroadcastPlan {
        starts_at: broadcast.starts_at,
        grace: broadcast.grace(),
        dvr: broadcast.dvr_ms.map(span),
        slate: broadcast.slate,
    }
}

fn announced(video: &Video, plan: BroadcastPlan, now: Timestamp) -> Broadcast {
    Broadcast {
        id: BroadcastId::new(),
        video_id: video.id,
        account_id: video.account_id,
        state: BroadcastState::Scheduled,
        starts_at: plan.starts_at,
        grace_ms: millis(plan.grace),
        dvr_ms: plan.dvr.map(millis),
        slate: plan.slate,
        slate_from: None,
        revision: None,
        upload_id: None,
        epoch: 0,
        owner: None,
        lease_until: None,
        next_segment: 0,
        next_start: 0,
        told_segment: 0,
        health: None,
        viewers: 0,
        peak_viewers: 0,
        started_at: None,
        interrupted_at: None,
        end_requested: false,
        ended_at: None,
        version: 1,
        created_at: now,
        updated_at: now,
    }
}

fn millis(span: Duration) -> i64 {
    i64::try_from(span.as_millis()).unwrap_or(i64::MAX)
}
