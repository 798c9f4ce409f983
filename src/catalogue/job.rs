//! The queue: claimed by lease, fenced by attempt number, on both engines.

use std::time::Duration;

use sqlx::types::Json;

use super::flow::{self, BULK, URGENT, flow};
pub use super::flow::{count_by_lane, recall};
use super::{Conn, Error, Page, Tx, dialect, on};
use crate::domain::job::{Job, JobKind, JobState, backoff};
use crate::domain::{AccountId, JobId, Timestamp, VideoId};

/// A job as it stands in the queue.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Row {
    pub id: JobId,
    pub kind: JobKind,
    pub name: String,
    pub work: Json<Job>,
    pub account_id: Option<AccountId>,
    pub video_id: Option<VideoId>,
    pub revision: Option<i64>,
    pub state: JobState,
    /// How often it was claimed; the fence of whoever holds it.
    pub attempt: i64,
    pub max_attempts: i64,
    pub run_at: Timestamp,
    pub lease_until: Option<Timestamp>,
    pub lease_by: Option<String>,
    /// 0 to 1; the most any attempt has reached.
    pub progress: f64,
    pub cancel_requested: bool,
    pub last_error: Option<String>,
    pub created_at: Timestamp,
    pub finished_at: Option<Timestamp>,
}

/// One try at a job.
#[derive(Debug, Clone, sqlx::FromRow)]
pub struct Attempt {
    pub job_id: JobId,
    pub attempt: i64,
    pub worker: String,
    pub started_at: Timestamp,
    pub ended_at: Option<Timestamp>,
    pub outcome: Option<String>,
    pub error: Option<String>,
}

/// A job that is asked for.
#[derive(Debug, Clone)]
pub struct Order<'a> {
    pub job: &'a Job,
    pub account: Option<AccountId>,
    /// Asked for by an operator for many videos: what editors upload goes before it.
    pub bulk: bool,
    /// CPU time that it is estimated to take.
    pub cost: Duration,
    pub run_at: Timestamp,
}

/// Who claims, for how long, and how many jobs an account may have running.
#[derive(Debug, Clone)]
pub struct Claim<'a> {
    pub worker: &'a str,
    pub lease: Duration,
    pub account_cap: u32,
}

/// A node's clock may be this much ahead of the database's before work that it asks for now has to wait for its time.
const CLOCKS_APART: Duration = Duration::from_secs(2);

/// Proof of a claim: good as long as no later attempt exists.
#[derive(Debug, Clone, Copy)]
pub struct Fence {
    pub id: JobId,
    pub attempt: i64,
}

macro_rules! columns {
    ($before:literal, $rest:literal) => {
        concat!(
            $before,
            " id, kind, name, work, account_id, video_id, revision, state, attempt, max_attempts, run_at, lease_until,
             lease_by, progress, cancel_requested, last_error, created_at, finished_at ",
            $rest
        )
    };
}

const INSERT: &str =
    "insert into job (id, kind, lane, position, name, work, account_id, video_id, revision, state,
    attempt, max_attempts, run_at, progress, cancel_requested, created_at, flow, cost, ready)
    values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 'queued', 0, $10, $11, 0, false, $11, $12, $13, $14)
    on conflict do nothing";
const CLAIM: &str = columns!(
    "update job set state = 'running', attempt = attempt + 1, lease_until = $2, lease_by = $3, ready = false
     where id = $1 returning",
    ""
);
const BEGIN_ATTEMPT: &str =
    "insert into job_attempt (job_id, attempt, worker, started_at) values ($1, $2, $3, $4)";
const END_ATTEMPT: &str = "update job_attempt set ended_at = $3, outcome = $4, error = $5
    where job_id = $1 and attempt = $2 and ended_at is null";
const RENEW: &str =
    "update job set lease_until = $3, progress = case when $4 > progress then $4 else progress end
    where id = $1 and attempt = $2 and state = 'running' returning cancel_requested";
const HOLD: &str = "update job set attempt = attempt where id = $1 and attempt = $2 and state = 'running'";
const END: &str =
    "update job set state = $3, last_error = coalesce($4, last_error), finished_at = $5, lease_until = null,
    lease_by = null, progress = case when $3 = 'done' then 1 else progress end
    where id = $1 and attempt = $2 and state = 'running'";
const REQUEUE: &str =
    "update job set state = 'queued', ready = false, last_error = $3, run_at = $4, lease_until = null, lease_by = null
    where id = $1 and attempt = $2 and state = 'running'";
const RELEASE: &str = "update job set state = 'queued', ready = false, max_attempts = max_attempts + 1, run_at = $3,
    last_error = coalesce($4, last_error), lease_until = null, lease_by = null where id = $1 and attempt = $2 and state = 'running'";
const LOST: &str = columns!("select", "from job where state = 'running' and lease_until < $1 limit 100");
const SELECT: &str = columns!("select", "from job where id = $1");
/// A list along one index; the reason for the ranges is in `video`.
macro_rules! list {
    ($within:literal, $order:literal) => {
        concat!(
            columns!("select", "from job where "),
            $within,
            " and coalesce(state = $2, true) and coalesce(video_id = $3, true) and coalesce(kind = $4, true) order by ",
            $order,
            " limit $5"
        )
    };
}

const LIST: &str = list!("id < coalesce($1, 'g')", "id desc");
const LIST_OF_STATE: &str =
    list!("state >= $2 and (state, id) < ($2, coalesce($1, 'g'))", "state desc, id desc");
const LIST_OF_KIND: &str = list!("kind >= $4 and (kind, id) < ($4, coalesce($1, 'g'))", "kind desc, id desc");
/// A video has few jobs.
const LIST_OF_ONE: &str = list!("video_id = $3 and id < coalesce($1, 'g')", "id desc");
const LIST_OF_VIDEO: &str = columns!("select", "from job where video_id = $1 order by id");
const LIST_OF_REVISION: &str =
    columns!("select", "from job where video_id = $1 and revision = $2 order by id");
/// What became of an attempt whose worker died or could not renew its lease.
pub const WORKER_LOST: &str = "lost";
const COUNT_LOSSES: &str = "select count(*) from job_attempt where job_id = $1 and outcome = $2";
const ATTEMPTS: &str = "select a.job_id, a.attempt, a.worker, a.started_at, a.ended_at, a.outcome, a.error
    from job_attempt a join job j on j.id = a.job_id where j.video_id = $1 order by a.started_at, a.attempt";
const CANCEL_QUEUED: &str =
    "update job set state = 'cancelled', finished_at = $2 where id = $1 and state = 'queued'";
const CANCEL_RUNNING: &str = "update job set cancel_requested = true where id = $1 and state = 'running'";
const RETRY: &str =
    "update job set state = 'queued', ready = true, run_at = $2, max_attempts = attempt + $3, finished_at = null,
    cancel_requested = false where id = $1 and state in ('dead', 'cancelled')";
const DEMOTE: &str = "update job set flow = $2 where name = $1 and state = 'queued'";
const FLOW: &str = concat!("select ", flow!(), " from job where id = $1");
const WITHDRAW: &str = "delete from job where name = $1 and state = 'queued'";
const COUNTS: &str = "select state, count(*) from job group by state";
// `coalesce` keeps SQLite from going through all that are done.
const EXPIRE: &str =
    "delete from job where finished_at < $1 and coalesce(state in ('done', 'cancelled'), true)";

/// Every statement, to be prepared as a check of the schema.
pub(super) const STATEMENTS: &[&str] = &[
    INSERT,
    CLAIM,
    BEGIN_ATTEMPT,
    END_ATTEMPT,
    RENEW,
    HOLD,
    END,
    REQUEUE,
    RELEASE,
    LOST,
    SELECT,
    LIST,
    LIST_OF_STATE,
    LIST_OF_KIND,
    LIST_OF_ONE,
    LIST_OF_VIDEO,
    LIST_OF_REVISION,
    COUNT_LOSSES,
    ATTEMPTS,
    CANCEL_QUEUED,
    CANCEL_RUNNING,
    RETRY,
    DEMOTE,
    FLOW,
    WITHDRAW,
    COUNTS,
    EXPIRE,
];

/// Asks for work; where a job of that name waits or runs already, nothing is added.
pub async fn enqueue(
    conn: Conn<'_>,
    job: &Job,
    account: Option<AccountId>,
    run_at: Timestamp,
) -> Result<(), Error> {
    enqueue_as(conn, &Order { job, account, bulk: false, cost: job.usual_cost(), run_at }).await
}

/// Asks for work of a cost and urgency of its own; where a job of that name waits or runs already, nothing is added.
pub async fn enqueue_as(mut conn: Conn<'_>, order: &Order<'_>) -> Result<(), Error> {
    let job = order.job;
    let flow = if job.is_urgent() { Some(URGENT) } else { order.bulk.then_some(BULK) };
    let account = order.account.map(|account| account.to_string());
    let now = flow::arrive(conn.again(), flow.or(account.as_deref()).unwrap_or_default()).await?;
    // Clocks of nodes are a little apart from the database's, and what is asked for now can be had now.
    let ready = order.run_at <= now.plus(CLOCKS_APART);
    on!(conn, c => sqlx::query(INSERT)
        .bind(JobId::new())
        .bind(job.kind())
        .bind(job.lane() as i64)
        .bind(i64::from(job.position()))
        .bind(job.name())
        .bind(Json(job))
        .bind(order.account)
        .bind(job.video())
        .bind(job.revision().map(|(_, revision)| i64::from(revision)))
        .bind(i64::from(job.max_attempts()))
        .bind(if ready { order.run_at.min(now) } else { order.run_at })
        .bind(flow)
        .bind(i64::try_from(order.cost.as_millis()).unwrap_or(i64::MAX))
        .bind(ready)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Makes bulk work of a job that waits: what editors upload goes before it.
pub async fn demote(mut conn: Conn<'_>, job: &Job) -> Result<(), Error> {
    flow::arrive(conn.again(), BULK).await?;
    on!(conn, c => sqlx::query(DEMOTE).bind(job.name()).bind(BULK).execute(c).await.map(drop)?);
    Ok(())
}

/// Whether a job is bulk work, as what follows from it is then.
pub async fn is_bulk(conn: Conn<'_>, id: JobId) -> Result<bool, Error> {
    Ok(find_flow(conn, id).await?.is_some_and(|flow| flow == BULK))
}

async fn find_flow(conn: Conn<'_>, id: JobId) -> Result<Option<String>, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(FLOW).bind(id).fetch_optional(c).await?))
}

/// Takes back what was asked for and nobody has begun.
pub async fn withdraw(conn: Conn<'_>, job: &Job) -> Result<(), Error> {
    on!(conn, c => sqlx::query(WITHDRAW).bind(job.name()).execute(c).await.map(drop)?);
    Ok(())
}

/// Claims the next job of the flow whose turn it is; `None` where nothing can be claimed.
pub async fn claim(tx: &mut Tx, claim: &Claim<'_>) -> Result<Option<Row>, Error> {
    let now = dialect::now(tx.conn()).await?;
    let mut locking = flow::admit(tx, now).await?;
    let running = flow::count_running(tx).await?;
    let cap = i64::from(claim.account_cap);
    let (mut tried, mut busy): (Vec<String>, Option<String>) = (Vec::new(), None);
    loop {
        let waiting = flow::list_waiting(tx, &running, (cap, &tried)).await?;
        if waiting.is_empty() {
            break;
        }
        for flow in waiting {
            if flow::lock(tx, &flow, false).await? {
                if let Some(row) = claim_of(tx, &flow, (claim, now)).await? {
                    return Ok(Some(row));
                }
                locking = true;
            } else {
                busy.get_or_insert_with(|| flow.clone());
            }
            tried.push(flow);
        }
    }
    // Other claims are at every flow there is. One that holds a lock itself must not wait for another's.
    match busy.filter(|_| !locking) {
        Some(flow) if flow::lock(tx, &flow, true).await? => claim_of(tx, &flow, (claim, now)).await,
        _ => Ok(None),
    }
}

/// Claims the next job of a locked flow, which pays for it; an empty flow is closed.
async fn claim_of(
    tx: &mut Tx,
    flow: &str,
    (claim, now): (&Claim<'_>, Timestamp),
) -> Result<Option<Row>, Error> {
    let next = dialect::NEXT_JOB.on(&tx.conn());
    let next: Option<(JobId, i64)> =
        on!(tx.conn(), c => sqlx::query_as(next).bind(flow).bind(now).fetch_optional(c).await?);
    let Some((id, cost)) = next else {
        flow::close(tx, flow).await?;
        return Ok(None);
    };
    let until = now.plus(claim.lease);
    let row: Row = on!(tx.conn(), c => sqlx::query_as(CLAIM).bind(id).bind(until).bind(claim.worker).fetch_one(c).await?);
    flow::charge(tx, flow, cost).await?;
    on!(tx.conn(), c => sqlx::query(BEGIN_ATTEMPT)
        .bind(id)
        .bind(row.attempt)
        .bind(claim.worker)
        .bind(now)
        .execute(c)
        .await
        .map(drop)?);
    Ok(Some(row))
}

/// Renews the lease and says how far the job is. `None`: the lease is lost. `Some(true)`: it is to be cancelled.
pub async fn renew(
    mut conn: Conn<'_>,
    fence: Fence,
    lease: Duration,
    progress: f64,
) -> Result<Option<bool>, Error> {
    let until = dialect::now(conn.again()).await?.plus(lease);
    Ok(on!(conn, c => sqlx::query_scalar(RENEW)
        .bind(fence.id)
        .bind(fence.attempt)
        .bind(until)
        .bind(progress)
        .fetch_optional(c)
        .await?))
}

/// Whether the claim is still good; the row stays locked to the end of the transaction.
pub async fn hold(conn: Conn<'_>, fence: Fence) -> Result<bool, Error> {
    let rows = on!(conn, c => sqlx::query(HOLD).bind(fence.id).bind(fence.attempt).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// Ends a job for good as done, dead or cancelled; false where the lease was lost.
pub async fn end(
    tx: &mut Tx,
    fence: Fence,
    (state, error): (JobState, Option<&str>),
    now: Timestamp,
) -> Result<bool, Error> {
    let rows = on!(tx.conn(), c => sqlx::query(END)
        .bind(fence.id)
        .bind(fence.attempt)
        .bind(state)
        .bind(error)
        .bind(now)
        .execute(c)
        .await?
        .rows_affected());
    end_attempt(tx, fence, (state.as_str(), error), now).await?;
    Ok(rows > 0)
}

/// Gives a job back for a later attempt; false where the lease was lost.
pub async fn requeue(tx: &mut Tx, fence: Fence, error: &str, now: Timestamp) -> Result<bool, Error> {
    let attempt = u32::try_from(fence.attempt).unwrap_or(u32::MAX);
    let run_at = dialect::now(tx.conn()).await?.plus(backoff(attempt));
    let rows = on!(tx.conn(), c => sqlx::query(REQUEUE)
        .bind(fence.id)
        .bind(fence.attempt)
        .bind(error)
        .bind(run_at)
        .execute(c)
        .await?
        .rows_affected());
    end_attempt(tx, fence, ("failed", Some(error)), now).await?;
    Ok(rows > 0)
}

/// Gives a job back without counting the attempt: at once where its worker was told to stop, or after a while where
/// what the job needs is away or its worker is lost, with what was said of that.
pub async fn release(
    tx: &mut Tx,
    fence: Fence,
    (outcome, outage): (&str, Option<(&str, Duration)>),
    now: Timestamp,
) -> Result<(), Error> {
    let (error, wait) = outage.unzip();
    let run_at = dialect::now(tx.conn()).await?.plus(wait.unwrap_or_default());
    on!(tx.conn(), c => sqlx::query(RELEASE)
        .bind(fence.id)
        .bind(fence.attempt)
        .bind(run_at)
        .bind(error)
        .execute(c)
        .await
        .map(drop)?);
    end_attempt(tx, fence, (outcome, error), now).await
}

/// How many workers of a job were lost.
pub async fn count_losses(conn: Conn<'_>, id: JobId) -> Result<i64, Error> {
    Ok(on!(conn, c => sqlx::query_scalar(COUNT_LOSSES).bind(id).bind(WORKER_LOST).fetch_one(c).await?))
}

async fn end_attempt(
    tx: &mut Tx,
    fence: Fence,
    (outcome, error): (&str, Option<&str>),
    now: Timestamp,
) -> Result<(), Error> {
    on!(tx.conn(), c => sqlx::query(END_ATTEMPT)
        .bind(fence.id)
        .bind(fence.attempt)
        .bind(now)
        .bind(outcome)
        .bind(error)
        .execute(c)
        .await
        .map(drop)?);
    Ok(())
}

/// Running jobs whose lease is over, a hundred at a time.
pub async fn list_lost(mut conn: Conn<'_>) -> Result<Vec<Row>, Error> {
    let now = dialect::now(conn.again()).await?;
    Ok(on!(conn, c => sqlx::query_as(LOST).bind(now).fetch_all(c).await?))
}

/// The job of an id.
pub async fn find(conn: Conn<'_>, id: JobId) -> Result<Option<Row>, Error> {
    Ok(on!(conn, c => sqlx::query_as(SELECT).bind(id).fetch_optional(c).await?))
}

/// What a list of jobs is narrowed by.
#[derive(Debug, Default)]
pub struct Filter {
    pub state: Option<JobState>,
    pub video: Option<VideoId>,
    pub kind: Option<JobKind>,
    pub cursor: Option<JobId>,
    pub limit: u32,
}

/// A page of jobs, newest first.
pub async fn list(conn: Conn<'_>, filter: &Filter) -> Result<Page<Row>, Error> {
    let statement = match (filter.video, filter.state, filter.kind) {
        (Some(_), ..) => LIST_OF_ONE,
        (None, None, None) => LIST,
        // Most jobs are done; of every other state there are fewer than of any kind.
        (None, None | Some(JobState::Done), Some(_)) => LIST_OF_KIND,
        (None, Some(_), _) => LIST_OF_STATE,
    };
    let rows: Vec<Row> = on!(conn, c => sqlx::query_as(statement)
        .persistent(false)
        .bind(filter.cursor)
        .bind(filter.state)
        .bind(filter.video)
        .bind(filter.kind)
        .bind(i64::from(filter.limit) + 1)
        .fetch_all(c)
        .await?);
    Ok(Page::of(rows, filter.limit, |row| row.id.to_string()))
}

/// Every job of a video, oldest first.
pub async fn list_of_video(conn: Conn<'_>, video: VideoId) -> Result<Vec<Row>, Error> {
    Ok(on!(conn, c => sqlx::query_as(LIST_OF_VIDEO).bind(video).fetch_all(c).await?))
}

/// Every job of a revision, oldest first.
pub async fn list_of_revision(conn: Conn<'_>, video: VideoId, revision: u32) -> Result<Vec<Row>, Error> {
    Ok(
        on!(conn, c => sqlx::query_as(LIST_OF_REVISION).bind(video).bind(i64::from(revision)).fetch_all(c).await?),
    )
}

/// Every attempt at every job of a video, oldest first.
pub async fn list_attempts(conn: Conn<'_>, video: VideoId) -> Result<Vec<Attempt>, Error> {
    Ok(on!(conn, c => sqlx::query_as(ATTEMPTS).bind(video).fetch_all(c).await?))
}

/// Cancels a waiting job at once (true); a running one is asked to stop.
pub async fn cancel(mut conn: Conn<'_>, id: JobId, now: Timestamp) -> Result<bool, Error> {
    let rows = on!(conn.again(), c => sqlx::query(CANCEL_QUEUED).bind(id).bind(now).execute(c).await?.rows_affected());
    if rows == 0 {
        on!(conn, c => sqlx::query(CANCEL_RUNNING).bind(id).execute(c).await.map(drop)?);
    }
    Ok(rows > 0)
}

/// Queues a dead or cancelled job again with as many attempts as it had; false where it is neither.
pub async fn retry(mut conn: Conn<'_>, id: JobId, attempts: u32, now: Timestamp) -> Result<bool, Error> {
    let attempts = i64::from(attempts);
    let Some(flow) = find_flow(conn.again(), id).await? else { return Ok(false) };
    let now = now.min(flow::arrive(conn.again(), &flow).await?);
    let rows = on!(conn, c => sqlx::query(RETRY).bind(id).bind(now).bind(attempts).execute(c).await?.rows_affected());
    Ok(rows > 0)
}

/// How many jobs are in each state.
pub async fn count(conn: Conn<'_>) -> Result<Vec<(JobState, i64)>, Error> {
    Ok(on!(conn, c => sqlx::query_as(COUNTS).fetch_all(c).await?))
}

/// Forgets what was done or cancelled before this.
pub async fn expire(conn: Conn<'_>, before: Timestamp) -> Result<(), Error> {
    on!(conn, c => sqlx::query(EXPIRE).bind(before).execute(c).await.map(drop)?);
    Ok(())
}
