//! What a verb may refuse, each variant one sentence for the person who asked.

use std::time::Duration;

use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::video::{TextError, VideoState};
use crate::{catalogue, storage};

/// Why a verb was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Catalogue(#[from] catalogue::Error),
    #[error(transparent)]
    Storage(#[from] storage::Error),
    #[error(transparent)]
    Text(#[from] TextError),
    #[error("there is no account {0}")]
    UnknownAccount(Handle),
    #[error("there is no topic {0}")]
    UnknownTopic(Slug),
    #[error("there is no such {0}")]
    NotFound(&'static str),
    #[error("the key may not do this: it needs {0}")]
    Forbidden(&'static str),
    #[error("the key is wrong or revoked")]
    KeyRevoked,
    #[error("it was changed since: its version is {actual}")]
    Version { actual: i64 },
    #[error("handle {0} is taken")]
    HandleTaken(Handle),
    #[error("topic {0} is there already")]
    SlugTaken(Slug),
    #[error("account {0} can't be above itself")]
    ParentCycle(Handle),
    #[error("a video that is {from} can't be {to}")]
    Move { from: VideoState, to: VideoState },
    #[error("{}", nothing_to_play(*.0))]
    NoMedia(MediaState),
    #[error("offset is {offset}, expected {expected}")]
    Offset { offset: u64, expected: u64 },
    #[error("source has {size} bytes, at most {most} are allowed")]
    TooLarge { size: u64, most: u64 },
    #[error("picture has more than the {most} bytes allowed")]
    PosterTooLarge { most: u64 },
    #[error("account may keep {quota} bytes, it has {stored} and this source has {size}")]
    Quota { quota: u64, stored: u64, size: u64 },
    #[error("more bytes than the declared {length}")]
    PastLength { length: u64 },
    #[error("length was declared as {length} before")]
    LengthKnown { length: u64 },
    #[error("{kind} checksum of these bytes is {actual}, expected {expected}")]
    Checksum { kind: &'static str, actual: String, expected: String },
    #[error("part {number} is missing")]
    PartMissing { number: u32 },
    #[error("part {number} has {size} bytes, expected {expected}")]
    PartSize { number: u32, size: u64, expected: u64 },
    #[error("part numbers go from 1 to {most}, got {number}")]
    PartNumber { number: u32, most: u64 },
    #[error("upload has {received} of {length} bytes")]
    Unfinished { received: u64, length: u64 },
    #[error("upload is finished")]
    UploadFinished,
    #[error("upload is over: {0}")]
    UploadGone(&'static str),
    #[error("upload was begun through another door: {0}")]
    WrongDoor(&'static str),
    #[error("another request has taken this upload over")]
    TakenOver,
    #[error("this is the last operator's key: issue another before it is revoked")]
    LastOperator,
    #[error("video has no source yet")]
    NoSource,
    #[error("revision {0} can't be played")]
    RevisionGone(u32),
    #[error("a job of the video is still running")]
    StillWorking,
    #[error("lease of the job is lost")]
    LeaseLost,
    #[error("job is {0}, only a dead or cancelled one can be tried again")]
    JobState(crate::domain::job::JobState),
    #[error("there is no broadcast with this stream key")]
    StreamKey,
    #[error("the broadcast is over")]
    BroadcastOver,
    #[error("another encoder is sending to this broadcast")]
    ChannelTaken,
    #[error("another encoder has taken this broadcast over, or it is over")]
    ChannelLost,
    #[error("a broadcast has at most {most} targets")]
    TooManyTargets { most: usize },
    #[error("the broadcast has this target already")]
    TargetTaken,
    #[error("address of the target is inside a private network, where this server pushes nothing to")]
    TargetPrivate,
    #[error("{field} is out of bounds: {}", bounds(*.least, *.most))]
    Span { field: &'static str, least: Duration, most: Option<Duration> },
    #[error("secret in the database can't be read")]
    Secret(#[source] serde_json::Error),
    #[error("another attempt of the same request has made it")]
    MadeAlready,
    #[error("client went away")]
    ClientGone,
}

impl Error {
    /// A dependency is out of reach now: the same request may succeed later.
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Catalogue(error) => error.is_unavailable(),
            Self::Storage(error) => error.is_unavailable(),
            _ => false,
        }
    }

    /// A dependency is out of reach or full, whatever is asked of it.
    pub fn is_outage(&self) -> bool {
        match self {
            Self::Catalogue(error) => error.is_outage(),
            Self::Storage(error) => error.is_outage(),
            _ => false,
        }
    }

    /// The client hung up: nobody's fault, nothing to log.
    pub fn is_goodbye(&self) -> bool {
        matches!(self, Self::ClientGone)
    }
}

fn nothing_to_play(state: MediaState) -> &'static str {
    match state {
        MediaState::Failed => {
            "the video can't be published: its source could not be processed; upload another one, or publish the page \
             without media on purpose (without_media=true)"
        }
        _ => {
            "the video can't be published: no source was uploaded; upload one first, or publish the page without media \
             on purpose (without_media=true)"
        }
    }
}

fn bounds(least: Duration, most: Option<Duration>) -> String {
    match most {
        Some(most) => format!("{} to {} s", least.as_secs(), most.as_secs()),
        None => format!("{} s or more", least.as_secs()),
    }
}
