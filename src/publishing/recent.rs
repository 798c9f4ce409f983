//! What many ask for at the same moment, read once.

use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;

use super::Changes;

/// What another node changed may be news this long.
const FRESH: Duration = Duration::from_secs(1);

/// Answers that hold until there is any news, and for a second at most: a verb this node has carried out is seen by
/// every question after it.
pub struct Recent<K, V> {
    changes: Changes,
    answers: Cache<(K, u64), V>,
}

impl<K, V> Recent<K, V>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Holds at most so many answers.
    pub fn new(changes: Changes, most: u64) -> Self {
        Self { changes, answers: Cache::builder().max_capacity(most).time_to_live(FRESH).build() }
    }

    /// The answer, which `ask` gives where nobody else is asking already. An error is not kept.
    pub async fn get<E>(&self, key: K, ask: impl AsyncFnOnce() -> Result<V, E>) -> Result<V, Arc<E>>
    where
        E: Send + Sync + 'static,
    {
        let key = (key, self.changes.count());
        match self.answers.get(&key).await {
            Some(answer) => Ok(answer),
            None => self.answers.try_get_with(key, Box::pin(ask())).await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::domain::VideoId;

    #[tokio::test]
    async fn many_ask_once_and_after_news_again() {
        let changes = Changes::default();
        let recent = Recent::new(changes.clone(), 10);
        let asked = AtomicU32::new(0);
        let ask = async || {
            tokio::task::yield_now().await;
            Ok::<_, ()>(asked.fetch_add(1, Ordering::Relaxed))
        };
        assert_eq!(tokio::join!(recent.get(1, ask), recent.get(1, ask)), (Ok(0), Ok(0)));
        assert_eq!(recent.get(2, ask).await, Ok(1));
        changes.tell(VideoId::new());
        assert_eq!(recent.get(1, ask).await, Ok(2));
    }

    #[tokio::test]
    async fn a_failure_is_not_kept() {
        let recent = Recent::new(Changes::default(), 10);
        assert!(recent.get(1, async || Err::<u32, _>("the database is away")).await.is_err());
        assert_eq!(recent.get(1, async || Ok::<_, ()>(5)).await, Ok(5));
    }
}
