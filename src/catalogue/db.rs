//! One `Db` over both engines: the same SQL text runs on SQLite and on PostgreSQL.

use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use sqlx::migrate::{Migrate, Migrator};
use sqlx::postgres::{PgConnection, PgPool, PgPoolOptions};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePool, SqlitePoolOptions,
    SqliteSynchronous,
};
use sqlx::{
    AssertSqlSafe, Connection, Executor, Postgres, SqlSafeStr, Sqlite, Transaction, pool::PoolConnection,
};

use super::Error;
use super::held::Held;
use crate::fault::{self, Change};

/// How long a query waits for a connection or for SQLite's one writer.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// PostgreSQL takes a list in JSON for a hundred rows and would compile the statement for 20 to 150 ms, to save less than
/// one.
const PLAIN: &str = "set jit = off";
/// Where the migrations that were applied are kept.
const MIGRATIONS: &str = "_sqlx_migrations";

/// How a database's schema stands to this binary's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Schema {
    /// The database is empty.
    Missing,
    Behind {
        migrations: usize,
    },
    Current,
    /// A newer binary was here.
    Newer {
        migration: i64,
    },
    /// A migration broke off in the middle.
    HalfDone {
        migration: i64,
    },
    /// A migration of that number did something else.
    Foreign {
        migration: i64,
    },
}

/// How many connections a node keeps open, and how long a question waits for one.
#[derive(Debug, Clone, Copy)]
pub struct Pool {
    /// On SQLite readers; it has one writer besides.
    pub connections: u32,
    pub acquire_timeout: Duration,
}

impl Default for Pool {
    fn default() -> Self {
        Self { connections: 16, acquire_timeout: PATIENCE }
    }
}

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
pub struct Read {
    conn: ReadConn,
    _held: Held,
}

enum ReadConn {
    Sqlite(PoolConnection<Sqlite>),
    Pg(PoolConnection<Postgres>),
}

/// A transaction; dropped without `commit` it never was.
pub struct Tx {
    conn: TxConn,
    _held: Held,
}

enum TxConn {
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
    ($conn:expr, $c:ident => $run:expr) => {{
        $crate::catalogue::held::count_statement();
        match $conn {
            $crate::catalogue::db::Conn::Sqlite($c) => $run,
            $crate::catalogue::db::Conn::Pg($c) => $run,
        }
    }};
}

pub(super) use on;

impl Db {
    /// Opens or creates the SQLite file. Every commit is synced: what was acknowledged is durable.
    pub async fn sqlite(file: &Path) -> Result<Self, Error> {
        Self::sqlite_pooled(file, Pool::default()).await
    }

    /// The same with a pool of another size.
    pub async fn sqlite_pooled(file: &Path, limits: Pool) -> Result<Self, Error> {
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
            let options = SqlitePoolOptions::new().max_connections(size);
            let options = options.acquire_timeout(limits.acquire_timeout);
            options.before_acquire(|used, _| Box::pin(async { Ok(!used.is_in_transaction()) }))
        };
        let write = pool(1).connect_with(options.clone()).await?;
        let read = pool(limits.connections).connect_with(options).await?;
        Ok(Self::Sqlite { read, write })
    }

    /// Connects to PostgreSQL 15 or newer.
    pub async fn postgres(url: &str) -> Result<Self, Error> {
        Self::postgres_pooled(url, Pool::default()).await
    }

    /// The same with a pool of another size.
    pub async fn postgres_pooled(url: &str, limits: Pool) -> Result<Self, Error> {
        let options = sqlx::postgres::PgConnectOptions::from_str(url)?;
        let pool = PgPoolOptions::new().max_connections(limits.connections);
        let pool = pool.acquire_timeout(limits.acquire_timeout);
        let pool = pool.after_connect(|conn, _| Box::pin(async { conn.execute(PLAIN).await.map(drop) }));
        Ok(Self::Pg(pool.connect_with(options).await?))
    }

    /// How the schema stands to this binary's, without changing anything.
    pub async fn schema(&self) -> Result<Schema, Error> {
        let own = self.migrator();
        let mut read = self.read().await?;
        let applied = on!(read.conn(), c => c.list_applied_migrations(MIGRATIONS).await);
        let applied = match applied.map_err(Error::from) {
            Ok(applied) => applied,
            // Nobody has begun to make a schema.
            Err(Error::Refused(_)) => return Ok(Schema::Missing),
            Err(error) => return Err(error),
        };
        if let Some(migration) = on!(read.conn(), c => c.dirty_version(MIGRATIONS).await)? {
            return Ok(Schema::HalfDone { migration });
        }
        for known in &applied {
            match own.iter().find(|own| own.version == known.version) {
                None => return Ok(Schema::Newer { migration: known.version }),
                Some(own) if own.checksum != known.checksum => {
                    return Ok(Schema::Foreign { migration: known.version });
                }
                Some(_) => {}
            }
        }
        let missing = own.iter().count().saturating_sub(applied.len());
        Ok(if missing == 0 { Schema::Current } else { Schema::Behind { migrations: missing } })
    }

    fn migrator(&self) -> Migrator {
        match self {
            Self::Sqlite { .. } => sqlx::migrate!("migrations/sqlite"),
            Self::Pg(_) => sqlx::migrate!("migrations/postgres"),
        }
    }

    /// Brings the schema up to this binary's.
    pub async fn migrate(&self) -> Result<(), Error> {
        match self {
            Self::Sqlite { write, .. } => self.migrator().run(write).await?,
            Self::Pg(pool) => self.migrator().run(pool).await?,
        }
        Ok(())
    }

    /// A connection for questions that change nothing.
    pub async fn read(&self) -> Result<Read, Error> {
        let held = Held::ask();
        let conn = match self {
            Self::Sqlite { read, .. } => ReadConn::Sqlite(read.acquire().await?),
            Self::Pg(pool) => ReadConn::Pg(pool.acquire().await?),
        };
        Ok(Read { conn, _held: held })
    }

    /// A transaction for changes.
    pub async fn begin(&self) -> Result<Tx, Error> {
        let held = Held::ask();
        let conn = match self {
            Self::Sqlite { write, .. } => TxConn::Sqlite(write.begin_with("begin immediate").await?),
            Self::Pg(pool) => TxConn::Pg(pool.begin().await?),
        };
        Ok(Tx { conn, _held: held })
    }

    /// Prepares every statement, which shows that the schema is this binary's; returns how many there are.
    pub async fn check_statements(&self) -> Result<usize, Error> {
        let mut read = self.read().await?;
        let mut count = 0;
        for statement in super::statements(matches!(self, Self::Sqlite { .. })) {
            let statement = AssertSqlSafe(statement).into_sql_str();
            on!(read.conn(), c => c.prepare(statement).await.map(drop)?);
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
        match &mut self.conn {
            ReadConn::Sqlite(conn) => Conn::Sqlite(conn),
            ReadConn::Pg(conn) => Conn::Pg(conn),
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
        match &mut self.conn {
            TxConn::Sqlite(tx) => Conn::Sqlite(tx),
            TxConn::Pg(tx) => Conn::Pg(tx),
        }
    }

    /// Makes the changes last.
    pub async fn commit(self) -> Result<(), Error> {
        fault::around(Change::Commit, async {
            match self.conn {
                TxConn::Sqlite(tx) => tx.commit().await?,
                TxConn::Pg(tx) => tx.commit().await?,
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
        let TxConn::Sqlite(mut tx) = db.begin().await.expect("a transaction").conn else { return };
        tx.execute("rollback").await.expect("rolled back");
        drop(tx);
        db.begin().await.expect("another").commit().await.expect("committed");
    }
}
