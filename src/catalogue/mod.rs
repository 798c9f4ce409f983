//! All the SQL: one file per table, one function per question, one text for both engines.

pub mod account;
pub mod broadcast;
mod db;
mod dialect;
pub mod idempotency;
pub mod job;
pub mod key;
pub mod pack;
pub mod revision;
pub mod rung;
pub mod search;
pub mod setting;
pub mod topic;
pub mod upload;
pub mod video;

use db::on;
pub use db::{Conn, Db, Read, Tx};

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique index said no; it is named.
    #[error("{constraint} is taken")]
    Taken { constraint: String },
    #[error("database is out of reach")]
    Unavailable(#[source] sqlx::Error),
    #[error("database refused a statement")]
    Refused(#[source] sqlx::Error),
    #[error("schema could not be brought up to date")]
    Migrate(#[from] sqlx::migrate::MigrateError),
}

impl Error {
    /// The database can't be reached now, and may be again later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(cause) if cause.is_unique_violation() => {
                Self::Taken { constraint: cause.constraint().unwrap_or(cause.message()).to_owned() }
            }
            // 57P: PostgreSQL is shutting down; 53: out of connections, memory or disk; 08: connection lost.
            // 5, 6, 13: SQLite is busy, locked or its disk is full.
            E::Database(cause) => match cause.code().as_deref() {
                Some(code) if ["57P", "53", "08"].iter().any(|class| code.starts_with(class)) => {
                    Self::Unavailable(error)
                }
                Some("5" | "6" | "13" | "10" | "14") => Self::Unavailable(error),
                _ => Self::Refused(error),
            },
            _ => Self::Refused(error),
        }
    }
}

/// Every statement of every table.
fn statements() -> impl Iterator<Item = &'static str> {
    let tables = [
        account::STATEMENTS,
        broadcast::STATEMENTS,
        idempotency::STATEMENTS,
        job::STATEMENTS,
        key::STATEMENTS,
        pack::STATEMENTS,
        revision::STATEMENTS,
        rung::STATEMENTS,
        search::STATEMENTS,
        setting::STATEMENTS,
        topic::STATEMENTS,
        upload::STATEMENTS,
        video::STATEMENTS,
    ];
    tables.into_iter().flatten().copied()
}

/// A page of rows and the cursor of the next.
#[derive(Debug, Clone)]
pub struct Page<T> {
    pub items: Vec<T>,
    /// `None` at the end.
    pub next: Option<String>,
}

impl<T> Page<T> {
    /// Makes a page of the `limit + 1` rows that were asked for; one too many means there is a next page.
    fn of(mut rows: Vec<T>, limit: u32, cursor: impl Fn(&T) -> String) -> Self {
        let limit = limit as usize;
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next = if more { rows.last().map(cursor) } else { None };
        Self { items: rows, next }
    }
}
