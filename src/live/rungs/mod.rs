//! Lower rungs of a broadcast, made by a caged child of the source's pictures. The source never waits for them: what
//! can't be taken is dropped, a child that dies is started again, and what a rung lacks is a gap.

mod feed;
mod runner;
mod teller;

use std::path::PathBuf;

pub use feed::Feed;
pub use runner::{Base, Runner, open};

use super::cut;
use crate::media;
use crate::media::cage::CageLimits;

/// How lower rungs are made; by default none are.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// How many there are at most; none: no child is started.
    pub count: usize,
    /// x264's preset.
    pub preset: String,
    /// This binary, to be started again as the caged child.
    pub program: PathBuf,
    pub cage: CageLimits,
}

/// Why lower rungs pause.
#[derive(Debug, thiserror::Error)]
enum Lost {
    #[error("pictures came faster than they could be encoded")]
    Behind,
    #[error("media process said what nobody asked")]
    Unasked,
    #[error(transparent)]
    Media(#[from] media::Error),
    #[error(transparent)]
    Cut(#[from] cut::Error),
}

impl Lost {
    /// A label for the metric.
    fn why(&self) -> &'static str {
        match self {
            Self::Behind => "behind",
            Self::Media(media::Error::Hung { .. } | media::Error::Busy { .. }) => "hung",
            Self::Media(_) => "crashed",
            Self::Unasked | Self::Cut(_) => "broken",
        }
    }
}
