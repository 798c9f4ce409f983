//! What a file carries beside its pictures and sound: tags, chapters, covers, attachments, colour profiles. All of it is
//! held in memory, and some of it is copied into every picture.

use ffmpeg_next::DictionaryRef;
use ffmpeg_next::format::context::Input;

use crate::domain::{Refusal, RefusalCode};
use crate::media::raw;
use crate::media::task::Limits;

/// What libav keeps of each tag and chapter beside its text.
const ENTRY_BYTES: usize = 64;

/// Refuses a file that declares more tracks, programmes or metadata than the limits allow.
pub(super) fn check(input: &Input, limits: &Limits) -> Result<(), Refusal> {
    let tracks = input.nb_streams().max(raw::count_programs(input));
    if tracks > limits.max_tracks {
        let message = format!(
            "The file has {tracks} tracks or programmes, more than the {} allowed.",
            limits.max_tracks
        );
        return Err(Refusal::new(RefusalCode::TooManyTracks, message));
    }
    let bytes = metadata_bytes(input) as u64;
    if bytes > limits.max_metadata_bytes {
        let message = format!(
            "The file carries {bytes} bytes of tags, pictures, attachments or colour profiles, more than the {} allowed.",
            limits.max_metadata_bytes
        );
        return Err(Refusal::new(RefusalCode::TooMuchMetadata, message));
    }
    Ok(())
}

fn metadata_bytes(input: &Input) -> usize {
    let streams = input.streams().map(|stream| {
        let side: usize = stream.side_data().map(|data| data.data().len()).sum();
        side + tags(&stream.metadata()) + raw::extradata(&stream).len() + raw::cover_bytes(&stream)
    });
    let chapters = input.chapters().map(|chapter| ENTRY_BYTES + tags(&chapter.metadata()));
    streams.sum::<usize>() + chapters.sum::<usize>() + tags(&input.metadata())
}

fn tags(tags: &DictionaryRef<'_>) -> usize {
    tags.iter().map(|(name, value)| ENTRY_BYTES + name.len() + value.len()).sum()
}
