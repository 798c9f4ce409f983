//! Targets a broadcast is pushed on to: added, removed, and how they take the stream.

use super::broadcasts::log;
use super::ingest::hold;
use super::rights::{Takes, lock_broadcast};
use super::{Error, Publishing, once};
use crate::catalogue::broadcast::Tenure;
use crate::catalogue::push_target::{self, Push, PushNote, PushTarget};
use crate::domain::broadcast::BroadcastState;
use crate::domain::key::{Caller, Secret};
use crate::domain::push::{MAX_STREAM_KEY_CHARS, MAX_TARGETS, PushState, PushUrl};
use crate::domain::video::{MAX_NAME_CHARS, TextError, check_line};
use crate::domain::{BroadcastId, TargetId};

/// What is said of a new target.
#[derive(Clone)]
pub struct TargetDraft {
    /// What its people call it.
    pub name: String,
    pub url: PushUrl,
    pub stream_key: Secret,
}

impl Publishing {
    /// Adds a target to a broadcast; one that is live is pushed on to it at once.
    pub async fn add_target(
        &self,
        caller: Caller,
        id: BroadcastId,
        draft: TargetDraft,
    ) -> Result<PushTarget, Error> {
        self.check_target(&draft)?;
        if let Some(made) = once::made::<TargetId>() {
            let found = push_target::list(self.db.read().await?.conn(), id).await?;
            return found.into_iter().find(|target| target.id == made).ok_or(Error::NotFound("target"));
        }
        let mut tx = self.db.begin().await?;
        let broadcast = lock_broadcast(&mut tx, (caller, Takes::Publishing), &id.into()).await?;
        if broadcast.state == BroadcastState::Ended {
            return Err(Error::BroadcastOver);
        }
        if push_target::list(tx.conn(), id).await?.len() >= MAX_TARGETS {
            return Err(Error::TooManyTargets { most: MAX_TARGETS });
        }
        let now = self.clock.now();
        let target = PushTarget {
            id: TargetId::new(),
            broadcast_id: id,
            name: draft.name,
            url: draft.url,
            state: PushState::Idle,
            error: None,
            since: now,
            attempts: 0,
            created_at: now,
        };
        match push_target::insert(tx.conn(), &target, &draft.stream_key).await {
            Err(crate::catalogue::Error::Taken { .. }) => return Err(Error::TargetTaken),
            inserted => inserted?,
        }
        once::note(&mut tx, target.id).await?;
        tx.commit().await?;
        self.changes.tell(broadcast.video_id);
        Ok(target)
    }

    fn check_target(&self, draft: &TargetDraft) -> Result<(), Error> {
        if draft.name.trim().is_empty() {
            return Err(TextError::Empty { field: "name" }.into());
        }
        check_line("name", &draft.name, MAX_NAME_CHARS)?;
        let key = draft.stream_key.reveal();
        if key.is_empty() {
            return Err(TextError::Empty { field: "stream_key" }.into());
        }
        check_line("stream_key", key, MAX_STREAM_KEY_CHARS)?;
        if key.contains(char::is_control) {
            return Err(TextError::Control { field: "stream_key" }.into());
        }
        if draft.url.is_plainly_private() && !self.limits.push_private {
            return Err(Error::TargetPrivate);
        }
        Ok(())
    }

    /// Removes a target; a stream to it ends.
    pub async fn remove_target(
        &self,
        caller: Caller,
        id: BroadcastId,
        target: TargetId,
    ) -> Result<(), Error> {
        let mut tx = self.db.begin().await?;
        let broadcast = lock_broadcast(&mut tx, (caller, Takes::Publishing), &id.into()).await?;
        if !push_target::delete(tx.conn(), id, target).await? {
            return Err(Error::NotFound("target"));
        }
        tx.commit().await?;
        self.changes.tell(broadcast.video_id);
        Ok(())
    }

    /// Where a broadcast is pushed on to, with the stream keys.
    pub async fn list_pushes(&self, id: BroadcastId) -> Result<Vec<Push>, Error> {
        Ok(push_target::list_pushes(self.db.read().await?.conn(), id).await?)
    }

    /// Notes how a target takes the stream, with lines for the broadcast's log as (code, message).
    pub async fn note_push(
        &self,
        (tenure, target): (Tenure, TargetId),
        note: &PushNote,
        lines: &[(&str, String)],
    ) -> Result<(), Error> {
        let now = self.clock.now();
        let mut tx = self.db.begin().await?;
        hold(&mut tx, tenure).await?;
        // One that was removed meanwhile has nothing more to tell.
        if push_target::note(tx.conn(), (tenure.id, target), note, now).await? {
            for (code, message) in lines {
                log(&mut tx, tenure.id, (code, message), now).await?;
            }
        }
        Ok(tx.commit().await?)
    }
}
