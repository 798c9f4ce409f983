//! From what an encoder sends to CMAF parts and segments (ISO/IEC 23000-19, RFC 8216bis), without I/O or a clock on
//! the wall: `push` what came, `poll` what became of it. Video and audio are tracks of their own and share one
//! timeline, on which the first keyframe is shown at 0.
//!
//! frame -> clock (the encoder's time made ours) -> video, audio (where segments begin) -> rendition (parts) ->
//! fragment, init (bytes) -> event.

mod aac;
mod audio;
mod avc;
mod clock;
mod cutter;
mod error;
mod event;
mod fragment;
mod init;
mod lower;
mod picture;
mod promise;
mod rendition;
mod run;
mod video;

pub use cutter::{Cutter, KEPT, Position, Settings};
pub use error::Error;
pub use event::{Begin, End, Event, Init, Part, Picture, Shape, Track};
pub use fragment::key_bytes;
pub use lower::{Lower, Turn};
