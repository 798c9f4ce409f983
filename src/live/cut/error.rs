//! Why a stream can't be cut.

use thiserror::Error;

/// The cutter stays whole after each of these.
#[derive(Debug, Error)]
pub enum Error {
    /// The decoder configuration can't be read, so nobody could play what follows.
    #[error("{codec} configuration of {size_bytes} bytes can't be read: {reason}")]
    Config { codec: &'static str, size_bytes: usize, reason: String },
    #[error("audio object type is {0}, expected 2 (AAC-LC), 5 or 29 (HE-AAC)")]
    AudioType(u8),
    #[error("audio channel configuration is {0}, expected 1 to 6")]
    AudioChannels(u8),
    #[error("audio sample rate is {0} Hz, expected 7350 to 96000")]
    AudioRate(u32),
    #[error("fragment can't be written")]
    Mp4(#[from] mp4_atom::Error),
}
