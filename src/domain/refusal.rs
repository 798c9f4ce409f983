//! Why a source can't be played, in a code for programs and a sentence for editors.

use serde::{Deserialize, Serialize};

use super::words::words;

words! {
    /// Stable codes of what is wrong with a source or what became of its processing.
    RefusalCode {
        /// No container this product reads; playlists and manifests are none either.
        NotMedia = "not_media",
        /// Audio only, or nothing but data.
        NoVideoStream = "no_video_stream",
        /// A still or animated picture, not a video.
        StillPicture = "still_picture",
        /// No JPEG, PNG or WebP, where a picture is wanted.
        NotPicture = "not_picture",
        /// Content protection: the frames can't be read without a key.
        Encrypted = "encrypted",
        /// This FFmpeg has no decoder for the codec.
        UndecodableCodec = "undecodable_codec",
        /// The decoder gave no picture at all.
        NoFrames = "no_frames",
        /// An initialisation or media segment alone, not a whole file.
        Incomplete = "incomplete_file",
        /// The file ends before its own index says it should; what is there is played.
        Truncated = "truncated",
        /// Pictures play, the sound could not be decoded.
        AudioUndecodable = "audio_undecodable",
        /// More pixels a picture than the limit.
        TooManyPixels = "too_many_pixels",
        /// Longer than the limit.
        TooLong = "too_long",
        /// For longer than the limit neither picture nor sound comes.
        StandsStill = "stands_still",
        /// More tracks or programmes than the limit.
        TooManyTracks = "too_many_tracks",
        /// More tags, chapters, covers, colour profiles and the like than the limit.
        TooMuchMetadata = "too_much_metadata",
        /// The media process has less memory than this source takes to be read.
        TooMuchMemory = "too_much_memory",
        /// The media software computes for longer than it may before it has read this source's header.
        TooMuchWork = "too_much_work",
        /// No bytes at all.
        Empty = "empty",
        /// The media process died, hung or ran over its limits on this source.
        MediaCrashed = "media_crashed",
        /// The key it was sent with may not change what the public sees.
        NotAllowed = "not_allowed",
        /// The stored source is no longer in the bucket.
        SourceGone = "source_gone",
        /// A rung failed for good.
        RungFailed = "rung_failed",
        /// An operator or the editor called it off.
        Cancelled = "cancelled",
        /// The processing gave up after its last attempt for a reason of ours.
        ProcessingFailed = "processing_failed",
    }
}

/// A code with one sentence an editor understands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Refusal {
    pub code: RefusalCode,
    pub message: String,
}

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
