//! Everything that touches media: libav in a caged child process, and the pure plans beside it.

pub mod playlist;
pub mod storyboard;
pub mod task;
