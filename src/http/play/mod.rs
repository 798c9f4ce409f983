//! Playback: playlists rendered from rows, media by range through a bounded cache.

pub mod bytes;
pub mod cache;
pub mod gate;
mod live;
pub mod media;
pub mod playlists;
#[cfg(test)]
mod properties;
pub(super) mod revision;
pub mod stills;
pub mod token;
