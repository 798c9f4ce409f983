//! The few places where the two engines need different words.

use super::flow::flow;
use super::{Conn, Error};
use crate::domain::Timestamp;

/// The database's own clock, so that leases don't depend on how well the nodes' clocks agree.
pub async fn now(conn: Conn<'_>) -> Result<Timestamp, Error> {
    const SQLITE: &str = "select cast(unixepoch('subsec') * 1000 as integer)";
    const POSTGRES: &str = "select (extract(epoch from clock_timestamp()) * 1000)::bigint";
    Ok(Timestamp(match conn {
        Conn::Sqlite(c) => sqlx::query_scalar(SQLITE).fetch_one(c).await?,
        Conn::Pg(c) => sqlx::query_scalar(POSTGRES).fetch_one(c).await?,
    }))
}

/// One statement in the words of each engine.
#[derive(Debug, Clone, Copy)]
pub struct Dialect {
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

impl Dialect {
    /// The words of the engine behind.
    pub fn on(&self, conn: &Conn<'_>) -> &'static str {
        self.of(matches!(conn, Conn::Sqlite(_)))
    }

    /// The words of SQLite or of PostgreSQL.
    pub fn of(&self, is_sqlite: bool) -> &'static str {
        if is_sqlite { self.sqlite } else { self.postgres }
    }
}

/// A statement over the texts of a JSON list, as the table `each (value)`: one question for a whole page.
macro_rules! each {
    ($before:expr, $list:literal, $after:expr) => {
        $crate::catalogue::dialect::Dialect {
            sqlite: concat!($before, " json_each(", $list, ") each ", $after),
            postgres: concat!($before, " jsonb_array_elements_text(", $list, ") each ", $after),
        }
    };
}

pub(super) use each;

/// Where the nodes over one PostgreSQL tell each other news.
pub const CHANNEL: &str = "policast";

/// Tells several news on a channel; PostgreSQL only.
pub const NOTIFY: &str = "select pg_notify($1, told) from unnest($2) told";

/// PostgreSQL locks the rows and passes over what another node is just at; SQLite has one writer and needs no word for it.
macro_rules! skipping {
    ($text:expr) => {
        skipping!($text, $text)
    };
    ($sqlite:expr, $postgres:expr) => {
        Dialect { sqlite: $sqlite, postgres: concat!($postgres, " for update skip locked") }
    };
}

/// The next job of flow `$1` at time `$2`: by lane, place and age.
pub const NEXT_JOB: Dialect = skipping!(concat!(
    "select id, cost from job where state = 'queued' and ready and ",
    flow!(),
    " = $1 and run_at <= $2 order by lane, position, run_at, id limit 1"
));

/// Up to `$1` arrivals, oldest first.
pub const ARRIVALS: Dialect = skipping!("select id, flow from job_arrival order by id limit $1");

/// Up to `$2` jobs that waited for a time which has come at `$1`. SQLite would go through everything that is queued.
pub const DUE_JOBS: Dialect = skipping!(
    "select id from job indexed by job_due where state = 'queued' and not ready and run_at <= $1
     order by run_at, id limit $2",
    "select id from job where state = 'queued' and not ready and run_at <= $1 order by run_at, id limit $2"
);

/// Every statement, to be prepared as a check of the schema.
pub(super) const DIALECT: &[Dialect] = &[NEXT_JOB, ARRIVALS, DUE_JOBS];

/// Takes the row of the waiting flow `$1`, and waits for another claim that has it where `wait` says so.
pub fn lock_flow(conn: &Conn<'_>, wait: bool) -> &'static str {
    match (conn, wait) {
        (Conn::Sqlite(_), _) => "select turn from job_flow where flow = $1 and waiting",
        (Conn::Pg(_), true) => "select turn from job_flow where flow = $1 and waiting for update",
        (Conn::Pg(_), false) => {
            "select turn from job_flow where flow = $1 and waiting for update skip locked"
        }
    }
}

/// Shares the advisory lock of flow `$1` to the end of the transaction; the database's time.
pub fn hold_flow(conn: &Conn<'_>) -> &'static str {
    match conn {
        Conn::Sqlite(_) => "select cast(unixepoch('subsec') * 1000 as integer) where $1 is not null",
        Conn::Pg(_) => {
            "select (extract(epoch from clock_timestamp()) * 1000)::bigint
             from pg_advisory_xact_lock_shared(hashtextextended($1, 12))"
        }
    }
}

/// Whether nobody shares the lock of flow `$1`; it is kept from them then to the end of the transaction.
pub fn may_close(conn: &Conn<'_>) -> &'static str {
    match conn {
        Conn::Sqlite(_) => "select $1 is not null",
        Conn::Pg(_) => "select pg_try_advisory_xact_lock(hashtextextended($1, 12))",
    }
}
