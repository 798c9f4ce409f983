//! Opening a source: only self-contained containers, no protocol at all, bounded looking ahead.

use std::io::{Read, Seek};

use ffmpeg_next::format::context::{Input, StreamIo};
use ffmpeg_next::format::stream::{Disposition, Stream};
use ffmpeg_next::{Codec, Dictionary, Packet, codec, decoder, media, threading};

use super::error::Error;
use super::libav::TICK;
use super::raw;
use crate::domain::{Refusal, RefusalCode};

/// Demuxers that read one file and never open another: no playlists, no scripts, no sequences of pictures.
const CONTAINERS: &str = "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,mpegts,mpegtsraw,mpeg,avi,flv,live_flv,ogg,asf,asf_o,rm,\
    mxf,gxf,dv,wtv,nut,ivf,obu,av1,h264,hevc,m4v,mpegvideo,vc1,vc1test,dirac,cavsvideo,yuv4mpegpipe,swf,\
    mp3,wav,w64,aac,loas,flac,ac3,eac3,dts,dtshd,truehd,mlp,amr,amrnb,amrwb,aiff,au,caf,ape,tta,wv,mpc,mpc8,tak,dsf";
/// Demuxers that read one picture and never open another file.
const PICTURES: &str = "jpeg_pipe,png_pipe,webp_pipe";
/// Bytes and microseconds looked at to learn what the streams are.
const LOOK_BYTES: &str = "10000000";
const LOOK_MICROSECONDS: &str = "10000000";
/// A header that declares more streams than this is an attack on memory: libav takes it for running out of that. The
/// probe has a limit of its own below.
const MAX_STREAMS: &str = "1000";
/// A read of libav becomes one of ours; larger than its default saves calls.
const BUFFER_BYTES: usize = 64 << 10;
/// How far before the wanted time to look for a keyframe, in seconds, where the container has no index.
const STEPS_BACK: [i64; 6] = [0, 2, 5, 10, 30, 60];
/// Packets read for a keyframe after a jump before giving up on it.
const MAX_PACKETS_TO_KEY: usize = 5000;

/// Opens a source whose pictures have been found small enough before.
pub fn open(stream: impl Read + Seek + Send + 'static) -> Result<Input, Error> {
    open_checked(stream, |_| Ok(()))
}

/// Opens a source; `check` refuses it by its header before anything is decoded, and by what the streams turn out to be.
pub fn open_checked(
    stream: impl Read + Seek + Send + 'static,
    check: impl Fn(&Input) -> Result<(), Error>,
) -> Result<Input, Error> {
    let mut input = open_header(stream, CONTAINERS)?;
    check(&input)?;
    look_into(&mut input);
    check(&input)?;
    Ok(input)
}

/// Opens a single picture; refuses one of more than `max_pixels`, where that can be known before it is decoded.
pub fn open_picture(stream: impl Read + Seek + Send + 'static, max_pixels: u64) -> Result<Input, Error> {
    let mut input = open_header(stream, PICTURES)?;
    // The size of a WebP libav would learn by decoding all of it.
    if input.format().name() != "webp_pipe" {
        look_into(&mut input);
        check_pixels(&input, max_pixels)?;
    }
    Ok(input)
}

/// What a file that can't be opened is told as. One for which the cage has too little memory finds no more of it at the
/// next attempt.
pub fn refused_as(error: Error, refusal: impl FnOnce() -> Refusal) -> Error {
    match error {
        error if error.is_out_of_memory() => too_much_memory().into(),
        Error::Libav { .. } => refusal().into(),
        other => other,
    }
}

/// What a source is told for which the cage has too little memory.
pub fn too_much_memory() -> Refusal {
    let message = "Reading this file takes more memory than a media process may have.";
    Refusal::new(RefusalCode::TooMuchMemory, message)
}

/// An opened decoder of pictures, set as the probe had it; `threads` 0 means one per core.
pub fn video_decoder(stream: &Stream<'_>, threads: usize) -> Result<decoder::Video, Error> {
    decoder_within(stream, threads, MAX_DECODED_PIXELS)
}

/// An opened decoder of a single picture; a larger one than `max_pixels` it does not begin with.
pub fn picture_decoder(stream: &Stream<'_>, max_pixels: u64) -> Result<decoder::Video, Error> {
    decoder_within(stream, 1, max_pixels)
}

fn decoder_within(stream: &Stream<'_>, threads: usize, max_pixels: u64) -> Result<decoder::Video, Error> {
    let mut context = decoder_context(stream)?;
    raw::prepare_decoder(&mut context, max_pixels);
    context.set_threading(threading::Config { kind: threading::Type::Frame, count: threads, safe: true });
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(stream.time_base());
    let opened = match alpha_decoder(stream) {
        Some(codec) => decoder.open_as(codec).and_then(decoder::Opened::video),
        None => decoder.video(),
    };
    opened.map_err(Error::libav("open the video decoder"))
}

/// `WebM` keeps what can be seen through as a second picture beside the first, and FFmpeg's own decoders leave it out.
fn alpha_decoder(stream: &Stream<'_>) -> Option<Codec> {
    let name = match stream.parameters().id() {
        codec::Id::VP8 => "libvpx",
        codec::Id::VP9 => "libvpx-vp9",
        _ => return None,
    };
    let tags = stream.metadata();
    let has_alpha = tags.get("alpha_mode").is_some_and(|mode| mode.trim() == "1");
    decoder::find_by_name(name).filter(|_| has_alpha)
}

/// An opened decoder of pictures that come without a container, their times in ticks.
pub fn bare_decoder(codec: codec::Id, config: &[u8], threads: usize) -> Result<decoder::Video, Error> {
    let found = decoder::find(codec).ok_or(ffmpeg_next::Error::DecoderNotFound);
    let found = found.map_err(Error::libav("find a decoder"))?;
    let mut context = codec::Context::new_with_codec(found);
    raw::prepare_decoder(&mut context, MAX_DECODED_PIXELS);
    raw::set_extradata(&mut context, config)?;
    context.set_threading(threading::Config { kind: threading::Type::Frame, count: threads, safe: true });
    let mut decoder = context.decoder();
    decoder.set_packet_time_base(TICK);
    decoder.video().map_err(Error::libav("open the video decoder"))
}

/// An opened decoder of sound.
pub fn audio_decoder(stream: &Stream<'_>) -> Result<decoder::Audio, Error> {
    let mut decoder = decoder_context(stream)?.decoder();
    decoder.set_packet_time_base(stream.time_base());
    decoder.audio().map_err(Error::libav("open the audio decoder"))
}

/// Goes to a keyframe of `stream` at or before `pts` and tells its time; `None` where the container can't.
///
/// The next packet of the stream is that keyframe, or comes shortly before it.
pub fn seek_before(input: &mut Input, stream: usize, pts: i64) -> Result<Option<i64>, Error> {
    let Some(second) = input.stream(stream).map(|stream| f64::from(stream.time_base().invert())) else {
        return Ok(None);
    };
    for back in STEPS_BACK {
        #[expect(clippy::cast_possible_truncation, reason = "a time base is at most a few billion a second")]
        let target = pts.saturating_sub(back.saturating_mul(second as i64));
        if raw::seek_back(input, stream, target).is_err() {
            continue;
        }
        if let Some(found) = next_key(input, stream).filter(|found| *found <= pts) {
            raw::seek_back(input, stream, target)?;
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// A cover, a thumbnail or a still: a stream of pictures that isn't the video.
pub fn is_attached_picture(stream: &Stream<'_>) -> bool {
    stream.disposition().contains(Disposition::ATTACHED_PIC)
}

/// Beyond what any limit allows; a guard against a picture that grows in mid-stream.
const MAX_DECODED_PIXELS: u64 = 16_384 * 16_384;

fn open_header(stream: impl Read + Seek + Send + 'static, formats: &str) -> Result<Input, Error> {
    let io = StreamIo::from_read_seek_with_capacity(stream, BUFFER_BYTES)
        .map_err(Error::libav("wrap the source"))?;
    raw::open_header(io, options(formats))
}

fn look_into(input: &mut Input) {
    // What could not be learned is seen in the parameters, and often decodes all the same.
    let _ = raw::find_stream_info(input);
}

fn options(formats: &str) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    for (name, value) in [
        ("format_whitelist", formats),
        ("protocol_whitelist", ""),
        ("probesize", LOOK_BYTES),
        ("analyzeduration", LOOK_MICROSECONDS),
        ("max_streams", MAX_STREAMS),
        ("enable_drefs", "0"),
        ("use_absolute_path", "0"),
    ] {
        options.set(name, value);
    }
    options
}

fn decoder_context(stream: &Stream<'_>) -> Result<codec::Context, Error> {
    codec::Context::from_parameters(stream.parameters())
        .map_err(Error::libav("take over the stream's parameters"))
}

/// Refuses pictures of more than `max_pixels`, by what the header says of them.
pub fn check_pixels(input: &Input, max_pixels: u64) -> Result<(), Error> {
    for stream in input.streams() {
        let parameters = raw::parameters(&stream);
        let (width, height) = (parameters.width.unsigned_abs(), parameters.height.unsigned_abs());
        let pictures = stream.parameters().medium() == media::Type::Video && !is_attached_picture(&stream);
        if pictures && u64::from(width) * u64::from(height) > max_pixels {
            let message =
                format!("The picture is {width} × {height} pixels, more than the {max_pixels} allowed.");
            return Err(Refusal::new(RefusalCode::TooManyPixels, message).into());
        }
    }
    Ok(())
}

fn next_key(input: &mut Input, stream: usize) -> Option<i64> {
    let mut packet = Packet::empty();
    for _ in 0..MAX_PACKETS_TO_KEY {
        packet.read(input).ok()?;
        if packet.stream() == stream && packet.is_key() {
            return packet.pts().or(packet.dts());
        }
    }
    None
}
