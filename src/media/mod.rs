//! Everything that touches media: libav in a caged child process, and the pure plans beside it.

pub mod audio;
mod boxes;
pub mod encode;
mod error;
mod grid;
mod libav;
mod mux;
mod pulse;
pub mod task;
#[cfg(test)]
mod trial;
pub mod wire;

pub use error::Error;
