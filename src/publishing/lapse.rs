//! Broadcasts whose owner was lost, or whose encoder stayed away: what every live node looks for.

use std::time::{Duration, Instant};

use super::broadcasts::log;
use super::ingest::is_over;
use super::{Error, Publishing};
use crate::catalogue::broadcast::{self, Broadcast, Tenure};
use crate::catalogue::{self, push_target};
use crate::domain::broadcast::BroadcastState;

impl Publishing {
    /// What every live node does every few seconds: interrupts what its owner lost, ends what waited long enough. A round
    /// that takes longer than `patience` judges no owner: the database was away from it as well. Nor is one judged lost whose
    /// encoder `is_sending` to this very node: its renewals only come late.
    pub async fn lapse_broadcasts(
        &self,
        patience: Duration,
        is_sending: impl Fn(Tenure) -> bool,
    ) -> Result<(), Error> {
        let asked = Instant::now();
        let mut read = self.db.read().await?;
        let under_way = broadcast::list_under_way(read.conn()).await?;
        let now = catalogue::now(read.conn()).await?;
        drop(read);
        for found in under_way {
            let lost = found.state == BroadcastState::Live && !found.is_held(now);
            if lost || is_over(&found, now) {
                self.lapse(&found, |tenure| asked.elapsed() <= patience && !is_sending(tenure)).await?;
            }
        }
        Ok(())
    }

    async fn lapse(&self, found: &Broadcast, may_judge: impl Fn(Tenure) -> bool) -> Result<(), Error> {
        let tenure = Tenure { id: found.id, epoch: found.epoch };
        let mut tx = self.db.begin().await?;
        if !broadcast::hold(tx.conn(), tenure).await? {
            return Ok(());
        }
        // Read again under the lock: the owner may have renewed in between.
        let now = catalogue::now(tx.conn()).await?;
        let found = broadcast::find(tx.conn(), found.id).await?.ok_or(Error::NotFound("broadcast"))?;
        if found.state == BroadcastState::Live {
            if found.is_held(now) || !may_judge(tenure) {
                return Ok(());
            }
            broadcast::interrupt(tx.conn(), tenure, found.lease_until.unwrap_or(now)).await?;
            push_target::rest(tx.conn(), found.id, now).await?;
            log(&mut tx, found.id, ("owner_lost", "the node that took the stream was lost"), now).await?;
        } else if is_over(&found, now) {
            self.finish_broadcast(&mut tx, &found, now).await?;
        }
        tx.commit().await?;
        self.changes.tell(found.video_id);
        Ok(())
    }
}
