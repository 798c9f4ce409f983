//! The cutter judged by FFmpeg: what real encoders send, as it is and with every bad habit, is cut, and ffprobe and a
//! decoder say what became of it.

mod changes;
mod codings;
mod encoders;
mod flv;
mod jitter;
pub mod judge;
mod sessions;
mod sound;
mod stage;
mod times;
pub mod usual;
