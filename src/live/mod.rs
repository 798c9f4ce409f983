//! Live: encoders in by RTMP and SRT, LL-HLS out, and the recording.
//!
//! A stream's way: [`listen()`] and [`listen_srt()`] let an encoder in whose key is good; `session` cuts what it sends
//! into parts, tells them to the [`channel`] and hands closed segments to the `recorder`; [`rungs`] makes lower ones of
//! its pictures beside it; viewers ask the channel through `http::play`. `push_on` sends it on to further targets, beside
//! all that and never in its way. Where an encoder sends sound alone `stand_in` shows a picture; while one is away, `slate` may send in its place; whoever comes next goes on
//! after all that players were told (`takeover`).

mod audience;
mod backoff;
pub mod channel;
pub mod cut;
mod encoder;
pub mod frame;
mod gauges;
pub mod guests;
mod listen;
mod listen_srt;
mod meter;
pub mod mirror;
mod pass;
pub mod playlist;
mod push_on;
mod recall;
mod recorder;
pub mod rtmp;
#[cfg(test)]
mod rules;
pub mod rungs;
mod session;
mod slate;
pub mod srt;
mod stand_in;
mod takeover;
pub mod window;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::domain::secret::Keys;
use crate::domain::{BroadcastId, VideoId};
use crate::publishing::{Ingest, Owner, Publishing, Recent, Tenure};

use channel::{About, Channel};
pub use listen::run as listen;
pub use listen_srt::run as listen_srt;
pub use pass::NodePass;
use window::{News, Window};

/// How often broadcasts are looked at whose encoder or node was lost.
const LAPSE_EVERY: Duration = Duration::from_secs(1);
/// Before the first playlist says otherwise.
const FIRST_TARGET: u32 = 4;
/// About what the owner of a channel takes in memory.
const OWNER_BYTES: usize = 256;
/// How long players may still ask a channel that is over what comes next.
const FAREWELL: Duration = Duration::from_secs(10);
/// How long a viewer waits for another node's channel before the rows are played.
const MIRROR_PATIENCE: Duration = Duration::from_secs(3);

/// What a live node is told.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where other nodes reach this one.
    pub node: String,
    /// What all nodes share.
    pub keys: Keys,
    /// How long an owner may be silent before another encoder may take its channel.
    pub lease: Duration,
    /// How far back viewers may seek where the broadcast says nothing of it.
    pub dvr: Duration,
    /// Bytes of a recording that may wait for the bucket.
    pub buffer_bytes: u64,
    pub doors: guests::Limits,
    pub rtmp: rtmp::Limits,
    pub cut: cut::Settings,
    pub rungs: rungs::Settings,
}

impl Settings {
    /// How far back viewers may seek, in ticks: as far as the broadcast says, or else as everywhere. All that is listed
    /// is loaded by whoever comes, and again by players that know no delta playlists.
    pub fn window(&self, own: Option<Ticks>) -> Ticks {
        let seconds = Ticks::try_from(self.dvr.as_secs()).unwrap_or(Ticks::from(u32::MAX));
        own.unwrap_or(seconds.saturating_mul(TICKS_PER_SECOND))
    }
}

/// The live room; cheap to clone.
#[derive(Clone)]
pub struct Live {
    publishing: Publishing,
    settings: Arc<Settings>,
    channels: Arc<RwLock<HashMap<VideoId, Arc<Channel>>>>,
    /// Those whose encoder is gone and whose last words are still being said.
    leaving: Arc<Mutex<HashSet<VideoId>>>,
    /// Epochs of the encoders that send to this node, and when they last did.
    sending: Arc<Mutex<HashMap<BroadcastId, (i64, Instant)>>>,
    /// Who takes in the videos viewers ask for.
    owners: Arc<Recent<VideoId, Option<Owner>>>,
    guests: Arc<guests::Guests>,
    /// Asks other nodes.
    http: reqwest::Client,
    pub pass: NodePass,
    gauges: gauges::Gauges,
    tasks: TaskTracker,
    stop: CancellationToken,
}

impl Live {
    /// The room over these verbs; what it pulls from other nodes runs in `tasks` until `stop`.
    pub fn new(
        publishing: Publishing,
        settings: Settings,
        (tasks, stop): (TaskTracker, CancellationToken),
    ) -> Self {
        let pass = NodePass::new(settings.keys.clone(), publishing.clock.clone());
        let owners = Recent::new(&publishing, |_| OWNER_BYTES);
        Self {
            owners: Arc::new(owners),
            publishing,
            guests: guests::Guests::new(settings.doors.clone()),
            settings: Arc::new(settings),
            channels: Arc::default(),
            leaving: Arc::default(),
            sending: Arc::default(),
            http: reqwest::Client::new(),
            pass,
            gauges: gauges::Gauges::default(),
            tasks,
            stop,
        }
    }

    /// The running broadcast a video is watched at, where this node has it.
    pub fn find(&self, video: VideoId) -> Option<Arc<Channel>> {
        self.known(video).filter(|channel| !channel.is_over())
    }

    /// The one that was just over there: its players come back all at once, to be told so.
    pub fn find_over(&self, video: VideoId) -> Option<Arc<Channel>> {
        self.known(video).filter(|channel| channel.is_over())
    }

    fn known(&self, video: VideoId) -> Option<Arc<Channel>> {
        let channels = self.channels.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        channels.get(&video).cloned()
    }

    /// The same, pulled from the node that takes it in where that is another one; `None` where nothing runs.
    pub async fn find_anywhere(&self, video: VideoId) -> Option<Arc<Channel>> {
        if let Some(channel) = self.find(video) {
            return Some(channel);
        }
        let owner = self.owners.get(video, async || self.publishing.find_owner(video).await).await.ok()??;
        if owner.node == self.settings.node {
            return None;
        }
        let about = About { video, revision: owner.revision };
        let channel = self.mirror(about);
        channel.wait_until_playable(MIRROR_PATIENCE).await.then_some(channel)
    }

    fn mirror(&self, about: About) -> Arc<Channel> {
        let mut channels = self.channels.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(channel) = channels.get(&about.video).filter(|channel| !channel.is_over()) {
            return channel.clone();
        }
        let channel = Channel::new(about, Window::new(0, 0, None), FIRST_TARGET);
        channels.insert(about.video, channel.clone());
        drop(channels);
        self.follow(channel.clone());
        channel
    }

    /// Makes the channel what its owner's is, from now on.
    fn follow(&self, channel: Arc<Channel>) {
        if !channel.follow_once() {
            return;
        }
        let live = self.clone();
        self.tasks.spawn(async move {
            let ended = mirror::follow(&live, &channel, &live.stop).await;
            channel.unfollow();
            match ended {
                mirror::Ended::Over => live.settle(channel.about.video).await,
                mirror::Ended::Idle => live.forget(&channel),
                mirror::Ended::Owned => {}
            }
        });
    }

    fn forget(&self, channel: &Arc<Channel>) {
        let mut channels = self.channels.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        let video = channel.about.video;
        if channels.get(&video).is_some_and(|known| Arc::ptr_eq(known, channel)) {
            channels.remove(&video);
        }
    }

    /// The channel of an ingest: the one its viewers already wait at, or a new one.
    fn channel(&self, ingest: &Ingest, begin: impl FnOnce() -> Window) -> Arc<Channel> {
        let about = About { video: ingest.video.id, revision: ingest.revision };
        let mut channels = self.channels.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        match channels.get(&about.video) {
            Some(channel) if channel.about == about && !channel.is_over() => channel.clone(),
            _ => {
                let channel = Channel::new(about, begin(), FIRST_TARGET);
                channels.insert(about.video, channel.clone());
                channel
            }
        }
    }

    /// Lets the viewers of a broadcast go that has ended: from then on its rows are played. Those of one that goes on
    /// at another node stay, and hear what that one tells.
    async fn settle(&self, video: VideoId) {
        let Some(channel) = self.find(video) else { return };
        match self.publishing.find_owner(video).await {
            Ok(None) => self.let_go(channel),
            Ok(Some(owner)) if owner.node != self.settings.node => self.follow(channel),
            Ok(Some(_)) | Err(_) => {}
        }
    }

    fn let_go(&self, channel: Arc<Channel>) {
        channel.tell(News::Over, Bytes::new());
        let live = self.clone();
        self.tasks.spawn(async move {
            let _ = live.stop.run_until_cancelled(tokio::time::sleep(FAREWELL)).await;
            live.forget(&channel);
        });
    }

    /// Looks after broadcasts until told to stop: ends what waited long enough, and settles its viewers.
    pub async fn keep_house(self, stop: CancellationToken) {
        let mut changes = self.publishing.changes.follow();
        let mut round = tokio::time::interval(LAPSE_EVERY);
        // Whoever was cut off from the database was hardly alone: the others renew what they hold first.
        let mut was_cut_off = false;
        loop {
            let settled = tokio::select! {
                () = stop.cancelled() => return,
                _ = round.tick() => None,
                change = changes.recv() => change.ok().flatten(),
            };
            if let Some(video) = settled {
                self.settle(video).await;
                continue;
            }
            if was_cut_off {
                was_cut_off = self.publishing.db.read().await.is_err();
                round.reset_after(if was_cut_off { LAPSE_EVERY } else { self.settings.lease });
                continue;
            }
            let asked = Instant::now();
            let lapsed =
                self.publishing.lapse_broadcasts(LAPSE_EVERY, |tenure| self.is_sending(tenure)).await;
            was_cut_off = lapsed.is_err() || asked.elapsed() > LAPSE_EVERY;
            if let Err(error) = lapsed {
                tracing::warn!(%error, "broadcasts could not be looked after");
            }
            for video in self.videos() {
                self.settle(video).await;
            }
        }
    }

    /// Media of this owner's encoder came a moment ago.
    fn is_sending(&self, tenure: Tenure) -> bool {
        let last = channel::lock(&self.sending).get(&tenure.id).copied();
        last.is_some_and(|(epoch, last)| epoch == tenure.epoch && last.elapsed() < self.settings.lease * 2)
    }

    fn note_sending(&self, tenure: Tenure, last: Instant) {
        channel::lock(&self.sending).insert(tenure.id, (tenure.epoch, last));
    }

    fn forget_sending(&self, tenure: Tenure) {
        channel::lock(&self.sending).retain(|id, (epoch, _)| *id != tenure.id || *epoch != tenure.epoch);
    }

    /// Until the guard is dropped the video's channel is about to be free.
    fn leave(&self, video: VideoId) -> Leaving {
        channel::lock(&self.leaving).insert(video);
        Leaving(self.leaving.clone(), video)
    }

    fn is_leaving(&self, video: VideoId) -> bool {
        channel::lock(&self.leaving).contains(&video)
    }

    fn videos(&self) -> Vec<VideoId> {
        let channels = self.channels.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        channels.keys().copied().collect()
    }
}

/// A channel whose encoder is gone, while its last words are said.
struct Leaving(Arc<Mutex<HashSet<VideoId>>>, VideoId);

impl Drop for Leaving {
    fn drop(&mut self) {
        channel::lock(&self.0).remove(&self.1);
    }
}
