//! Poster and storyboard, out of keyframes alone wherever the video is long enough for that; and posters out of
//! pictures.

mod fit;
mod jpeg;
mod poster;
mod sheet;
mod shots;

use std::io::{Read, Seek};

use ffmpeg_next::{ffi, filter, frame};

pub use self::fit::fit;
use self::poster::Candidates;
use self::sheet::Sheet;
use self::shots::Shots;
use super::encode::Reader;
use super::error::Error;
use super::libav;
use super::pulse::Pulse;
use super::storyboard::moment;
use super::task::{Event, Outcome, Still, Stills};
use super::wire::Emit;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::domain::{Refusal, RefusalCode};

/// The poster is looked for in this much of the video.
const POSTER_WITHIN: Ticks = 60 * TICKS_PER_SECOND;
/// Pictures the poster is chosen from, at most.
const CANDIDATES: Ticks = 20;
/// Up to this length every picture is decoded: keyframes alone would be too few.
const SHORT: Ticks = 30 * TICKS_PER_SECOND;

/// Makes both pictures; a video without a single picture is refused.
pub fn run<S>(task: &Stills, source: S, emit: &Emit) -> Result<Outcome, Error>
where
    S: Read + Seek + Send + 'static,
{
    let reader = Reader::open(source, &task.video)?;
    let mut shots = Shots::open(reader, task)?;
    let mut candidates = Candidates::default();
    let mut sheet = Sheet::blank(&task.storyboard);
    let mut pulse = Pulse::new(emit);
    if task.duration <= SHORT || !task.seekable {
        straight_through(task, &mut shots, (&mut candidates, &mut sheet), &mut pulse)?;
    } else {
        first_minute(&mut shots, &mut candidates, &mut pulse)?;
        by_seeking(task, &mut shots, (&mut candidates, &mut sheet), &mut pulse)?;
    }
    let Some((poster, (width, height))) = candidates.best() else {
        let message = "No picture of this video could be decoded.";
        return Ok(Outcome::Refused { refusal: Refusal::new(RefusalCode::NoFrames, message) });
    };
    emit.send_with(&Event::Still { still: Still::Poster, width, height }, &jpeg::encode(&poster)?)?;
    let (width, height) = sheet.size();
    emit.send_with(
        &Event::Still { still: Still::Storyboard, width, height },
        &jpeg::encode(sheet.picture())?,
    )?;
    Ok(Outcome::Encoded { ended_at: task.duration })
}

/// One reading from the start to the end.
fn straight_through(
    task: &Stills,
    shots: &mut Shots<'_>,
    (candidates, sheet): (&mut Candidates, &mut Sheet),
    pulse: &mut Pulse<'_>,
) -> Result<(), Error> {
    let every_picture = task.duration <= SHORT;
    let step = task.duration.min(POSTER_WITHIN) / CANDIDATES;
    let (mut tile, mut next_candidate) = (0, 0);
    while let Some((at, shot)) = shots.next(every_picture, pulse)? {
        if at >= next_candidate && at <= POSTER_WITHIN {
            candidates.add(shots.poster_sized(&shot)?);
            next_candidate = at + step;
        }
        if tile < task.storyboard.tiles && at >= moment(&task.storyboard, tile, task.duration) {
            let small = shots.tile_sized(&shot)?;
            while tile < task.storyboard.tiles && at >= moment(&task.storyboard, tile, task.duration) {
                sheet.put(tile, small.as_ref());
                tile += 1;
            }
        }
        shots.keep(shot);
    }
    // The last picture stays until the end.
    let last = shots.last_kept().map(|shot| shots.tile_sized(&shot)).transpose()?.flatten();
    (tile..task.storyboard.tiles).for_each(|tile| sheet.put(tile, last.as_ref()));
    Ok(())
}

fn first_minute(
    shots: &mut Shots<'_>,
    candidates: &mut Candidates,
    pulse: &mut Pulse<'_>,
) -> Result<(), Error> {
    let mut next_candidate = 0;
    while let Some((at, shot)) = shots.next(false, pulse)? {
        if at > POSTER_WITHIN {
            break;
        }
        if at >= next_candidate {
            candidates.add(shots.poster_sized(&shot)?);
            next_candidate = at + POSTER_WITHIN / CANDIDATES;
        }
    }
    Ok(())
}

fn by_seeking(
    task: &Stills,
    shots: &mut Shots<'_>,
    (candidates, sheet): (&mut Candidates, &mut Sheet),
    pulse: &mut Pulse<'_>,
) -> Result<(), Error> {
    let (mut last, mut small) = (None, None);
    for tile in 0..task.storyboard.tiles {
        let wanted = moment(&task.storyboard, tile, task.duration);
        pulse.beat(wanted)?;
        if let Some((at, shot)) = shots.near(wanted, last) {
            if candidates.is_empty() {
                candidates.add(shots.poster_sized(&shot)?);
            }
            small = shots.tile_sized(&shot)?.or(small);
            last = Some(at);
        }
        sheet.put(tile, small.as_ref());
    }
    Ok(())
}

/// A picture after the filters between `[in]` and `[out]`.
fn filtered(picture: &frame::Video, spec: &str) -> Result<frame::Video, Error> {
    let doing = || Error::libav("convert a still");
    let (Some(source), Some(sink)) = (filter::find("buffer"), filter::find("buffersink")) else {
        return Err(doing()(ffmpeg_next::Error::FilterNotFound));
    };
    let (width, height) = (picture.width(), picture.height());
    let format = ffi::AVPixelFormat::from(picture.format()) as i32;
    let args = format!("video_size={width}x{height}:pix_fmt={format}:time_base=1/25:pixel_aspect=1/1");
    let mut graph = filter::Graph::new();
    graph.add(&source, "in", &args).map_err(doing())?;
    graph.add(&sink, "out", "").map_err(doing())?;
    graph
        .output("in", 0)
        .and_then(|parser| parser.input("out", 0))
        .and_then(|parser| parser.parse(spec))
        .map_err(doing())?;
    graph.validate().map_err(doing())?;
    let mut made = frame::Video::empty();
    if let (Some(mut into), Some(mut out)) = (graph.get("in"), graph.get("out")) {
        let mut copy = libav::repeat(picture);
        copy.set_pts(Some(0));
        into.source().add(&copy).map_err(doing())?;
        into.source().flush().map_err(doing())?;
        out.sink().frame(&mut made).map_err(doing())?;
    }
    made.set_pts(Some(0));
    Ok(made)
}

#[cfg(test)]
mod tests;
