//! A picture that stands still, as a stream of pictures: what viewers of a broadcast see while its encoder is away.

use std::sync::mpsc::Receiver;

use ffmpeg_next::{Packet, codec, frame};

use super::encoding::Encoding;
use crate::domain::media::{Fraction, Rung, TICKS_PER_SECOND, Ticks};
use crate::media::encode::{Deinterlace, Graph, Shape};
use crate::media::error::Error;
use crate::media::task::{Event, Outcome, Slate};
use crate::media::wire::Emit;
use crate::media::{input, libav};

/// What a JPEG says of its pixels' shape is left aside.
const SQUARE: Fraction = Fraction { num: 1, den: 1 };

/// Takes one JPEG and gives it back as pictures of the rung.
pub fn run(task: &Slate, pictures: &Receiver<Vec<u8>>, emit: &Emit) -> Result<Outcome, Error> {
    emit.send(&Event::Next)?;
    // The parent is gone: then so are we.
    let Ok(jpeg) = pictures.recv() else { return Ok(Outcome::Encoded { ended_at: 0 }) };
    let picture = fitted(&mut decoded(&jpeg)?, &task.rung)?;
    let mut encoding = Encoding::new(0, &task.rung, emit);
    encoding.begin_at(0);
    for at in 0..task.pictures {
        let mut copy = libav::repeat(&picture);
        copy.set_pts(Some(shown(at, &task.rung)));
        encoding.encode(copy)?;
    }
    encoding.finish()?;
    Ok(Outcome::Encoded { ended_at: shown(task.pictures, &task.rung) })
}

fn shown(at: u32, rung: &Rung) -> Ticks {
    let rate = rung.frame_rate;
    Ticks::from(at) * TICKS_PER_SECOND * Ticks::from(rate.den) / Ticks::from(rate.num.max(1))
}

fn decoded(jpeg: &[u8]) -> Result<frame::Video, Error> {
    let mut decoder = input::bare_decoder(codec::Id::MJPEG, &[], 1)?;
    let doing = || Error::libav("decode a still");
    decoder.send_packet(&Packet::copy(jpeg)).map_err(doing())?;
    decoder.send_eof().map_err(doing())?;
    let mut picture = frame::Video::empty();
    decoder.receive_frame(&mut picture).map_err(doing())?;
    Ok(picture)
}

/// All of the picture, in the middle of the rung's.
fn fitted(picture: &mut frame::Video, rung: &Rung) -> Result<frame::Video, Error> {
    let (width, height) = (rung.width, rung.height);
    let spec = format!(
        "[in]scale={width}:{height}:force_original_aspect_ratio=decrease:force_divisible_by=2:out_color_matrix=bt709:\
         out_range=tv,format=yuv420p,pad={width}:{height}:-1:-1,setsar=1[out0]"
    );
    let mut graph = Graph::parse(&Shape::of(picture, SQUARE, Deinterlace::No), 1, &spec)?;
    graph.push(0, picture)?;
    graph.end();
    graph.pull(0).ok_or_else(|| Error::libav("filter a picture")(ffmpeg_next::Error::Eof))
}
