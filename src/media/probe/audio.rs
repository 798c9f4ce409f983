//! Which streams are the sound, and what it is like.

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::{Disposition, Stream};

use super::clock::to_ticks;
use super::look::Sound;
use super::reading::Reading;
use super::{verdict, video};
use crate::domain::Refusal;
use crate::domain::media::{AudioStream, VideoStream};
use crate::media::raw;

/// Words in the name of a track that isn't the sound of the video but one beside it.
const ASIDE: [&str; 3] = ["comment", "descri", "karaoke"];

/// The stream to play, or else what is to be said of those that can't be.
pub(super) fn choose(
    input: &Input,
    reading: &Reading,
    video: &VideoStream,
) -> (Option<AudioStream>, Option<Refusal>) {
    let mut streams: Vec<Stream<'_>> =
        reading.audios.iter().filter_map(|index| input.stream(*index)).collect();
    // What another programme of a transport stream says has nothing to do with these pictures.
    let programme = raw::programme_of(input, video.index as usize);
    if streams.iter().any(|stream| programme.contains(&stream.index())) {
        streams.retain(|stream| programme.contains(&stream.index()));
    }
    streams.sort_by_key(rank);
    let heard: Vec<(&Stream<'_>, AudioStream)> = streams
        .iter()
        .filter_map(|stream| Some((stream, describe(stream, reading, video, input)?)))
        .collect();
    let chosen = laid_together(&heard);
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

/// The first in rank with those it is heard together with, and what is heard instead where that is silent.
fn laid_together(ranked: &[(&Stream<'_>, AudioStream)]) -> Option<AudioStream> {
    let mut groups: Vec<Vec<&(&Stream<'_>, AudioStream)>> = Vec::new();
    for track in ranked {
        match groups.iter_mut().find(|group| belong_together(group[0], track)) {
            Some(group) => group.push(track),
            None => groups.push(vec![track]),
        }
    }
    let mut chosen = groups.first()?.first()?.1.clone();
    let mut choices = groups.iter().map(|group| {
        let mut tracks: Vec<u32> = group.iter().map(|(_, track)| track.index).collect();
        tracks.sort_unstable();
        tracks
    });
    chosen.together = choices.next().filter(|tracks| tracks.len() > 1).unwrap_or_default();
    chosen.instead = choices.collect();
    if !chosen.together.is_empty() {
        chosen.channels = u16::try_from(chosen.together.len()).unwrap_or(u16::MAX);
    }
    Some(chosen)
}

/// Left and right, or two microphones: tracks of one channel in one language, none of them for a listener of its own.
fn belong_together(
    (one, first): &(&Stream<'_>, AudioStream),
    (other, second): &(&Stream<'_>, AudioStream),
) -> bool {
    let single = first.channels == 1 && second.channels == 1;
    single && first.language == second.language && !is_aside(one) && !is_aside(other)
}

/// A description, a commentary or the like, by its disposition or its name.
fn is_aside(stream: &Stream<'_>) -> bool {
    let metadata = stream.metadata();
    let names = ["title", "handler_name"].into_iter().filter_map(|key| metadata.get(key));
    rank(stream).0 || names.map(str::to_lowercase).any(|name| ASIDE.iter().any(|word| name.contains(word)))
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
        together: Vec::new(),
        instead: Vec::new(),
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
