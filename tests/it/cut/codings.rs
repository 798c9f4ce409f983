//! HEVC and AV1, as Enhanced RTMP brings them.

use std::process::Command;

use bytes::Bytes;
use policast::live::cut::{Shape, Track};
use policast::live::frame::{Media, VideoConfig, VideoFrame};
use serde_json::Value;

use super::judge::{check_keyframes, check_lengths, check_rules, check_times, only, seconds_to_ticks};
use super::stage::Broadcast;
use crate::clip;

/// Four seconds at 30 pictures a second with a keyframe every two.
fn encoded(video: &str) -> Vec<u8> {
    let source = "-f lavfi -i testsrc2=s=320x180:r=30:d=4 -pix_fmt yuv420p -g 60";
    clip::make(&format!("{source} {video}"), "in.mp4")
}

/// The pictures where ffprobe finds them in the file.
fn frames(mp4: &[u8]) -> Vec<Media> {
    let (_folder, file) = clip::place("in.mp4");
    std::fs::write(&file, mp4).unwrap();
    let output =
        Command::new("ffprobe").args(["-v", "error", "-show_packets", "-of", "json"]).arg(&file).output();
    let json: Value = serde_json::from_slice(&output.unwrap().stdout).unwrap();
    let frame = |packet: &Value| {
        let number = |name: &str| packet[name].as_str().unwrap().parse::<f64>().unwrap();
        let place = |name: &str| packet[name].as_str().unwrap().parse::<usize>().unwrap();
        let dts_ticks = seconds_to_ticks(number("dts_time"));
        let cts_ticks = i32::try_from(seconds_to_ticks(number("pts_time")) - dts_ticks).unwrap();
        let key = packet["flags"].as_str().unwrap().starts_with('K');
        let data = Bytes::copy_from_slice(&mp4[place("pos")..place("pos") + place("size")]);
        Media::Video(VideoFrame { dts_ticks, cts_ticks, key, data })
    };
    json["packets"].as_array().unwrap().iter().map(frame).collect()
}

/// All pictures come out, in two segments; gives how the video is told of.
fn check_coding(config: VideoConfig, frames: Vec<Media>) -> String {
    let count = frames.len();
    let broadcast = Broadcast::cut(&[vec![Media::VideoConfig(config)], frames].concat());
    check_rules(&broadcast);
    check_lengths(&broadcast);
    let packets = only(&broadcast, Track::Video);
    check_times(&packets);
    check_keyframes(&broadcast, &packets);
    assert_eq!((packets.len(), count), (120, 120));
    assert_eq!(broadcast.starts(Track::Video), [0, 180_000]);
    let init = broadcast.inits(Track::Video)[0];
    assert!(matches!(init.shape, Shape::Video { width: 320, height: 180, .. }), "{:?}", init.shape);
    init.codecs.clone()
}

#[test]
fn hevc_is_cut_with_its_b_frames() {
    let mp4 =
        encoded("-c:v libx265 -preset ultrafast -tag:v hvc1 -x265-params bframes=3:open-gop=0:scenecut=0");
    let config = Bytes::copy_from_slice(clip::box_payload(&mp4, *b"hvcC"));
    let codecs = check_coding(VideoConfig::Hevc(config), frames(&mp4));
    assert!(codecs.starts_with("hvc1.1.6.L"), "{codecs}");
}

#[test]
fn av1_is_cut() {
    let mp4 = encoded("-c:v libaom-av1 -cpu-used 8 -crf 40 -b:v 0 -usage realtime");
    let config = Bytes::copy_from_slice(clip::box_payload(&mp4, *b"av1C"));
    let codecs = check_coding(VideoConfig::Av1(config), frames(&mp4));
    assert!(codecs.starts_with("av01.0."), "{codecs}");
}
