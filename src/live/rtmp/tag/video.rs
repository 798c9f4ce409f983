//! Pictures: H.264 in the legacy form, H.265 and AV1 in the enhanced one, and H.265 as some send it in the legacy.

use std::collections::VecDeque;

use bytes::Bytes;

use super::super::super::frame::{Media, SECOND_PICTURE, VideoConfig, VideoFrame};
use super::super::Error;
use super::multitrack::{Choice, Single};
use super::{TICKS_PER_MS, after, nal, parameter_sets};
use crate::domain::printable::printable_bytes;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Avc,
    Hevc,
    Av1,
}

impl Codec {
    fn config(self, bytes: Bytes) -> VideoConfig {
        match self {
            Self::Avc => VideoConfig::Avc(bytes),
            Self::Hevc => VideoConfig::Hevc(bytes),
            Self::Av1 => VideoConfig::Av1(bytes),
        }
    }
}

/// One message's content.
#[derive(Debug)]
struct Packet {
    codec: Codec,
    key: bool,
    body: Body,
}

#[derive(Debug)]
enum Body {
    Config(Bytes),
    Frame { cts_ticks: i32, data: Bytes },
}

/// The picture's track; frames that nothing says how to decode are left out.
#[derive(Debug, Default)]
pub(super) struct Track {
    config: Option<VideoConfig>,
    /// The last sequence header, whether or not it is what is in force.
    header: Option<VideoConfig>,
    /// The same header came again, while the pictures have other sets among them: it counts only where those stop.
    repeated: bool,
    choice: Choice,
    /// The encoder separates NAL units by start codes.
    start_codes: bool,
}

impl Track {
    /// `ticks` gives the message's time, and is asked only for a frame that goes out.
    pub(super) fn decode(
        &mut self,
        payload: &Bytes,
        ticks: impl FnOnce() -> i64,
        out: &mut VecDeque<Media>,
    ) -> Result<(), Error> {
        let mut nanos_ticks = 0;
        let (packet, is_news) = packet(payload, &mut nanos_ticks, &mut self.choice)?;
        if is_news {
            out.push_back(Media::LeftOut(SECOND_PICTURE));
        }
        let Some(packet) = packet else { return Ok(()) };
        match packet.body {
            Body::Config(bytes) => self.take_header(packet.codec.config(Bytes::copy_from_slice(&bytes)), out),
            Body::Frame { cts_ticks, data } => {
                let data = self.with_lengths(packet.codec, data);
                if packet.key {
                    self.look_for_parameter_sets(packet.codec, &data, out);
                }
                if self.config.is_some() {
                    let dts_ticks = ticks() + nanos_ticks;
                    out.push_back(Media::Video(VideoFrame { dts_ticks, cts_ticks, key: packet.key, data }));
                }
            }
        }
        Ok(())
    }

    /// Encoders that say their header again and again may mean the sets among their pictures all the same (DJI): those are
    /// what decoders go by.
    fn take_header(&mut self, header: VideoConfig, out: &mut VecDeque<Media>) {
        self.repeated = self.header.as_ref() == Some(&header) && self.config.is_some();
        if !self.repeated {
            self.header = Some(header.clone());
            self.adopt(header, out);
        }
    }

    fn adopt(&mut self, config: VideoConfig, out: &mut VecDeque<Media>) {
        if self.config.as_ref() != Some(&config) {
            self.config = Some(config.clone());
            out.push_back(Media::VideoConfig(config));
        }
    }

    fn with_lengths(&mut self, codec: Codec, data: Bytes) -> Bytes {
        if codec == Codec::Av1 {
            return data;
        }
        if self.config.is_none() {
            self.start_codes = nal::has_start_code(&data);
        }
        if self.start_codes && nal::has_start_code(&data) {
            nal::lengths_for_start_codes(&data)
        } else {
            data
        }
    }

    /// Encoders that send SPS and PPS only in band, or new ones without a new sequence header.
    fn look_for_parameter_sets(&mut self, codec: Codec, data: &Bytes, out: &mut VecDeque<Media>) {
        let length_bytes = self.config.as_ref().map_or(4, parameter_sets::length_bytes);
        let found = match codec {
            Codec::Avc => parameter_sets::Sets::in_avc(data, length_bytes),
            Codec::Hevc => parameter_sets::Sets::in_hevc(data, length_bytes),
            Codec::Av1 => return,
        };
        let repeated = std::mem::take(&mut self.repeated);
        if let Some(header) = self.header.clone().filter(|_| repeated && found.is_empty()) {
            return self.adopt(header, out);
        }
        if self.config.as_ref().is_some_and(|config| found.are_in(config.bytes())) {
            return;
        }
        let config = match codec {
            Codec::Hevc => found.hvcc(length_bytes),
            _ => found.avcc(length_bytes),
        };
        if let Some(config) = config {
            self.adopt(codec.config(config), out);
        }
    }
}

/// None for what carries no picture: empty messages, the end of a sequence, colour metadata.
/// And whether another track came for the first time.
fn packet(
    payload: &Bytes,
    nanos_ticks: &mut i64,
    choice: &mut Choice,
) -> Result<(Option<Packet>, bool), Error> {
    const COMMAND: u8 = 5;
    let Some(&first) = payload.first() else { return Ok((None, false)) };
    let enhanced = first & 0x80 != 0;
    let frame_type = first >> 4 & 7;
    if frame_type == COMMAND {
        return Ok((None, false));
    }
    // 1 a keyframe, 4 one that a server made.
    let key = matches!(frame_type, 1 | 4);
    if enhanced {
        return enhanced_packet(payload, (key, nanos_ticks), choice);
    }
    let packet = if choice.take_single() { legacy_packet(payload, key)? } else { None };
    Ok((packet, false))
}

/// FLV E.4.3.1; 12 is H.265 as agreed among Chinese CDNs.
fn legacy_packet(payload: &Bytes, key: bool) -> Result<Option<Packet>, Error> {
    let codec = match payload[0] & 15 {
        7 => Codec::Avc,
        12 => Codec::Hevc,
        other => return Err(unsupported(legacy_name(other).as_bytes())),
    };
    let Some(data) = after(payload, 5).filter(|data| !data.is_empty()) else { return Ok(None) };
    let body = match payload[1] {
        0 => Body::Config(data),
        1 => Body::Frame { cts_ticks: cts_ticks(&payload[2..5]), data },
        _ => return Ok(None),
    };
    Ok(Some(Packet { codec, key, body }))
}

/// Enhanced RTMP, "Enhanced Video".
fn enhanced_packet(
    payload: &Bytes,
    (key, nanos_ticks): (bool, &mut i64),
    choice: &mut Choice,
) -> Result<(Option<Packet>, bool), Error> {
    const MULTITRACK: u8 = 6;
    let Some((packet_type, rest)) = modifiers(payload, nanos_ticks) else { return Ok((None, false)) };
    if packet_type == MULTITRACK {
        let (single, is_news) = choice.read(&rest);
        return Ok((single.map_or(Ok(None), |single| coded(single, key))?, is_news));
    }
    let Some(codec) = rest.first_chunk().copied().filter(|_| choice.take_single()) else {
        return Ok((None, false));
    };
    Ok((coded(Single { packet_type, codec, body: rest.slice(4..) }, key)?, false))
}

/// One track's content.
fn coded(single: Single, key: bool) -> Result<Option<Packet>, Error> {
    let Single { packet_type, codec, body: data } = single;
    let codec = match &codec {
        b"avc1" => Codec::Avc,
        b"hvc1" | b"hev1" => Codec::Hevc,
        b"av01" => Codec::Av1,
        other => return Err(unsupported(other.trim_ascii())),
    };
    let body = match packet_type {
        0 => Some(Body::Config(data)),
        1 if codec != Codec::Av1 => {
            after(&data, 3).map(|after| Body::Frame { cts_ticks: cts_ticks(&data[..3]), data: after })
        }
        1 | 3 => Some(Body::Frame { cts_ticks: 0, data }),
        _ => None,
    };
    let has_content = |body: &Body| match body {
        Body::Config(data) | Body::Frame { data, .. } => !data.is_empty(),
    };
    Ok(body.filter(has_content).map(|body| Packet { codec, key, body }))
}

/// Skips `ModEx` prefixes, of which we know the nanoseconds; gives the packet's type and what follows.
fn modifiers(payload: &Bytes, nanos_ticks: &mut i64) -> Option<(u8, Bytes)> {
    const MODIFIER: u8 = 7;
    let mut packet_type = payload.first()? & 15;
    let mut rest = after(payload, 1)?;
    while packet_type == MODIFIER {
        let (mut start, mut size) = (1, usize::from(*rest.first()?) + 1);
        if size == 256 {
            (start, size) = (3, usize::from(u16::from_be_bytes([*rest.get(1)?, *rest.get(2)?])) + 1);
        }
        let modifier = rest.get(start..start + size)?;
        let kinds = *rest.get(start + size)?;
        if let (0, [a, b, c]) = (kinds >> 4, modifier) {
            let nanos = i64::from(u32::from_be_bytes([0, *a, *b, *c]));
            *nanos_ticks += nanos * TICKS_PER_MS / 1_000_000;
        }
        packet_type = kinds & 15;
        rest = after(&rest, start + size + 1)?;
    }
    Some((packet_type, rest))
}

/// A signed 24-bit number of milliseconds.
fn cts_ticks(bytes: &[u8]) -> i32 {
    let ms = match *bytes {
        [a, b, c] => i32::from_be_bytes([a, b, c, 0]) >> 8,
        _ => 0,
    };
    ms * 90
}

/// An encoder may send any bytes as the name of its codec.
fn unsupported(found: &[u8]) -> Error {
    let found = printable_bytes(found);
    Error::Codec { track: "video", found, expected: "H.264, H.265 or AV1" }
}

/// The FLV specification's names (E.4.3.1).
fn legacy_name(codec: u8) -> &'static str {
    match codec {
        1 => "JPEG",
        2 => "H.263",
        3 | 6 => "Screen Video",
        4 | 5 => "VP6",
        8 => "H.263+",
        9 => "MPEG-4 Part 2",
        13 => "AV1 in a legacy tag",
        _ => "unknown",
    }
}
