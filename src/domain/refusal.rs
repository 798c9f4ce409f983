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
        /// Some pictures are missing or damaged; `seconds` says where.
        PicturesDamaged = "pictures_damaged",
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
    /// The seconds of the video that it is about, each from and to; absent where it is about all of it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub seconds: Vec<[u32; 2]>,
}

/// Spans named in the sentence; `seconds` has them all.
const SPANS_NAMED: usize = 5;

impl Refusal {
    /// A refusal with its sentence.
    pub fn new(code: RefusalCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), seconds: Vec::new() }
    }

    /// Pictures that are missing or damaged in these seconds, each from and to, in any order.
    pub fn pictures_damaged(mut spans: Vec<[u32; 2]>) -> Self {
        spans.sort_unstable();
        let mut seconds: Vec<[u32; 2]> = Vec::new();
        for [from, to] in spans {
            match seconds.last_mut().filter(|last| last[1] >= from) {
                Some(last) => last[1] = last[1].max(to),
                None => seconds.push([from, to]),
            }
        }
        let named = seconds.iter().take(SPANS_NAMED).map(|[from, to]| format!("{from} s to {to} s"));
        let named = named.collect::<Vec<_>>().join(", ");
        let more = match seconds.len().saturating_sub(SPANS_NAMED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let message = format!("Pictures of the source are missing or damaged: {named}{more}.");
        Self { code: RefusalCode::PicturesDamaged, message, seconds }
    }

    /// Two warnings of one kind as one; `None` where one of them is enough.
    #[must_use]
    pub fn merged(&self, other: &Self) -> Option<Self> {
        let both = self.seconds.iter().chain(&other.seconds).copied().collect();
        let merges = self.code == other.code && self.code == RefusalCode::PicturesDamaged;
        merges.then(|| Self::pictures_damaged(both)).filter(|merged| merged != self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn damaged_seconds_are_told_in_order_and_once() {
        let first = Refusal::pictures_damaged(vec![[20, 22], [3, 4]]);
        assert_eq!(first.message, "Pictures of the source are missing or damaged: 3 s to 4 s, 20 s to 22 s.");
        let both = first.merged(&Refusal::pictures_damaged(vec![[4, 6]])).expect("something new");
        assert_eq!(both.seconds, [[3, 6], [20, 22]]);
        assert_eq!(both.merged(&first), None);
    }

    #[test]
    fn a_few_of_many_damaged_seconds_are_named() {
        let many = Refusal::pictures_damaged((0..9).map(|at| [at * 10, at * 10 + 1]).collect());
        assert!(many.message.ends_with("40 s to 41 s and 4 more."), "{}", many.message);
        assert_eq!(many.seconds.len(), 9);
    }
}
