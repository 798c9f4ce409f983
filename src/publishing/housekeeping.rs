//! What every node does now and then. Each step and each row goes on its own: what fails is told, and the rest goes on.

use std::time::Duration;

use tokio::time::Instant;

use super::{Error, Publishing};
use crate::catalogue::{job, revision, upload};
use crate::domain::Timestamp;
use crate::domain::job::Job;
use crate::domain::upload::UploadState;
use crate::storage::{Key, Multipart};

/// How long one round may sweep the bucket; what is left then waits for the next one.
const ROUND: Duration = Duration::from_secs(45);

impl Publishing {
    /// Finishes what is whole, expires uploads, sweeps their leftovers, retires revisions, forgets the old.
    pub async fn tidy(&self) {
        let until = Instant::now() + ROUND;
        report("finish uploads", self.finish_whole().await);
        report("expire uploads", self.expire_uploads().await);
        report("retire revisions", self.retire_due().await);
        report("forget the old", self.forget_old().await);
        report("index what is stale", self.index_stale(until).await);
        report("sweep uploads", self.sweep_uploads(until).await);
        let before = self.clock.now().minus(self.limits.upload_ttl);
        report("abort strays", self.abort_strays(before, until).await);
    }

    /// Asks for every revision to be removed whose grace is over.
    async fn retire_due(&self) -> Result<(), Error> {
        let now = self.clock.now();
        let mut last = None;
        loop {
            let mut page = revision::list_due(self.db.read().await?.conn(), now, last.as_ref()).await?;
            let mut tx = self.db.begin().await?;
            for (_, video, number) in &page {
                let work = Job::Retire { video: *video, revision: u32::try_from(*number).unwrap_or(0) };
                job::enqueue(tx.conn(), &work, None, now).await?;
            }
            tx.commit().await?;
            last = page.pop();
            if last.is_none() {
                return Ok(());
            }
            self.changes.tell_work();
        }
    }

    /// Aborts multipart uploads begun before this which no upload knows of: a process died between the two.
    async fn abort_strays(&self, before: Timestamp, until: Instant) -> Result<(), Error> {
        for stray in self.storage.list_multiparts("").await? {
            if Instant::now() >= until {
                break;
            }
            if stray.begun < before && !self.knows_multipart(&stray).await? {
                report("abort a stray", self.abort_stray(&stray).await);
            }
        }
        Ok(())
    }

    pub(super) async fn abort_stray(&self, stray: &Multipart) -> Result<(), Error> {
        match stray.key.parse::<Key>() {
            Ok(key) => Ok(self.storage.abort_multipart(&key, &stray.id).await?),
            Err(_) => Ok(()),
        }
    }

    /// An upload that is not over writes into it; what an abandoned one left is a stray like any other.
    pub(super) async fn knows_multipart(&self, stray: &Multipart) -> Result<bool, Error> {
        let key = stray.key.parse::<Key>();
        let Some(id) = key.ok().and_then(|key| key.upload()) else { return Ok(false) };
        let found = upload::find(self.db.read().await?.conn(), id).await?;
        let found = found.filter(|upload| matches!(upload.state, UploadState::Open | UploadState::Finishing));
        Ok(found.is_some_and(|upload| upload.multipart.as_deref() == Some(stray.id.0.as_str())))
    }
}

fn report<T>(step: &str, done: Result<T, Error>) {
    if let Err(error) = done {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::warn!(step, %error, cause, "housekeeping will be tried again");
    }
}
