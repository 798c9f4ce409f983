//! How long a source is, to the last packet, and whether it can be jumped into.

use std::collections::BTreeMap;

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Rational, ffi, media};

use super::Frame;
use super::clock::{CONTAINER_BASE, rational, to_ticks};
use super::epochs::Clocks;
use super::outline::Outline;
use super::reading::Reading;
use super::still::{self, Gap};
use super::tail;
use super::track::Track;
use crate::domain::media::{AudioStream, Discontinuity, TICKS_PER_SECOND, Ticks, VideoStream};
use crate::media::task::Limits;
use crate::media::{Error, input, raw};

/// A source up to this size is read whole: it costs little, and everything is known exactly.
const SMALL_BYTES: u64 = 64 << 20;
/// A source with fewer bytes a second than this is read whole too: it may be about nothing for most of its length.
const SPARSE_BYTES: u64 = 2500;
/// A header may promise this much more than is there before it is called a loss.
const SLACK: Ticks = TICKS_PER_SECOND;
/// How far before the promised end the last packets are looked for.
const RUN_UP: Ticks = 10 * TICKS_PER_SECOND;
/// A jump may land this far before its aim and still be worth it.
const MAX_RUN_UP: Ticks = 60 * TICKS_PER_SECOND;

/// A source's length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    /// From the beginning to the end of the longer of video and audio; at least one tick.
    pub duration: Ticks,
    pub truncated: bool,
    /// Where its clock is set anew on the way, so that a time may be found twice.
    pub discontinuities: Vec<Discontinuity>,
}

/// Nothing but reading every packet will tell the duration, or reading them costs little. A clock that may be set anew
/// anywhere has to be followed everywhere.
pub(super) fn must_read_whole(input: &Input, outline: &Outline, limits: &Limits) -> bool {
    let claimed = to_ticks(input.duration(), CONTAINER_BASE);
    let vague = claimed <= 0 || claimed > limits.max_duration || raw::duration_is_a_guess(input);
    let scattered = outline.is_fragmented() || outline.ends_early() || points_beyond(input, outline.size);
    let sparse = outline.size < seconds(claimed).saturating_mul(SPARSE_BYTES);
    outline.size <= SMALL_BYTES || vague || scattered || sparse || Clocks::of(input) != Clocks::One
}

/// How long in all neither picture nor sound comes. Of a source that was not read whole an index tells it, and where
/// there is none it is too large to be about nothing.
pub(super) fn held(
    input: &Input,
    reading: &Reading,
    (video, sound): (&VideoStream, Option<&AudioStream>),
    duration: Ticks,
) -> Ticks {
    let start = start(video).saturating_sub(video.clock.lead);
    let span = (start, start.saturating_add(duration));
    let of = |index: u32| gaps_of(input, reading, index as usize, span);
    let Some(pictures) = of(video.index) else { return 0 };
    match sound.map(|sound| of(sound.index)) {
        Some(Some(sounds)) => still::held(&pictures, &sounds),
        Some(None) => 0,
        None => still::held(&pictures, &[span]),
    }
}

fn gaps_of(input: &Input, reading: &Reading, index: usize, span: (Ticks, Ticks)) -> Option<Vec<Gap>> {
    if reading.whole {
        let track = reading.tracks.get(&index)?;
        let (Some(first), Some(last)) = (track.first, track.last) else { return Some(vec![span]) };
        let mut gaps = still::gaps([first].into_iter(), (span.0, first));
        gaps.extend(&track.gaps);
        gaps.extend(still::gaps([last].into_iter(), (last, span.1)));
        return Some(gaps);
    }
    let stream = input.stream(index).filter(|stream| is_indexed(input) && raw::index_len(stream) > 0)?;
    let base = stream.time_base();
    Some(still::gaps(raw::index(&stream).map(|entry| to_ticks(entry.timestamp, base)), span))
}

fn seconds(ticks: Ticks) -> u64 {
    u64::try_from(ticks / TICKS_PER_SECOND).unwrap_or(0)
}

/// Measures by the packets: all of them where they were read, the last ones otherwise.
pub(super) fn measure(
    input: &mut Input,
    reading: &Reading,
    played: (&VideoStream, Option<&AudioStream>),
    frame: &Frame<'_>,
) -> Result<Span, Error> {
    let (video, sound) = played;
    let outline = frame.outline;
    let cut = outline.ends_early() || points_beyond(input, outline.size) || last_is_cut(reading);
    let promised = promised(input, played);
    let tail = if reading.whole {
        None
    } else {
        Some(tail::read(input, reading, (video.index as usize, near_end(input, video)), frame)?)
    };
    let tracks = tail.as_ref().map_or(&reading.tracks, |tail| &tail.tracks);
    let zero = start(video).saturating_sub(video.clock.lead);
    let pictures = end_of_pictures(tracks, reading, video);
    let heard = sound.and_then(|sound| end_of_sound(tracks, video, sound));
    let found = pictures.max(heard.map(|end| end.saturating_add(video.clock.delay))).unwrap_or(zero);
    let duration = found.saturating_sub(zero).max(1);
    let missing = promised.map_or(0, |promised| promised.saturating_sub(found));
    let truncated = cut || missing > SLACK.max(duration / 20);
    let discontinuities = tail.map_or_else(|| reading.discontinuities.clone(), |tail| tail.discontinuities);
    Ok(Span { duration, truncated, discontinuities })
}

/// Where in the base of the pictures the last ones may be looked for.
fn near_end(input: &Input, video: &VideoStream) -> i64 {
    let stream = input.stream(video.index as usize).filter(|_| is_indexed(input));
    if let Some(last) = stream.and_then(|stream| raw::index(&stream).next_back()) {
        return last.timestamp;
    }
    from_ticks(claimed_end(input).saturating_sub(RUN_UP), rational(video.time_base))
}

/// Where the container says that the streams played end; `None` where it says nothing of them, or what can't be meant.
fn promised(input: &Input, (video, sound): (&VideoStream, Option<&AudioStream>)) -> Option<Ticks> {
    let is_played = |index: usize| {
        let sounds = || sound.into_iter().flat_map(AudioStream::tracks);
        index == video.index as usize || sounds().any(|track| index == track as usize)
    };
    if input.format().name().contains("mp4") {
        let played = input.streams().filter(|stream| is_played(stream.index()));
        return played.filter_map(|stream| promised_by(&stream)).max();
    }
    // Of all its tracks together: subtitles and other sound may well be longer.
    let only_played =
        input.streams().all(|stream| is_played(stream.index()) || input::is_attached_picture(&stream));
    let estimated = raw::duration_is_a_guess(input) || raw::has_many_clocks(input);
    (only_played && !estimated).then(|| claimed_end(input))
}

/// What a container without an index for all of it says: most count from 0, and those that count from their start promise
/// less by that.
fn claimed_end(input: &Input) -> Ticks {
    to_ticks(input.duration(), CONTAINER_BASE)
}

/// By its own header; all ones mean that the writer didn't know (ISO/IEC 14496-12 8.4.2.3).
fn promised_by(stream: &Stream<'_>) -> Option<Ticks> {
    const UNKNOWN: [i64; 3] = [u32::MAX as i64, i32::MAX as i64, i64::MAX];
    let duration = Some(stream.duration()).filter(|claimed| *claimed > 0 && !UNKNOWN.contains(claimed))?;
    let start = Some(stream.start_time()).filter(|start| *start != ffi::AV_NOPTS_VALUE).unwrap_or(0);
    Some(to_ticks(start.saturating_add(duration), stream.time_base()))
}

/// A jump to the middle lands on a keyframe not far before it.
pub(super) fn is_seekable(
    input: &mut Input,
    reading: &Reading,
    video: &VideoStream,
    duration: Ticks,
) -> Result<bool, Error> {
    let index = video.index as usize;
    let base = rational(video.time_base);
    if reading.tracks.get(&index).is_none_or(|track| track.untimed > 0) {
        return Ok(false);
    }
    let middle = start(video).saturating_add(duration / 2);
    let last = reading.tracks.get(&index).and_then(|track| track.last).filter(|_| reading.whole);
    let aim = last.map_or(middle, |last| middle.min(last));
    let Some(landed) = input::seek_before(input, index, from_ticks(aim, base))? else { return Ok(false) };
    let landed = to_ticks(landed, base);
    let keys = reading.tracks.get(&index).into_iter().flat_map(|track| &track.keys);
    let best = keys.map(|(at, _)| *at).filter(|at| *at <= aim).max().filter(|_| reading.whole);
    Ok(aim.saturating_sub(landed) <= MAX_RUN_UP || best.is_some_and(|best| landed >= best))
}

/// When the first picture is shown, on the source's clock.
fn start(video: &VideoStream) -> Ticks {
    to_ticks(video.start_pts, rational(video.time_base))
}

fn from_ticks(ticks: Ticks, base: Rational) -> i64 {
    let scaled = i128::from(ticks) * i128::from(base.denominator());
    let per_tick = i128::from(base.numerator().max(1)) * i128::from(TICKS_PER_SECOND);
    i64::try_from(scaled / per_tick).unwrap_or(i64::MAX)
}

fn end_of_pictures(tracks: &BTreeMap<usize, Track>, reading: &Reading, video: &VideoStream) -> Option<Ticks> {
    let index = video.index as usize;
    let delay = reading.tracks.get(&index).map_or(0, |track| reordering(track, start(video)));
    Some(tracks.get(&index)?.ends(one_picture(video))?.saturating_add(delay))
}

fn end_of_sound(tracks: &BTreeMap<usize, Track>, video: &VideoStream, sound: &AudioStream) -> Option<Ticks> {
    let end = |index: u32| {
        let track = tracks.get(&(index as usize))?;
        if video.clock.untimed.contains(&index) { track.ends_in_row() } else { track.ends(0) }
    };
    sound.tracks().into_iter().filter_map(end).max()
}

/// How much later pictures are shown than decoded, where a stream only tells the latter.
fn reordering(track: &Track, start: Ticks) -> Ticks {
    let delay = start - track.first.unwrap_or(start);
    if track.by_decoding { delay.clamp(0, TICKS_PER_SECOND) } else { 0 }
}

/// The same where it tells nothing else of any picture, so that all are told too late by it.
pub(super) fn delay(track: &Track, video: &VideoStream) -> Ticks {
    if track.presented == 0 { reordering(track, start(video)) } else { 0 }
}

fn one_picture(video: &VideoStream) -> Ticks {
    let rate = video.frame_rate;
    TICKS_PER_SECOND * Ticks::from(rate.den) / Ticks::from(rate.num.max(1))
}

/// An index that covers the whole source, as an MP4 with sample tables has.
fn is_indexed(input: &Input) -> bool {
    input.format().name().contains("mp4")
        && input.streams().all(|stream| raw::index_len(&stream) > 0 || stream.frames() == 0)
}

/// Something an MP4's index points at lies beyond the end of the file.
fn points_beyond(input: &Input, size: u64) -> bool {
    let beyond = |entry: raw::Entry| {
        let end = entry.position.saturating_add(entry.size);
        u64::try_from(end).is_ok_and(|end| end > size)
    };
    let kinds = [media::Type::Video, media::Type::Audio];
    let mut played = input.streams().filter(|stream| kinds.contains(&stream.parameters().medium()));
    input.format().name().contains("mp4") && played.any(|stream| raw::index(&stream).any(beyond))
}

fn last_is_cut(reading: &Reading) -> bool {
    reading.whole && reading.tracks.values().any(|track| track.cut)
}
