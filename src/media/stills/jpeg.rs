//! One picture as a JPEG (ITU-T T.81, JFIF colours).

use ffmpeg_next::{Dictionary, Packet, Rational, codec, encoder, filter, format, frame};

use crate::media::error::Error;
use crate::media::libav;

/// The encoder's scale runs from 2 (best) to 31; this looks like a quality of 85.
const QUALITY: i32 = 3;

/// Encodes a picture in BT.709 and limited range.
pub(super) fn encode(picture: &frame::Video) -> Result<Vec<u8>, Error> {
    let doing = || Error::libav("encode a still");
    let full = full_range(picture)?;
    let Some(mjpeg) = encoder::find_by_name("mjpeg") else {
        return Err(doing()(ffmpeg_next::Error::EncoderNotFound));
    };
    let mut context = codec::Context::new_with_codec(mjpeg);
    context.set_flags(codec::Flags::QSCALE);
    let mut video = context.encoder().video().map_err(doing())?;
    video.set_width(full.width());
    video.set_height(full.height());
    video.set_format(format::Pixel::YUVJ420P);
    video.set_time_base(Rational(1, 25));
    libav::set_quality(&mut video, QUALITY);
    let mut encoder = video.open_with(Dictionary::new()).map_err(doing())?;
    encoder.send_frame(&full).map_err(doing())?;
    encoder.send_eof().map_err(doing())?;
    let mut packet = Packet::empty();
    encoder.receive_packet(&mut packet).map_err(doing())?;
    Ok(packet.data().unwrap_or_default().to_vec())
}

fn full_range(picture: &frame::Video) -> Result<frame::Video, Error> {
    let doing = || Error::libav("convert a still");
    let (Some(source), Some(sink)) = (filter::find("buffer"), filter::find("buffersink")) else {
        return Err(doing()(ffmpeg_next::Error::FilterNotFound));
    };
    let (width, height) = (picture.width(), picture.height());
    let args = format!("video_size={width}x{height}:pix_fmt=yuv420p:time_base=1/25:pixel_aspect=1/1");
    let mut graph = filter::Graph::new();
    graph.add(&source, "in", &args).map_err(doing())?;
    graph.add(&sink, "out", "").map_err(doing())?;
    let spec = "[in]scale=in_color_matrix=bt709:out_color_matrix=bt601:in_range=tv:out_range=pc,format=yuvj420p[out]";
    graph
        .output("in", 0)
        .and_then(|parser| parser.input("out", 0))
        .and_then(|parser| parser.parse(spec))
        .map_err(doing())?;
    graph.validate().map_err(doing())?;
    let mut full = frame::Video::empty();
    if let (Some(mut into), Some(mut out)) = (graph.get("in"), graph.get("out")) {
        let mut copy = libav::repeat(picture);
        copy.set_pts(Some(0));
        into.source().add(&copy).map_err(doing())?;
        into.source().flush().map_err(doing())?;
        out.sink().frame(&mut full).map_err(doing())?;
    }
    full.set_pts(Some(0));
    Ok(full)
}
