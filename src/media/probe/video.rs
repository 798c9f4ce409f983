//! Which stream is the video, and what it is like.

use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::{Disposition, Stream};
use ffmpeg_next::{Rational, codec, ffi};

use super::clock::{CONTAINER_BASE, fraction, to_ticks};
use super::look::{Picture, Pictures};
use super::picture::{self, Turn};
use super::rate;
use super::reading::Reading;
use super::shape::{self, Look, Sample};
use super::track::Track;
use super::verdict::Blank;
use crate::domain::media::{Fraction, SourceClock, TICKS_PER_SECOND, Ticks, VideoStream};
use crate::media::libav::{TICK, rescale};
use crate::media::{Error, raw};

/// Stream types of HLS SAMPLE-AES in an MPEG transport stream, as its demuxer shows them.
const SAMPLE_AES: [u32; 5] = [0xdb, 0xcf, 0xc1, 0xc2, 0xe3];

/// Pictures in any second, beyond which a source is not passed through: 60, and those that are reordered into it.
const MAX_DENSITY: u32 = 70;

/// The best stream that gave a picture: the default one, then the largest.
pub(super) fn choose(input: &Input, reading: &Reading) -> Option<usize> {
    let shown =
        reading.pictures.iter().filter(|(_, pictures)| pictures.start().is_some()).map(|(index, _)| *index);
    shown.max_by_key(|index| {
        let preferred =
            input.stream(*index).is_some_and(|it| it.disposition().contains(Disposition::DEFAULT));
        let start = reading.pictures.get(index).and_then(Pictures::start);
        let pixels =
            start.map_or(0, |picture| u64::from(picture.look.width) * u64::from(picture.look.height));
        let packets = reading.tracks.get(index).map_or(0, |track| track.packets);
        (preferred && packets > 1, pixels, packets, std::cmp::Reverse(*index))
    })
}

/// What `without_pictures` wants to know.
#[derive(Debug)]
pub(super) struct Nothing {
    encrypted: bool,
    undecodable: Option<String>,
    packets: u64,
}

impl Nothing {
    pub fn as_blank(&self) -> Blank<'_> {
        Blank { encrypted: self.encrypted, undecodable: self.undecodable.as_deref(), packets: self.packets }
    }
}

/// Gathers why no stream gave a picture.
pub(super) fn blank(input: &Input, reading: &Reading) -> Nothing {
    let streams = || reading.videos.iter().filter_map(|index| input.stream(*index));
    let missing = streams().find(|stream| codec::decoder::find(stream.parameters().id()).is_none());
    Nothing {
        encrypted: reading.videos.iter().any(|index| is_encrypted(input, reading, *index)),
        undecodable: missing.map(|stream| codec_name(&stream)),
        packets: reading
            .videos
            .iter()
            .filter_map(|index| reading.tracks.get(index))
            .map(|track| track.packets)
            .sum(),
    }
}

/// The stream's samples can't be read without a key.
pub(super) fn is_encrypted(input: &Input, reading: &Reading, index: usize) -> bool {
    let Some(stream) = input.stream(index) else { return false };
    let tag = raw::parameters(&stream).codec_tag;
    let tagged = [b"encv", b"enca", b"drmi", b"drms"].iter().any(|name| u32::from_le_bytes(**name) == tag);
    // The Matroska demuxer keeps a track's ContentEncKeyID there. A `pssh` box left behind in an MP4 says nothing.
    let keyed = stream.metadata().get("enc_key_id").is_some();
    let transport = input.format().name().contains("mpegts") && SAMPLE_AES.contains(&tag);
    let samples = reading.tracks.get(&index).is_some_and(|track| track.encrypted);
    tagged || samples || transport || keyed
}

/// Describes the chosen stream by its parameters and by pictures from all over it; `flagged` where the container speaks
/// of fields, maybe not of their order.
pub(super) fn describe(
    input: &Input,
    reading: &Reading,
    index: usize,
    flagged: bool,
) -> Result<VideoStream, Error> {
    let gone = || Error::Protocol(format!("stream {index} is gone"));
    let stream = input.stream(index).ok_or_else(gone)?;
    let pictures = reading.pictures.get(&index).ok_or_else(gone)?;
    let first = pictures.start().ok_or_else(gone)?;
    let track = reading.tracks.get(&index).ok_or_else(gone)?;
    let base = stream.time_base();
    let samples = samples(pictures, track, base);
    let start = to_ticks(first.pts, base);
    let promised = start.saturating_add(to_ticks(input.duration(), CONTAINER_BASE));
    let end = track.end.filter(|_| reading.whole).unwrap_or(promised);
    let look = shape::prevailing(&samples, end).unwrap_or(first.look);
    let turn = turn(&stream);
    let (width, height) = picture::shown(look.width, look.height, look.aspect, turn);
    let offset = track.mended(start, first.epoch).saturating_sub(start);
    let is_any = |is: fn(&Look) -> bool| samples.iter().any(|sample| is(&sample.look));
    let marked = is_any(|look| look.interlaced);
    let top_field_first = field_order(&stream, flagged).filter(|_| !marked);
    let mut described = VideoStream {
        index: u32::try_from(index).unwrap_or(u32::MAX),
        codec: codec_name(&stream),
        width,
        height,
        rotation: turn.degrees,
        mirrored: turn.mirrored,
        pixel_aspect: look.aspect,
        frame_rate: rate::choose(fraction(stream.avg_frame_rate()), fraction(stream.rate()), track.rate()),
        pixel_format: look.format.descriptor().map_or_else(String::new, |format| format.name().to_owned()),
        bit_depth: raw::bit_depth(look.format),
        interlaced: marked || top_field_first.is_some(),
        top_field_first,
        unmarked: pictures.is_unmarked(),
        hdr: is_any(Look::is_hdr),
        start_pts: first.pts.saturating_add(rescale(offset, TICK, base)),
        time_base: fraction(stream.time_base()),
        clock: SourceClock::default(),
        bitrate: u64::try_from(stream.parameters().bit_rate()).unwrap_or(0),
        web_friendly: false,
    };
    let alike = samples.iter().all(|sample| sample.look == look);
    let dense = track.densest > MAX_DENSITY;
    described.web_friendly = alike && !dense && is_web_friendly(&stream, &look, &described);
    Ok(described)
}

/// What pictures are like, in order of time.
fn samples(pictures: &Pictures, track: &Track, base: Rational) -> Vec<Sample> {
    let sample = |picture: &Picture| {
        let at = track.mended(to_ticks(picture.pts, base), picture.epoch);
        Sample { at, look: picture.look }
    };
    let mut samples: Vec<Sample> = pictures.samples().iter().map(sample).collect();
    samples.sort_by_key(|sample| sample.at);
    samples
}

/// Counts the bit rate where the packets were counted; where nobody says, the whole file's is taken.
pub(super) fn set_bitrate(video: &mut VideoStream, reading: &Reading, duration: Ticks, size: u64) {
    let track = reading.tracks.get(&(video.index as usize)).filter(|_| reading.whole);
    let unknown = (video.bitrate == 0).then_some(size);
    if let (Some(bytes), Ok(duration @ 1..)) =
        (track.map(|track| track.bytes).or(unknown), u64::try_from(duration))
    {
        let ticks = u128::from(bytes) * 8 * u128::from(TICKS_PER_SECOND.unsigned_abs());
        video.bitrate = u64::try_from(ticks / u128::from(duration)).unwrap_or(u64::MAX);
    }
}

/// The codec's name, or its tag where FFmpeg has no name for it.
pub(super) fn codec_name(stream: &Stream<'_>) -> String {
    let id = stream.parameters().id();
    if id != codec::Id::None {
        return id.name().to_owned();
    }
    let tag = raw::parameters(stream).codec_tag.to_le_bytes();
    let text: String = tag.iter().map(|byte| char::from(*byte)).filter(char::is_ascii_graphic).collect();
    if text.is_empty() { "unknown".to_owned() } else { text }
}

fn turn(stream: &Stream<'_>) -> Turn {
    let matrix = stream.side_data().find(|data| data.kind() == side_data::Type::DisplayMatrix);
    match (matrix, stream.metadata().get("rotate")) {
        (Some(matrix), _) => Turn::from_matrix(matrix.data()),
        (None, Some(tag)) => Turn::from_tag(tag),
        (None, None) => Turn::default(),
    }
}

/// Whether the top field is shown first, where the container speaks of fields.
fn field_order(stream: &Stream<'_>, flagged: bool) -> Option<bool> {
    use ffi::AVFieldOrder::{AV_FIELD_BB, AV_FIELD_BT, AV_FIELD_TB, AV_FIELD_TT, AV_FIELD_UNKNOWN};
    match raw::parameters(stream).field_order {
        AV_FIELD_TT | AV_FIELD_BT => Some(true),
        AV_FIELD_BB | AV_FIELD_TB => Some(false),
        // All but old DV shows the top one first, and DV's pictures say so themselves.
        AV_FIELD_UNKNOWN if flagged => Some(true),
        _ => None,
    }
}

fn is_web_friendly(stream: &Stream<'_>, look: &Look, video: &VideoStream) -> bool {
    // Baseline, Main and High (ITU-T H.264 A.2); what lies above is 4:2:2, 4:4:4 or ten bits.
    let profile = raw::parameters(stream).profile & 0xff;
    let codec =
        video.codec == "h264" && matches!(profile, 66 | 77 | 100) && raw::parameters(stream).level <= 52;
    let format = video.pixel_format == "yuv420p" && !video.hdr && !video.interlaced;
    let upright =
        video.rotation == 0 && !video.mirrored && (video.width, video.height) == (look.width, look.height);
    let square = video.pixel_aspect == Fraction { num: 1, den: 1 };
    // One and the same for all pictures, and out of band (ISO/IEC 14496-15 5.3.3), which a muxer needs.
    let parameter_sets = raw::parameters(stream).codec_tag != u32::from_le_bytes(*b"avc3");
    codec && parameter_sets && format && upright && square && raw::extradata(stream).first() == Some(&1)
}
