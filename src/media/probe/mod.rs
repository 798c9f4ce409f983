//! Says what a source is, or why it can't be used: one pass over its packets, decoding as little as will do.

mod audio;
mod carried;
mod clock;
mod epochs;
mod flv;
mod idr;
mod keys;
mod lead;
mod look;
mod matroska;
mod outline;
mod picture;
mod programmes;
mod promise;
mod rate;
mod reading;
mod shape;
mod signature;
mod span;
mod still;
mod survey;
mod tail;
mod track;
mod verdict;
mod video;

use std::io::{Read, Seek};

use ffmpeg_next::format::context::Input;
use ffmpeg_next::media;

pub(super) use self::clock::fraction;
use self::outline::Outline;
pub(super) use self::picture::{Turn, sane_aspect};
use self::reading::Reading;
use self::track::Track;
use super::shared::SharedSource;
use super::task::{Limits, Outcome};
use super::wire::Emit;
use super::{Error, input};
use crate::domain::Refusal;
use crate::domain::media::{AudioStream, Probe, SourceClock, TICKS_PER_SECOND, VideoStream};

/// Probes a source.
///
/// # Errors
/// `Refused` where the source is at fault, anything else where we are.
pub fn run(
    limits: &Limits,
    stream: impl Read + Seek + Send + 'static,
    emit: &Emit,
) -> Result<Outcome, Error> {
    let probe = probe(limits, stream, emit)?;
    Ok(Outcome::Probed { probe: Box::new(probe) })
}

fn probe(
    limits: &Limits,
    mut stream: impl Read + Seek + Send + 'static,
    emit: &Emit,
) -> Result<Probe, Error> {
    let outline = Outline::of(&mut stream).map_err(Error::Socket)?;
    refuse_if(outline.size == 0, verdict::empty)?;
    refuse_if(outline.is_picture(), verdict::still_picture)?;
    let source = SharedSource::new(stream);
    let mut input = open(source.reader(), limits, &outline)?;
    check_video(&input).map_err(|covers_only| verdict::without_video(&outline, covers_only))?;
    let whole = span::must_read_whole(&input, &outline, limits);
    let mut reading = Reading::of(&mut input, (outline.size, whole), emit)?;
    let Some(index) = video::choose(&input, &reading) else {
        return Err(verdict::without_pictures(&outline, video::blank(&input, &reading).as_blank()).into());
    };
    if !reading.whole {
        survey::look_around(&mut input, &mut reading, index, emit)?;
    }
    reading.settle(index);
    let frame = Frame { limits, outline: &outline, reopen: &|| source.open(), emit };
    conclude(&mut input, &reading, index, &frame)
}

/// What stays the same around one probe.
struct Frame<'a> {
    limits: &'a Limits,
    outline: &'a Outline,
    /// Opens the source once more, from its first byte.
    reopen: &'a dyn Fn() -> Result<Input, Error>,
    emit: &'a Emit,
}

fn conclude(input: &mut Input, reading: &Reading, index: usize, frame: &Frame<'_>) -> Result<Probe, Error> {
    let encrypted = video::is_encrypted(input, reading, index);
    refuse_if(encrypted, verdict::encrypted)?;
    let mut stream = video::describe(input, reading, index, frame.outline.is_interlaced)?;
    let (mut sound, undecodable) = audio::choose(input, reading, &stream);
    stream.clock = clock_of(reading, &stream, sound.as_mut());
    let span = span::measure(input, reading, (&stream, sound.as_ref()), frame)?;
    let most = frame.limits.max_duration;
    refuse_if(span.duration > most, || {
        verdict::too_long(span.duration / TICKS_PER_SECOND, most / TICKS_PER_SECOND)
    })?;
    let held = span::held(input, reading, (&stream, sound.as_ref()), span.duration);
    let most = frame.limits.max_still;
    refuse_if(held > most, || verdict::stands_still(held / TICKS_PER_SECOND, most / TICKS_PER_SECOND))?;
    video::set_bitrate(&mut stream, reading, span.duration, frame.outline.size);
    stream.clock.discontinuities = span.discontinuities;
    let told_again = !reading.tracks.get(&index).is_some_and(|track| track.renewed) || tells_again(input);
    let seekable = told_again
        && stream.clock.discontinuities.is_empty()
        && span::is_seekable(input, reading, &stream, span.duration)?;
    stream.web_friendly &= reading.tracks.get(&index).is_some_and(|track| !track.unruly && !track.renewed);
    let keyframes = if stream.web_friendly { keys::times(input, reading, &stream) } else { Vec::new() };
    stream.web_friendly &= !keyframes.is_empty();
    let truncated = span.truncated.then(verdict::truncated);
    Ok(Probe {
        container: input.format().name().to_owned(),
        duration: span.duration,
        seekable,
        video: stream,
        audio: sound,
        warnings: truncated.into_iter().chain(undecodable).collect(),
        keyframes,
    })
}

/// How the source's times become the video's; the sound's start becomes one of these.
fn clock_of(reading: &Reading, video: &VideoStream, sound: Option<&mut AudioStream>) -> SourceClock {
    let mut clock = SourceClock { wrong_stamps: reading.wrong_stamps.clone(), ..SourceClock::default() };
    let Some((track, sound)) =
        sound.and_then(|sound| Some((reading.tracks.get(&(sound.index as usize))?, sound)))
    else {
        return clock;
    };
    let pictures = reading.tracks.get(&(video.index as usize));
    clock.delay = pictures.map_or(0, |pictures| span::delay(pictures, video));
    let told = clock::to_ticks(video.start_pts, clock::rational(video.time_base));
    let (picture, start) = (told.saturating_sub(clock.delay), told.saturating_add(sound.start));
    let begun = |index: u32| {
        let other = reading.tracks.get(&(index as usize)).filter(|_| index != sound.index)?;
        Some(lead::lead(picture, other.first?, &other.gaps))
    };
    let earliest = sound.tracks().into_iter().filter_map(begun).max().unwrap_or(0);
    clock.lead = lead::lead(picture, start, &track.gaps).max(earliest);
    let heard = sound.choices().into_iter().flatten();
    clock.untimed.extend(
        heard.filter(|index| reading.tracks.get(&(*index as usize)).is_some_and(Track::is_too_dense)),
    );
    sound.start = start.saturating_sub(picture).saturating_add(clock.lead);
    clock
}

fn open(
    stream: impl Read + Seek + Send + 'static,
    limits: &Limits,
    outline: &Outline,
) -> Result<Input, Error> {
    let opened = input::open_checked(stream, |input| {
        carried::check(input, limits)?;
        input::check_pixels(input, limits.max_pixels)
    });
    opened.map_err(|error| input::refused_as(error, || verdict::unopened(outline)))
}

/// After a jump the demuxer tells of the parameter sets that are in force there; others do so only where they change.
fn tells_again(input: &Input) -> bool {
    input.format().name().contains("mp4")
}

/// Ok where there are moving pictures; otherwise whether there is nothing but covers.
fn check_video(input: &Input) -> Result<(), bool> {
    let of = |kind| input.streams().filter(move |stream| stream.parameters().medium() == kind);
    if of(media::Type::Video).any(|stream| !input::is_attached_picture(&stream)) {
        return Ok(());
    }
    Err(of(media::Type::Video).next().is_some() && of(media::Type::Audio).next().is_none())
}

fn refuse_if(so: bool, refusal: impl FnOnce() -> Refusal) -> Result<(), Error> {
    if so { Err(refusal().into()) } else { Ok(()) }
}
