//! All the SQL: one file per table, one function per question, one text for both engines.

pub mod account;
pub mod broadcast;
mod db;
mod dialect;
mod flow;
mod frequency;
mod held;
pub mod idempotency;
pub mod inventory;
pub mod job;
pub mod key;
pub mod news;
pub mod overview;
pub mod pack;
pub mod published;
pub mod push_target;
pub mod revision;
pub mod rung;
pub mod search;
mod selection;
pub mod setting;
pub mod topic;
pub mod upload;
pub mod video;
mod video_list;
pub mod words;

use sqlx::migrate::MigrateError;

use db::on;
pub use db::{Conn, Db, Pool, Read, Schema, Tx};
use dialect::Dialect;
pub use dialect::now;
pub use held::{count_statements, one_connection};

use crate::fault::Injected;

/// What can go wrong between us and the database.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A unique index said no; it is named.
    #[error("{constraint} is taken")]
    Taken { constraint: String },
    #[error("database is out of reach")]
    Unavailable(#[source] sqlx::Error),
    #[error("database has no space left")]
    Full(#[source] sqlx::Error),
    /// PostgreSQL keeps no NUL.
    #[error("a text holds a character that can't be kept")]
    Character(#[source] sqlx::Error),
    #[error("database refused a statement")]
    Refused(#[source] sqlx::Error),
    #[error("schema could not be brought up to date")]
    Migrate(#[source] MigrateError),
    /// A newer binary was here.
    #[error(
        "the database's schema has migration {migration}, which this policast doesn't know: run a newer one"
    )]
    Newer { migration: i64 },
}

impl Error {
    /// The database can't be reached now, and may be again later.
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }

    /// The database is away or full, whatever is asked of it.
    pub fn is_outage(&self) -> bool {
        matches!(self, Self::Unavailable(_) | Self::Full(_))
    }
}

impl From<MigrateError> for Error {
    fn from(error: MigrateError) -> Self {
        match error {
            MigrateError::VersionMissing(migration) => Self::Newer { migration },
            // The database may go away in the middle of it.
            MigrateError::Execute(error) => Self::from(error),
            MigrateError::ExecuteMigration(error, migration) => match Self::from(error) {
                Self::Refused(error) => Self::Migrate(MigrateError::ExecuteMigration(error, migration)),
                away => away,
            },
            error => Self::Migrate(error),
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let error = Self::of(error);
        let kind = match &error {
            Self::Unavailable(_) => "unavailable",
            Self::Full(_) => "full",
            Self::Refused(_) => "refused",
            // What somebody sent is no fault of the database.
            Self::Taken { .. } | Self::Character(_) | Self::Migrate(_) | Self::Newer { .. } => return error,
        };
        metrics::counter!("policast_database_errors_total", "kind" => kind).increment(1);
        error
    }
}

impl Error {
    fn of(error: sqlx::Error) -> Self {
        use sqlx::Error as E;
        match &error {
            E::Io(_) | E::Tls(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::Protocol(_) => {
                Self::Unavailable(error)
            }
            E::Database(cause) if cause.is_unique_violation() => {
                Self::Taken { constraint: cause.constraint().unwrap_or(cause.message()).to_owned() }
            }
            E::Database(cause) => match condition(&cause.code().unwrap_or_default()) {
                Condition::Away => Self::Unavailable(error),
                Condition::Full => Self::Full(error),
                Condition::Character => Self::Character(error),
                Condition::Other => Self::Refused(error),
            },
            _ => Self::Refused(error),
        }
    }
}

impl From<Injected> for Error {
    fn from(fault: Injected) -> Self {
        Self::Unavailable(sqlx::Error::Io(std::io::Error::other(fault)))
    }
}

/// The state an engine's error code speaks of.
enum Condition {
    Away,
    Full,
    Character,
    Other,
}

/// SQLSTATE has five characters; of SQLite's extended codes the last byte counts.
fn condition(code: &str) -> Condition {
    if code.len() < 5 {
        return match code.parse::<u32>().map(|code| code & 0xff) {
            Ok(13) => Condition::Full,
            // Busy, locked, a disk that fails, a file that can't be opened.
            Ok(5 | 6 | 10 | 14) => Condition::Away,
            _ => Condition::Other,
        };
    }
    match code {
        "53100" => Condition::Full,
        // character_not_in_repertoire, and the same in JSON: untranslatable_character.
        "22021" | "22P05" => Condition::Character,
        // 57P: PostgreSQL is shutting down; 53: out of connections or memory; 08: connection lost.
        code if ["57P", "53", "08"].iter().any(|class| code.starts_with(class)) => Condition::Away,
        _ => Condition::Other,
    }
}

/// Every statement of every table, in the words of one engine.
fn statements(is_sqlite: bool) -> impl Iterator<Item = String> {
    let tables = [
        account::STATEMENTS,
        broadcast::STATEMENTS,
        idempotency::STATEMENTS,
        flow::STATEMENTS,
        inventory::STATEMENTS,
        job::STATEMENTS,
        key::STATEMENTS,
        pack::STATEMENTS,
        published::STATEMENTS,
        push_target::STATEMENTS,
        revision::STATEMENTS,
        rung::STATEMENTS,
        search::STATEMENTS,
        selection::STATEMENTS,
        setting::STATEMENTS,
        topic::STATEMENTS,
        upload::STATEMENTS,
        video::STATEMENTS,
        video::CHANGES,
    ];
    let dialects = [dialect::DIALECT, flow::DIALECT, frequency::DIALECT, overview::DIALECT, search::DIALECT];
    let dialects = dialects.into_iter().flatten().map(move |statement: &Dialect| statement.of(is_sqlite));
    let all = tables.into_iter().flatten().copied().chain(dialects).map(str::to_owned);
    all.chain(video_list::statements(is_sqlite))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_database_that_is_away_or_full_is_told_from_a_wrong_statement() {
        for away in ["57P01", "53300", "08006", "5", "261", "14", "4874"] {
            assert!(matches!(condition(away), Condition::Away), "{away}");
        }
        for full in ["53100", "13"] {
            assert!(matches!(condition(full), Condition::Full), "{full}");
        }
        for other in ["42P01", "23505", "1", "2067", ""] {
            assert!(matches!(condition(other), Condition::Other), "{other}");
        }
    }

    /// On an empty schema, as in production: SQLite is never told how many rows there are.
    #[tokio::test]
    async fn sqlite_goes_through_no_table_that_grows() {
        let folder = tempfile::tempdir().expect("a folder");
        let db = Db::sqlite(&folder.path().join("policast.db")).await.expect("SQLite");
        db.migrate().await.expect("the schema");
        let Db::Sqlite { read, .. } = &db else { return };
        for statement in statements(true) {
            let explained = sqlx::AssertSqlSafe(format!("explain query plan {statement}"));
            let plan: Vec<(i64, i64, i64, String)> =
                sqlx::query_as(explained).fetch_all(read).await.expect("a plan");
            let steps: Vec<String> = plan.into_iter().map(|(.., step)| step).collect();
            let walk = steps.iter().find(|step| is_walk(step, &steps));
            assert_eq!(walk, None, "{statement}\n{}", steps.join("\n"));
        }
    }

    /// The whole of a table, or everything that is queued or done for the sake of a few.
    fn is_walk(step: &str, steps: &[String]) -> bool {
        let is_sorted = steps.iter().any(|step| step.ends_with("TEMP B-TREE FOR ORDER BY"));
        if step == "SEARCH job USING INDEX job_state (state=?)" {
            return is_sorted;
        }
        let is_made_here = |name: &str| {
            steps
                .iter()
                .any(|step| *step == format!("CO-ROUTINE {name}") || *step == format!("MATERIALIZE {name}"))
        };
        let scanned = step.strip_prefix("SCAN ").filter(|rest| !rest.contains(' '));
        scanned.is_some_and(|name| !is_made_here(name))
    }
}
