//! One SQL text on both engines, and the queue's promises.

use std::collections::HashSet;
use std::time::Duration;

use policast::catalogue::job::{self, Claim, Fence, Row};
use policast::catalogue::{Db, Tx};
use policast::domain::job::{Job, JobState};
use policast::domain::{AccountId, Timestamp, VideoId};
use tempfile::TempDir;

const CLAIM: Claim<'_> = Claim { worker: "w", lease: Duration::from_secs(30), account_cap: 2 };

/// Both engines, migrated and empty.
pub async fn both() -> Vec<(Db, Option<TempDir>)> {
    let folder = tempfile::tempdir().expect("a folder");
    let sqlite = Db::sqlite(&folder.path().join("policast.db")).await.expect("SQLite");
    let postgres = Db::postgres(&crate::postgres::database().await).await.expect("PostgreSQL");
    for db in [&sqlite, &postgres] {
        db.migrate().await.expect("the schema");
    }
    vec![(sqlite, Some(folder)), (postgres, None)]
}

async fn tx(db: &Db) -> Tx {
    db.begin().await.expect("a transaction")
}

async fn enqueue(db: &Db, work: &Job, account: Option<AccountId>) {
    let mut tx = tx(db).await;
    job::enqueue(tx.conn(), work, account, Timestamp(0)).await.expect("enqueued");
    tx.commit().await.expect("committed");
}

async fn claim(db: &Db, claim: &Claim<'_>) -> Option<Row> {
    let mut tx = tx(db).await;
    let row = job::claim(&mut tx, claim).await.expect("an answer");
    tx.commit().await.expect("committed");
    row
}

fn probe() -> Job {
    Job::Probe { video: VideoId::new(), revision: 1 }
}

fn fence(row: &Row) -> Fence {
    Fence { id: row.id, attempt: row.attempt }
}

#[tokio::test]
async fn every_statement_is_understood_by_both_engines() {
    for (db, _folder) in both().await {
        assert!(db.check_statements().await.expect("prepared") > 50, "{}", db.engine());
    }
}

#[tokio::test]
async fn migrating_twice_changes_nothing() {
    for (db, _folder) in both().await {
        db.migrate().await.expect("the schema");
    }
}

#[tokio::test]
async fn jobs_are_claimed_by_lane_then_by_place() {
    for (db, _folder) in both().await {
        let video = VideoId::new();
        enqueue(&db, &Job::Chunk { video, revision: 1, first: 5 }, None).await;
        enqueue(&db, &Job::Chunk { video, revision: 1, first: 0 }, None).await;
        enqueue(&db, &Job::Audio { video, revision: 1 }, None).await;
        enqueue(&db, &Job::Stills { video, revision: 1 }, None).await;
        enqueue(&db, &Job::Probe { video, revision: 1 }, None).await;
        let mut kinds = Vec::new();
        while let Some(row) = claim(&db, &CLAIM).await {
            kinds.push(row.name.replace(&video.to_string(), "v"));
        }
        assert_eq!(
            kinds,
            ["probe/v/1", "stills/v/1", "audio/v/1", "chunk/v/1/0", "chunk/v/1/5"],
            "{}",
            db.engine()
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_job_is_claimed_twice() {
    for (db, _folder) in both().await {
        for _ in 0..60 {
            enqueue(&db, &probe(), None).await;
        }
        let takers = (0..6).map(|_| {
            let db = db.clone();
            tokio::spawn(async move {
                let mut taken = Vec::new();
                while let Some(row) = claim(&db, &CLAIM).await {
                    taken.push(row.id);
                }
                taken
            })
        });
        let taken: Vec<_> = futures::future::join_all(takers)
            .await
            .into_iter()
            .flat_map(|taken| taken.expect("no panic"))
            .collect();
        let distinct: HashSet<_> = taken.iter().collect();
        assert_eq!((taken.len(), distinct.len()), (60, 60), "{}", db.engine());
    }
}

#[tokio::test]
async fn a_job_of_one_name_waits_only_once() {
    for (db, _folder) in both().await {
        let work = probe();
        enqueue(&db, &work, None).await;
        enqueue(&db, &work, None).await;
        assert!(claim(&db, &CLAIM).await.is_some());
        assert!(claim(&db, &CLAIM).await.is_none(), "{}", db.engine());
    }
}

#[tokio::test]
async fn an_account_has_no_more_jobs_running_than_its_cap() {
    for (db, _folder) in both().await {
        let account = AccountId::new();
        for _ in 0..3 {
            enqueue(&db, &probe(), Some(account)).await;
        }
        assert!(claim(&db, &CLAIM).await.is_some());
        assert!(claim(&db, &CLAIM).await.is_some());
        assert!(claim(&db, &CLAIM).await.is_none(), "{}", db.engine());
        enqueue(&db, &probe(), Some(AccountId::new())).await;
        assert!(claim(&db, &CLAIM).await.is_some(), "another account's job goes on");
    }
}

#[tokio::test]
async fn whoever_lost_the_lease_changes_nothing() {
    for (db, _folder) in both().await {
        enqueue(&db, &probe(), None).await;
        let none = Claim { lease: Duration::ZERO, ..CLAIM };
        let first = claim(&db, &none).await.expect("a job");
        tokio::time::sleep(Duration::from_millis(5)).await;
        let lost = job::list_lost(db.read().await.expect("a connection").conn()).await.expect("a list");
        assert_eq!(lost.len(), 1, "{}", db.engine());
        let mut change = tx(&db).await;
        job::release(&mut change, fence(&first), ("handed over", None), Timestamp(0))
            .await
            .expect("released");
        change.commit().await.expect("committed");
        let second = claim(&db, &CLAIM).await.expect("the same job");
        assert_eq!((second.id, second.attempt), (first.id, first.attempt + 1));
        let mut change = tx(&db).await;
        let done = (JobState::Done, None);
        assert!(!job::end(&mut change, fence(&first), done, Timestamp(1)).await.expect("an answer"));
        assert!(job::end(&mut change, fence(&second), done, Timestamp(1)).await.expect("an answer"));
    }
}

#[tokio::test]
async fn a_given_back_job_waits_longer_each_time() {
    for (db, _folder) in both().await {
        enqueue(&db, &probe(), None).await;
        let row = claim(&db, &CLAIM).await.expect("a job");
        let mut change = tx(&db).await;
        assert!(job::requeue(&mut change, fence(&row), "no luck", Timestamp(0)).await.expect("an answer"));
        change.commit().await.expect("committed");
        assert!(claim(&db, &CLAIM).await.is_none(), "{}: it waits", db.engine());
        let row = job::find(db.read().await.expect("a connection").conn(), row.id).await.expect("an answer");
        let row = row.expect("the job");
        assert_eq!((row.state, row.last_error.as_deref()), (JobState::Queued, Some("no luck")));
        assert!(row.run_at > row.created_at);
    }
}

#[tokio::test]
async fn a_job_put_off_by_an_outage_waits_and_loses_no_attempt() {
    for (db, _folder) in both().await {
        enqueue(&db, &probe(), None).await;
        let before = claim(&db, &CLAIM).await.expect("a job");
        let mut change = tx(&db).await;
        let outage = Some(("bucket is away", Duration::from_mins(1)));
        job::release(&mut change, fence(&before), ("put off", outage), Timestamp(0)).await.expect("put off");
        change.commit().await.expect("committed");
        assert!(claim(&db, &CLAIM).await.is_none(), "{}: it waits", db.engine());
        let row =
            job::find(db.read().await.expect("a connection").conn(), before.id).await.expect("an answer");
        let row = row.expect("the job");
        assert_eq!((row.state, row.last_error.as_deref()), (JobState::Queued, Some("bucket is away")));
        assert_eq!(row.max_attempts - row.attempt, before.max_attempts - before.attempt + 1);
    }
}

#[tokio::test]
async fn how_far_a_job_is_never_goes_back() {
    for (db, _folder) in both().await {
        enqueue(&db, &probe(), None).await;
        let mut reached = Vec::new();
        for share in [0.5, 0.25, 0.75] {
            let row = claim(&db, &CLAIM).await.expect("a job");
            let mut change = tx(&db).await;
            job::renew(change.conn(), fence(&row), CLAIM.lease, share).await.expect("renewed");
            job::release(&mut change, fence(&row), ("handed over", None), Timestamp(0))
                .await
                .expect("released");
            let row = job::find(change.conn(), row.id).await.expect("an answer").expect("the job");
            reached.push((row.progress * 100.0).to_string());
            change.commit().await.expect("committed");
        }
        assert_eq!(reached, ["50", "50", "75"], "{}", db.engine());
    }
}

#[tokio::test]
async fn a_running_job_hears_that_it_is_cancelled() {
    for (db, _folder) in both().await {
        enqueue(&db, &probe(), None).await;
        let row = claim(&db, &CLAIM).await.expect("a job");
        let mut change = tx(&db).await;
        assert!(!job::cancel(change.conn(), row.id, Timestamp(0)).await.expect("an answer"), "it runs");
        let told = job::renew(change.conn(), fence(&row), CLAIM.lease, 0.5).await.expect("an answer");
        assert_eq!(told, Some(true), "{}", db.engine());
    }
}
