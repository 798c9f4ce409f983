//! What monitoring hears of the queue: how many jobs wait and run in each lane, and how long the first has waited.

use std::time::Duration;

use crate::catalogue::{self, Db, job, one_connection};
use crate::domain::job::{JobState, Lane};
use crate::domain::{Clock, Timestamp};

/// How often the queue is counted: every scrape finds another count, and the database hardly notices.
const EVERY: Duration = Duration::from_secs(15);

/// Counts for as long as it is polled. While the database is away the last count stands; its errors are counted too.
pub async fn measure(db: Db, clock: Clock) {
    let mut every = tokio::time::interval(EVERY);
    loop {
        every.tick().await;
        if let Err(error) = one_connection(count(&db, clock.now())).await {
            tracing::debug!(%error, "the queue can't be counted now");
        }
    }
}

async fn count(db: &Db, now: Timestamp) -> Result<(), catalogue::Error> {
    let mut read = db.read().await?;
    let waiting = job::count_by_lane(read.conn(), JobState::Queued).await?;
    let running = job::count_by_lane(read.conn(), JobState::Running).await?;
    for lane in Lane::ALL {
        let of = |found: &[(Lane, u64, Timestamp)]| found.iter().find(|(known, ..)| *known == lane).copied();
        let (jobs, age) = of(&waiting).map_or((0, Duration::ZERO), |(_, jobs, due)| (jobs, age(due, now)));
        set("policast_queue_jobs", lane, exact(jobs));
        set("policast_queue_oldest_seconds", lane, age.as_secs_f64());
        set("policast_queue_running_jobs", lane, exact(of(&running).map_or(0, |(_, jobs, _)| jobs)));
    }
    Ok(())
}

fn set(name: &'static str, lane: Lane, value: f64) {
    metrics::gauge!(name, "lane" => lane.name()).set(value);
}

/// How long it has been due; what waits for its time has not waited yet.
fn age(due: Timestamp, now: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(now.0 - due.0).unwrap_or(0))
}

#[expect(clippy::cast_precision_loss, reason = "gauges are floats; nobody counts this high")]
fn exact(count: u64) -> f64 {
    count as f64
}
