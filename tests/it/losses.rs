//! Workers that die, or can't say that they live, at a job that is all right.

use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::job::{self, Claim, Fence, Row};
use policast::catalogue::revision;
use policast::domain::job::{JobKind, JobState};
use policast::domain::media::MediaState;
use policast::publishing::Giving;
use policast::storage::{Folder, Key};

use crate::shares::run;
use crate::world::World;

async fn only_probe(world: &World) -> Row {
    only(world, JobKind::Probe).await
}

async fn only(world: &World, kind: JobKind) -> Row {
    let filter = job::Filter { kind: Some(kind), limit: 2, ..job::Filter::default() };
    let mut read = world.publishing.db.read().await.expect("a connection");
    let mut rows = job::list(read.conn(), &filter).await.expect("jobs").items;
    assert_eq!(rows.len(), 1);
    rows.remove(0)
}

async fn claimed(world: &World, lease: Duration) -> Row {
    run(&world.publishing.db, "update job set run_at = 0 where kind = 'probe'").await;
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    job::recall(tx.conn()).await.expect("recalled");
    let claim = Claim { worker: "dead", lease, account_cap: 16 };
    let row = job::claim(&mut tx, &claim).await.expect("an answer").expect("a job");
    assert_eq!(row.kind, JobKind::Probe);
    tx.commit().await.expect("committed");
    row
}

#[tokio::test(flavor = "multi_thread")]
async fn the_metrics_count_what_waits_and_runs_in_each_lane() {
    for world in World::both().await {
        let lanes = async |state| {
            let mut read = world.publishing.db.read().await.expect("a connection");
            let found = job::count_by_lane(read.conn(), state).await.expect("an answer");
            found.into_iter().map(|(lane, jobs, due)| (lane.name(), jobs, due)).collect::<Vec<_>>()
        };
        assert_eq!((lanes(JobState::Queued).await.len(), lanes(JobState::Running).await.len()), (0, 0));
        for _ in 0..2 {
            world.upload(Bytes::from_static(b"a film")).await;
        }
        run(&world.publishing.db, "update job set run_at = 1 where kind = 'probe'").await;
        let steps = async |state| lanes(state).await.into_iter().find(|(lane, ..)| *lane == "steps");
        let (_, waiting, due) = steps(JobState::Queued).await.expect("probes wait");
        assert_eq!((waiting, due.0), (2, 1), "the oldest is told");
        assert_eq!(steps(JobState::Running).await, None);
        claimed(&world, Duration::from_mins(1)).await;
        let both = [steps(JobState::Queued).await, steps(JobState::Running).await];
        assert_eq!(both.map(|found| found.map(|(_, jobs, _)| jobs)), [Some(1), Some(1)]);
    }
}

/// A worker claims the job and is never heard of again.
async fn is_lost(world: &World) {
    claimed(world, Duration::ZERO).await;
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(world.publishing.reap().await.expect("reaped"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_is_not_dead_because_workers_died_at_it_unless_it_is_their_death() {
    for mut world in World::both().await {
        world.publishing.limits.max_losses = 3;
        let video = world.upload(Bytes::from_static(b"a film")).await;
        let before = only_probe(&world).await;
        let losses = i64::from(world.publishing.limits.max_losses);
        for number in 1..=losses {
            is_lost(&world).await;
            let row = only_probe(&world).await;
            assert_eq!((row.state, row.attempt), (JobState::Queued, number), "{row:?}");
            assert_eq!(row.max_attempts - row.attempt, before.max_attempts, "no attempt is spent: {row:?}");
        }
        is_lost(&world).await;
        let row = only_probe(&world).await;
        assert_eq!(row.state, JobState::Dead, "{row:?}");
        assert!(row.last_error.is_some_and(|error| error.contains("dead was lost")));
        assert_eq!(world.settled(video).await.media_state, MediaState::Failed);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_lost_worker_writes_after_the_last_sweep_goes_too() {
    for world in World::both().await {
        let video = world.upload(Bytes::from_static(b"a film")).await;
        is_lost(&world).await;
        let row = claimed(&world, Duration::from_mins(1)).await;
        let giving = Giving { error: "no luck", for_good: true };
        let fence = Fence { id: row.id, attempt: row.attempt };
        world.publishing.give_back(fence, &row, giving).await.expect("given back");
        let sweep = only(&world, JobKind::Retire).await;
        assert!(sweep.run_at > row.run_at, "it waits for what is under way: {sweep:?}");
        let mut read = world.publishing.db.read().await.expect("a connection");
        let revision = revision::find(read.conn(), video, 1).await.expect("revisions").expect("the revision");
        drop(read);
        let folder = Folder { video, revision: 1, nonce: revision.nonce };
        let late = Key::pack(folder, "240p", 0, 1);
        world.publishing.storage.put(&late, Bytes::from_static(b"late")).await.expect("written");
        world.publishing.retire(video, 1).await.expect("swept");
        assert!(!world.objects().await.iter().any(|key| key == late.as_str()));
    }
}
