//! Sources that came and may not play: refused at the end of their upload, and told of in the video.

use super::quota::recount;
use super::rights::check_sender;
use super::{Error, Publishing};
use crate::catalogue::upload::Upload;
use crate::catalogue::video::SourceRefused;
use crate::catalogue::{Tx, job, upload, video};
use crate::domain::job::Job;
use crate::domain::key::Caller;
use crate::domain::{Refusal, RefusalCode, Timestamp};

impl Publishing {
    /// Lets the caller answer for an upload, to the end of the transaction. Where the caller may not go on with it, the
    /// video says so, and the upload waits for somebody who may.
    pub(super) async fn answer_for(&self, mut tx: Tx, caller: Caller, upload: &Upload) -> Result<Tx, Error> {
        match check_sender(tx.conn(), caller, upload).await {
            Ok(()) => {
                upload::set_sender(tx.conn(), upload.id, caller.key).await?;
                Ok(tx)
            }
            Err(why @ Error::Forbidden(_)) => {
                note(&mut tx, upload, &why, self.clock.now()).await?;
                tx.commit().await?;
                if let Some(id) = upload.video_id {
                    self.changes.tell(id);
                }
                Err(why)
            }
            Err(why) => Err(why),
        }
    }

    /// Ends an upload that may not become its video's source; returns why, as an error.
    pub(super) async fn refuse_upload(&self, mut tx: Tx, upload: &Upload, why: Error) -> Result<(), Error> {
        let now = self.clock.now();
        let before = upload::lock(tx.conn(), upload.id).await?.ok_or(Error::NotFound("upload"))?;
        upload::abandon(tx.conn(), upload.id, true, now).await?;
        job::withdraw(tx.conn(), &Job::Assemble { upload: upload.id }).await?;
        note(&mut tx, upload, &why, now).await?;
        recount(&mut tx, before.account_id, -before.counted()).await?;
        tx.commit().await?;
        if let Some(id) = upload.video_id {
            self.changes.tell(id);
        }
        tracing::info!(upload = %upload.id, key = %upload.api_key_id, reason = %why, "source refused");
        self.clean_up(upload.id).await;
        Err(why)
    }
}

/// The video's latest source is this one, and it does not play.
async fn note(tx: &mut Tx, upload: &Upload, why: &Error, now: Timestamp) -> Result<(), Error> {
    let Some(id) = upload.video_id else { return Ok(()) };
    let message = match why {
        Error::Forbidden(_) => "A publisher's key is needed, because the video is or was public.",
        _ => "The key that it was sent with is good no more.",
    };
    let refused = SourceRefused {
        upload: upload.id,
        filename: upload.filename.clone(),
        received_at: Some(now),
        error: Refusal::new(RefusalCode::NotAllowed, message),
    };
    Ok(video::set_source_refused(tx.conn(), id, Some(&refused), now).await?)
}
