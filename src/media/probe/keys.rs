//! Where a source can be cut without decoding it: the times of its IDR pictures.

use ffmpeg_next::Packet;
use ffmpeg_next::format::context::Input;

use super::clock::{rational, to_ticks};
use super::idr::Framing;
use super::reading::Reading;
use crate::domain::media::{Ticks, VideoStream};
use crate::media::raw::{self, Entry};

/// Keyframes of an index looked at to learn whether to believe the rest.
const SAMPLES: usize = 16;
/// Packets read for a keyframe after a jump.
const MAX_PACKETS: usize = 200;

/// Times of IDR pictures from the first picture on, which is at 0; empty where that one is none, or where they can't be trusted.
pub(super) fn times(input: &mut Input, reading: &Reading, video: &VideoStream) -> Vec<Ticks> {
    let base = rational(video.time_base);
    let keys = if reading.whole {
        counted(reading, video)
    } else {
        indexed(input, reading, video).unwrap_or_default()
    };
    from_start(keys, to_ticks(video.start_pts, base), video.clock.lead)
}

/// The first picture stands from the beginning on, however long before it that is.
fn from_start(keys: Vec<Ticks>, start: Ticks, lead: Ticks) -> Vec<Ticks> {
    let mut times: Vec<Ticks> = keys.into_iter().filter(|at| *at >= start).collect();
    times.sort_unstable();
    times.dedup();
    if times.first() != Some(&start) {
        return Vec::new();
    }
    let later = times.iter().skip(1).map(|at| at - start + lead);
    std::iter::once(0).chain(later).collect()
}

fn counted(reading: &Reading, video: &VideoStream) -> Vec<Ticks> {
    let track = reading.tracks.get(&(video.index as usize));
    let keys = track.into_iter().flat_map(|track| &track.keys);
    keys.filter(|(_, idr)| *idr).map(|(at, _)| *at).collect()
}

/// From the container's index, where samples of it are IDR pictures and stand at one distance from their entries.
fn indexed(input: &mut Input, reading: &Reading, video: &VideoStream) -> Option<Vec<Ticks>> {
    let (index, base) = (video.index as usize, rational(video.time_base));
    let framing = *reading.framings.get(&index)?;
    let stream = input.stream(index)?;
    let entries: Vec<Entry> = raw::index(&stream).filter(|entry| entry.key && !entry.discarded).collect();
    let step = entries.len().div_ceil(SAMPLES).max(1);
    let mut shift = None;
    for entry in entries.iter().step_by(step) {
        let found = offset(input, index, framing, entry.timestamp + shift.unwrap_or(0))?;
        if *shift.get_or_insert(found) != found {
            return None;
        }
    }
    let shift = shift?;
    Some(entries.iter().map(|entry| to_ticks(entry.timestamp + shift, base)).collect())
}

/// How long after its entry in the index the keyframe at `near` is shown; `None` where it is no IDR picture.
fn offset(input: &mut Input, index: usize, framing: Framing, near: i64) -> Option<i64> {
    // An MP4's index counts in decoding time, every other one in presentation time.
    let decoding = input.format().name().contains("mp4");
    raw::seek_back(input, index, near).ok()?;
    let mut packet = Packet::empty();
    for _ in 0..MAX_PACKETS {
        packet.read(input).ok()?;
        if packet.stream() == index && packet.is_key() {
            let idr = packet.data().is_some_and(|data| framing.begins_with_idr(data));
            let entry = if decoding { packet.dts()? } else { packet.pts()? };
            return idr.then_some(packet.pts()? - entry);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_count_from_the_first_picture_and_leave_out_what_is_before() {
        assert_eq!(from_start(vec![500, 100, 300, 300, 50], 100, 0), [0, 200, 400]);
        assert_eq!(from_start(vec![500, 100, 300], 100, 50), [0, 250, 450]);
    }

    #[test]
    fn a_source_that_does_not_start_on_a_keyframe_has_none() {
        assert!(from_start(vec![200, 300], 100, 0).is_empty());
    }
}
