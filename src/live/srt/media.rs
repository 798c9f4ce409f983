//! What a publisher sends, one item at a time, whatever container it came in.

use bytes::Bytes;

/// One item of a broadcast, in the order in which it was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Media {
    /// Before the first frame, and again when it changes.
    VideoConfig(VideoConfig),
    Video(VideoFrame),
    /// An `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1); before the first frame, and again when it
    /// changes.
    AudioConfig(Bytes),
    Audio(AudioFrame),
}

/// A decoder configuration record as an MP4 sample entry holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VideoConfig {
    /// `AVCDecoderConfigurationRecord` (ISO/IEC 14496-15 5.3.3.1).
    Avc(Bytes),
    /// `HEVCDecoderConfigurationRecord` (ISO/IEC 14496-15 8.3.3.1).
    Hevc(Bytes),
    /// `AV1CodecConfigurationRecord`; never from SRT.
    Av1(Bytes),
}

/// One access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VideoFrame {
    /// In 1/90000 s, unwrapped from 33 bits; may jump, may be negative.
    pub dts: i64,
    /// Presentation minus decoding time, in 1/90000 s; below zero from some encoders.
    pub cts: i64,
    /// Decoding may start here.
    pub key: bool,
    /// NAL units behind 4-byte lengths, without parameter sets, delimiters and filler.
    pub data: Bytes,
}

/// One raw AAC frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AudioFrame {
    /// In 1/90000 s, on the clock of the video.
    pub pts: i64,
    pub data: Bytes,
}
