//! Fault points: a test can stop a verb between any two changes it makes to the world, refuse one, or lose its answer.
//! A release build has none of this: there `around` is the change itself.
//!
//! Crate `fail` has one registry for the whole process and blocks threads: tests that run side by side would stop each
//! other, and no future could be dropped where a `kill -9` would have left it.

/// What a process changes outside of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Change {
    Commit,
    Put,
    Copy,
    /// One object, or a page of those below a prefix.
    Delete,
    BeginMultipart,
    UploadPart,
    CompleteMultipart,
    AbortMultipart,
}

/// The error that an injected fault answers.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("a test injected this fault")]
pub struct Injected;

/// Makes a change; every one goes through here.
#[cfg(not(debug_assertions))]
pub fn around<T, E>(
    _: Change,
    change: impl Future<Output = Result<T, E>>,
) -> impl Future<Output = Result<T, E>> {
    change
}

#[cfg(debug_assertions)]
pub use injection::{Fault, Run, around, inject, trace};

#[cfg(debug_assertions)]
mod injection {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, LazyLock, Mutex, PoisonError};

    use tokio::sync::Notify;

    use super::{Change, Injected};

    /// Where the process dies, in the environment of the real binary: `commit@17` or `any@40`.
    const FAULTS: &str = "POLICAST_FAULTS";

    /// What happens at the n-th change, counted from 1.
    #[derive(Debug, Clone, Copy, PartialEq, Eq)]
    pub enum Fault {
        /// It is made, and nothing after it: the future is dropped, as by a `kill -9`.
        StopAfter(usize),
        /// It is not made and answers an error, and so do all later ones of the same kind.
        Refuse(usize),
        /// It is made, and answers an error.
        LoseAnswer(usize),
    }

    /// How a run under a fault went.
    #[derive(Debug)]
    pub struct Run<T> {
        /// `None` where it was stopped.
        pub answer: Option<T>,
        /// The changes in order, those that were refused included.
        pub changes: Vec<Change>,
        /// The run came as far as the fault.
        pub reached: bool,
    }

    struct Plan {
        fault: Option<Fault>,
        changes: Mutex<Vec<Change>>,
        stopped: Notify,
    }

    tokio::task_local! {
        static PLAN: Arc<Plan>;
    }

    static DEATH: LazyLock<Option<Death>> = LazyLock::new(|| {
        #[expect(clippy::disallowed_methods, reason = "no setting: only a debug build listens to it")]
        let told = std::env::var(FAULTS).ok()?;
        let death = Death::parse(&told);
        if death.is_none() {
            tracing::warn!(told, "{FAULTS} is not understood, expected CHANGE@NUMBER");
        }
        death
    });

    /// Runs a future under a fault. The plan is the task's own: work spawned onto other tasks runs on without it.
    pub fn inject<F: Future>(fault: Fault, future: F) -> impl Future<Output = Run<F::Output>> {
        run(Some(fault), Box::pin(future))
    }

    /// Runs a future to its end and tells the changes it made.
    pub fn trace<F: Future>(future: F) -> impl Future<Output = Run<F::Output>> {
        run(None, Box::pin(future))
    }

    async fn run<F: Future>(fault: Option<Fault>, future: F) -> Run<F::Output> {
        let plan = Arc::new(Plan { fault, changes: Mutex::default(), stopped: Notify::new() });
        let answer = tokio::select! {
            biased;
            () = plan.stopped.notified() => None,
            answer = PLAN.scope(plan.clone(), future) => Some(answer),
        };
        let changes = std::mem::take(&mut *plan.changes.lock().unwrap_or_else(PoisonError::into_inner));
        let reached = fault.is_some_and(|fault| fault.at() <= changes.len());
        Run { answer, changes, reached }
    }

    /// Makes a change; every one goes through here. Boxed, or each would double the future it is part of.
    pub fn around<T, E: From<Injected>>(
        kind: Change,
        change: impl Future<Output = Result<T, E>>,
    ) -> impl Future<Output = Result<T, E>> {
        let change = Box::pin(change);
        async move {
            let Ok(plan) = PLAN.try_with(Arc::clone) else {
                let made = change.await;
                Death::count(kind);
                return made;
            };
            let number = plan.begin(kind);
            match plan.fault {
                Some(Fault::Refuse(at)) if plan.is_refused(at, kind) => Err(Injected.into()),
                Some(Fault::LoseAnswer(at)) if at == number => change.await.and(Err(Injected.into())),
                Some(Fault::StopAfter(at)) if at == number => {
                    let made = change.await;
                    plan.stopped.notify_one();
                    std::future::pending::<()>().await;
                    made
                }
                _ => change.await,
            }
        }
    }

    impl Fault {
        fn at(self) -> usize {
            let (Self::StopAfter(at) | Self::Refuse(at) | Self::LoseAnswer(at)) = self;
            at
        }
    }

    impl Plan {
        /// Its number, from 1.
        fn begin(&self, kind: Change) -> usize {
            let mut changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.push(kind);
            changes.len()
        }

        fn is_refused(&self, at: usize, kind: Change) -> bool {
            let changes = self.changes.lock().unwrap_or_else(PoisonError::into_inner);
            changes.get(at - 1) == Some(&kind)
        }
    }

    /// The change after which this process ends.
    struct Death {
        /// `None` counts every one.
        kind: Option<Change>,
        left: AtomicU64,
    }

    impl Death {
        fn parse(text: &str) -> Option<Self> {
            let (kind, number) = text.split_once('@')?;
            let kind = match kind {
                "any" => None,
                "commit" => Some(Change::Commit),
                "put" => Some(Change::Put),
                "copy" => Some(Change::Copy),
                "delete" => Some(Change::Delete),
                "begin_multipart" => Some(Change::BeginMultipart),
                "upload_part" => Some(Change::UploadPart),
                "complete_multipart" => Some(Change::CompleteMultipart),
                "abort_multipart" => Some(Change::AbortMultipart),
                _ => return None,
            };
            Some(Self { kind, left: AtomicU64::new(number.parse().ok().filter(|number| *number > 0)?) })
        }

        fn count(kind: Change) {
            let Some(death) = DEATH.as_ref().filter(|death| death.kind.is_none_or(|own| own == kind)) else {
                return;
            };
            if death.left.fetch_sub(1, Ordering::SeqCst) == 1 {
                tracing::error!(?kind, "{FAULTS} ends this process here");
                std::process::abort();
            }
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        async fn two() -> Result<u8, Injected> {
            around(Change::Put, async { Ok::<_, Injected>(1) }).await?;
            around(Change::Commit, async { Ok(2) }).await
        }

        #[tokio::test]
        async fn a_run_stops_after_the_change_it_is_told_and_not_before() {
            for at in 1..=2 {
                let run = inject(Fault::StopAfter(at), two()).await;
                assert!(run.answer.is_none() && run.reached, "{run:?}");
                assert_eq!(run.changes.len(), at);
            }
            let run = inject(Fault::StopAfter(3), two()).await;
            assert!(!run.reached && matches!(run.answer, Some(Ok(2))), "{run:?}");
        }

        #[tokio::test]
        async fn a_refused_change_is_not_made_and_a_lost_answer_is_made() {
            let made = AtomicU64::new(0);
            let change =
                || around(Change::Put, async { Ok::<_, Injected>(made.fetch_add(1, Ordering::SeqCst)) });
            let refused =
                inject(Fault::Refuse(1), async { (change().await.is_err(), change().await.is_err()) }).await;
            assert_eq!(refused.answer, Some((true, true)), "and so are later ones of its kind");
            assert_eq!(made.load(Ordering::SeqCst), 0);
            let lost =
                inject(Fault::LoseAnswer(1), async { (change().await.is_err(), change().await.is_ok()) })
                    .await;
            assert_eq!((lost.answer, made.load(Ordering::SeqCst)), (Some((true, true)), 2));
        }

        #[test]
        fn the_environment_names_a_change_and_a_number() {
            assert!(Death::parse("any@40").is_some_and(|death| death.kind.is_none()));
            assert!(Death::parse("commit@1").is_some_and(|death| death.kind == Some(Change::Commit)));
            for wrong in ["", "commit", "commit@", "commit@0", "sleep@1"] {
                assert!(Death::parse(wrong).is_none(), "{wrong}");
            }
        }
    }
}
