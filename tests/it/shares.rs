//! Fair shares of the queue, on both engines: who is served when, and what a claim costs. Counted, not timed.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use policast::catalogue::job::{self, Claim, Fence, Order, Row};
use policast::catalogue::{Conn, Db, Tx};
use policast::domain::job::{Job, JobState};
use policast::domain::{AccountId, Timestamp, VideoId};
use sqlx::Executor;

use crate::catalogue::both;

const CLAIM: Claim<'_> = Claim { worker: "w", lease: Duration::from_secs(30), account_cap: 16 };
/// Jobs of one agency at its cap.
const MANY: i64 = 69_000;
/// What a claim reads at most, of all tables together; and what SQLite's machine does for it.
const MOST_ROWS: i64 = 200;
const MOST_STEPS: u64 = 6000;
const STEPS: u32 = 20;

async fn tx(db: &Db) -> Tx {
    db.begin().await.expect("a transaction")
}

async fn enqueue_all(db: &Db, jobs: &[Job], account: AccountId) {
    let mut tx = tx(db).await;
    for job in jobs {
        job::enqueue(tx.conn(), job, Some(account), Timestamp(0)).await.expect("enqueued");
    }
    tx.commit().await.expect("committed");
}

async fn enqueue_costing(db: &Db, job: &Job, account: AccountId, (cost, bulk): (u64, bool)) {
    let mut tx = tx(db).await;
    let cost = Duration::from_secs(cost);
    let order = Order { job, account: Some(account), bulk, cost, run_at: Timestamp(0) };
    job::enqueue_as(tx.conn(), &order).await.expect("enqueued");
    tx.commit().await.expect("committed");
}

async fn claim(db: &Db) -> Option<Row> {
    let mut tx = tx(db).await;
    let row = job::claim(&mut tx, &CLAIM).await.expect("an answer");
    tx.commit().await.expect("committed");
    row
}

async fn finish(db: &Db, row: &Row) {
    let mut tx = tx(db).await;
    let fence = Fence { id: row.id, attempt: row.attempt };
    assert!(job::end(&mut tx, fence, (JobState::Done, None), Timestamp(1)).await.expect("an answer"));
    tx.commit().await.expect("committed");
}

/// Chunks of one video.
fn film(chunks: u32) -> Vec<Job> {
    let video = VideoId::new();
    (0..chunks).map(|chunk| Job::Chunk { video, revision: 1, first: chunk * 16 }).collect()
}

/// Who is served by so many slots, in order, while the oldest running job always ends next.
async fn served(db: &Db, slots: usize, most: usize) -> Vec<Row> {
    let (mut running, mut order) = (VecDeque::new(), Vec::new());
    while order.len() < most {
        if running.len() == slots {
            finish(db, &running.pop_front().expect("a running job")).await;
        }
        let Some(row) = claim(db).await else { break };
        running.push_back(row.clone());
        order.push(row);
    }
    for row in running {
        finish(db, &row).await;
    }
    order
}

fn of(order: &[Row], account: AccountId) -> Vec<usize> {
    let own = order.iter().enumerate().filter(|(_, row)| row.account_id == Some(account));
    own.map(|(at, _)| at).collect()
}

#[tokio::test]
async fn a_clip_does_not_wait_behind_two_hundred_jobs_of_another_agency() {
    for (db, _folder) in both().await {
        let (large, small) = (AccountId::new(), AccountId::new());
        let clips: Vec<Job> = (0..200).flat_map(|_| film(1)).collect();
        enqueue_all(&db, &clips, large).await;
        // Both slots are at its clips when the other's comes.
        let before = [claim(&db).await.expect("a job"), claim(&db).await.expect("a job")];
        enqueue_all(&db, &film(3), small).await;
        for row in &before {
            finish(&db, row).await;
        }
        let order = served(&db, 2, 12).await;
        let engine = db.engine();
        let own = of(&order, small);
        assert_eq!(own.len(), 3, "{engine}");
        assert!(own[0] <= 1, "{engine}: the clip waits for {} jobs", own[0]);
        assert!(own[2] <= 5, "{engine}: {own:?}");
    }
}

#[tokio::test]
async fn nobody_waits_for_more_than_one_job_of_each_other_account() {
    for (db, _folder) in both().await {
        let others: Vec<AccountId> = (0..5).map(|_| AccountId::new()).collect();
        for account in &others {
            enqueue_all(&db, &film(20), *account).await;
        }
        served(&db, 2, 20).await;
        let late = AccountId::new();
        enqueue_all(&db, &film(1), late).await;
        let order = served(&db, 2, 40).await;
        let waited = of(&order, late)[0];
        assert!(waited <= others.len(), "{}: {waited} jobs went before", db.engine());
        // Shares stay equal over time.
        for account in others {
            let count = of(&order, account).len();
            assert!((7..=9).contains(&count), "{}: {count} of 39", db.engine());
        }
    }
}

#[tokio::test]
async fn shares_are_of_work_and_not_of_jobs() {
    for (db, _folder) in both().await {
        let (heavy, light) = (AccountId::new(), AccountId::new());
        for job in film(30) {
            enqueue_costing(&db, &job, heavy, (40, false)).await;
        }
        for job in film(30) {
            enqueue_costing(&db, &job, light, (10, false)).await;
        }
        // One slot, so that nobody has a job running when the next is chosen.
        let order = served(&db, 1, 20).await;
        let (heavy, light) = (of(&order, heavy).len(), of(&order, light).len());
        assert_eq!((heavy, light), (4, 16), "{}", db.engine());
    }
}

#[tokio::test]
async fn whoever_has_waited_is_not_paid_back_with_the_time_of_others() {
    for (db, _folder) in both().await {
        let (busy, idle) = (AccountId::new(), AccountId::new());
        enqueue_all(&db, &film(1), idle).await;
        served(&db, 1, 1).await;
        enqueue_all(&db, &film(60), busy).await;
        served(&db, 1, 40).await;
        // Its turn is where the others' is, and not where it was left.
        enqueue_all(&db, &film(20), idle).await;
        let order = served(&db, 1, 20).await;
        let (busy, idle) = (of(&order, busy).len(), of(&order, idle).len());
        assert!((9..=11).contains(&busy) && (9..=11).contains(&idle), "{}: {busy} and {idle}", db.engine());
    }
}

#[tokio::test]
async fn an_account_that_adds_jobs_for_ever_keeps_nobody_waiting() {
    for (db, _folder) in both().await {
        let (patient, greedy) = (AccountId::new(), AccountId::new());
        enqueue_all(&db, &film(3), patient).await;
        let mut left = 3;
        for _ in 0..60 {
            // Short steps, each added as the one before ends: they go before every encode of the same account.
            enqueue_all(&db, &[Job::Probe { video: VideoId::new(), revision: 1 }], greedy).await;
            let order = served(&db, 1, 1).await;
            left -= of(&order, patient).len();
        }
        assert_eq!(left, 0, "{}", db.engine());
    }
}

#[tokio::test]
async fn within_an_account_a_clip_s_first_chunk_goes_before_a_film_s_later_ones() {
    for (db, _folder) in both().await {
        let account = AccountId::new();
        enqueue_all(&db, &film(4), account).await;
        served(&db, 1, 2).await;
        enqueue_all(&db, &film(2), account).await;
        let order = served(&db, 1, 9).await;
        let firsts: Vec<u32> = order
            .iter()
            .map(|row| match row.work.0 {
                Job::Chunk { first, .. } => first / 16,
                _ => 99,
            })
            .collect();
        assert_eq!(firsts, [0, 1, 2, 3], "{}", db.engine());
    }
}

#[tokio::test]
async fn bulk_work_goes_after_uploads_and_still_goes_on() {
    for (db, _folder) in both().await {
        let (editor, other) = (AccountId::new(), AccountId::new());
        for job in film(20) {
            enqueue_costing(&db, &job, other, (10, true)).await;
        }
        served(&db, 2, 6).await;
        for job in film(20) {
            enqueue_costing(&db, &job, editor, (10, false)).await;
        }
        let order = served(&db, 2, 20).await;
        let (bulk, uploads) = (of(&order, other).len(), of(&order, editor).len());
        assert!((3..=5).contains(&bulk) && uploads >= 15, "{}: {bulk} and {uploads}", db.engine());
        // What follows from bulk work is bulk work.
        let mut read = db.read().await.expect("a connection");
        for row in &order {
            let bulk = job::is_bulk(read.conn(), row.id).await.expect("an answer");
            assert_eq!(bulk, row.account_id == Some(other), "{}", db.engine());
        }
    }
}

#[tokio::test]
async fn a_job_is_found_however_its_flow_came_to_rest() {
    for (db, _folder) in both().await {
        let engine = db.engine();
        let account = AccountId::new();
        let jobs = film(3);
        enqueue_all(&db, &jobs, account).await;
        // The one that told of the flow is called off before any claim.
        let first = claim_list(&db).await.into_iter().next().expect("a job");
        let mut change = tx(&db).await;
        assert!(job::cancel(change.conn(), first.id, Timestamp(0)).await.expect("an answer"));
        change.commit().await.expect("committed");
        let second = claim(&db).await.expect("the second");
        let third = claim(&db).await.expect("the third");
        assert!(claim(&db).await.is_none() && claim(&db).await.is_none(), "{engine}: nothing is left");
        // Given back, put off and not due, and tried again: each opens the flow anew.
        let fence = |row: &Row| Fence { id: row.id, attempt: row.attempt };
        let mut change = tx(&db).await;
        job::release(&mut change, fence(&second), ("handed over", None), Timestamp(0))
            .await
            .expect("released");
        job::release(
            &mut change,
            fence(&third),
            ("put off", Some(("away", Duration::from_mins(1)))),
            Timestamp(0),
        )
        .await
        .expect("put off");
        change.commit().await.expect("committed");
        assert_eq!(claim(&db).await.map(|row| row.id), Some(second.id), "{engine}");
        assert!(claim(&db).await.is_none(), "{engine}: the other waits for its time");
        let mut change = tx(&db).await;
        assert!(job::retry(change.conn(), first.id, 4, Timestamp(0)).await.expect("an answer"));
        change.commit().await.expect("committed");
        assert_eq!(claim(&db).await.map(|row| row.id), Some(first.id), "{engine}");
        enqueue_all(&db, &film(1), account).await;
        assert!(claim(&db).await.is_some(), "{engine}");
    }
}

async fn claim_list(db: &Db) -> Vec<Row> {
    let filter = job::Filter { state: Some(JobState::Queued), limit: 50, ..job::Filter::default() };
    let page = job::list(db.read().await.expect("a connection").conn(), &filter).await.expect("a page");
    page.items.into_iter().rev().collect()
}

#[tokio::test]
async fn a_job_whose_transaction_is_still_open_when_its_flow_runs_dry_is_not_left_behind() {
    let both = both().await;
    // SQLite has one writer: nothing is open beside a claim.
    let (db, _) = both.iter().find(|(db, _)| matches!(db, Db::Pg(_))).expect("PostgreSQL");
    let account = AccountId::new();
    enqueue_all(db, &film(1), account).await;
    let mut open = tx(db).await;
    // It sees that another job waits in the flow, and has no reason to tell of it.
    job::enqueue(open.conn(), &film(1)[0], Some(account), Timestamp(0)).await.expect("enqueued");
    assert!(claim(db).await.is_some());
    assert!(claim(db).await.is_none() && claim(db).await.is_none());
    open.commit().await.expect("committed");
    assert!(claim(db).await.is_some());
}

#[tokio::test]
async fn jobs_that_an_older_version_asks_for_or_gives_back_are_claimed_too() {
    for (db, _folder) in both().await {
        let work = serde_json::to_string(&film(1)[0]).expect("JSON");
        let insert = |id: &str| {
            format!(
                "insert into job (id, kind, lane, position, name, work, state, attempt, max_attempts, run_at, progress,
                   cancel_requested, created_at)
                 values ('01970000-0000-7000-8000-00000000000{id}', 'chunk', 2, 1, 'name/{id}', '{work}', 'queued', 0,
                   4, 0, 0, false, 0)"
            )
        };
        run(&db, &insert("1")).await;
        let row = claim(&db).await.expect("the job");
        assert!(claim(&db).await.is_none());
        // Claimed and given back without a word, as it was before there were flows.
        run(&db, &insert("2")).await;
        run(&db, "update job set ready = true where name = 'name/2'").await;
        assert!(claim(&db).await.is_none(), "{}", db.engine());
        let mut change = tx(&db).await;
        job::recall(change.conn()).await.expect("recalled");
        change.commit().await.expect("committed");
        assert_ne!(claim(&db).await.expect("the job").id, row.id, "{}", db.engine());
    }
}

pub async fn run(db: &Db, statement: &str) {
    let statement = sqlx::AssertSqlSafe(statement.to_owned());
    match db {
        Db::Sqlite { write, .. } => write.execute(statement).await.expect("run").rows_affected(),
        Db::Pg(pool) => pool.execute(statement).await.expect("run").rows_affected(),
    };
}

/// An agency at its cap with so many jobs waiting, as its uploads left them.
async fn crowd(db: &Db, account: AccountId) {
    let numbers = match db {
        Db::Sqlite { .. } => format!(
            "with recursive n (i) as (select 1 union all select i + 1 from n where i < {MANY}) select i from n"
        ),
        Db::Pg(_) => format!("select i from generate_series(1, {MANY}) n (i)"),
    };
    let id = match db {
        Db::Sqlite { .. } => "printf('01970000-0000-7000-8000-%012d', i)",
        Db::Pg(_) => "'01970000-0000-7000-8000-' || lpad(i::text, 12, '0')",
    };
    let work = serde_json::to_string(&film(1)[0]).expect("JSON");
    run(
        db,
        &format!(
            "insert into job (id, kind, lane, position, name, work, account_id, state, attempt, max_attempts, run_at,
               progress, cancel_requested, created_at, ready)
             select {id}, 'chunk', 2, i, 'name/' || i, '{work}', '{account}',
               case when i <= 16 then 'running' else 'queued' end, 0, 4, 0, 0, false, 0, i > 16 from ({numbers}) n"
        ),
    )
    .await;
    run(db, &format!("insert into job_flow (flow, turn, served, waiting) values ('{account}', 0, 0, true)"))
        .await;
    run(db, if matches!(db, Db::Pg(_)) { "vacuum analyze" } else { "analyze" }).await;
}

/// A claim, and what it read: rows on PostgreSQL, steps of SQLite's machine.
async fn counted(db: &Db) -> (Option<Row>, u64) {
    let mut change = tx(db).await;
    let steps = Arc::new(AtomicU64::new(0));
    let before = rows_read(&mut change).await;
    if let Conn::Sqlite(conn) = change.conn() {
        let count = steps.clone();
        let every = i32::try_from(STEPS).expect("few");
        conn.lock_handle().await.expect("the handle").set_progress_handler(every, move || {
            count.fetch_add(u64::from(STEPS), Ordering::Relaxed);
            true
        });
    }
    let row = job::claim(&mut change, &CLAIM).await.expect("an answer");
    if let Conn::Sqlite(conn) = change.conn() {
        conn.lock_handle().await.expect("the handle").remove_progress_handler();
    }
    let rows = rows_read(&mut change).await - before;
    change.commit().await.expect("committed");
    (row, rows.unsigned_abs() + steps.load(Ordering::Relaxed))
}

async fn rows_read(change: &mut Tx) -> i64 {
    let read = "select cast(coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) as bigint)
        from pg_stat_xact_user_tables";
    let Conn::Pg(conn) = change.conn() else { return 0 };
    sqlx::query_scalar(read).fetch_one(conn).await.expect("a sum")
}

#[tokio::test]
async fn a_claim_costs_the_same_however_many_jobs_an_account_at_its_cap_has_waiting() {
    for (db, _folder) in both().await {
        let (crowded, other) = (AccountId::new(), AccountId::new());
        crowd(&db, crowded).await;
        let most = if matches!(db, Db::Pg(_)) { MOST_ROWS.unsigned_abs() } else { MOST_STEPS };
        let (none, idle) = counted(&db).await;
        assert!(none.is_none(), "{}: it is at its cap", db.engine());
        assert!(idle < most, "{}: a claim that finds nothing reads {idle}", db.engine());
        enqueue_all(&db, &film(1), other).await;
        let (row, busy) = counted(&db).await;
        assert_eq!(row.expect("a job").account_id, Some(other), "{}", db.engine());
        assert!(busy < most, "{}: a claim reads {busy}", db.engine());
        let ended = claim_list_running(&db).await;
        finish(&db, &ended).await;
        let (row, next) = counted(&db).await;
        assert_eq!(row.expect("a job").account_id, Some(crowded), "{}: below its cap again", db.engine());
        assert!(next < most, "{}: the next claim reads {next}", db.engine());
    }
}

async fn claim_list_running(db: &Db) -> Row {
    let filter = job::Filter { state: Some(JobState::Running), limit: 50, ..job::Filter::default() };
    let page = job::list(db.read().await.expect("a connection").conn(), &filter).await.expect("a page");
    page.items.into_iter().last().expect("a running job")
}
