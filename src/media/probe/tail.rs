//! The true end of a source too large to read whole: its last packets, reached by a jump.

use std::collections::BTreeMap;

use ffmpeg_next::Packet;
use ffmpeg_next::format::context::Input;

use super::reading::Reading;
use super::track::Track;
use crate::media::raw;

/// More than this after the jump means that the jump went astray, and the end stays the header's word.
const MAX_BYTES: u64 = 64 << 20;

/// What was counted from the last keyframe before `near` (in the base of stream `video`) to the end of the source,
/// by stream; `None` where the end was not reached.
pub(super) fn read(
    input: &mut Input,
    reading: &Reading,
    video: usize,
    near: i64,
) -> Option<BTreeMap<usize, Track>> {
    raw::seek_back(input, video, near).ok()?;
    let mut tracks: BTreeMap<usize, Track> = BTreeMap::new();
    let (mut packet, mut bytes) = (Packet::empty(), 0);
    while bytes <= MAX_BYTES {
        match packet.read(input) {
            Ok(()) => {}
            Err(ffmpeg_next::Error::Eof) => {
                return tracks.contains_key(&video).then_some(tracks);
            }
            Err(_) => return None,
        }
        bytes += packet.size() as u64;
        let index = packet.stream();
        let base = input.stream(index).map(|stream| stream.time_base());
        if let (Some(base), true) = (base, reading.tracks.contains_key(&index)) {
            tracks.entry(index).or_default().count(&packet, base, None);
        }
    }
    None
}
