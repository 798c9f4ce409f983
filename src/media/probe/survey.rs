//! Looks at pictures all over a source that is too large to be read whole: keyframes, each reached by a jump.

use ffmpeg_next::Packet;
use ffmpeg_next::format::context::Input;

use super::look::SAMPLES;
use super::reading::Reading;
use crate::domain::media::TICKS_PER_SECOND;
use crate::media::wire::Emit;
use crate::media::{Error, raw};

/// Jumps in a container without an index, where each costs a search.
const FEW: u32 = 4;
/// Packets read for a keyframe after a jump.
const MAX_PACKETS: usize = 500;

/// Adds what is found to what is known of stream `index`.
pub(super) fn look_around(
    input: &mut Input,
    reading: &mut Reading,
    index: usize,
    emit: &Emit,
) -> Result<(), Error> {
    let (Some(pictures), Some(stream)) = (reading.pictures.get_mut(&index), input.stream(index)) else {
        return Ok(());
    };
    let jumps = if raw::index_len(&stream) > 0 { SAMPLES } else { FEW };
    let (base, start) = (stream.time_base(), pictures.start().map_or(0, |first| first.pts));
    let seconds = input.duration().max(0) / 1_000_000;
    for jump in 1..jumps {
        let second = seconds * i64::from(jump) / i64::from(jumps);
        emit.progress(second * TICKS_PER_SECOND)?;
        let at = i128::from(second) * i128::from(base.denominator()) / i128::from(base.numerator().max(1));
        let at = start.saturating_add(i64::try_from(at).unwrap_or(0));
        if raw::seek_back(input, index, at).is_ok()
            && let Some(packet) = keyframe(input, index)
        {
            pictures.look_at(&packet);
        }
    }
    Ok(())
}

fn keyframe(input: &mut Input, index: usize) -> Option<Packet> {
    for _ in 0..MAX_PACKETS {
        let mut packet = Packet::empty();
        packet.read(input).ok()?;
        if packet.stream() == index && packet.is_key() && packet.size() > 0 {
            return Some(packet);
        }
    }
    None
}
