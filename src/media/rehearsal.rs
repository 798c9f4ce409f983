//! A tiny encode that shows whether the libraries do their work inside the sandbox.

use ffmpeg_next::codec::encoder;
use ffmpeg_next::format::{Pixel, Sample, sample};
use ffmpeg_next::{ChannelLayout, Dictionary, Packet, Rational, codec, filter, frame};

use super::error::Error;

const SIDE: u32 = 320;
const PICTURES: i64 = 30;

/// Scales and encodes a second of grey with several threads; how many bytes came out.
pub(super) fn video() -> Result<usize, Error> {
    let codec = encoder::find_by_name("libx264")
        .ok_or_else(|| Error::Protocol("FFmpeg has no libx264".to_owned()))?;
    let mut encoder =
        codec::Context::new_with_codec(codec).encoder().video().map_err(Error::libav("set up libx264"))?;
    encoder.set_width(SIDE / 2);
    encoder.set_height(SIDE / 2);
    encoder.set_format(Pixel::YUV420P);
    encoder.set_time_base(Rational(1, 30));
    encoder.set_threading(codec::threading::Config::count(4));
    let mut encoder = encoder.open_with(preset()).map_err(Error::libav("open libx264"))?;
    let mut graph = scaler()?;
    let (mut shown, mut bytes) = (frame::Video::empty(), 0);
    for pts in 0..PICTURES {
        let mut picture = frame::Video::new(Pixel::YUV420P, SIDE, SIDE);
        (0..3).for_each(|plane| picture.data_mut(plane).fill(128));
        picture.set_pts(Some(pts));
        filtered(&mut graph, &picture, &mut shown)?;
        encoder.send_frame(&shown).map_err(Error::libav("encode a picture"))?;
        bytes += drain(&mut encoder);
    }
    encoder.send_eof().map_err(Error::libav("end the encode"))?;
    Ok(bytes + drain(&mut encoder))
}

/// Encodes a second of silence as AAC; how many bytes came out.
pub(super) fn audio() -> Result<usize, Error> {
    let codec = encoder::find(codec::Id::AAC)
        .ok_or_else(|| Error::Protocol("FFmpeg has no AAC encoder".to_owned()))?;
    let mut encoder =
        codec::Context::new_with_codec(codec).encoder().audio().map_err(Error::libav("set up AAC"))?;
    encoder.set_rate(48_000);
    encoder.set_format(Sample::F32(sample::Type::Planar));
    encoder.set_channel_layout(ChannelLayout::STEREO);
    encoder.set_time_base(Rational(1, 48_000));
    let mut encoder = encoder.open().map_err(Error::libav("open AAC"))?;
    let mut bytes = 0;
    for block in 0..48 {
        let mut sound = frame::Audio::new(Sample::F32(sample::Type::Planar), 1024, ChannelLayout::STEREO);
        (0..2).for_each(|plane| sound.data_mut(plane).fill(0));
        sound.set_rate(48_000);
        sound.set_pts(Some(block * 1024));
        encoder.send_frame(&sound).map_err(Error::libav("encode sound"))?;
        bytes += drain(&mut encoder);
    }
    Ok(bytes)
}

fn preset() -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("preset", "veryfast");
    options
}

fn scaler() -> Result<filter::Graph, Error> {
    let mut graph = filter::Graph::new();
    let source = format!("video_size={SIDE}x{SIDE}:pix_fmt=yuv420p:time_base=1/30");
    let find =
        |name| filter::find(name).ok_or_else(|| Error::Protocol(format!("FFmpeg has no filter {name}")));
    graph.add(&find("buffer")?, "in", &source).map_err(Error::libav("make a filter source"))?;
    graph.add(&find("buffersink")?, "out", "").map_err(Error::libav("make a filter sink"))?;
    let half = format!("scale={0}:{0}", SIDE / 2);
    let wired =
        graph.output("in", 0).and_then(|graph| graph.input("out", 0)).and_then(|graph| graph.parse(&half));
    wired.and_then(|()| graph.validate()).map_err(Error::libav("wire the filters"))?;
    Ok(graph)
}

fn filtered(graph: &mut filter::Graph, picture: &frame::Video, out: &mut frame::Video) -> Result<(), Error> {
    let gone = || Error::Protocol("a filter is gone".to_owned());
    let fed = graph.get("in").ok_or_else(gone)?.source().add(picture);
    fed.map_err(Error::libav("feed the filters"))?;
    graph.get("out").ok_or_else(gone)?.sink().frame(out).map_err(Error::libav("filter a picture"))
}

fn drain(encoder: &mut encoder::Encoder) -> usize {
    let (mut packet, mut bytes) = (Packet::empty(), 0);
    while encoder.receive_packet(&mut packet).is_ok() {
        bytes += packet.size();
    }
    bytes
}
