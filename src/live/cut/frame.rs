//! What an encoder sends, whatever the protocol it came by.

use bytes::Bytes;

/// One thing an encoder sent. Times are the encoder's own milliseconds, unwrapped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    VideoConfig(VideoConfig),
    Video(VideoFrame),
    /// An `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1).
    AudioConfig(Bytes),
    Audio(AudioFrame),
    /// Ignored here.
    Metadata(Bytes),
}

/// What a decoder has to know before the first picture, as MP4 stores it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoConfig {
    /// The body of an `avcC` box (ISO/IEC 14496-15 5.3.3.1).
    Avc(Bytes),
    /// The body of an `hvcC` box (ISO/IEC 14496-15 8.3.3.1).
    Hevc(Bytes),
    /// The body of an `av1C` box.
    Av1(Bytes),
}

/// One coded picture, in decoding order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFrame {
    pub dts_ms: i64,
    /// Shown this much after it is decoded; less than 0 from a confused encoder.
    pub cts_ms: i32,
    pub key: bool,
    /// NAL units prefixed by their length, or OBUs.
    pub data: Bytes,
}

/// One raw AAC frame, without ADTS header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    pub pts_ms: i64,
    pub data: Bytes,
}
