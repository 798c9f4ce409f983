//! What questions cost, counted and not timed: by SQLite's virtual machine, and by PostgreSQL's statistics of the
//! transaction.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use policast::catalogue::Conn;

/// Steps that are counted together.
const STEPS: i32 = 100;
/// Rows of tables that were read one after the other, and entries of indexes, also where the table wasn't asked.
const ROWS: &str = "select cast(coalesce(sum(pg_stat_get_xact_tuples_returned(c.oid)), 0) as bigint)
    from pg_class c where c.relkind in ('r', 'i') and c.relnamespace = current_schema()::regnamespace";

/// Counts what is asked through one connection, in one transaction.
pub struct Meter {
    steps: Arc<AtomicI64>,
    /// What this connection did just before may not have left its statistics yet.
    before: i64,
}

impl Meter {
    pub async fn begin(conn: Conn<'_>) -> Self {
        let steps = Arc::new(AtomicI64::new(0));
        let before = match conn {
            Conn::Sqlite(conn) => {
                let count = steps.clone();
                conn.lock_handle().await.expect("the handle").set_progress_handler(STEPS, move || {
                    count.fetch_add(i64::from(STEPS), Ordering::Relaxed);
                    true
                });
                0
            }
            Conn::Pg(conn) => sqlx::query_scalar(ROWS).fetch_one(conn).await.expect("a sum"),
        };
        Self { steps, before }
    }

    /// SQLite's steps or the rows that PostgreSQL read.
    pub async fn end(self, conn: Conn<'_>) -> i64 {
        match conn {
            Conn::Sqlite(conn) => {
                conn.lock_handle().await.expect("the handle").remove_progress_handler();
                self.steps.load(Ordering::Relaxed)
            }
            Conn::Pg(conn) => {
                let after: i64 = sqlx::query_scalar(ROWS).fetch_one(conn).await.expect("a sum");
                after - self.before
            }
        }
    }
}
