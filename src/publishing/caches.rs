//! Caches in front of us: told whenever something public is taken back or replaced.

use super::{Error, Publishing};
use crate::catalogue::{Conn, job};
use crate::domain::cdn::CacheTag;
use crate::domain::job::Job;

impl Publishing {
    /// Asks in the same transaction that caches drop their copies, where there is a hook to tell them by.
    pub(super) async fn invalidate(&self, conn: Conn<'_>, tag: CacheTag) -> Result<(), Error> {
        if self.limits.purge_hook.is_none() {
            return Ok(());
        }
        let now = self.clock.now();
        Ok(job::enqueue(conn, &Job::Invalidate { tag, at: now.0 }, None, now).await?)
    }

    /// Has caches drop their copies now; a worker tells them, again and again until they have heard.
    pub async fn purge_caches(&self, tag: CacheTag) -> Result<(), Error> {
        if self.limits.purge_hook.is_none() {
            return Err(Error::NotFound("purge hook"));
        }
        let mut tx = self.db.begin().await?;
        self.invalidate(tx.conn(), tag).await?;
        tx.commit().await?;
        self.changes.tell_work();
        Ok(())
    }
}
