//! What can go wrong with media.

use crate::domain::Refusal;

/// Why a media task came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// One side said what the other can't understand.
    #[error("media process and worker disagree: {0}")]
    Protocol(String),
    /// libav gave up; names what it was at.
    #[error("libav could not {doing}")]
    Libav { doing: &'static str, source: ffmpeg_next::Error },
    /// The source can't be used, for a reason worth telling its editor.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

impl Error {
    /// For `map_err`: libav's error with what it was at.
    pub fn libav(doing: &'static str) -> impl FnOnce(ffmpeg_next::Error) -> Self {
        move |source| Self::Libav { doing, source }
    }
}
