//! The verbs of the product, one transaction each: HTTP and the worker both come through here.

mod abandon;
mod accounts;
mod broadcasts;
mod caches;
mod changes;
mod concat;
mod cost;
mod error;
mod finish;
mod fsck;
mod housekeeping;
mod ingest;
mod jobs;
mod lapse;
pub mod once;
mod posters;
mod processing;
mod pushes;
mod quota;
mod receive;
mod recent;
mod refused;
mod rename;
mod reprocess;
mod retire;
mod rights;
mod searchable;
mod secrets;
mod settle;
mod story;
mod uploads;
mod videos;

use std::time::Duration;

use crate::catalogue::Db;
pub use crate::catalogue::broadcast::Tenure;
pub use crate::catalogue::push_target::{Push, PushNote};
use crate::domain::Clock;
use crate::domain::cdn::PurgeHook;
use crate::storage::Storage;

pub use crate::catalogue::one_connection;
pub use accounts::{AccountDraft, KeyDraft, TopicDraft};
pub use broadcasts::{BroadcastDraft, BroadcastPlan};
pub use changes::Changes;
pub use error::Error;
pub use fsck::{Checked, Finding, Fsck, PARALLEL, PENDING, Pace};
pub use ingest::{Admission, Ingest, LiveForm, LiveRung, Owner, Recorded, Seam};
pub use jobs::Giving;
pub(crate) use jobs::{fence_of, next_missing, span};
pub use posters::{PosterOf, PosterStage};
pub use processing::{NewPack, RevisionId, truncated};
pub use pushes::TargetDraft;
pub use receive::{Checksum, ChecksumKind, Receiver};
pub use recent::{OfVideo, Passing, Recent};
pub(crate) use reprocess::is_unfit;
pub use reprocess::{Estimate, Reprocess};
pub(crate) use retire::pack_key;
pub use secrets::Secrets;
pub use story::{JobTale, RevisionTale, Story, UploadTale};
pub use uploads::{Incoming, PartUrl, Target};
pub(crate) use uploads::{source_key, unsigned};
pub use videos::{VideoChange, VideoDraft};

/// The bounds the verbs keep, each with its setting.
#[derive(Debug, Clone)]
pub struct Limits {
    /// Bytes one source may have.
    pub max_upload_bytes: u64,
    /// Bytes one uploaded poster may have.
    pub max_poster_bytes: u64,
    /// How long an upload may rest before it is abandoned.
    pub upload_ttl: Duration,
    /// How long a presigned part address is good.
    pub part_url_ttl: Duration,
    /// How long a signed playback address is good.
    pub token_ttl: Duration,
    /// How long a replaced revision plays on.
    pub revision_grace: Duration,
    /// Workers that may be lost with one job before the job counts as the cause.
    pub max_losses: u32,
    /// Until what workers without a lease still wrote has arrived in the bucket.
    pub late_writes: Duration,
    /// How long a node has to remove what an upload left before another one may try.
    pub sweep_retry: Duration,
    /// How long `why` can tell of finished jobs and abandoned uploads.
    pub keep_history: Duration,
    /// How long the answer to a request under an `Idempotency-Key` is given again.
    pub keep_answers: Duration,
    /// How long what was known lately is answered while the database is out of reach; `MOST_STALE` at most.
    pub stale_if_error: Duration,
    /// Broadcasts may be pushed on into the network around this machine.
    pub push_private: bool,
    /// Where caches in front of us are told to drop their copies.
    pub purge_hook: Option<PurgeHook>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_upload_bytes: 20 << 30,
            max_poster_bytes: 10 << 20,
            upload_ttl: Duration::from_hours(24),
            part_url_ttl: Duration::from_hours(1),
            token_ttl: Duration::from_hours(12),
            revision_grace: Duration::from_hours(1),
            max_losses: 20,
            late_writes: Duration::from_mins(1),
            sweep_retry: Duration::from_mins(1),
            keep_history: Duration::from_hours(720),
            keep_answers: Duration::from_hours(24),
            stale_if_error: Duration::from_mins(10),
            push_private: false,
            purge_hook: None,
        }
    }
}

/// Everything a verb needs; cheap to clone.
#[derive(Clone)]
pub struct Publishing {
    pub db: Db,
    pub storage: Storage,
    pub clock: Clock,
    pub limits: Limits,
    pub changes: Changes,
}
