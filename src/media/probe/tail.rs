//! The true end of a source too large to decode whole: its last packets, reached by a jump, or all of them where no jump
//! leads there. Nothing is decoded, so it costs the reading.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ffmpeg_next::format::context::Input;

use super::reading::{Reading, each_packet};
use super::track::Track;
use crate::media::wire::Emit;
use crate::media::{Error, raw};

/// What was counted by stream, at least from the last keyframe before `near` (in the base of stream `video`) to the
/// end of the source.
pub(super) fn read(
    input: &mut Input,
    reading: &Reading,
    (video, near): (usize, i64),
    emit: &Emit,
) -> Result<BTreeMap<usize, Track>, Error> {
    if raw::seek_back(input, video, near).is_ok() {
        let tracks = count(input, reading, emit)?;
        // A clock set anew sends jumps astray, and tells nothing of the time before.
        if tracks.contains_key(&video) && !tracks.values().any(|track| track.set_anew) {
            return Ok(tracks);
        }
    }
    // Where the beginning can't be had either, the rest still holds the end.
    let _ = raw::rewind(input, video);
    count(input, reading, emit)
}

fn count(input: &mut Input, reading: &Reading, emit: &Emit) -> Result<BTreeMap<usize, Track>, Error> {
    let bases: BTreeMap<_, _> = input.streams().map(|stream| (stream.index(), stream.time_base())).collect();
    let mut tracks: BTreeMap<usize, Track> = BTreeMap::new();
    each_packet(input, emit, |packet| {
        let index = packet.stream();
        if let (Some(base), true) = (bases.get(&index), reading.tracks.contains_key(&index)) {
            tracks.entry(index).or_default().count(packet, *base, None);
        }
        ControlFlow::Continue(())
    })?;
    Ok(tracks)
}
