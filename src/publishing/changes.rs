//! News of what the verbs did: which video changed, and that work waits. At once inside the process and, over one
//! PostgreSQL, on every other node; whoever waits for news also looks now and then, so none need arrive.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use moka::policy::EvictionPolicy;
use moka::sync::Cache;
use tokio::sync::broadcast::error::TryRecvError;
use tokio::sync::futures::Notified;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;

use crate::catalogue::news::{self, Listener, News, Node};
use crate::catalogue::{self, Db};
use crate::domain::VideoId;

/// News kept for a slow listener; one that misses some looks again, so the number only bounds memory.
const BACKLOG: usize = 1024;
/// Videos whose last change is remembered one by one: a million may be told of in a row.
const REMEMBERED: u64 = 10_000;
/// The pause before listening again; without it a database that is away would be asked without end.
const PAUSE: Duration = Duration::from_secs(1);

/// Where verbs tell what they did; cheap to clone.
#[derive(Debug, Clone)]
pub struct Changes {
    node: Node,
    videos: broadcast::Sender<Option<VideoId>>,
    /// What this node told, for the others; nobody's where no one passes it on.
    own: broadcast::Sender<News>,
    work: Arc<Notify>,
    keys: Arc<Notify>,
    count: Arc<AtomicU64>,
    /// The count at the last change of each video; `None`: of any.
    latest: Cache<Option<VideoId>, u64>,
    /// The highest count that had to be forgotten.
    forgotten: Arc<AtomicU64>,
}

impl Default for Changes {
    fn default() -> Self {
        let forgotten = Arc::new(AtomicU64::new(0));
        let highest = forgotten.clone();
        let latest = Cache::builder().max_capacity(REMEMBERED).eviction_policy(EvictionPolicy::lru());
        let latest = latest.eviction_listener(move |_, count, cause| {
            if cause.was_evicted() {
                highest.fetch_max(count, Ordering::Release);
            }
        });
        Self {
            node: Node::new(),
            videos: broadcast::channel(BACKLOG).0,
            own: broadcast::channel(BACKLOG).0,
            work: Arc::default(),
            keys: Arc::default(),
            count: Arc::default(),
            latest: latest.build(),
            forgotten,
        }
    }
}

impl Changes {
    /// A video changed, and perhaps there is work now.
    pub fn tell(&self, video: VideoId) {
        self.tell_all(News::Video(video));
    }

    /// Work on a video has come further; nobody has more to do for that.
    pub fn tell_progress(&self, video: VideoId) {
        self.announce(Some(video));
        let _ = self.own.send(News::Video(video));
    }

    /// How much was told so far: what was read at another count may have changed.
    pub fn count(&self) -> u64 {
        self.count.load(Ordering::Acquire)
    }

    /// The video has not changed since so much was told, as far as this node knows.
    pub fn is_quiet(&self, video: VideoId, since: u64) -> bool {
        let known =
            [Some(video), None].iter().all(|of| self.latest.get(of).is_none_or(|count| count <= since));
        known && self.forgotten.load(Ordering::Acquire) <= since
    }

    /// There is work now.
    pub fn tell_work(&self) {
        self.tell_all(News::Work);
    }

    /// A key was revoked.
    pub fn tell_keys(&self) {
        self.tell_all(News::Keys);
    }

    fn tell_all(&self, news: News) {
        self.hear(news);
        let _ = self.own.send(news);
    }

    fn hear(&self, news: News) {
        match news {
            News::Video(id) => self.announce(Some(id)),
            News::Missed => self.announce(None),
            News::Work | News::Keys => {}
        }
        if matches!(news, News::Keys | News::Missed) {
            self.keys.notify_waiters();
        }
        self.wake();
    }

    fn announce(&self, video: Option<VideoId>) {
        let before = self.count.fetch_add(1, Ordering::Release);
        self.latest.insert(video, before + 1);
        // Nobody listening is no fault.
        let _ = self.videos.send(video);
    }

    /// Follows the changes of all videos; `None`: any may have changed.
    pub fn follow(&self) -> broadcast::Receiver<Option<VideoId>> {
        self.videos.subscribe()
    }

    /// Wakes one of those who wait for work, or the next that would. Whoever finds some wakes another: as many wake as
    /// there is work, and one more.
    pub fn wake(&self) {
        self.work.notify_one();
    }

    /// Waits until a key may have been revoked, from this call on.
    pub fn keys(&self) -> Notified<'_> {
        self.keys.notified()
    }

    /// Waits until there may be work.
    pub async fn work(&self) {
        self.work.notified().await;
    }

    /// Tells the other nodes and hears them, until told to stop; what was told before that still goes out.
    pub async fn run(&self, db: &Db, shutdown: &CancellationToken) {
        tokio::join!(self.pass_on(db, shutdown), async {
            tokio::select! {
                () = self.hear_others(db) => {}
                () = shutdown.cancelled() => {}
            }
        });
    }

    /// Tells the other nodes what this one told, until told to stop.
    pub async fn pass_on(&self, db: &Db, shutdown: &CancellationToken) {
        let mut own = self.own.subscribe();
        let mut stopping = false;
        while !stopping {
            // In a set: a video of which much is told while the database answers is told of once.
            let mut waiting = BTreeSet::new();
            tokio::select! {
                told = own.recv() => { waiting.insert(told.unwrap_or(News::Missed)); }
                () = shutdown.cancelled() => stopping = true,
            }
            while let Some(news) = next_waiting(&mut own) {
                waiting.insert(news);
            }
            if let Err(error) = news::tell(db, self.node, &waiting).await {
                tracing::warn!(error = %error, cause = ?std::error::Error::source(&error), "other nodes were not told; they find out by looking");
            }
        }
    }

    async fn hear_others(&self, db: &Db) {
        while let Err(error) = self.listen(db).await {
            tracing::warn!(error = %error, cause = ?std::error::Error::source(&error), "other nodes can't be heard; listening again soon");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Ends without an error only where there are no other nodes.
    async fn listen(&self, db: &Db) -> Result<(), catalogue::Error> {
        let Some(mut listener) = Listener::open(db, self.node).await? else { return Ok(()) };
        // Nobody heard what was told before.
        self.hear(News::Missed);
        loop {
            self.hear(listener.next().await?);
        }
    }
}

fn next_waiting(own: &mut broadcast::Receiver<News>) -> Option<News> {
    match own.try_recv() {
        Ok(news) => Some(news),
        Err(TryRecvError::Lagged(_)) => Some(News::Missed),
        Err(TryRecvError::Empty | TryRecvError::Closed) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_videos_change_one_that_changed_is_not_taken_for_quiet() {
        let changes = Changes::default();
        let (video, before) = (VideoId::new(), changes.count());
        changes.tell(video);
        for _ in 0..REMEMBERED * 2 {
            changes.tell(VideoId::new());
        }
        changes.latest.run_pending_tasks();
        assert!(changes.latest.entry_count() <= REMEMBERED);
        assert!(!changes.is_quiet(video, before));
        assert!(changes.is_quiet(video, changes.count()));
    }

    #[test]
    fn what_changed_twice_disturbs_nothing_else() {
        let changes = Changes::default();
        let (video, before) = (VideoId::new(), changes.count());
        let other = VideoId::new();
        changes.tell(other);
        changes.tell(other);
        changes.latest.run_pending_tasks();
        assert!(changes.is_quiet(video, before) && !changes.is_quiet(other, before));
    }
}
