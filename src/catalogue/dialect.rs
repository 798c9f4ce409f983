//! The few places where the two engines need different words.

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

macro_rules! waiting {
    () => {
        "select id from job j
         where state = 'queued' and run_at <= $1
           and (account_id is null or (select count(*) from job r where r.account_id = j.account_id and r.state = 'running') < $2)
         order by lane, position, run_at, id"
    };
}

/// Which waiting job is next: by lane, place and age, with at most `$2` of an account running.
/// PostgreSQL skips what another node is just claiming; SQLite has one writer and needs no word for it.
pub fn next_job(conn: &Conn<'_>) -> &'static str {
    match conn {
        Conn::Sqlite(_) => concat!(waiting!(), " limit 1"),
        Conn::Pg(_) => concat!(waiting!(), " limit 1 for update skip locked"),
    }
}
