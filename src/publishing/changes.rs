//! News inside one process: which video changed, and that work waits. Other nodes find out by polling.

use std::sync::Arc;

use tokio::sync::{Notify, broadcast};

use crate::domain::VideoId;

/// News kept for a slow listener; one that misses some looks again, so the number only bounds memory.
const BACKLOG: usize = 1024;

/// Where verbs tell what they did; cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    videos: broadcast::Sender<VideoId>,
    work: Arc<Notify>,
}

impl Default for Changes {
    fn default() -> Self {
        Self { videos: broadcast::channel(BACKLOG).0, work: Arc::new(Notify::new()) }
    }
}

impl Changes {
    /// A video changed, and perhaps there is work now.
    pub fn tell(&self, video: VideoId) {
        self.tell_progress(video);
        self.tell_work();
    }

    /// Work on a video has come further.
    pub fn tell_progress(&self, video: VideoId) {
        // Nobody listening is no fault.
        let _ = self.videos.send(video);
    }

    /// There is work now.
    pub fn tell_work(&self) {
        self.work.notify_waiters();
    }

    /// Follows the changes of all videos.
    pub fn follow(&self) -> broadcast::Receiver<VideoId> {
        self.videos.subscribe()
    }

    /// Waits until somebody asks for work.
    pub async fn work(&self) {
        self.work.notified().await;
    }
}
