//! Makes a poster of an uploaded picture: upright, on white, no larger than it need be.

use std::io::{Read, Seek};

use ffmpeg_next::format::context::Input;
use ffmpeg_next::frame::side_data;
use ffmpeg_next::{Packet, frame};

use super::shots::within;
use super::{filtered, jpeg};
use crate::domain::media::{Fraction, SourceClock, VideoStream};
use crate::domain::{Refusal, RefusalCode};
use crate::media::encode::{Deinterlace, Graph, Shape};
use crate::media::error::Error;
use crate::media::probe::Turn;
use crate::media::task::{Event, Outcome, Still};
use crate::media::wire::Emit;
use crate::media::{input, libav, raw};

const SQUARE: Fraction = Fraction { num: 1, den: 1 };

/// Makes the poster, its longer side at most `side`; what is no picture, or one of more than `max_pixels`, is refused.
pub fn fit(
    (max_pixels, side): (u64, u32),
    stream: impl Read + Seek + Send + 'static,
    emit: &Emit,
) -> Result<Outcome, Error> {
    let opened = input::open_picture(stream, max_pixels);
    let mut source = opened.map_err(|error| input::refused_as(error, no_picture))?;
    let mut picture = decoded(&mut source, max_pixels)?;
    // At once: every filter copies it.
    picture.iter_mut().for_each(jpeg::drop_large_profile);
    let poster = picture.map(|picture| scaled(&picture, side)).transpose()?.flatten();
    let poster = poster.ok_or_else(|| undecodable(max_pixels))?;
    let (width, height) = (poster.width(), poster.height());
    emit.send_with(&Event::Still { still: Still::Poster, width, height }, &jpeg::encode(&poster)?)?;
    Ok(Outcome::Encoded { ended_at: 0 })
}

/// The first picture there is.
fn decoded(source: &mut Input, max_pixels: u64) -> Result<Option<frame::Video>, Error> {
    let Some(stream) = source.stream(0) else { return Ok(None) };
    let mut decoder = input::picture_decoder(&stream, max_pixels)?;
    let mut picture = frame::Video::empty();
    loop {
        let mut packet = Packet::empty();
        if packet.read(source).is_err() {
            break;
        }
        // What the decoder can't take gives no picture.
        let _ = decoder.send_packet(&packet);
        if decoder.receive_frame(&mut picture).is_ok() {
            return Ok(Some(picture));
        }
    }
    let _ = decoder.send_eof();
    Ok(decoder.receive_frame(&mut picture).is_ok().then_some(picture))
}

fn scaled(picture: &frame::Video, side: u32) -> Result<Option<frame::Video>, Error> {
    let video = as_video(picture);
    let fitting = within((video.width, video.height), side);
    let mut opaque = on_white(picture)?;
    let mut graph = Graph::build(&Shape::of(&opaque, SQUARE, Deinterlace::No), &video, &[fitting])?;
    graph.push(0, &mut opaque)?;
    graph.end();
    Ok(graph.pull(0))
}

/// What can be seen through shows white behind it.
fn on_white(picture: &frame::Video) -> Result<frame::Video, Error> {
    if !raw::has_alpha(picture.format()) {
        return Ok(libav::repeat(picture));
    }
    let (width, height) = (picture.width(), picture.height());
    let spec = format!(
        "color=white:size={width}x{height},format=rgba[paper];[in]format=rgba[ink];\
         [paper][ink]overlay=format=rgb:shortest=1,format=rgb24[out]"
    );
    filtered(picture, &spec)
}

/// The picture as a stream of which it is the only one.
fn as_video(picture: &frame::Video) -> VideoStream {
    let matrix = picture.side_data(side_data::Type::DisplayMatrix);
    let turn = matrix.map_or_else(Turn::default, |matrix| Turn::from_matrix(matrix.data()));
    let (width, height) = (picture.width(), picture.height());
    let (width, height) = if turn.is_sideways() { (height, width) } else { (width, height) };
    VideoStream {
        index: 0,
        codec: String::new(),
        width,
        height,
        rotation: turn.degrees,
        mirrored: turn.mirrored,
        pixel_aspect: SQUARE,
        frame_rate: SQUARE,
        pixel_format: String::new(),
        bit_depth: raw::bit_depth(picture.format()),
        interlaced: false,
        top_field_first: None,
        unmarked: false,
        hdr: false,
        start_pts: 0,
        time_base: SQUARE,
        clock: SourceClock::default(),
        bitrate: 0,
        web_friendly: false,
    }
}

fn no_picture() -> Refusal {
    let message = "This file is no picture that can be used. Upload a JPEG, PNG or WebP.";
    Refusal::new(RefusalCode::NotPicture, message)
}

fn undecodable(max_pixels: u64) -> Refusal {
    let message = format!(
        "This picture could not be decoded: it is damaged, animated, or larger than the {max_pixels} pixels allowed."
    );
    Refusal::new(RefusalCode::NoFrames, message)
}
