//! Which stream is the sound, and what it is like.

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::{Disposition, Stream};

use super::clock::to_ticks;
use super::look::Sound;
use super::reading::Reading;
use super::{verdict, video};
use crate::domain::Refusal;
use crate::domain::media::{AudioStream, VideoStream};
use crate::media::raw;

/// The stream to play, or else what is to be said of those that can't be.
pub(super) fn choose(
    input: &Input,
    reading: &Reading,
    video: &VideoStream,
) -> (Option<AudioStream>, Option<Refusal>) {
    let mut streams: Vec<Stream<'_>> =
        reading.audios.iter().filter_map(|index| input.stream(*index)).collect();
    streams.sort_by_key(rank);
    let chosen = streams.iter().find_map(|stream| describe(stream, reading, video, input));
    let silent = streams.iter().find(|stream| has_packets(stream, reading));
    let warning = match (&chosen, silent) {
        (None, Some(stream)) => Some(verdict::audio_undecodable(&video::codec_name(stream))),
        _ => None,
    };
    (chosen, warning)
}

/// Default first, descriptions and comments last.
fn rank(stream: &Stream<'_>) -> (bool, bool, usize) {
    let disposition = stream.disposition();
    let aside = disposition.intersects(
        Disposition::COMMENT | Disposition::VISUAL_IMPAIRED | Disposition::KARAOKE | Disposition::DUB,
    );
    (aside, !disposition.contains(Disposition::DEFAULT), stream.index())
}

fn has_packets(stream: &Stream<'_>, reading: &Reading) -> bool {
    !reading.whole || reading.tracks.get(&stream.index()).is_some_and(|track| track.packets > 0)
}

fn describe(
    stream: &Stream<'_>,
    reading: &Reading,
    video: &VideoStream,
    input: &Input,
) -> Option<AudioStream> {
    let index = stream.index();
    let sound = reading.sounds.get(&index)?;
    let track = reading.tracks.get(&index)?;
    let (rate, channels) = known(sound, stream, reading, track.packets)?;
    let heard = sound.heard.and_then(|heard| Some((heard.pts?, heard.epoch)));
    let heard = heard.map(|(pts, epoch)| track.mended(to_ticks(pts, stream.time_base()), epoch));
    let zero =
        input.stream(video.index as usize).map(|first| to_ticks(video.start_pts, first.time_base()))?;
    Some(AudioStream {
        index: u32::try_from(index).ok()?,
        codec: video::codec_name(stream),
        channels,
        sample_rate: rate,
        start: heard.or(track.first).map_or(0, |start| start - zero),
        language: stream.metadata().get("language").filter(|tag| *tag != "und").map(str::to_owned),
    })
}

/// What was heard; or the header's word for a stream that begins after what was read.
fn known(sound: &Sound, stream: &Stream<'_>, reading: &Reading, packets: u64) -> Option<(u32, u16)> {
    if let Some(heard) = sound.heard {
        return Some((heard.rate, heard.channels));
    }
    let late = !reading.whole && packets == 0;
    let parameters = raw::parameters(stream);
    let rate = u32::try_from(parameters.sample_rate).ok().filter(|rate| late && *rate > 0)?;
    Some((rate, raw::channels(stream)))
}
