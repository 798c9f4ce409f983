//! Keeps a claim alive while its job is done, and hears of cancellations.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use super::Worker;
use crate::catalogue::job::{self, Fence, Row};
use crate::publishing::fence_of;

/// A cancellation is heard of, and progress told, within this time.
const HEARTBEAT: Duration = Duration::from_secs(3);

/// How far a job is, from 0 to 1, told by whoever does it.
#[derive(Debug, Default)]
pub(super) struct Progress(AtomicU64);

impl Progress {
    pub(super) fn set(&self, share: f64) {
        self.0.store(share.clamp(0.0, 1.0).to_bits(), Ordering::Relaxed);
    }

    fn share(&self) -> f64 {
        f64::from_bits(self.0.load(Ordering::Relaxed))
    }
}

/// Why a job must stop.
pub(super) enum Lease {
    /// Another attempt has it, or it ran out while the database was away.
    Lost,
    Cancelled,
}

impl Worker {
    /// Renews the lease at least three times in its life; returns when the job must stop.
    pub(super) async fn keep_lease(&self, row: &Row, progress: &Progress) -> Lease {
        let (lease, fence) = (self.settings.lease, fence_of(row));
        let mut good_until = tokio::time::Instant::now() + lease;
        loop {
            tokio::time::sleep(HEARTBEAT.min(lease / 3)).await;
            match self.renew(fence, progress.share()).await {
                Ok(Some(false)) => {
                    good_until = tokio::time::Instant::now() + lease;
                    row.video_id.inspect(|video| self.publishing.changes.tell_progress(*video));
                }
                Ok(Some(true)) => return Lease::Cancelled,
                Err(_) if tokio::time::Instant::now() < good_until => {}
                Ok(None) | Err(_) => return Lease::Lost,
            }
        }
    }

    async fn renew(&self, fence: Fence, share: f64) -> Result<Option<bool>, super::Error> {
        let mut tx = self.publishing.db.begin().await?;
        let renewed = job::renew(tx.conn(), fence, self.settings.lease, share).await?;
        tx.commit().await?;
        Ok(renewed)
    }
}
