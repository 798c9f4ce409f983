//! Memory for the unfinished parts of uploads: where it gets scarce, those who are silent make room.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// How long an upload may be silent once memory is scarce.
const SILENCE: Duration = Duration::from_secs(5);

/// What all uploads of this node hold together; cheap to clone.
#[derive(Clone)]
pub(super) struct UploadBuffers(Arc<Inner>);

struct Inner {
    held: AtomicU64,
    most: u64,
    is_scarce: watch::Sender<bool>,
}

/// What one upload holds; given back when dropped.
pub(super) struct Held {
    buffers: UploadBuffers,
    bytes: u64,
    /// Its last bytes came then.
    since: Instant,
}

impl UploadBuffers {
    /// So many bytes in all.
    pub fn new(most: u64) -> Self {
        let is_scarce = watch::Sender::new(false);
        Self(Arc::new(Inner { held: AtomicU64::new(0), most, is_scarce }))
    }

    /// A new upload, which holds nothing yet; `None` where there is no memory for one.
    pub fn enter(&self) -> Option<Held> {
        let has_room = self.0.held.load(Ordering::Relaxed) < self.0.most;
        has_room.then(|| Held { buffers: self.clone(), bytes: 0, since: Instant::now() })
    }

    fn change(&self, from: u64, to: u64) {
        let inner = &self.0;
        let before = inner.held.fetch_add(to.wrapping_sub(from), Ordering::Relaxed);
        let is_scarce = before.wrapping_add(to).wrapping_sub(from) > inner.most / 2;
        inner.is_scarce.send_if_modified(|scarce| std::mem::replace(scarce, is_scarce) != is_scarce);
    }
}

impl Held {
    /// It got bytes, and holds so many now.
    pub fn set(&mut self, bytes: u64) {
        self.buffers.change(self.bytes, bytes);
        (self.bytes, self.since) = (bytes, Instant::now());
    }

    /// Returns once memory is scarce and this upload has been silent for too long for that.
    pub async fn is_wanted(&self) {
        let mut is_scarce = self.buffers.0.is_scarce.subscribe();
        // The sender lives as long as this.
        let _ = is_scarce.wait_for(|scarce| *scarce).await;
        sleep_until(self.since + SILENCE).await;
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.buffers.change(self.bytes, 0);
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn where_memory_is_scarce_who_is_silent_makes_room_and_nobody_else() {
        let buffers = UploadBuffers::new(100);
        let (mut silent, mut other) = (buffers.enter().expect("room"), buffers.enter().expect("room"));
        silent.set(40);
        assert!(timeout(SILENCE * 10, silent.is_wanted()).await.is_err(), "there is enough");
        other.set(40);
        let begun = Instant::now();
        silent.is_wanted().await;
        assert_eq!(begun.elapsed(), Duration::ZERO);
        assert!(timeout(SILENCE / 2, other.is_wanted()).await.is_err(), "it has only just sent something");
        drop(silent);
        assert!(timeout(SILENCE * 10, other.is_wanted()).await.is_err(), "there is enough again");
    }

    #[test]
    fn where_there_is_no_memory_nobody_begins() {
        let buffers = UploadBuffers::new(100);
        let mut greedy = buffers.enter().expect("room");
        greedy.set(100);
        assert!(buffers.enter().is_none());
        drop(greedy);
        assert!(buffers.enter().is_some());
    }
}
