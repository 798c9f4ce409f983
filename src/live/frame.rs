//! What an encoder sends, freed of the protocol it came by: RTMP and SRT both end in these words.

use bytes::Bytes;

/// Times are signed ticks of 90 kHz: exact for RTMP's milliseconds and for MPEG-TS's stamps.
pub const TICKS_PER_SECOND: i64 = 90_000;

/// One thing an encoder sent, in the order it came.
#[derive(Debug, Clone, PartialEq)]
pub enum Media {
    Metadata(Metadata),
    VideoConfig(VideoConfig),
    Video(VideoFrame),
    /// An `AudioSpecificConfig` (ISO 14496-3 1.6.2.1); always before the first frame it describes.
    AudioConfig(Bytes),
    Audio(AudioFrame),
    /// A track beside the first picture and the first sound, in words; told once.
    LeftOut(&'static str),
}

/// What tracks are called that are left out.
pub const SECOND_SOUND: &str = "a second track of sound";
pub const SECOND_PICTURE: &str = "a second picture";

/// How the frames after it are to be decoded: the box's payload as ISO 14496-15 and AV1-ISOBMFF have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoConfig {
    /// `avcC`
    Avc(Bytes),
    /// `hvcC`
    Hevc(Bytes),
    /// `av1C`
    Av1(Bytes),
}

impl VideoConfig {
    /// The payload of the configuration box.
    pub fn bytes(&self) -> &Bytes {
        match self {
            Self::Avc(bytes) | Self::Hevc(bytes) | Self::Av1(bytes) => bytes,
        }
    }
}

/// One picture: NAL units behind their lengths, or AV1's open bitstream units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFrame {
    pub dts_ticks: i64,
    /// What presentation is after decoding; some encoders send it below zero.
    pub cts_ticks: i32,
    pub key: bool,
    pub data: Bytes,
}

/// One raw AAC frame, without ADTS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    pub pts_ticks: i64,
    pub data: Bytes,
}

/// What an encoder says of itself, to show and never to rely on.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Metadata {
    pub width: Option<f64>,
    pub height: Option<f64>,
    pub frames_per_second: Option<f64>,
    pub video_kbits: Option<f64>,
    pub audio_kbits: Option<f64>,
    pub encoder: Option<String>,
}
