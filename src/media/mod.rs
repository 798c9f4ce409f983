//! Everything that touches media: libav in a caged child process, and the pure plans beside it.

pub mod audio;
mod boxes;
pub mod encode;
mod error;
mod grid;
pub mod ladder;
mod libav;
mod mux;
#[cfg(test)]
mod proof;
mod pulse;
pub mod stills;
pub mod storyboard;
pub mod task;
pub mod timeline;
pub mod wire;

pub use error::Error;
