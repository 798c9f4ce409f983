//! What a worker and its caged child say to each other: one task in, events out.

use serde::{Deserialize, Serialize};

use crate::domain::Refusal;
use crate::domain::media::{AudioRung, Probe, Rung, Segment, TICKS_PER_SECOND, Ticks, VideoStream};

/// One piece of media work; the child does exactly one and ends.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Says what the source is, or refuses it.
    Probe { source: Source, limits: Limits },
    /// Encodes one chunk of the timeline for all its video rungs with one decode.
    Chunk(Box<Chunk>),
    /// Encodes the whole audio track.
    Audio(Box<Audio>),
    /// Makes the poster and the storyboard.
    Stills(Box<Stills>),
    /// Makes the poster of a picture, or refuses it: `side` is the longer one at most, in pixels.
    Poster { source: Source, max_pixels: u64, side: u32 },
    /// Makes lower rungs of a broadcast as it runs.
    Lower(Box<Lower>),
    /// Makes a moving picture of a JPEG that stands still.
    Slate(Box<Slate>),
}

/// The bytes the child may ask for.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Source {
    pub size_bytes: u64,
}

/// What a source may be at most.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Limits {
    /// Width times height of a stored picture.
    pub max_pixels: u64,
    pub max_duration: Ticks,
    /// Time in all in which neither picture nor sound comes, where that lasts longer than half a minute on end.
    pub max_still: Ticks,
    /// Tracks, or programmes, in one file.
    pub max_tracks: u32,
    /// Bytes of tags, chapters, covers, attachments, colour profiles and codec headers together.
    pub max_metadata_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_pixels: 8192 * 4320,
            max_duration: 12 * 3600 * TICKS_PER_SECOND,
            max_still: 600 * TICKS_PER_SECOND,
            max_tracks: 100,
            max_metadata_bytes: 16 << 20,
        }
    }
}

/// Segments `first_segment..first_segment + starts.len()`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Chunk {
    pub source: Source,
    pub video: VideoStream,
    pub seekable: bool,
    pub first_segment: u32,
    /// Planned start of each segment of this chunk.
    pub starts: Vec<Ticks>,
    /// Planned start of the segment after the last, or the timeline's end for the last chunk.
    pub end: Ticks,
    /// The last chunk of the timeline: the last picture is held until `end`.
    pub last: bool,
    /// Highest first; all share one decode and a cascade of scales.
    pub rungs: Vec<Rung>,
}

/// The audio rendition from 0 to `end`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Audio {
    pub source: Source,
    /// Tracks by their index in the container, those heard best first: one, or several of one channel each that belong
    /// together. A choice that is silent or can't be decoded leaves its place to the next.
    pub choices: Vec<Vec<u32>>,
    /// The video stream, whose clock tells where time 0 is.
    pub video: VideoStream,
    pub rung: AudioRung,
    /// Planned start of each segment.
    pub starts: Vec<Ticks>,
    pub end: Ticks,
}

/// Poster and storyboard, by seeking to keyframes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Stills {
    pub source: Source,
    pub video: VideoStream,
    pub seekable: bool,
    pub duration: Ticks,
    /// The poster's longer side at most, in pixels.
    pub poster_side: u32,
    pub storyboard: Storyboard,
}

/// The grid of the storyboard sheet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storyboard {
    pub tile_width: u32,
    pub tile_height: u32,
    pub columns: u32,
    pub tiles: u32,
    /// Time between two tiles.
    pub interval: Ticks,
}

/// Lower rungs of pictures that come one by one, each asked for by `Event::Next`.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Lower {
    pub codec: Codec,
    /// The payload of the codec's configuration box.
    pub config: Vec<u8>,
    /// Highest first; all share one decode and a cascade of scales.
    pub rungs: Vec<Rung>,
}

/// The picture asked for by `Event::Next`, fitted into a rung and coded so many times, the first one as an IDR picture.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Slate {
    pub rung: Rung,
    pub pictures: u32,
}

/// What a broadcast's pictures may be coded by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Codec {
    H264,
    Hevc,
    Av1,
}

/// What there is to say of a coded picture beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Coded {
    pub decoded: Ticks,
    pub shown: Ticks,
    pub key: bool,
    /// Every rung has an IDR picture here.
    pub begins: bool,
}

/// What a child says while it works.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// The child wants bytes; answered by `Child::feed`. Fewer only at the end of the source.
    Read { offset: u64, len: u32 },
    /// A rung's initialisation segment (`ftyp` and `moov`), before its first segment; the body carries the bytes.
    Init { rung: String, codecs: String },
    /// The child wants the next picture; answered by `Child::hand`.
    Next,
    /// A picture of a lower rung, in the order of showing; the body carries its NAL units (ITU-T H.264 annex B).
    Picture { rung: u32, shown: Ticks },
    /// One finished CMAF segment; the body carries the bytes.
    Segment { rung: String, index: u32, segment: Segment },
    /// A picture; the body carries a JPEG.
    Still { still: Still, width: u32, height: u32 },
    /// How far the task is on the timeline; also the sign of life the watchdog looks for.
    Progress { at: Ticks },
    /// Pictures of the source are missing or damaged from one moment of the timeline to another.
    Damaged { from: Ticks, to: Ticks },
    /// One rung can't go on; the others do.
    RungFailed { rung: String, message: String },
    /// The task is done, and the child ends; `cpu_ms` is what it cost.
    Done { outcome: Outcome, cpu_ms: u64 },
}

/// Which picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Still {
    Poster,
    Storyboard,
}

/// How a task ended.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    Probed {
        probe: Box<Probe>,
    },
    /// The end of the last segment made; before `end` where the source stopped early.
    Encoded {
        ended_at: Ticks,
    },
    /// The task's stream can't be used, for a reason worth telling.
    Refused {
        refusal: Refusal,
    },
}
