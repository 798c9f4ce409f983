//! Playlists as hls-parser reads them in strict mode; and the bytes they point at, as ffprobe sees them.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::api::Api;
use crate::tool::{node, program, succeed};

/// A master playlist and everything below it.
#[derive(Deserialize)]
pub struct Master {
    pub variants: Vec<Media>,
    pub renditions: Vec<Media>,
}

/// A media playlist with what the master says of it.
#[derive(Deserialize)]
pub struct Media {
    pub url: String,
    pub ended: bool,
    pub target_duration: f64,
    pub segments: Vec<Segment>,
    #[serde(default)]
    pub bandwidth: f64,
    pub average_bandwidth: Option<f64>,
    #[serde(default)]
    pub iframe_only: bool,
}

/// A segment as the playlist tells it.
#[derive(Deserialize)]
pub struct Segment {
    pub url: String,
    /// EXTINF, in seconds.
    pub duration: f64,
    pub byterange: Option<ByteRange>,
    pub map: Option<Map>,
    /// EXT-X-GAP
    #[serde(default)]
    pub gap: bool,
}

/// Where an initialisation segment lies.
#[derive(Deserialize)]
pub struct Map {
    pub url: String,
    pub byterange: Option<ByteRange>,
}

/// EXT-X-BYTERANGE; the offset is missing where it follows the range before it.
#[derive(Deserialize)]
pub struct ByteRange {
    pub length: u64,
    pub offset: Option<i64>,
}

/// A packet as ffprobe reads it, in seconds.
#[derive(Debug, Clone)]
pub struct Packet {
    pub start: f64,
    /// Not a number where ffprobe can't tell it.
    pub duration: f64,
    pub is_key: bool,
}

/// A segment as it is: what was fetched, and the packets in it.
pub struct Fetched {
    pub extinf: f64,
    pub size_bytes: u64,
    pub packets: Vec<Packet>,
}

/// A media playlist with everything it points at.
pub struct Track {
    pub name: String,
    pub media: Media,
    pub segments: Vec<Fetched>,
    /// The initialisation segment and all segments after each other.
    pub whole: Vec<u8>,
}

impl Fetched {
    /// When its first picture or sample is shown.
    pub fn start(&self) -> f64 {
        self.packets.iter().map(|packet| packet.start).fold(f64::INFINITY, f64::min)
    }

    /// When its last picture or sample ends.
    pub fn end(&self) -> f64 {
        self.packets.iter().map(|packet| packet.start + packet.duration).fold(0.0, f64::max)
    }
}

/// Reads a master playlist and all below it; what is not well-formed fails here.
pub async fn read(master: &str) -> Master {
    let mut hls = node("hls.mjs");
    hls.arg(master);
    serde_json::from_str(&succeed(hls).await).expect("what hls.mjs prints")
}

/// Fetches every segment of a playlist and lets ffprobe look into each.
pub async fn fetch(api: &Api, media: Media, folder: &Path) -> Track {
    let name = media.url.split('?').next().unwrap_or_default().to_owned();
    let (mut segments, mut whole, mut at) = (Vec::new(), Vec::new(), 0);
    for segment in &media.segments {
        let map = segment.map.as_ref().unwrap_or_else(|| panic!("{name} has no EXT-X-MAP"));
        let (init, _) = piece(api, &map.url, map.byterange.as_ref(), 0).await;
        let (body, end) = piece(api, &segment.url, segment.byterange.as_ref(), at).await;
        at = end;
        if whole.is_empty() {
            whole.extend_from_slice(&init);
        }
        whole.extend_from_slice(&body);
        let path = folder.join("segment.mp4");
        fs::write(&path, [init, body.clone()].concat()).expect("a file");
        let packets = packets(&path).await;
        assert!(!packets.is_empty(), "{name}: nothing in {}", segment.url);
        segments.push(Fetched { extinf: segment.duration, size_bytes: body.len() as u64, packets });
    }
    time_pictures(&mut segments);
    Track { name, media, segments, whole }
}

/// ffprobe knows no duration of reordered pictures in fragments: a picture is shown until the next one begins, the
/// last one until its segment ends.
fn time_pictures(segments: &mut [Fetched]) {
    let mut starts: Vec<f64> =
        segments.iter().flat_map(|segment| &segment.packets).map(|packet| packet.start).collect();
    starts.sort_by(f64::total_cmp);
    let last = segments.last().map_or(0.0, |segment| segment.start() + segment.extinf);
    for packet in segments.iter_mut().flat_map(|segment| &mut segment.packets) {
        if packet.duration.is_nan() {
            let after = starts.partition_point(|start| *start <= packet.start);
            packet.duration = starts.get(after).copied().unwrap_or(last) - packet.start;
        }
    }
}

/// The bytes of a range or a whole file, and where the range ends.
async fn piece(api: &Api, url: &str, range: Option<&ByteRange>, after: u64) -> (Vec<u8>, u64) {
    let Some(range) = range else { return (api.bytes(url, None).await, 0) };
    let first = range.offset.and_then(|offset| u64::try_from(offset).ok()).unwrap_or(after);
    let bytes = api.bytes(url, Some((first, first + range.length - 1))).await;
    assert_eq!(bytes.len() as u64, range.length, "{url} from {first}");
    (bytes, first + range.length)
}

/// Every packet of a file's only track, in the order they are stored.
pub async fn packets(path: &Path) -> Vec<Packet> {
    packets_of(path, "0").await
}

/// The same of one track of many, as ffprobe selects it.
pub async fn packets_of(path: &Path, stream: &str) -> Vec<Packet> {
    let mut ffprobe = program("ffprobe");
    ffprobe.args(["-v", "error", "-of", "json", "-select_streams", stream]);
    ffprobe.args(["-show_entries", "packet=codec_type,pts_time,duration_time,flags"]).arg(path);
    let printed: Value = serde_json::from_str(&succeed(ffprobe).await).expect("JSON");
    let told = |packet: &Value, name: &str| packet[name].as_str().and_then(|text| text.parse::<f64>().ok());
    let start = |packet: &Value| {
        told(packet, "pts_time").unwrap_or_else(|| panic!("{}: no time in {packet}", path.display()))
    };
    let packets = printed["packets"].as_array().expect("packets").iter().map(|packet| Packet {
        start: start(packet),
        // Of reordered pictures it is a guess by the rate.
        duration: told(packet, "duration_time")
            .filter(|_| packet["codec_type"] == "audio")
            .unwrap_or(f64::NAN),
        is_key: packet["flags"].as_str().is_some_and(|flags| flags.starts_with('K')),
    });
    packets.collect()
}

/// What the packets of a track hold, in the order of decoding.
pub async fn hashes_of(path: &Path, stream: &str) -> Vec<String> {
    let mut ffprobe = program("ffprobe");
    ffprobe.args(["-v", "error", "-of", "csv=p=0", "-select_streams", stream]);
    ffprobe.args(["-show_data_hash", "md5", "-show_entries", "packet=data_hash"]).arg(path);
    succeed(ffprobe).await.lines().map(|line| line.trim_end_matches(',').to_owned()).collect()
}
