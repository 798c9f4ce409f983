//! Live: encoders in by RTMP and SRT, LL-HLS out, and the recording.

pub mod channel;
pub mod playlist;
pub mod window;
