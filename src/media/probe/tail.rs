//! The true end of a source too large to decode whole: its last packets, reached by a jump, or all of them where no jump
//! leads there. Nothing is decoded, so it costs the reading.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ffmpeg_next::format::context::Input;

use super::Frame;
use super::epochs::{Clocks, Epochs};
use super::reading::{Reading, each_packet};
use super::track::Track;
use crate::domain::media::Discontinuity;
use crate::media::wire::Emit;
use crate::media::{Error, raw};

/// What was counted of a part of the source that reaches to its end.
pub(super) struct Tail {
    pub tracks: BTreeMap<usize, Track>,
    pub discontinuities: Vec<Discontinuity>,
}

/// What was counted by stream, at least from the last keyframe before `near` (in the base of stream `video`) to the
/// end of the source.
pub(super) fn read(
    input: &mut Input,
    reading: &Reading,
    (video, near): (usize, i64),
    frame: &Frame<'_>,
) -> Result<Tail, Error> {
    if raw::seek_back(input, video, near).is_ok() {
        let tail = count(input, reading, (video, frame.emit))?;
        // A clock set anew sends jumps astray, and tells nothing of the time before.
        if tail.tracks.contains_key(&video) && tail.discontinuities.is_empty() {
            return Ok(tail);
        }
    }
    // A container that jumps badly goes back to its beginning no better.
    let mut anew = (frame.reopen)()?;
    raw::keep_only(&mut anew, &reading.tracks.keys().copied().collect::<Vec<_>>());
    count(&mut anew, reading, (video, frame.emit))
}

fn count(input: &mut Input, reading: &Reading, (video, emit): (usize, &Emit)) -> Result<Tail, Error> {
    let bases: BTreeMap<_, _> = input.streams().map(|stream| (stream.index(), stream.time_base())).collect();
    let (mut tracks, mut epochs): (BTreeMap<usize, Track>, _) =
        (BTreeMap::new(), Epochs::new(Clocks::of(input)));
    each_packet(input, emit, |packet| {
        let index = packet.stream();
        if let (Some(base), true) = (bases.get(&index), reading.tracks.contains_key(&index)) {
            tracks.entry(index).or_default().count(packet, (*base, None), &mut epochs);
        }
        ControlFlow::Continue(())
    })?;
    let offsets = epochs.offsets(video);
    for track in tracks.values_mut() {
        track.settle(&offsets);
    }
    Ok(Tail { tracks, discontinuities: epochs.discontinuities(video) })
}
