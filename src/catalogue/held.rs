//! One piece of work holds one connection at a time: pieces that hold one and ask for another wait for each other until
//! all time out, once there are as many of them as connections.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use tokio::task;

tokio::task_local! {
    static HOLDS: Arc<AtomicBool>;
    static STATEMENTS: Arc<AtomicU64>;
}

/// Tasks that hold a connection outside of any [`one_connection`]; empty in a release build.
static TASKS: LazyLock<Mutex<HashSet<task::Id>>> = LazyLock::new(Mutex::default);

/// Runs a piece of work, such as a request or a job. In debug builds it panics where it holds a connection and asks for
/// another; so does every task, as one piece. Work that goes on beside other work in the same task is a piece of its own
/// and needs this.
pub async fn one_connection<F: Future>(work: F) -> F::Output {
    if cfg!(debug_assertions) { HOLDS.scope(Arc::default(), work).await } else { work.await }
}

/// Runs a piece of work and counts the statements it puts to the database.
pub async fn count_statements<F: Future>(work: F) -> (F::Output, u64) {
    let count = Arc::new(AtomicU64::new(0));
    let output = STATEMENTS.scope(count.clone(), work).await;
    (output, count.load(Ordering::Relaxed))
}

/// A statement is put to the database.
pub(super) fn count_statement() {
    let _ = STATEMENTS.try_with(|count| count.fetch_add(1, Ordering::Relaxed));
}

/// Kept beside a connection; until it is dropped the piece of work gets no other one.
pub(super) struct Held(Piece);

/// Whose connection it is.
enum Piece {
    Scope(Arc<AtomicBool>),
    Task(task::Id),
    /// A release build, or outside of every task: a test, or a command before it begins.
    Nobody,
}

impl Held {
    /// Before the pool is asked: a pool that is empty must not hide the mistake.
    pub(super) fn ask() -> Self {
        let piece = Piece::current();
        assert!(
            piece.begin(),
            "a connection is asked for while one is held; parallel work needs a `one_connection` each"
        );
        Self(piece)
    }
}

impl Piece {
    fn current() -> Self {
        if let Ok(holds) = HOLDS.try_with(Arc::clone) {
            return Self::Scope(holds);
        }
        task::try_id().filter(|_| cfg!(debug_assertions)).map_or(Self::Nobody, Self::Task)
    }

    /// False where it holds one already.
    fn begin(&self) -> bool {
        match self {
            Self::Scope(holds) => !holds.swap(true, Ordering::Relaxed),
            Self::Task(id) => TASKS.lock().unwrap_or_else(PoisonError::into_inner).insert(*id),
            Self::Nobody => true,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        match &self.0 {
            Piece::Scope(holds) => holds.store(false, Ordering::Relaxed),
            Piece::Task(id) => {
                TASKS.lock().unwrap_or_else(PoisonError::into_inner).remove(id);
            }
            Piece::Nobody => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio_util::task::TaskTracker;

    use super::*;

    #[tokio::test]
    #[should_panic(expected = "a connection is asked for while one is held")]
    async fn work_that_holds_a_connection_gets_no_other() {
        one_connection(async {
            let _one = Held::ask();
            let _other = Held::ask();
        })
        .await;
    }

    #[tokio::test]
    async fn a_task_that_holds_a_connection_gets_no_other() {
        let tasks = TaskTracker::new();
        let both = tasks.spawn(async {
            let _one = Held::ask();
            let _other = Held::ask();
        });
        assert!(both.await.is_err_and(|ended| ended.is_panic()));
        let beside = tasks.spawn(async {
            let _one = Held::ask();
            one_connection(async { drop(Held::ask()) }).await;
        });
        beside.await.expect("a piece of its own");
        let one_after_another = tasks.spawn(async {
            drop(Held::ask());
            drop(Held::ask());
        });
        one_after_another.await.expect("never two");
    }

    #[tokio::test]
    async fn one_connection_after_another_and_beside_another_is_fine() {
        one_connection(async {
            drop(Held::ask());
            let _next = Held::ask();
            one_connection(async { drop(Held::ask()) }).await;
        })
        .await;
        let (_one, _other) = (Held::ask(), Held::ask());
    }
}
