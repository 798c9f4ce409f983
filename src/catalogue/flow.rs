//! Fair shares of the queue, by start-time fair queueing (Goyal, Vin, Cheng 1996): each account is a flow with a turn in
//! virtual time, which moves on by what the account's claimed jobs are estimated to cost. A claim reads one row a flow,
//! however many jobs wait in it.
//!
//! A flow with a job that may be claimed is `waiting`, or has an arrival that says so. Whoever adds a job shares a lock
//! on its flow to the end of the transaction, and a claim that finds a flow empty closes it only where nobody holds that
//! lock: so no job is left behind in a closed flow, and no claim waits for a transaction that adds jobs.

use std::collections::{BTreeSet, HashMap};

use sqlx::types::Json;

use super::dialect::{Dialect, each};
use super::{Conn, Error, Tx, dialect, on};
use crate::domain::job::{JobState, Lane};
use crate::domain::{JobId, Timestamp};

/// The flow of everything that an operator asks for in bulk, whichever accounts it is for.
pub const BULK: &str = "bulk";
/// The flow of what goes before all others, one at a time: a cache that hangs must not keep every slot.
pub const URGENT: &str = "urgent";
/// How many times as slowly as an account's the bulk flow's turn comes.
const BULK_COST: i64 = 4;
/// Jobs and flows that one claim takes note of; what is left is for the next.
const ADMITTED: i64 = 100;
/// Flows looked at beyond those that have jobs running.
const SPARE: usize = 8;

/// The flow of a job.
macro_rules! flow {
    () => {
        "coalesce(flow, account_id, '')"
    };
}

pub(super) use flow;

const ARRIVE: &str = concat!(
    "insert into job_arrival (id, flow) select $1, $2
     where not exists (select 1 from job where ",
    flow!(),
    " = $2 and state = 'queued' and ready)"
);
const NOTED: Dialect = each!("delete from job_arrival where id in (select each.value from", "$1", ")");
const ADMIT: Dialect = each!(
    "update job set ready = true where state = 'queued' and id in (select each.value from",
    "$1",
    concat!(") returning ", flow!())
);
/// A flow that begins to wait has no claim to the time before. The order is that of the names, so that two claims at
/// once wait for each other one way only.
const OPEN: Dialect = each!(
    "insert into job_flow (flow, turn, served, waiting)
     select each.value, coalesce((select max(served) from job_flow), 0), 0, true from",
    "$1",
    "where true order by each.value
     on conflict (flow) do update set waiting = true,
        turn = case when job_flow.waiting or job_flow.turn > excluded.turn then job_flow.turn else excluded.turn end"
);
/// What is urgent has no turn to wait for.
const WAITING: &str = "select flow from job_flow where waiting and flow = $2 union all
    select flow from (select flow from job_flow where waiting and flow <> $2 order by turn, flow limit $1) others";
const RUNNING: &str =
    concat!("select ", flow!(), ", count(*) from job where state = 'running' group by ", flow!());
const CHARGE: &str = "update job_flow set served = turn, turn = turn + $2 where flow = $1";
const HAS_READY: &str =
    concat!("select 1 from job where ", flow!(), " = $1 and state = 'queued' and ready limit 1");
const CLOSE: &str = "update job_flow set waiting = false where flow = $1";
/// Finds flows whose jobs an older version gave back without a word.
const RECALL: &str = concat!(
    "insert into job_arrival (id, flow) select min(id), ",
    flow!(),
    " from job where state = 'queued' and ready and not exists
        (select 1 from job_flow f where f.waiting and f.flow = ",
    "coalesce(job.flow, job.account_id, '')",
    ") group by ",
    flow!(),
    " on conflict do nothing"
);
const BY_LANE: &str = "select lane, count(*), min(run_at) from job where state = $1 group by lane";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[ARRIVE, WAITING, RUNNING, CHARGE, HAS_READY, CLOSE, RECALL, BY_LANE];
/// The same of those that each engine has words of its own for.
pub(super) const DIALECT: &[Dialect] = &[NOTED, ADMIT, OPEN];

/// Keeps a flow from being closed until the transaction ends, and makes it wait where nothing in it did.
/// The database's time comes back.
pub(super) async fn arrive(mut conn: Conn<'_>, flow: &str) -> Result<Timestamp, Error> {
    let hold = dialect::hold_flow(&conn);
    let now: i64 = on!(conn.again(), c => sqlx::query_scalar(hold).bind(flow).fetch_one(c).await?);
    on!(conn, c => sqlx::query(ARRIVE).bind(JobId::new()).bind(flow).execute(c).await.map(drop)?);
    Ok(Timestamp(now))
}

/// Takes note of flows that have something to be claimed again and of jobs whose time has come, in as many statements
/// however many there are; true where there were any.
pub(super) async fn admit(tx: &mut Tx, now: Timestamp) -> Result<bool, Error> {
    let mut flows = BTreeSet::new();
    let arrivals = dialect::ARRIVALS.on(&tx.conn());
    let arrived: Vec<(JobId, String)> =
        on!(tx.conn(), c => sqlx::query_as(arrivals).bind(ADMITTED).fetch_all(c).await?);
    if !arrived.is_empty() {
        let (ids, arrived): (Vec<JobId>, Vec<String>) = arrived.into_iter().unzip();
        let noted = NOTED.on(&tx.conn());
        on!(tx.conn(), c => sqlx::query(noted).bind(Json(ids)).execute(c).await.map(drop)?);
        flows.extend(arrived);
    }
    let due = dialect::DUE_JOBS.on(&tx.conn());
    let due: Vec<JobId> =
        on!(tx.conn(), c => sqlx::query_scalar(due).bind(now).bind(ADMITTED).fetch_all(c).await?);
    if !due.is_empty() {
        let admit = ADMIT.on(&tx.conn());
        let admitted: Vec<String> =
            on!(tx.conn(), c => sqlx::query_scalar(admit).bind(Json(due)).fetch_all(c).await?);
        flows.extend(admitted);
    }
    if !flows.is_empty() {
        let open = OPEN.on(&tx.conn());
        on!(tx.conn(), c => sqlx::query(open).bind(Json(&flows)).execute(c).await.map(drop)?);
    }
    Ok(!flows.is_empty())
}

/// How many jobs of each flow run.
pub(super) async fn count_running(tx: &mut Tx) -> Result<HashMap<String, i64>, Error> {
    let rows: Vec<(String, i64)> = on!(tx.conn(), c => sqlx::query_as(RUNNING).fetch_all(c).await?);
    Ok(rows.into_iter().collect())
}

/// Waiting flows in the order in which they are to be served, without those already `tried`.
pub(super) async fn list_waiting(
    tx: &mut Tx,
    running: &HashMap<String, i64>,
    (cap, tried): (i64, &[String]),
) -> Result<Vec<String>, Error> {
    let most = i64::try_from(running.len() + tried.len() + SPARE).unwrap_or(i64::MAX);
    let flows: Vec<String> =
        on!(tx.conn(), c => sqlx::query_scalar(WAITING).bind(most).bind(URGENT).fetch_all(c).await?);
    let flows = flows.into_iter().filter(|flow| !tried.contains(flow)).collect();
    Ok(in_order(flows, running, cap))
}

/// Of flows by turn: what is urgent, then bulk work where its turn has come and otherwise last, and of accounts below their cap first the one
/// with the fewest jobs running.
fn in_order(mut flows: Vec<String>, running: &HashMap<String, i64>, cap: i64) -> Vec<String> {
    let first = flows.iter().find(|flow| *flow != URGENT).is_some_and(|flow| flow == BULK);
    let jobs = |flow: &str| running.get(flow).copied().unwrap_or(0);
    flows.retain(|flow| ["", BULK, URGENT].contains(&flow.as_str()) || jobs(flow) < cap);
    flows.sort_by_key(|flow| match flow.as_str() {
        URGENT if jobs(URGENT) == 0 => (i64::MIN, -1),
        BULK => (if first { i64::MIN } else { i64::MAX }, 0),
        flow => (jobs(flow), 1),
    });
    flows
}

/// Locks a waiting flow; false where it waits no more, or another claim has it and `wait` doesn't ask to wait for that.
pub(super) async fn lock(tx: &mut Tx, flow: &str, wait: bool) -> Result<bool, Error> {
    let lock = dialect::lock_flow(&tx.conn(), wait);
    let turn: Option<i64> = on!(tx.conn(), c => sqlx::query_scalar(lock).bind(flow).fetch_optional(c).await?);
    Ok(turn.is_some())
}

/// Moves a flow's turn on by what the job claimed from it costs.
pub(super) async fn charge(tx: &mut Tx, flow: &str, cost: i64) -> Result<(), Error> {
    let cost = if flow == BULK { cost.saturating_mul(BULK_COST) } else { cost };
    on!(tx.conn(), c => sqlx::query(CHARGE).bind(flow).bind(cost.max(1)).execute(c).await.map(drop)?);
    Ok(())
}

/// Closes a locked flow in which nothing can be claimed, unless a job is on its way there.
pub(super) async fn close(tx: &mut Tx, flow: &str) -> Result<(), Error> {
    let may = dialect::may_close(&tx.conn());
    let alone: bool = on!(tx.conn(), c => sqlx::query_scalar(may).bind(flow).fetch_one(c).await?);
    if !alone {
        return Ok(());
    }
    let ready: Option<i32> =
        on!(tx.conn(), c => sqlx::query_scalar(HAS_READY).bind(flow).fetch_optional(c).await?);
    if ready.is_none() {
        on!(tx.conn(), c => sqlx::query(CLOSE).bind(flow).execute(c).await.map(drop)?);
    }
    Ok(())
}

/// Makes every flow wait that has a job to be claimed. Versions before this one give jobs back without telling.
pub async fn recall(conn: Conn<'_>) -> Result<(), Error> {
    on!(conn, c => sqlx::query(RECALL).execute(c).await.map(drop)?);
    Ok(())
}

/// How many jobs of a state each lane has, and when the first of them is or was due.
pub async fn count_by_lane(conn: Conn<'_>, state: JobState) -> Result<Vec<(Lane, u64, Timestamp)>, Error> {
    let rows: Vec<(i64, i64, Timestamp)> =
        on!(conn, c => sqlx::query_as(BY_LANE).bind(state).fetch_all(c).await?);
    let known = rows.into_iter().filter_map(|(lane, count, due)| {
        let lane = Lane::ALL.into_iter().find(|known| *known as i64 == lane)?;
        Some((lane, u64::try_from(count).unwrap_or(0), due))
    });
    Ok(known.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn order(flows: &[&str], running: &[(&str, i64)]) -> String {
        let running = running.iter().map(|(flow, jobs)| ((*flow).to_owned(), *jobs)).collect();
        in_order(flows.iter().map(ToString::to_string).collect(), &running, 16).join(" ")
    }

    #[test]
    fn an_account_with_fewer_jobs_running_goes_first_and_among_equals_the_one_whose_turn_it_is() {
        assert_eq!(order(&["a", "b", "c"], &[]), "a b c");
        assert_eq!(order(&["a", "b", "c"], &[("a", 1)]), "b c a");
        assert_eq!(order(&["a", "b", "c"], &[("a", 2), ("b", 2), ("c", 1)]), "c a b");
    }

    #[test]
    fn an_account_at_its_cap_is_passed_over() {
        assert_eq!(order(&["a", "b"], &[("a", 16), ("b", 3)]), "b");
        assert_eq!(order(&["a"], &[("a", 16)]), "");
    }

    #[test]
    fn nothing_goes_before_what_is_urgent() {
        assert_eq!(order(&[BULK, "a", URGENT], &[("a", 1)]), "urgent bulk a");
        assert_eq!(order(&["a", URGENT], &[("a", 1), (URGENT, 1)]), "a urgent");
    }

    #[test]
    fn bulk_work_waits_for_accounts_until_its_turn_has_come() {
        assert_eq!(order(&["a", BULK, "b"], &[("a", 1)]), "b a bulk");
        assert_eq!(order(&[BULK, "a"], &[(BULK, 40)]), "bulk a");
    }
}
