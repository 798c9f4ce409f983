//! Background work: what can be asked for, in which lane it waits, when it is tried again.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::cdn::CacheTag;
use super::words::words;
use super::{Nonce, PosterId, UploadId, VideoId};

/// One piece of work, declared here so that a publisher can ask for it without knowing the worker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Job {
    /// Puts the partial uploads of a tus concatenation together.
    Assemble { upload: UploadId },
    /// Digests a source whose bytes did not pass through us.
    Digest { upload: UploadId },
    /// Looks at a source and plans its ladder and timeline.
    Probe { video: VideoId, revision: u32 },
    /// Encodes the whole audio track.
    Audio { video: VideoId, revision: u32 },
    /// Encodes the chunk that begins with this segment, all rungs.
    Chunk { video: VideoId, revision: u32, first: u32 },
    /// Makes poster and storyboard.
    Stills { video: VideoId, revision: u32 },
    /// Makes an uploaded picture fit to be shown.
    Poster { video: VideoId, poster: PosterId },
    /// Removes the objects of a revision nobody plays any more.
    Retire { video: VideoId, revision: u32 },
    /// Removes everything of a deleted video.
    Purge { video: VideoId },
    /// Gives the objects of a video that was taken back names that nobody knows.
    Rename { video: VideoId, nonce: Nonce, poster: PosterId },
    /// Tells caches to drop what carries this tag; `at` in epoch milliseconds tells one time from the next.
    Invalidate { tag: CacheTag, at: i64 },
}

words! {
    /// The name of a kind of job.
    JobKind {
        Assemble = "assemble",
        Digest = "digest",
        Probe = "probe",
        Audio = "audio",
        Chunk = "chunk",
        Stills = "stills",
        Poster = "poster",
        Retire = "retire",
        Purge = "purge",
        Rename = "rename",
        Invalidate = "invalidate",
    }
}

words! {
    /// How far a job is.
    JobState {
        Queued = "queued",
        Running = "running",
        Done = "done",
        /// Out of attempts; `last_error` says why.
        Dead = "dead",
        Cancelled = "cancelled",
    }
}

/// Lanes of an account's jobs, served in this order; within a lane by position, then by age. Which account is served is
/// decided before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// Short steps that others wait for.
    Steps = 0,
    /// Posters and storyboards.
    Stills = 1,
    /// Encodes, by their place in the film: the first chunk of a clip goes before the fiftieth of another.
    Encodes = 2,
    /// What nobody waits for.
    Housekeeping = 3,
}

impl Lane {
    /// All of them, in their order.
    pub const ALL: [Self; 4] = [Self::Steps, Self::Stills, Self::Encodes, Self::Housekeeping];

    /// What it is called by monitoring.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Steps => "steps",
            Self::Stills => "stills",
            Self::Encodes => "encodes",
            Self::Housekeeping => "housekeeping",
        }
    }
}

impl Job {
    /// What kind of job it is.
    pub fn kind(&self) -> JobKind {
        match self {
            Self::Assemble { .. } => JobKind::Assemble,
            Self::Digest { .. } => JobKind::Digest,
            Self::Probe { .. } => JobKind::Probe,
            Self::Audio { .. } => JobKind::Audio,
            Self::Chunk { .. } => JobKind::Chunk,
            Self::Stills { .. } => JobKind::Stills,
            Self::Poster { .. } => JobKind::Poster,
            Self::Retire { .. } => JobKind::Retire,
            Self::Purge { .. } => JobKind::Purge,
            Self::Rename { .. } => JobKind::Rename,
            Self::Invalidate { .. } => JobKind::Invalidate,
        }
    }

    /// Its name: no two jobs of one name wait or run at a time.
    pub fn name(&self) -> String {
        let kind = self.kind();
        match self {
            Self::Assemble { upload } | Self::Digest { upload } => format!("{kind}/{upload}"),
            Self::Chunk { video, revision, first } => format!("{kind}/{video}/{revision}/{first}"),
            Self::Poster { video, poster } => format!("{kind}/{video}/{poster}"),
            Self::Probe { video, revision }
            | Self::Audio { video, revision }
            | Self::Stills { video, revision }
            | Self::Retire { video, revision } => format!("{kind}/{video}/{revision}"),
            Self::Purge { video } => format!("{kind}/{video}"),
            Self::Rename { video, nonce, .. } => format!("{kind}/{video}/{nonce}"),
            Self::Invalidate { tag, at } => format!("{kind}/{tag}/{at}"),
        }
    }

    /// The lane it waits in.
    pub fn lane(&self) -> Lane {
        match self {
            Self::Assemble { .. } | Self::Probe { .. } | Self::Rename { .. } | Self::Invalidate { .. } => {
                Lane::Steps
            }
            Self::Stills { .. } | Self::Poster { .. } => Lane::Stills,
            Self::Audio { .. } | Self::Chunk { .. } => Lane::Encodes,
            Self::Digest { .. } | Self::Retire { .. } | Self::Purge { .. } => Lane::Housekeeping,
        }
    }

    /// Its place within the lane; audio goes first, because nothing is playable without it.
    pub fn position(&self) -> u32 {
        match self {
            Self::Chunk { first, .. } => first + 1,
            _ => 0,
        }
    }

    /// The revision it works for.
    pub fn revision(&self) -> Option<(VideoId, u32)> {
        match *self {
            Self::Probe { video, revision }
            | Self::Audio { video, revision }
            | Self::Chunk { video, revision, .. }
            | Self::Stills { video, revision } => Some((video, revision)),
            _ => None,
        }
    }

    /// The video it is about, where there is one.
    pub fn video(&self) -> Option<VideoId> {
        match *self {
            Self::Poster { video, .. }
            | Self::Retire { video, .. }
            | Self::Purge { video }
            | Self::Rename { video, .. } => Some(video),
            _ => self.revision().map(|(video, _)| video),
        }
    }

    /// Goes before the work of every account: it is short, and what it takes back is seen until it is done.
    pub fn is_urgent(&self) -> bool {
        matches!(self, Self::Invalidate { .. })
    }

    /// CPU time it takes as a rule, where nobody knows better.
    pub fn usual_cost(&self) -> Duration {
        Duration::from_millis(match self {
            Self::Retire { .. } | Self::Invalidate { .. } => 100,
            Self::Purge { .. } | Self::Poster { .. } | Self::Rename { .. } => 300,
            Self::Assemble { .. } | Self::Probe { .. } => 500,
            Self::Digest { .. } => 1000,
            Self::Stills { .. } => 2500,
            Self::Audio { .. } | Self::Chunk { .. } => 10_000,
        })
    }

    /// How often it is tried before it is dead.
    pub fn max_attempts(&self) -> u32 {
        match self {
            Self::Retire { .. } | Self::Purge { .. } | Self::Digest { .. } | Self::Assemble { .. } => 20,
            // Most of a day: until then somebody looks after the cache.
            Self::Invalidate { .. } | Self::Rename { .. } => 100,
            _ => 4,
        }
    }
}

/// How long to wait before the attempt after this one: 2 s, 8 s, 32 s … up to ten minutes.
pub fn backoff(attempt: u32) -> Duration {
    let seconds = 2_u64.saturating_mul(4_u64.saturating_pow(attempt.saturating_sub(1)));
    Duration::from_secs(seconds.min(600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_clips_chunk_goes_before_a_long_films_later_ones() {
        let chunk = |first| Job::Chunk { video: VideoId::new(), revision: 1, first };
        assert!(chunk(0).position() < chunk(5).position());
        let audio = Job::Audio { video: VideoId::new(), revision: 1 };
        assert!(audio.position() < chunk(0).position());
    }

    #[test]
    fn waiting_grows_and_ends_at_ten_minutes() {
        assert_eq!(backoff(1), Duration::from_secs(2));
        assert_eq!(backoff(3), Duration::from_secs(32));
        assert_eq!(backoff(40), Duration::from_mins(10));
    }
}
