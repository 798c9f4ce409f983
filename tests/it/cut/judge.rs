//! What ffprobe, a decoder and RFC 8216bis say of a broadcast.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use policast::domain::media::{TICKS_PER_SECOND, Ticks};
use policast::live::cut::{End, Init, Part, Settings, Track};
use policast::live::frame::{Media, VideoFrame};
use serde_json::Value;

use super::stage::{Broadcast, Stream};
use crate::clip;

/// Files begin this late, so that no decoding time is negative.
const HEAD_START: Ticks = 10 * TICKS_PER_SECOND;

/// A packet as ffprobe sees it. Times in ticks.
#[derive(Debug, Clone, PartialEq)]
pub struct Packet {
    pub pts: Ticks,
    pub dts: Ticks,
    pub key: bool,
    pub hash: String,
}

/// The packets of a file; the times of ours without their head start.
pub fn packets(file: &Path, stream: &str) -> Vec<Packet> {
    let args =
        ["-v", "error", "-select_streams", stream, "-show_packets", "-show_data_hash", "md5", "-of", "json"];
    let output = Command::new("ffprobe").args(args).arg(file).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packet = |packet: &Value| {
        let text =
            |name: &str| packet[name].as_str().unwrap_or_else(|| panic!("{name} in {packet}")).to_owned();
        let ticks = |name: &str| seconds_to_ticks(text(name).parse().unwrap());
        Packet {
            pts: ticks("pts_time"),
            dts: ticks("dts_time"),
            key: text("flags").starts_with('K'),
            hash: text("data_hash"),
        }
    };
    json["packets"].as_array().unwrap().iter().map(packet).collect()
}

/// As ffprobe writes times.
#[expect(clippy::cast_possible_truncation, reason = "clips are short")]
pub fn seconds_to_ticks(seconds: f64) -> Ticks {
    (seconds * 90_000.0).round() as Ticks
}

/// What ffprobe reads of a track, after it was decoded without a word.
pub fn played(broadcast: &Broadcast, init: &Init) -> Vec<Packet> {
    probed(broadcast, init, |file, found| {
        assert_eq!(decoded(file), found, "decoded and stored frames of {:?}", init.track);
    })
}

/// The only video of a broadcast whose pictures no decoder can show one by one: some lack what they refer to, or are
/// told to be shown at once.
pub fn stored(broadcast: &Broadcast) -> Vec<Packet> {
    let inits = broadcast.inits(Track::Video);
    assert_eq!(inits.len(), 1, "initialisation segments of the video");
    probed(broadcast, inits[0], |_, _| {})
}

fn probed(broadcast: &Broadcast, init: &Init, check: impl FnOnce(&Path, usize)) -> Vec<Packet> {
    let (_folder, file) = clip::place("track.mp4");
    std::fs::write(&file, broadcast.file(init)).unwrap();
    let found = packets(&file, "0");
    check(&file, found.len());
    found
        .into_iter()
        .map(|packet| Packet { pts: packet.pts - HEAD_START, dts: packet.dts - HEAD_START, ..packet })
        .collect()
}

/// Decodes a file, in which nothing may be wrong, and counts its frames.
pub fn decoded(file: &Path) -> usize {
    let args = ["-v", "warning", "-xerror", "-fps_mode", "passthrough", "-f", "framecrc", "-"];
    let output = Command::new("ffmpeg").args(["-v", "warning", "-i"]).arg(file).args(args).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).lines().filter(|line| !line.starts_with('#')).count()
}

/// The only track of its kind.
pub fn only(broadcast: &Broadcast, track: Track) -> Vec<Packet> {
    let inits = broadcast.inits(track);
    assert_eq!(inits.len(), 1, "initialisation segments of {track:?}");
    played(broadcast, inits[0])
}

/// Times grow, and no two pictures are shown at once.
pub fn check_times(packets: &[Packet]) {
    for pair in packets.windows(2) {
        assert!(pair[1].dts > pair[0].dts, "{pair:?}");
    }
    assert!(packets.iter().all(|packet| packet.pts >= packet.dts));
    let mut shown: Vec<_> = packets.iter().map(|packet| packet.pts).collect();
    shown.sort_unstable();
    shown.dedup();
    assert_eq!(shown.len(), packets.len(), "pictures shown at the same time");
}

/// Every segment's first picture is a keyframe, shown when the segment says.
pub fn check_keyframes(broadcast: &Broadcast, packets: &[Packet]) {
    for start in broadcast.starts(Track::Video) {
        assert!(packets.iter().any(|packet| packet.key && packet.pts == start), "no keyframe at {start}");
    }
}

/// How far packets are from where `sent` has them, at worst; at least six in ten are known. The frames
/// of `sent` are of `stream`, which may have other times.
pub fn worst_offset(stream: &Stream, sent: &[Media], packets: &[Packet]) -> Ticks {
    let found: HashMap<_, _> = packets.iter().map(|packet| (packet.hash.as_str(), packet.pts)).collect();
    let hashes = &stream.hashes;
    let zero = sent.iter().find_map(|media| match media {
        Media::Video(VideoFrame { dts_ticks, cts_ticks, key: true, .. }) => {
            Some(dts_ticks + i64::from(*cts_ticks))
        }
        _ => None,
    });
    let expected = sent.iter().filter_map(|media| match media {
        Media::Video(frame) => Some((&frame.data, frame.dts_ticks + i64::from(frame.cts_ticks))),
        Media::Audio(frame) => Some((&frame.data, frame.pts_ticks)),
        _ => None,
    });
    let offset =
        |(data, at): (&Bytes, Ticks)| Some((found.get(hashes.get(data)?.as_str())? - (at - zero?)).abs());
    let offsets: Vec<_> = expected.filter_map(offset).collect();
    assert!(offsets.len() * 10 >= packets.len() * 6, "only {} of {} known", offsets.len(), packets.len());
    offsets.into_iter().max().unwrap()
}

/// What RFC 8216bis wants of every playlist: parts and segments follow each other without gap, parts are not too
/// long, tracks agree on numbers, starts and discontinuities.
pub fn check_rules(broadcast: &Broadcast) {
    for track in [Track::Video, Track::Audio] {
        let ends = broadcast.ends(track);
        for pair in ends.windows(2) {
            assert_eq!(pair[1].number, pair[0].number + 1);
            let end = pair[0].segment.start + pair[0].segment.duration;
            assert!((end - pair[1].segment.start).abs() <= 1, "{pair:?}");
        }
        for end in ends {
            check_segment(broadcast, end);
        }
    }
    check_tracks(broadcast);
}

fn check_segment(broadcast: &Broadcast, end: &End) {
    let is_own = |part: &&Part| part.track == end.track && part.segment == end.number;
    let parts: Vec<_> = broadcast.parts.iter().filter(is_own).collect();
    let begin = broadcast.begins.iter().find(|begin| begin.track == end.track && begin.segment == end.number);
    let begin = begin.unwrap();
    assert_eq!(
        (begin.start, begin.discontinuity, begin.init),
        (end.segment.start, end.discontinuity, end.init)
    );
    // A segment that no keyframe ended in time is followed by one that may begin without.
    assert_eq!(parts[0].independent, end.track == Track::Audio || end.segment.key_bytes > 0, "{end:?}");
    let mut at = end.segment.start;
    for (index, part) in parts.iter().enumerate() {
        assert_eq!((part.start, part.part), (at, u32::try_from(index).unwrap()));
        at += part.duration;
        let target = Settings::default().part_target;
        assert!(part.duration > 0 && part.duration <= target, "part lasts {} of {target}", part.duration);
    }
    assert_eq!(at, end.segment.start + end.segment.duration, "{end:?}");
    assert_eq!(end.segment.size_bytes, parts.iter().map(|part| part.bytes.len() as u64).sum::<u64>());
    assert!(end.segment.key_bytes == 0 || end.track == Track::Video);
}

/// Parts of a steady stream are long enough (RFC 8216bis 4.4.4.9).
pub fn check_lengths(broadcast: &Broadcast) {
    let target = Settings::default().part_target;
    for end in &broadcast.ends {
        let is_own = |part: &&Part| (part.track, part.segment) == (end.track, end.number);
        for part in broadcast.parts.iter().filter(is_own).rev().skip(1) {
            let is_long_enough = part.duration * 100 >= target * 85;
            assert!(is_long_enough || part.independent, "part lasts only {} of {target}", part.duration);
        }
    }
}

fn check_tracks(broadcast: &Broadcast) {
    for audio in broadcast.ends(Track::Audio) {
        let video = broadcast.ends(Track::Video).into_iter().find(|video| video.number == audio.number);
        let video = video.unwrap_or_else(|| panic!("no video for {audio:?}"));
        assert_eq!(audio.discontinuity, video.discontinuity);
        let late = audio.segment.start - video.segment.start;
        assert!((0..=6_000).contains(&late), "audio segment {} begins {late} late", audio.number);
    }
}
