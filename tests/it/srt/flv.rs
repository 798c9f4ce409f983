//! Media to FLV, so that ffprobe judges what came out.

use policast::live::frame::{Media, VideoConfig};

pub fn file(media: &[Media]) -> Vec<u8> {
    let mut out = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
    let first = media.iter().find_map(|item| match item {
        Media::Video(frame) => Some(frame.dts_ticks),
        _ => None,
    });
    let first = first.unwrap_or_default();
    for item in media {
        match item {
            Media::VideoConfig(VideoConfig::Avc(record)) => {
                tag(&mut out, 9, 0, &[&[0x17, 0, 0, 0, 0], &record[..]].concat());
            }
            Media::VideoConfig(_) => panic!("old FLV knows only AVC"),
            Media::Video(frame) => {
                let cts = u32::try_from(frame.cts_ticks / 90).unwrap().to_be_bytes();
                let head = [if frame.key { 0x17 } else { 0x27 }, 1, cts[1], cts[2], cts[3]];
                tag(&mut out, 9, (frame.dts_ticks - first) / 90, &[&head, &frame.data[..]].concat());
            }
            Media::AudioConfig(config) => tag(&mut out, 8, 0, &[&[0xaf, 0], &config[..]].concat()),
            Media::Audio(frame) => {
                let body = [&[0xaf, 1], &frame.data[..]].concat();
                tag(&mut out, 8, (frame.pts_ticks - first).max(0) / 90, &body);
            }
            Media::Metadata(_) | Media::LeftOut(_) => {}
        }
    }
    out
}

fn tag(out: &mut Vec<u8>, kind: u8, ms: i64, body: &[u8]) {
    let size = u32::try_from(body.len()).unwrap().to_be_bytes();
    let time = u32::try_from(ms).unwrap().to_be_bytes();
    out.extend([kind, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0]);
    out.extend(body);
    out.extend(u32::try_from(body.len() + 11).unwrap().to_be_bytes());
}
