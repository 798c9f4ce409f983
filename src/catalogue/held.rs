//! One piece of work holds one connection at a time: pieces that hold one and ask for another wait for each other until
//! all time out, once there are as many of them as connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

tokio::task_local! {
    static HOLDS: Arc<AtomicBool>;
    static STATEMENTS: Arc<AtomicU64>;
}

/// Runs a piece of work, such as a request or a job. In debug builds it panics where it holds a connection and asks for
/// another; work that goes on beside it in the same task is a piece of its own.
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
pub(super) struct Held(Option<Arc<AtomicBool>>);

impl Held {
    /// Before the pool is asked: a pool that is empty must not hide the mistake.
    pub(super) fn ask() -> Self {
        let work = HOLDS.try_with(Arc::clone).ok();
        let holds = work.as_ref().is_some_and(|holds| holds.swap(true, Ordering::Relaxed));
        assert!(
            !holds,
            "a connection is asked for while one is held; parallel work needs a `one_connection` each"
        );
        Self(work)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(holds) = &self.0 {
            holds.store(false, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
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
