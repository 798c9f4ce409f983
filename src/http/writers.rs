//! Who is writing which upload on this node, so that a client that comes back need not wait for its dead connection.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use crate::domain::UploadId;

/// How long a writer may take to put away what it has; then the fence decides.
const PATIENCE: Duration = Duration::from_secs(10);

/// The uploads that are being written; cheap to clone.
#[derive(Clone, Default)]
pub struct Writers(Arc<Mutex<HashMap<UploadId, Arc<Ends>>>>);

#[derive(Default)]
struct Ends {
    /// The writer is asked to stop.
    stop: CancellationToken,
    /// It has.
    gone: CancellationToken,
}

/// A writer's time; over when dropped.
pub struct Turn {
    writers: Writers,
    id: UploadId,
    ends: Arc<Ends>,
}

impl Writers {
    /// Asks whoever writes this upload to keep what came and stop, and waits for it.
    pub async fn interrupt(&self, id: UploadId) {
        let Some(ends) = self.find(id) else { return };
        ends.stop.cancel();
        // One that does not end is fenced off by the next.
        let _ = timeout(PATIENCE, ends.gone.cancelled()).await;
    }

    /// Begins to write.
    pub fn enter(&self, id: UploadId) -> Turn {
        let ends = Arc::new(Ends::default());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, ends.clone());
        Turn { writers: self.clone(), id, ends }
    }

    fn find(&self, id: UploadId) -> Option<Arc<Ends>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }
}

impl Turn {
    /// Returns once somebody wants to take over.
    pub async fn over(&self) {
        self.ends.stop.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut writers = self.writers.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Whoever came after has the entry now.
        if writers.get(&self.id).is_some_and(|ends| Arc::ptr_eq(ends, &self.ends)) {
            writers.remove(&self.id);
        }
        self.ends.gone.cancel();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn whoever_comes_back_waits_until_the_one_before_has_put_everything_away() {
        let (writers, id) = (Writers::default(), UploadId::new());
        let turn = writers.enter(id);
        let put_away = async {
            turn.over().await;
            drop(turn);
        };
        tokio::join!(writers.interrupt(id), put_away);
        assert!(writers.find(id).is_none());
    }

    #[tokio::test]
    async fn an_older_turn_does_not_end_the_newer_one() {
        let (writers, id) = (Writers::default(), UploadId::new());
        let older = writers.enter(id);
        let newer = writers.enter(id);
        drop(older);
        assert!(writers.find(id).is_some());
        drop(newer);
        assert!(writers.find(id).is_none());
    }
}
