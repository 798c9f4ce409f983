//! Properties that hold for whatever an encoder sends by SRT: transport streams, Annex B, ADTS, stream ids.

use std::collections::VecDeque;

use proptest::collection::vec;
use proptest::prelude::*;

use super::adts::Audio;
use super::annexb::{Codec, Video};
use super::pes::{Clock, Time, Unit};
use super::streamid::StreamId;
use super::ts::Demux;
use crate::live::frame::Media;

const PACKET: usize = 188;

/// CRC-32 as tables have it (ISO/IEC 13818-1 annex A).
fn crc(bytes: &[u8]) -> u32 {
    bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04c1_1db7 } else { crc << 1 }
        })
    })
}

fn table(pid: u8, id: u8, body: &[u8]) -> Vec<u8> {
    let length = u8::try_from(body.len() + 9).unwrap_or(u8::MAX);
    let mut section = [&[id, 0xb0, length, 0, 1, 0xc1, 0, 0][..], body].concat();
    section.extend(crc(&section).to_be_bytes());
    let mut packet = [&[0x47, 0x40, pid, 0x10, 0][..], &section].concat();
    packet.resize(PACKET, 0xff);
    packet
}

/// One program whose streams are H.264 or HEVC on PID 65 and AAC on 66.
fn tables(video: u8) -> Vec<u8> {
    let programs = table(0, 0, &[0, 1, 0xe0, 64]);
    let streams = table(64, 2, &[0xe0, 65, 0xf0, 0, video, 0xe0, 65, 0xf0, 0, 0x0f, 0xe0, 66, 0xf0, 0]);
    [programs, streams].concat()
}

/// What packets of media are made of: starts of PES packets, NAL units and ADTS frames, and anything.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let stamp = vec(any::<u8>(), 10).prop_map(|mut stamp| {
        for (at, mark) in [(0, 0x31), (5, 0x11)] {
            stamp[at] = mark | stamp[at] & 0x0e;
            stamp[at + 2] |= 1;
            stamp[at + 4] |= 1;
        }
        [&[0, 0, 1, 0xe0, 0, 0, 0x80, 0xc0, 10][..], &stamp].concat()
    });
    let nal = (
        prop_oneof![
            Just(0x67_u8),
            Just(0x68),
            Just(0x65),
            Just(0x41),
            Just(0x40),
            Just(0x42),
            Just(0x44),
            Just(0x26)
        ],
        vec(any::<u8>(), 0..50),
    )
        .prop_map(|(first, rest)| [&[0, 0, 0, 1, first][..], &rest].concat());
    let adts = (any::<[u8; 5]>(), vec(any::<u8>(), 0..40))
        .prop_map(|(header, rest)| [&[0xff, 0xf1][..], &header, &rest].concat());
    prop_oneof![stamp, nal, adts, vec(any::<u8>(), 0..60)]
}

fn packet() -> impl Strategy<Value = Vec<u8>> {
    let pid = prop_oneof![Just(0_u8), Just(64), Just(65), Just(66)];
    (pid, any::<[u8; 2]>(), vec(piece(), 0..6)).prop_map(|(pid, [flags, control], pieces)| {
        let control = if control & 0x20 == 0 { control | 0x10 } else { control };
        let mut packet = [&[0x47, flags & 0xe0, pid, control][..], &pieces.concat()].concat();
        packet.resize(PACKET, 0xff);
        packet
    })
}

fn drained(demux: &mut Demux) -> Vec<Media> {
    let mut found = Vec::new();
    while demux.has_news() {
        found.extend(demux.pop().ok().flatten());
    }
    found
}

fn bytes_of(found: &[Media]) -> usize {
    let bytes = found.iter().map(|media| match media {
        Media::Video(frame) => frame.data.len(),
        Media::Audio(frame) => frame.data.len(),
        _ => 0,
    });
    bytes.sum()
}

proptest! {
    #[test]
    fn whole_packets_in_pieces_of_any_size_give_the_same_media(
        video in prop_oneof![Just(0x1b_u8), Just(0x24)], packets in vec(packet(), 0..40), cut in 1..400_usize,
    ) {
        let stream = [tables(video), packets.concat()].concat();
        let (mut whole, mut pieces) = (Demux::default(), Demux::default());
        whole.push(&stream);
        stream.chunks(cut).for_each(|piece| pieces.push(piece));
        whole.finish();
        pieces.finish();
        let found = drained(&mut whole);
        prop_assert_eq!(&found, &drained(&mut pieces));
        // Each start code of three bytes may become a length of four.
        prop_assert!(bytes_of(&found) <= 2 * stream.len());
    }

    #[test]
    fn a_demuxer_takes_any_bytes(stream in vec(prop_oneof![Just(0x47_u8), any::<u8>()], 0..2000), lost in any::<bool>()) {
        let mut demux = Demux::default();
        demux.push(&tables(0x1b));
        demux.push(&stream);
        if lost {
            demux.gap();
        }
        demux.push(&stream);
        demux.finish();
        drained(&mut demux);
    }

    #[test]
    fn an_access_unit_may_be_anything(
        hevc in any::<bool>(), units in vec(vec(piece(), 0..8), 0..6), pts in any::<u64>(), dts in any::<u64>(),
    ) {
        let (mut video, mut out) = (Video::default(), VecDeque::new());
        video.begin(if hevc { Codec::Hevc } else { Codec::Avc });
        let mut clock = Clock::default();
        for pieces in units {
            let time = clock.at(pts >> 31, dts >> 31);
            video.unit(&Unit { time, data: pieces.concat() }, &mut out);
        }
        prop_assert!(out.iter().all(|media| !matches!(media, Media::Audio(_))));
    }

    #[test]
    fn sound_in_pieces_of_any_size_gives_the_same_frames(pieces in vec(piece(), 0..30), cut in 1..90_usize) {
        let stream = pieces.concat();
        let heard = |size: usize| {
            let (mut audio, mut out) = (Audio::default(), VecDeque::new());
            audio.begin(Some(Time { pts: i64::MAX, dts: i64::MAX }));
            stream.chunks(size).for_each(|piece| audio.push(piece, &mut out));
            out
        };
        prop_assert_eq!(heard(stream.len().max(1)), heard(cut));
    }

    #[test]
    fn a_stream_id_is_read_whatever_it_says(id in "(#!::)?[ -~,=rm]{0,60}|.{0,60}") {
        let read = StreamId::new(id.as_str());
        prop_assert!(read.key().is_none_or(|key| !key.is_empty() && id.contains(key)));
        let _ = read.mode();
    }
}
