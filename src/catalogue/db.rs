//! One `Db` over both engines: the same SQL text runs on SQLite and on PostgreSQL.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{Connection, Executor, Postgres, Sqlite, Transaction, pool::PoolConnection};

use super::Error;
use crate::fault::{self, Change};

/// How long a query waits for a connection or for SQLite's one writer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// Readers a node keeps open on either engine.
const CONNECTIONS: u32 = 16;

/// The database, cheap to clone.
#[derive(Debug, Clone)]
pub enum Db {
    /// SQLite has one writer at a time: a pool of one makes writers queue fairly instead of polling.
    Sqlite {
        read: SqlitePool,
        write: SqlitePool,
    },
    Pg(PgPool),
}

/// A connection outside a transaction.
pub enum Read {
    Sqlite(PoolConnection<Sqlite>),
    Pg(PoolConnection<Postgres>),
}

/// A transaction; dropped without `commit` it never was.
pub enum Tx {
    Sqlite(Transaction<'static, Sqlite>),
    Pg(Transaction<'static, Postgres>),
}

/// What a question is asked through, in a transaction or not.
pub enum Conn<'a> {
    Sqlite(&'a mut SqliteConnection),
    Pg(&'a mut PgConnection),
}

/// Runs the same expression on whichever engine is behind.
macro_rules! on {
    ($conn:expr, $c:ident => $run:expr) => {
        match $conn {
            $crate::catalogue::db::Conn::Sqlite($c) => $run,
            $crate::catalogue::db::Conn::Pg($c) => $run,
        }
    };
}

pub(super) use on;

impl Db {
    /// Opens or creates the SQLite file. Every commit is synced: what was acknowledged is durable.
    pub async fn sqlite(file: &Path) -> Result<Self, Error> {
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .foreign_keys(true)
            .busy_timeout(PATIENCE);
        // On a full disk SQLite rolls back by itself, and the driver believes the transaction open for ever after: such a
        // connection can't begin another one and is replaced.
        let pool = |size| {
            let options = SqlitePoolOptions::new().max_connections(size).acquire_timeout(PATIENCE);
            options.before_acquire(|used, _| Box::pin(async { Ok(!used.is_in_transaction()) }))
        };
        let write = pool(1).connect_with(options.clone()).await?;
        let read = pool(CONNECTIONS).connect_with(options).await?;
        Ok(Self::Sqlite { read, write })
    }

    /// Connects to PostgreSQL 15 or newer.
    pub async fn postgres(url: &str) -> Result<Self, Error> {
        let options = sqlx::postgres::PgConnectOptions::from_str(url)?;
        let pool = PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(PATIENCE);
        Ok(Self::Pg(pool.connect_with(options).await?))
    }

    /// Brings the schema up to this binary's.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { write, .. } => sqlx::migrate!("migrations/sqlite").run(write).await?,
            Self::Pg(pool) => sqlx::migrate!("migrations/postgres").run(pool).await?,
        }
        Ok(())
    }

    /// A connection for questions that change nothing.
    pub async fn read(&self) -> Result<Read, Error> {
        Ok(match self {
            Self::Sqlite { read, .. } => Read::Sqlite(read.acquire().await?),
            Self::Pg(pool) => Read::Pg(pool.acquire().await?),
        })
    }

    /// A transaction for changes.
    pub async fn begin(&self) -> Result<Tx, Error> {
        Ok(match self {
            Self::Sqlite { write, .. } => Tx::Sqlite(write.begin_with("begin immediate").await?),
            Self::Pg(pool) => Tx::Pg(pool.begin().await?),
        })
    }

    /// Prepares every statement, which shows that the schema is this binary's; returns how many there are.
    pub async fn check_statements(&self) -> Result<usize, Error> {
        let mut read = self.read().await?;
        let mut count = 0;
        for statement in super::statements() {
            on!(read.conn(), c => c.prepare(sqlx::SqlStr::from_static(statement)).await.map(drop)?);
            count += 1;
        }
        Ok(count)
    }

    /// The engine's name, for `doctor` and the logs.
    pub fn engine(&self) -> &'static str {
        match self {
            Self::Sqlite { .. } => "sqlite",
            Self::Pg(_) => "postgresql",
        }
    }

    /// Closes every connection.
    pub async fn close(&self) {
        match self {
            Self::Sqlite { read, write } => {
                read.close().await;
                write.close().await;
            }
            Self::Pg(pool) => pool.close().await,
        }
    }
}

impl Read {
    /// To ask a question through.
    pub fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Pg(conn) => Conn::Pg(conn),
        }
    }
}

impl Conn<'_> {
    /// The same connection, for one more question.
    pub fn again(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(conn) => Conn::Sqlite(conn),
            Self::Pg(conn) => Conn::Pg(conn),
        }
    }
}

impl Tx {
    /// To ask a question or make a change through.
    pub fn conn(&mut self) -> Conn<'_> {
        match self {
            Self::Sqlite(tx) => Conn::Sqlite(tx),
            Self::Pg(tx) => Conn::Pg(tx),
        }
    }

    /// Makes the changes last.
    pub async fn commit(self) -> Result<(), Error> {
        fault::around(Change::Commit, async {
            match self {
                Self::Sqlite(tx) => tx.commit().await?,
                Self::Pg(tx) => tx.commit().await?,
            }
            Ok(())
        })
        .await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_transaction_that_sqlite_rolled_back_by_itself_is_no_hindrance_to_the_next() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::sqlite(&folder.path().join("policast.db")).await.expect("a database");
        let Tx::Sqlite(mut tx) = db.begin().await.expect("a transaction") else { return };
        tx.execute("rollback").await.expect("rolled back");
        drop(tx);
        db.begin().await.expect("another").commit().await.expect("committed");
    }
}
