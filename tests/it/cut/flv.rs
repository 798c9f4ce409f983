//! Reads an FLV file as an RTMP session would: here milliseconds become ticks.

use bytes::{Buf, Bytes};
use policast::domain::media::Ticks;
use policast::live::frame::{AudioFrame, Media, VideoConfig, VideoFrame};

/// A millisecond.
pub const MS: Ticks = 90;

/// Everything in the file, in its order.
pub fn read(file: &[u8]) -> Vec<Media> {
    let mut rest = Bytes::copy_from_slice(file);
    rest.advance(9 + 4);
    let mut media = Vec::new();
    while rest.len() > 11 {
        let kind = rest.get_u8();
        let size = usize::try_from(rest.get_uint(3)).unwrap();
        let low = rest.get_uint(3);
        let ms = i64::from(rest.get_u8()) << 24 | i64::try_from(low).unwrap();
        rest.advance(3);
        media.extend(tag(kind, ms, rest.split_to(size)));
        rest.advance(4);
    }
    media
}

fn tag(kind: u8, ms: i64, mut body: Bytes) -> Option<Media> {
    match kind {
        8 => {
            assert_eq!(body.get_u8() >> 4, 10, "AAC");
            let is_config = body.get_u8() == 0;
            Some(if is_config {
                Media::AudioConfig(body)
            } else {
                Media::Audio(AudioFrame { pts_ticks: ms * MS, data: body })
            })
        }
        9 => {
            let first = body.get_u8();
            assert_eq!(first & 15, 7, "AVC");
            let packet = body.get_u8();
            let cts_ticks = i32::try_from(body.get_int(3) * MS).unwrap();
            match packet {
                0 => Some(Media::VideoConfig(VideoConfig::Avc(body))),
                1 => Some(Media::Video(VideoFrame {
                    dts_ticks: ms * MS,
                    cts_ticks,
                    key: first >> 4 == 1,
                    data: body,
                })),
                _ => None,
            }
        }
        _ => None,
    }
}
