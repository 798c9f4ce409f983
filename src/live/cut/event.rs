//! What the cutter gives: initialisation segments, parts and segments, in the order a playlist lists them.

use bytes::Bytes;

use super::super::frame::VideoConfig;
use crate::domain::media::{Fraction, Segment, Ticks};

/// Which of the two renditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Track {
    Video,
    Audio,
}

/// Something for a playlist. Of one track they come as `Init`, then for each segment `Begin`, `Part`s, `End`; those of
/// the two tracks are interleaved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    Init(Init),
    Begin(Begin),
    /// A picture was given its place, before the part it will be in; comes after the `Begin` it causes.
    Picture(Picture),
    Part(Part),
    End(End),
}

/// A coded picture as the encoder sent it, at its place on our timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    pub config: VideoConfig,
    pub decoded: Ticks,
    pub shown: Ticks,
    pub key: bool,
    pub data: Bytes,
}

/// An initialisation segment (RFC 8216 EXT-X-MAP).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Init {
    pub track: Track,
    /// Part of its name, and made of its bytes: players that know an initialisation segment never load it again, so the
    /// same name must not stand for another, whoever made it.
    pub number: u32,
    pub bytes: Bytes,
    /// For CODECS (RFC 6381), such as `avc1.64001f`.
    pub codecs: String,
    pub shape: Shape,
}

/// What there is to say about a track in the master playlist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// Stored pixels; the frame rate where the stream states it.
    Video { width: u32, height: u32, frame_rate: Option<Fraction> },
    /// Before any upsampling by SBR.
    Audio { sample_rate: u32, channels: u16 },
}

/// A segment's first part is about to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Begin {
    pub track: Track,
    /// The same for audio and video of the same time, but that sound which changes its coding in mid-segment begins the
    /// next one early; goes on across discontinuities.
    pub segment: u32,
    pub start: Ticks,
    /// EXT-X-DISCONTINUITY goes before it, in both tracks.
    pub discontinuity: bool,
    /// The `Init` it needs.
    pub init: u32,
}

/// One `moof` and `mdat`; a segment is the concatenation of its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    pub track: Track,
    pub segment: u32,
    /// Counted from 0 in each segment.
    pub part: u32,
    pub bytes: Bytes,
    pub start: Ticks,
    pub duration: Ticks,
    /// Contains a picture that needs no other (EXT-X-PART INDEPENDENT).
    pub independent: bool,
    /// EXT-X-DISCONTINUITY goes before its segment.
    pub discontinuity: bool,
}

/// A segment is complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    pub track: Track,
    pub number: u32,
    pub segment: Segment,
    pub discontinuity: bool,
    pub init: u32,
}
