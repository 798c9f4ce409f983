//! Who may do what to a video, asked of the catalogue inside the transaction that does it.

use super::broadcasts::own_broadcast;
use super::{Error, Publishing};
use crate::catalogue::broadcast::{self, Broadcast};
use crate::catalogue::upload::Upload;
use crate::catalogue::video::Video;
use crate::catalogue::{Conn, Tx, key, upload, video};
use crate::domain::key::{Caller, Role};
use crate::domain::upload::{Door, UploadState};
use crate::domain::version::Guarded;
use crate::domain::video::VideoState;
use crate::domain::{BroadcastId, UploadId, VideoId};

/// What a verb takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    /// An editor for a draft, a publisher for what is or was public.
    Editing,
    /// A publisher, whatever the video's state.
    Publishing,
    /// A publisher, also where the video is deleted: what runs can be stopped.
    Ending,
}

/// Whether a role is enough for a verb on a video of this state.
fn check(role: Role, takes: Takes, state: VideoState) -> Result<(), Error> {
    match takes {
        _ if role >= Role::Publisher => Ok(()),
        Takes::Publishing | Takes::Ending => Err(Error::Forbidden("a publisher's key")),
        Takes::Editing if state == VideoState::Draft => Ok(()),
        Takes::Editing => Err(Error::Forbidden("a publisher's key, because the video is or was public")),
    }
}

/// The caller as the key stands now: revoked or changed since the request began, it counts as it is.
pub(super) async fn current(conn: Conn<'_>, caller: Caller) -> Result<Caller, Error> {
    let found = key::find(conn, caller.key).await?.filter(|key| key.revoked_at.is_none());
    let key = found.ok_or(Error::KeyRevoked)?;
    Ok(Caller { key: key.id, role: key.role, account: key.account_id })
}

/// The video, where the caller may touch it; to everybody else it isn't there.
pub(super) async fn owned(conn: Conn<'_>, caller: Caller, id: VideoId) -> Result<Video, Error> {
    let video = video::find(conn, id).await?;
    video.filter(|video| caller.covers(video.account_id)).ok_or(Error::NotFound("video"))
}

/// The video, where the caller may do this to this version of it now.
pub(super) async fn permitted(
    mut conn: Conn<'_>,
    (caller, takes): (Caller, Takes),
    of: &Guarded<VideoId>,
) -> Result<Video, Error> {
    let caller = current(conn.again(), caller).await?;
    let video = owned(conn, caller, of.id).await?;
    check(caller.role, takes, video.state)?;
    if of.expected.allows(video.version) { Ok(video) } else { Err(Error::Version { actual: video.version }) }
}

/// The caller may bring bytes of this upload now.
pub(super) async fn check_sender(mut conn: Conn<'_>, caller: Caller, upload: &Upload) -> Result<(), Error> {
    let caller = current(conn.again(), caller).await?;
    let Some(id) = upload.video_id else { return Ok(()) };
    let video = owned(conn, caller, id).await?;
    check(caller.role, Takes::Editing, video.state)
}

/// Why this upload may not become the source of its video, which is locked by now: the key of the last sender is good
/// no more, or the video was published since. A recording is made by nobody's key.
pub(super) async fn refusal_of(tx: &mut Tx, id: UploadId) -> Result<Option<Error>, Error> {
    let found = upload::find(tx.conn(), id).await?;
    let ends = |upload: &Upload| matches!(upload.state, UploadState::Open | UploadState::Finishing);
    let Some(upload) = found.filter(|upload| ends(upload) && upload.door != Door::Live) else {
        return Ok(None);
    };
    let Some(id) = upload.video_id else { return Ok(None) };
    let Some(video) = video::find(tx.conn(), id).await? else { return Ok(None) };
    let key = key::find(tx.conn(), upload.api_key_id).await?.filter(|key| key.revoked_at.is_none());
    let Some(key) = key else { return Ok(Some(Error::KeyRevoked)) };
    let sender = Caller { key: key.id, role: key.role, account: key.account_id };
    if !sender.covers(video.account_id) {
        return Ok(Some(Error::NotFound("video")));
    }
    Ok(check(sender.role, Takes::Editing, video.state).err())
}

impl Publishing {
    /// The caller may change this version of a video now: asked before the bytes of a change are taken. The verb asks
    /// again.
    pub async fn check_changeable(
        &self,
        caller: Caller,
        of: impl Into<Guarded<VideoId>>,
    ) -> Result<(), Error> {
        let mut read = self.db.read().await?;
        permitted(read.conn(), (caller, Takes::Editing), &of.into()).await.map(drop)
    }

    /// The caller may go on with this upload now.
    pub async fn check_sender(&self, caller: Caller, upload: &Upload) -> Result<(), Error> {
        check_sender(self.db.read().await?.conn(), caller, upload).await
    }

    /// The video, locked to the end of the transaction, where the caller may do this to it.
    pub(super) async fn lock_video(
        &self,
        tx: &mut Tx,
        who: (Caller, Takes),
        of: &Guarded<VideoId>,
    ) -> Result<Video, Error> {
        video::lock(tx.conn(), of.id, self.clock.now()).await?;
        permitted(tx.conn(), who, of).await
    }
}

/// The broadcast, locked to the end of the transaction, where the caller may do this to it. One that has ended is not
/// locked: it changes no more.
pub(super) async fn lock_broadcast(
    tx: &mut Tx,
    (caller, takes): (Caller, Takes),
    of: &Guarded<BroadcastId>,
) -> Result<Broadcast, Error> {
    let caller = current(tx.conn(), caller).await?;
    own_broadcast(tx.conn(), caller, of.id).await?;
    broadcast::lock(tx.conn(), of.id).await?;
    let found = own_broadcast(tx.conn(), caller, of.id).await?;
    let state = match video::find(tx.conn(), found.video_id).await? {
        Some(video) => video.state,
        None if takes == Takes::Ending => VideoState::Withdrawn,
        None => return Err(Error::NotFound("broadcast")),
    };
    check(caller.role, takes, state)?;
    if of.expected.allows(found.version) { Ok(found) } else { Err(Error::Version { actual: found.version }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_editor_touches_drafts_and_nothing_that_is_or_was_public() {
        let may = |role, takes, state| check(role, takes, state).is_ok();
        for state in VideoState::ALL.iter().copied() {
            assert!(
                may(Role::Publisher, Takes::Editing, state) && may(Role::Admin, Takes::Publishing, state)
            );
            assert_eq!(may(Role::Editor, Takes::Editing, state), state == VideoState::Draft, "{state}");
            assert!(!may(Role::Editor, Takes::Publishing, state), "{state}");
        }
    }
}
