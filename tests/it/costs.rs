//! A claim reads a few rows, however many jobs wait: counted as in `lists`.

use std::time::Duration;

use policast::catalogue::job::{self, Claim};
use policast::catalogue::{Db, Tx};

use crate::bulk::{id, numbers};
use crate::lists::filled;
use crate::meter::Meter;

/// Jobs that wait; one in so many is of another account.
const QUEUED: i64 = 20_000;
const OTHERS: i64 = 100;
/// What one claim takes; going through what waits takes twenty times as much.
const MOST_STEPS: i64 = 10_000;
const MOST_ROWS: i64 = 2000;

/// Account 1 has nearly all of them, and its turn is the first.
fn queue(db: &Db) -> Vec<String> {
    let (one, account) = (id(db, "i"), id(db, &format!("case when i % {OTHERS} = 7 then i else 1 end")));
    let work =
        format!("'{{\"kind\": \"chunk\", \"video\": \"' || {one} || '\", \"revision\": 1, \"first\": 0}}'");
    let work = match db {
        Db::Sqlite { .. } => work,
        Db::Pg(_) => format!("({work})::jsonb"),
    };
    vec![
        format!(
            "insert into job (id, kind, lane, position, name, work, account_id, video_id, revision, state, attempt,
               max_attempts, run_at, progress, cancel_requested, created_at, ready)
             select {one}, 'chunk', 2, 0, 'chunk/' || {one} || '/1/0', {work}, {account}, {one}, 1,
               'queued', 0, 5, 0, 0, false, 0, true from {}",
            numbers(db, QUEUED)
        ),
        "insert into job_arrival (id, flow) select min(id), account_id from job group by account_id".to_owned(),
    ]
}

async fn claim(tx: &mut Tx) -> Option<job::Row> {
    let claim = Claim { worker: "worker", lease: Duration::from_hours(1), account_cap: 1 };
    job::claim(tx, &claim).await.expect("an answer")
}

#[tokio::test]
async fn a_claim_reads_a_few_rows_however_many_jobs_wait() {
    for (db, _folder) in filled(queue).await {
        // The first takes note of a hundred accounts that arrived; account 1 is at its cap from then on.
        for name in ["after many arrived", "with an account at its cap", "once all are known"] {
            let (row, cost) = claim_measured(&db).await;
            assert!(row.is_some(), "{}: {name}", db.engine());
            let most = if matches!(db, Db::Pg(_)) { MOST_ROWS } else { MOST_STEPS };
            assert!(cost < most, "{}: a claim {name} takes {cost}", db.engine());
        }
    }
}

/// A claim, and SQLite's steps or PostgreSQL's rows in its transaction.
async fn claim_measured(db: &Db) -> (Option<job::Row>, i64) {
    let mut tx = db.begin().await.expect("a transaction");
    let meter = Meter::begin(tx.conn()).await;
    let row = claim(&mut tx).await;
    let cost = meter.end(tx.conn()).await;
    tx.commit().await.expect("committed");
    (row, cost)
}

#[tokio::test]
async fn no_statement_waits_for_postgresql_to_compile_it() {
    let db = Db::postgres(&crate::postgres::database().await).await.expect("PostgreSQL");
    let Db::Pg(pool) = &db else { return };
    let jit: String = sqlx::query_scalar("show jit").fetch_one(pool).await.expect("a setting");
    assert_eq!(jit, "off");
}
