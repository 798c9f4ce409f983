//! What many ask for at the same moment, read once; and what was known last, while the database is away.

use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use moka::future::Cache;
use tokio::time::{Instant, timeout};

use super::{Changes, Error, Publishing};
use crate::domain::VideoId;

/// What another node changed may be news this long.
const FRESH: Duration = Duration::from_secs(1);
/// A database that takes longer is out of reach to whoever has an older answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// The pause before it is asked again.
const AGAIN: Duration = Duration::from_secs(3);
/// What all answers of one kind may take.
const MOST_BYTES: u64 = 16 << 20;

/// Answers that hold until there is any news, and for a second at most: a verb this node has carried out is seen by
/// every question after it. Where the database is out of reach the last answer holds on (`stale-if-error`, RFC 5861),
/// unless the video has changed since.
pub struct Recent<K, V> {
    changes: Changes,
    stale_if_error: Duration,
    answers: Cache<(K, u64), V>,
    /// The last answers, for as long as somebody looks at them.
    last: Cache<K, Known<V>>,
    /// Who has an older answer does not ask before.
    next: Mutex<Instant>,
}

/// An answer, how much had been told when it was asked for, and when that was.
#[derive(Debug, Clone)]
struct Known<V> {
    value: V,
    count: u64,
    since: Instant,
}

/// What is asked for belongs to a video.
pub trait OfVideo {
    fn video(&self) -> VideoId;
}

/// An error that may be gone a moment later.
pub trait Passing {
    /// What is needed for an answer is out of reach now.
    fn is_unavailable(&self) -> bool;
}

impl<K, V> Recent<K, V>
where
    K: OfVideo + Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Answers of which `bytes_of` tells how large they are.
    pub fn new(publishing: &Publishing, bytes_of: fn(&V) -> usize) -> Self {
        Self::over(publishing.changes.clone(), publishing.limits.stale_if_error, bytes_of)
    }

    fn over(changes: Changes, stale_if_error: Duration, bytes_of: fn(&V) -> usize) -> Self {
        let weight = move |value: &V| u32::try_from(bytes_of(value)).unwrap_or(u32::MAX);
        let answers = Cache::builder().weigher(move |_, value| weight(value));
        let last = Cache::builder().weigher(move |_, known: &Known<V>| weight(&known.value));
        Self {
            changes,
            stale_if_error,
            answers: answers.max_capacity(MOST_BYTES).time_to_live(FRESH).build(),
            last: last.max_capacity(MOST_BYTES).time_to_idle(stale_if_error).build(),
            next: Mutex::new(Instant::now()),
        }
    }

    /// The answer, which `ask` gives where nobody else is asking already. An error is not kept.
    pub async fn get<E>(&self, key: K, ask: impl AsyncFnOnce() -> Result<V, E>) -> Result<V, Arc<E>>
    where
        E: Passing + Send + Sync + 'static,
    {
        let now = (key, self.changes.count());
        match self.answers.get(&now).await {
            Some(answer) => Ok(answer),
            // On the heap: thousands of players wait for what comes after this, and need none of it.
            None => Box::pin(self.look(now, ask)).await,
        }
    }

    async fn look<E>(&self, now: (K, u64), ask: impl AsyncFnOnce() -> Result<V, E>) -> Result<V, Arc<E>>
    where
        E: Passing + Send + Sync + 'static,
    {
        let (key, count) = now.clone();
        let holds = |known: &Known<V>| {
            known.since.elapsed() < self.stale_if_error && self.changes.is_quiet(key.video(), known.count)
        };
        let known = self.last.get(&key).await.filter(holds);
        // Made only by the one who asks: it is large, and thousands may wait with him.
        let ask = async { Box::pin(self.ask((&key, count), ask)).await };
        let asked = self.answers.try_get_with(now, ask);
        let Some(known) = known else { return asked.await };
        if Instant::now() < *self.next() {
            return Ok(known.value);
        }
        match timeout(PATIENCE, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if !error.is_unavailable() => Err(error),
            Ok(Err(_)) | Err(_) => {
                *self.next() = Instant::now() + AGAIN;
                Ok(known.value)
            }
        }
    }

    /// The last answer, however old: good for what never changes.
    pub async fn last(&self, key: &K) -> Option<V> {
        Some(self.last.get(key).await?.value)
    }

    async fn ask<E: Passing>(
        &self,
        (key, count): (&K, u64),
        ask: impl AsyncFnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        let since = Instant::now();
        let answer = ask().await;
        match &answer {
            Ok(value) => {
                self.last.insert(key.clone(), Known { value: value.clone(), count, since }).await;
            }
            Err(error) if error.is_unavailable() => {}
            // It is gone: nothing is known of it any more.
            Err(_) => self.last.invalidate(key).await,
        }
        answer
    }

    fn next(&self) -> MutexGuard<'_, Instant> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl OfVideo for VideoId {
    fn video(&self) -> VideoId {
        *self
    }
}

impl<A, B> OfVideo for (VideoId, A, B) {
    fn video(&self) -> VideoId {
        self.0
    }
}

impl Passing for Error {
    fn is_unavailable(&self) -> bool {
        self.is_unavailable()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[derive(Debug, Clone, Copy, PartialEq)]
    enum Trouble {
        Away,
        Gone,
    }

    impl Passing for Trouble {
        fn is_unavailable(&self) -> bool {
            *self == Self::Away
        }
    }

    type Answer = Result<u32, Arc<Trouble>>;

    fn recent(stale_if_error: Duration) -> (Changes, Recent<VideoId, u32>) {
        let changes = Changes::default();
        (changes.clone(), Recent::over(changes, stale_if_error, |_| 1))
    }

    async fn get(recent: &Recent<VideoId, u32>, id: VideoId, answer: Result<u32, Trouble>) -> Answer {
        recent.get(id, async || answer).await
    }

    #[tokio::test]
    async fn many_ask_once_and_after_news_again() {
        let (changes, recent) = recent(Duration::ZERO);
        let (one, other) = (VideoId::new(), VideoId::new());
        let asked = AtomicU32::new(0);
        let ask = async || {
            tokio::task::yield_now().await;
            Ok::<_, Trouble>(asked.fetch_add(1, Ordering::Relaxed))
        };
        assert_eq!(tokio::join!(recent.get(one, ask), recent.get(one, ask)), (Ok(0), Ok(0)));
        assert_eq!(recent.get(other, ask).await, Ok(1));
        changes.tell(VideoId::new());
        assert_eq!(recent.get(one, ask).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let (_, recent) = recent(Duration::ZERO);
        let id = VideoId::new();
        assert_eq!(get(&recent, id, Err(Trouble::Away)).await, Err(Arc::new(Trouble::Away)));
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
    }

    #[tokio::test]
    async fn the_last_answer_holds_on_while_the_database_is_away() {
        let (changes, recent) = recent(Duration::from_mins(1));
        let (id, other) = (VideoId::new(), VideoId::new());
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
        // News of another video: the answer is not a fresh one any more.
        changes.tell(other);
        assert_eq!(get(&recent, id, Err(Trouble::Away)).await, Ok(5));
        assert!(get(&recent, other, Err(Trouble::Away)).await.is_err(), "nothing is known of it");
        // Of this one: it may be withdrawn.
        changes.tell(id);
        assert!(get(&recent, id, Err(Trouble::Away)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_waited_for_once_and_asked_again_later() {
        let (changes, recent) = recent(Duration::from_mins(1));
        let id = VideoId::new();
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
        let hang = async || -> Result<u32, Trouble> { std::future::pending().await };
        let began = Instant::now();
        for _ in 0..3 {
            changes.tell(VideoId::new());
            assert_eq!(recent.get(id, hang).await, Ok(5));
        }
        assert_eq!(began.elapsed(), PATIENCE);
        tokio::time::advance(AGAIN).await;
        assert_eq!(get(&recent, id, Ok(6)).await, Ok(6));
    }

    #[tokio::test(start_paused = true)]
    async fn an_old_answer_is_good_only_for_what_never_changes() {
        let (_, recent) = recent(Duration::from_mins(1));
        let id = VideoId::new();
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
        recent.answers.invalidate_all();
        tokio::time::advance(Duration::from_secs(59)).await;
        assert_eq!(get(&recent, id, Err(Trouble::Away)).await, Ok(5));
        tokio::time::advance(Duration::from_secs(1)).await;
        assert!(get(&recent, id, Err(Trouble::Away)).await.is_err());
        assert_eq!(recent.last(&id).await, Some(5));
    }

    #[tokio::test]
    async fn what_is_gone_is_known_no_more() {
        let (changes, recent) = recent(Duration::from_mins(1));
        let id = VideoId::new();
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
        changes.tell(VideoId::new());
        assert_eq!(get(&recent, id, Err(Trouble::Gone)).await, Err(Arc::new(Trouble::Gone)));
        changes.tell(VideoId::new());
        assert_eq!(get(&recent, id, Err(Trouble::Away)).await, Err(Arc::new(Trouble::Away)));
    }

    #[tokio::test]
    async fn nothing_older_is_told_where_nobody_wants_that() {
        let (changes, recent) = recent(Duration::ZERO);
        let id = VideoId::new();
        assert_eq!(get(&recent, id, Ok(5)).await, Ok(5));
        changes.tell(VideoId::new());
        assert!(get(&recent, id, Err(Trouble::Away)).await.is_err());
    }
}
