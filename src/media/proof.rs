//! For tests: clips made by the `ffmpeg` command, tasks run in process, results judged by `ffprobe`.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::encode;
use super::task::{Chunk, Event, Outcome, Source, Still};
use super::wire::Emit;
use crate::domain::media::{Coding, Fraction, Rung, Segment, SourceClock, Ticks, VideoStream};

/// A clip in a folder of its own.
pub struct Clip {
    folder: tempfile::TempDir,
    pub path: PathBuf,
}

/// Runs `ffmpeg` with these words and the clip's path at the end.
pub fn clip(name: &str, arguments: &str) -> Clip {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join(name);
    let words = arguments.split_whitespace();
    let made =
        Command::new("ffmpeg").args(["-v", "error", "-y"]).args(words).arg(&path).output().expect("ffmpeg");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Clip { folder, path }
}

impl Clip {
    /// A file made before, with its folder.
    pub fn in_folder(folder: tempfile::TempDir, name: &str) -> Self {
        let path = folder.path().join(name);
        Self { folder, path }
    }

    /// A file beside the clip.
    pub fn beside(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, bytes).expect("written");
        path
    }

    /// The clip with other bytes.
    pub fn replaced(self, bytes: &[u8]) -> Self {
        std::fs::write(&self.path, bytes).expect("written");
        self
    }
}

/// What a rung's events came to.
#[derive(Debug, Default, Clone)]
pub struct Track {
    pub codecs: String,
    pub init: Vec<u8>,
    pub segments: BTreeMap<u32, (Segment, Vec<u8>)>,
}

impl Track {
    /// The initialisation segment and all segments, as one file.
    pub fn whole(&self) -> Vec<u8> {
        let bodies = self.segments.values().flat_map(|(_, bytes)| bytes.iter().copied());
        self.init.iter().copied().chain(bodies).collect()
    }

    /// Where segments begin, and the end.
    pub fn edges(&self) -> Vec<Ticks> {
        let mut edges = self.segments.values().map(|(segment, _)| segment.start).collect::<Vec<_>>();
        edges.extend(self.segments.values().last().map(|(segment, _)| segment.start + segment.duration));
        edges
    }
}

/// All that was said in one or more tasks.
#[derive(Debug, Default)]
pub struct Heard {
    pub tracks: BTreeMap<String, Track>,
    pub failed: Vec<String>,
    pub damaged: Vec<(Ticks, Ticks)>,
    pub stills: Vec<(Still, u32, u32, Vec<u8>)>,
}

/// An emitter and what it hears.
pub fn ear() -> (Emit, Arc<Mutex<Heard>>) {
    let heard = Arc::new(Mutex::new(Heard::default()));
    let ear = heard.clone();
    let emit = Emit::new(move |event, body| {
        hear(&mut ear.lock().expect("unpoisoned"), event, body);
        Ok(())
    });
    (emit, heard)
}

fn hear(heard: &mut Heard, event: &Event, body: &[u8]) {
    match event {
        Event::Init { rung, codecs } => {
            let track = heard.tracks.entry(rung.clone()).or_default();
            assert!(
                track.init.is_empty() || track.init == body,
                "chunks have different initialisation segments"
            );
            track.init = body.to_vec();
            track.codecs.clone_from(codecs);
        }
        Event::Segment { rung, index, segment } => {
            let track = heard.tracks.entry(rung.clone()).or_default();
            let before = track.segments.insert(*index, (*segment, body.to_vec()));
            assert!(before.is_none(), "segment {index} of {rung} came twice");
        }
        Event::Damaged { from, to } => heard.damaged.push((*from, *to)),
        Event::RungFailed { rung, message } => heard.failed.push(format!("{rung}: {message}")),
        Event::Still { still, width, height } => heard.stills.push((*still, *width, *height, body.to_vec())),
        _ => {}
    }
}

/// A video stream as the probe would tell of it, out of `ffprobe`.
pub fn video(path: &Path) -> VideoStream {
    let told = probe(path, &["-select_streams", "v:0", "-show_streams"]);
    let stream = &told["streams"][0];
    let number = |name: &str| u32::try_from(stream[name].as_u64().unwrap_or(0)).unwrap_or(0);
    VideoStream {
        index: number("index"),
        codec: text(stream, "codec_name"),
        width: number("width"),
        height: number("height"),
        rotation: 0,
        mirrored: false,
        pixel_aspect: Fraction { num: 1, den: 1 },
        frame_rate: fraction(&text(stream, "avg_frame_rate"), '/'),
        pixel_format: text(stream, "pix_fmt"),
        bit_depth: 8,
        interlaced: matches!(text(stream, "field_order").as_str(), "tt" | "bb" | "tb" | "bt"),
        top_field_first: None,
        unmarked: false,
        hdr: matches!(text(stream, "color_transfer").as_str(), "smpte2084" | "arib-std-b67"),
        start_pts: stream["start_pts"].as_i64().unwrap_or(0),
        time_base: fraction(&text(stream, "time_base"), '/'),
        clock: SourceClock::default(),
        bitrate: 0,
        web_friendly: false,
    }
}

fn text(value: &Value, name: &str) -> String {
    value[name].as_str().unwrap_or_default().to_owned()
}

fn fraction(text: &str, mark: char) -> Fraction {
    let (num, den) = text.split_once(mark).unwrap_or(("0", "1"));
    Fraction { num: num.parse().unwrap_or(0), den: den.parse().unwrap_or(1) }
}

/// What `ffprobe` says, as JSON.
pub fn probe(path: &Path, arguments: &[&str]) -> Value {
    let said =
        Command::new("ffprobe").args(["-v", "error", "-of", "json"]).args(arguments).arg(path).output();
    let said = said.expect("ffprobe");
    assert!(said.stderr.is_empty(), "{}", String::from_utf8_lossy(&said.stderr));
    serde_json::from_slice(&said.stdout).expect("JSON")
}

/// All pictures of a file in this size and pixel format, with bytes of one plane, by `ffmpeg`.
pub fn pictures(path: &Path, (width, height): (usize, usize), format: &str) -> Vec<Vec<u8>> {
    let said = Command::new("ffmpeg")
        .args(["-v", "fatal", "-i"])
        .arg(path)
        .args(["-map", "0:v", "-fps_mode", "passthrough"])
        .args(["-vf", &format!("scale={width}:{height}:flags=area,format={format}"), "-f", "rawvideo", "-"])
        .output()
        .expect("ffmpeg");
    let size = width * height * if format == "gray" { 1 } else { 3 };
    said.stdout.chunks_exact(size).map(<[u8]>::to_vec).collect()
}

/// A rung encoded fast and small.
pub fn rung(name: &str, width: u32, height: u32, rate: Fraction) -> Rung {
    let coding = Coding::H264 {
        crf: 28,
        max_bitrate: 2_000_000,
        buffer_bits: 4_000_000,
        preset: "ultrafast".to_owned(),
    };
    Rung { name: name.to_owned(), width, height, frame_rate: rate, coding }
}

/// A chunk of a clip, from its first segment to `end`.
pub fn chunk(clip: &Clip, starts: &[Ticks], end: Ticks, rungs: Vec<Rung>) -> Chunk {
    Chunk {
        source: Source { size_bytes: std::fs::metadata(&clip.path).expect("a clip").len() },
        video: video(&clip.path),
        seekable: true,
        first_segment: 0,
        starts: starts.to_vec(),
        end,
        last: true,
        rungs,
    }
}

/// The same clip's chunks, cut before each of these segments.
pub fn split(whole: &Chunk, at: usize) -> [Chunk; 2] {
    let (first, second) = whole.starts.split_at(at);
    let head = Chunk { starts: first.to_vec(), end: second[0], last: false, ..whole.clone() };
    let number = whole.first_segment + u32::try_from(at).expect("few");
    [head, Chunk { first_segment: number, starts: second.to_vec(), ..whole.clone() }]
}

/// Encodes chunks one after the other.
pub fn encoded(clip: &Clip, chunks: &[Chunk]) -> (Heard, Ticks) {
    let (emit, heard) = ear();
    let mut ended = 0;
    for chunk in chunks {
        let source = File::open(&clip.path).expect("opened");
        match encode::run(chunk, source, &emit).expect("encoded") {
            Outcome::Encoded { ended_at } => ended = ended_at,
            other => panic!("{other:?}"),
        }
    }
    drop(emit);
    let heard = Arc::into_inner(heard).expect("the only one").into_inner().expect("unpoisoned");
    (heard, ended)
}

/// A packet as `ffprobe` saw it, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub pts: Ticks,
    pub dts: Ticks,
    pub key: bool,
}

/// The packets of a track and its end, after `ffmpeg` has decoded the whole without a word of complaint.
pub fn seen(clip: &Clip, name: &str, track: &Track) -> (Vec<Seen>, Ticks) {
    let path = clip.beside(&format!("{name}.mp4"), &track.whole());
    let decoded = Command::new("ffmpeg")
        .args(["-v", "warning", "-i"])
        .arg(&path)
        .args(["-fps_mode", "passthrough", "-enc_time_base", "1:90000", "-f", "null", "-"])
        .output();
    let decoded = decoded.expect("ffmpeg");
    assert!(decoded.stderr.is_empty(), "{name}: {}", String::from_utf8_lossy(&decoded.stderr));
    let told = probe(&path, &["-show_packets", "-show_streams"]);
    let base = fraction(&text(&told["streams"][0], "time_base"), '/');
    let ticks = |value: &Value| {
        let stamp =
            value.as_i64().unwrap_or_else(|| panic!("{} holds a packet without a time", path.display()));
        stamp * 90_000 * i64::from(base.num) / i64::from(base.den)
    };
    let end = ticks(&told["streams"][0]["duration_ts"]);
    let packets = told["packets"].as_array().expect("packets").iter().map(|packet| Seen {
        pts: ticks(&packet["pts"]),
        dts: ticks(&packet["dts"]),
        key: text(packet, "flags").starts_with('K'),
    });
    (packets.collect(), end)
}

/// What must be true of every video track: each segment begins with a keyframe at its told start, the pictures
/// follow each other without a gap to the told end, and each prefix holds one whole picture.
pub fn judge(clip: &Clip, name: &str, track: &Track) {
    let (mut packets, end) = seen(clip, name, track);
    let keys = packets.iter().filter(|packet| packet.key).map(|packet| packet.pts).collect::<Vec<_>>();
    let edges = track.edges();
    let starts = &edges[..edges.len() - 1];
    assert!(starts.iter().all(|start| keys.contains(start)), "{name}: {keys:?} miss told starts {starts:?}");
    let begins =
        |start: &Ticks| packets.iter().find(|packet| packet.pts >= *start).is_some_and(|packet| packet.key);
    assert!(starts.iter().all(begins), "{name}: a segment's first packet is not its keyframe");
    assert!(packets.windows(2).all(|pair| pair[0].dts < pair[1].dts), "{name}: decoding times fall back");
    packets.sort_by_key(|packet| packet.pts);
    assert!(packets.windows(2).all(|pair| pair[0].pts < pair[1].pts), "{name}: two pictures at once");
    assert_eq!(Some(&end), edges.last(), "{name}: the track's end against that told");
    let latest = packets.iter().map(|packet| packet.pts).max().expect("packets");
    assert!(latest < end, "{name}: a picture at {latest} is after the end at {end}");
    let told = track.segments.values().map(|(segment, _)| segment.duration).sum::<Ticks>();
    assert_eq!(told, end - edges[0], "{name}: gaps or overlaps between segments");
    for (index, (segment, bytes)) in &track.segments {
        assert_eq!(segment.size_bytes, bytes.len() as u64);
        let prefix = [&track.init, &bytes[..usize::try_from(segment.key_bytes).expect("small")]].concat();
        let path = clip.beside("key.mp4", &prefix);
        let one = Command::new("ffmpeg")
            .args(["-v", "fatal", "-i"])
            .arg(&path)
            .args(["-frames:v", "1", "-f", "framemd5", "-"])
            .output()
            .expect("ffmpeg");
        let frames =
            String::from_utf8_lossy(&one.stdout).lines().filter(|line| line.starts_with('0')).count();
        assert_eq!(frames, 1, "{name}: the key prefix of segment {index} gives no picture");
    }
}

/// One channel's samples at 48 kHz, as `ffmpeg` decodes them.
pub fn samples(path: &Path, channel: u16) -> Vec<f32> {
    let decoded = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(path)
        .args(["-af", &format!("pan=mono|c0=c{channel}"), "-ar", "48000", "-f", "f32le", "-"])
        .output()
        .expect("ffmpeg");
    assert!(decoded.stderr.is_empty(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let number = |bytes: &[u8]| f32::from_le_bytes(bytes.try_into().expect("four bytes"));
    decoded.stdout.chunks_exact(4).map(number).collect()
}

/// The level of a tone in sound at 48 kHz (Goertzel), in dB below a sine of full scale.
pub fn tone(samples: &[f32], hertz: f64) -> f64 {
    let step = std::f64::consts::TAU * hertz / 48_000.0;
    let (mut before, mut last) = (0.0, 0.0);
    for sample in samples {
        (before, last) = (last, f64::from(*sample) + 2.0 * step.cos() * last - before);
    }
    let power = before.mul_add(before, last * last) - 2.0 * step.cos() * before * last;
    #[expect(clippy::cast_precision_loss, reason = "a few seconds of samples")]
    let half = samples.len() as f64 / 2.0;
    20.0 * (power.max(1e-12).sqrt() / half).log10()
}

/// The integrated loudness by `ffmpeg`'s meter, in LUFS, a single channel being heard from two speakers.
pub fn loudness(path: &Path) -> f64 {
    metered(path, "I:")
}

/// The true peak by `ffmpeg`'s meter, in dB below full scale.
pub fn true_peak(path: &Path) -> f64 {
    metered(path, "Peak:")
}

fn metered(path: &Path, name: &str) -> f64 {
    let said = Command::new("ffmpeg")
        .args(["-hide_banner", "-nostats", "-i"])
        .arg(path)
        .args(["-af", "ebur128=framelog=verbose:peak=true:dualmono=true", "-f", "null", "-"])
        .output()
        .expect("ffmpeg");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    let line = said.lines().rev().find(|line| line.trim_start().starts_with(name)).expect("a summary");
    line.split_whitespace().nth(1).and_then(|value| value.parse().ok()).expect("a number")
}
