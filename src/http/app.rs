//! What every handler is given.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use tokio_util::task::TaskTracker;

use super::buffers::UploadBuffers;
use super::events::Told;
use super::play::cache::SegmentCache;
use super::play::revision::Shown;
use super::play::token::Tokens;
use super::rate::{RateLimits, Rates};
use super::writers::Writers;
use crate::catalogue::Read;
use crate::catalogue::video::Video;
use crate::domain::VideoId;
use crate::domain::secret::Keys;
use crate::domain::site::Site;
use crate::live::Live;
use crate::publishing::{Error, Publishing, Recent};

/// What the HTTP room is told at start.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The address under which browsers reach us, without a slash at its end.
    pub public_url: String,
    /// Sign playback tokens; the same on every node.
    pub token_keys: Keys,
    /// How long a signed playback address is good.
    pub token_ttl: Duration,
    /// How long a node that answers a request under an `Idempotency-Key` may be silent before it is taken for dead.
    pub lease: Duration,
    /// How long a request's body may say nothing.
    pub body_idle_timeout: Duration,
    /// Memory for the unfinished parts of uploads.
    pub upload_buffer_bytes: u64,
    /// How often who may ask.
    pub rates: RateLimits,
    /// A CDN in front of the bucket; public media is redirected there.
    pub cdn_url: Option<String>,
    /// Memory for media that is asked for often.
    pub cache_bytes: u64,
    /// Where encoders send to.
    pub ingest: Ingest,
    /// How the pages present themselves.
    pub site: Site,
}

/// The addresses of the doors for encoders; `None` where a door is shut.
#[derive(Debug, Clone, Default)]
pub struct Ingest {
    pub rtmp_url: Option<String>,
    pub rtmps_url: Option<String>,
    pub srt_url: Option<String>,
}

/// The state of the router. axum clones it several times for each request, which therefore must cost nothing.
#[derive(Clone)]
pub struct App(Arc<Rooms>);

/// The other rooms, and what this one needs to answer for them.
pub struct Rooms {
    pub publishing: Publishing,
    pub settings: Settings,
    pub tokens: Tokens,
    pub cache: SegmentCache,
    pub writers: Writers,
    pub(super) buffers: UploadBuffers,
    pub(super) rates: Rates,
    pub live: Live,
    pub(super) recent: Recents,
    /// Owns what must end well although its client hung up.
    pub tasks: TaskTracker,
}

/// What all viewers of a video ask for at the same moment.
pub(super) struct Recents {
    pub videos: Recent<VideoId, Arc<Video>>,
    /// A revision, or what it has of one rung.
    pub revisions: Recent<(VideoId, u32, Option<String>), Arc<Shown>>,
    /// The event that tells a public video.
    pub events: Recent<VideoId, Arc<Told>>,
}

impl Recents {
    fn new(publishing: &Publishing) -> Self {
        Self {
            videos: Recent::new(publishing, |video| video.bytes()),
            revisions: Recent::new(publishing, |shown| shown.bytes()),
            events: Recent::new(publishing, |told| told.bytes()),
        }
    }
}

impl Deref for App {
    type Target = Rooms;

    fn deref(&self) -> &Rooms {
        &self.0
    }
}

impl App {
    /// The state over these rooms; `tasks` is waited for at shutdown.
    pub fn new(publishing: Publishing, live: Live, settings: Settings, tasks: TaskTracker) -> Self {
        Self(Arc::new(Rooms {
            tokens: Tokens::new(settings.token_keys.clone(), settings.token_ttl, publishing.clock.clone()),
            cache: SegmentCache::new(publishing.storage.clone(), settings.cache_bytes),
            writers: Writers::default(),
            buffers: UploadBuffers::new(settings.upload_buffer_bytes),
            rates: Rates::new(&settings.rates),
            live,
            recent: Recents::new(&publishing),
            settings,
            publishing,
            tasks,
        }))
    }

    /// A connection for questions.
    pub(super) async fn read(&self) -> Result<Read, Error> {
        Ok(self.publishing.db.read().await?)
    }

    /// An absolute address of ours.
    pub(super) fn url(&self, path: &str) -> String {
        format!("{}{path}", self.settings.public_url)
    }
}
