//! Everything that touches media: libav in a caged child process, and the pure plans beside it.

pub mod cage;
pub mod child;
mod error;
pub mod input;
pub mod probe;
mod raw;
mod remote;
pub mod sandbox;
pub mod task;
mod trial;
pub mod wire;

pub use error::{Ending, Error};
