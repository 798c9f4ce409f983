//! What is known of a source's media, and the plan made from it: the types that cross rooms.

use serde::{Deserialize, Serialize};

use super::refusal::Refusal;
use super::words::words;

/// 1/90000 s, counted from where the video begins, which is its first picture or, where that comes earlier, its first
/// sound: the clock of every timeline, playlist and video rung.
pub type Ticks = i64;

/// Ticks in a second.
pub const TICKS_PER_SECOND: Ticks = 90_000;

/// A ratio of two whole numbers, such as a frame rate or a pixel's shape.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fraction {
    pub num: u32,
    pub den: u32,
}

impl Fraction {
    /// As a floating number; 0 where the denominator is 0.
    pub fn as_f64(self) -> f64 {
        if self.den == 0 { 0.0 } else { f64::from(self.num) / f64::from(self.den) }
    }
}

/// What the probe found in a source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Probe {
    /// FFmpeg's name of the container.
    pub container: String,
    /// From the first picture or sound to the end of the longer of video and audio, counted from their packets.
    pub duration: Ticks,
    /// Seeking to a keyframe works and is cheap.
    pub seekable: bool,
    pub video: VideoStream,
    pub audio: Option<AudioStream>,
    /// What is wrong with it and still lets it play, such as `truncated` or `audio_undecodable`.
    pub warnings: Vec<Refusal>,
    /// Times of the source's IDR pictures, for passing it through; empty where that is out of the question.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keyframes: Vec<Ticks>,
}

/// The video stream that is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoStream {
    /// Its index in the container.
    pub index: u32,
    pub codec: String,
    /// As shown: after rotation and with square pixels.
    pub width: u32,
    pub height: u32,
    /// Degrees clockwise it has to be turned to stand upright: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Mirrored left to right before it is turned.
    pub mirrored: bool,
    /// The shape of a stored pixel.
    pub pixel_aspect: Fraction,
    /// Pictures a second, on average.
    pub frame_rate: Fraction,
    pub pixel_format: String,
    pub bit_depth: u8,
    pub interlaced: bool,
    /// Where only the container tells of fields, that the top one is shown first; pictures say nothing themselves then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_field_first: Option<bool>,
    /// Its decoder doubts every picture, for want of one that is marked as a whole one, so doubt says nothing.
    #[serde(default)]
    pub unmarked: bool,
    /// PQ or HLG, to be tone-mapped.
    pub hdr: bool,
    /// Presentation time of the first picture in the stream's own time base, on the source's clock as `clock` mends it.
    pub start_pts: i64,
    pub time_base: Fraction,
    /// How the source's times become the video's.
    #[serde(default)]
    pub clock: SourceClock,
    /// Average bits a second; 0 where nobody knows.
    pub bitrate: u64,
    /// H.264 8-bit 4:2:0, progressive, upright, square pixels: may be passed through where keyframes allow.
    pub web_friendly: bool,
}

/// How a source's own times become the video's, the same for pictures, sound and stills.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceClock {
    /// How long before the first picture the sound, and with it the video, begins; the first picture stands until then.
    #[serde(default)]
    pub lead: Ticks,
    /// How much too late the times of pictures are, where a container tells only when they are decoded.
    #[serde(default)]
    pub delay: Ticks,
    /// Where the clock is set anew, in the order of the file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub discontinuities: Vec<Discontinuity>,
    /// Where packets lie whose times can't be meant, in the order of the file: they follow what came before them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub wrong_stamps: Vec<u64>,
    /// Streams whose times can't be meant: what is in them follows each other from the first time on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub untimed: Vec<u32>,
}

/// A source's clock set anew, as where two recordings were joined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Discontinuity {
    /// The first byte in the file to which it applies.
    pub position: u64,
    /// What is added to the source's times from there on.
    pub offset: Ticks,
}

/// The audio stream that is played.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioStream {
    pub index: u32,
    pub codec: String,
    pub channels: u16,
    pub sample_rate: u32,
    /// When it starts; negative where its first samples are left out.
    pub start: Ticks,
    pub language: Option<String>,
    /// Tracks of one channel each that are heard as one, this one among them, in the container's order; empty where it
    /// is heard alone.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub together: Vec<u32>,
    /// Tracks heard instead where this is silent from end to end, the best first; several in one entry together.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub instead: Vec<Vec<u32>>,
}

impl AudioStream {
    /// The tracks to be heard.
    pub fn tracks(&self) -> Vec<u32> {
        if self.together.is_empty() { vec![self.index] } else { self.together.clone() }
    }

    /// The tracks to be heard, and those to be heard instead, as long as what comes before is silent.
    pub fn choices(&self) -> Vec<Vec<u32>> {
        std::iter::once(self.tracks()).chain(self.instead.iter().cloned()).collect()
    }
}

/// How a rung's pictures come to be.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Coding {
    /// The source's own pictures, cut on its keyframes.
    Copy,
    /// H.264 by libx264 at a constant rate factor under a cap.
    H264 { crf: u8, max_bitrate: u64, buffer_bits: u64, preset: String },
}

/// One video rendition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// By its shorter side: `1080p`, `720p`, also in portrait.
    pub name: String,
    pub width: u32,
    pub height: u32,
    pub frame_rate: Fraction,
    pub coding: Coding,
}

/// The audio rendition: AAC-LC at 48 kHz.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioRung {
    pub name: String,
    pub channels: u16,
    /// Bits a second.
    pub bitrate: u64,
    /// Integrated loudness aimed at, in LUFS (EBU R 128).
    pub loudness_lufs: f64,
}

/// Which renditions a source gets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Ladder {
    /// Goes up whenever the rules change, so `reprocess --ladder-before` can find what is old.
    pub version: u32,
    /// Highest first.
    pub rungs: Vec<Rung>,
    pub audio: Option<AudioRung>,
}

/// Where segments begin, once for every rung.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// The planned start of each segment; the first is 0. A segment begins with the first picture at or after it.
    pub starts: Vec<Ticks>,
    /// The planned end of the last one.
    pub end: Ticks,
    /// The first segment of each chunk; a chunk is one encode job.
    pub chunks: Vec<u32>,
}

/// One CMAF segment inside a pack (RFC 8216 3.3, EXT-X-BYTERANGE).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// When its first picture or sample is shown.
    pub start: Ticks,
    pub duration: Ticks,
    pub size_bytes: u64,
    /// The prefix that holds `moof` and the first picture, for I-frame playlists; 0 for audio.
    pub key_bytes: u64,
}

words! {
    /// How far a video's media is.
    MediaState {
        /// No source yet.
        Waiting = "waiting",
        Processing = "processing",
        /// At least one rung has its first pack.
        Playable = "playable",
        /// The ladder is whole.
        Ready = "ready",
        /// A rung failed for good, the rest stands.
        Degraded = "degraded",
        /// Nothing can be played.
        Failed = "failed",
    }
}

words! {
    /// How far one rung is.
    RungState {
        Queued = "queued",
        Encoding = "encoding",
        Ready = "ready",
        Failed = "failed",
    }
}
