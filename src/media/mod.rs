//! Everything that touches media: libav in a caged child process, and the pure plans beside it.

pub mod audio;
mod boxes;
pub mod cage;
pub mod child;
mod clock;
pub mod encode;
mod error;
mod grid;
pub mod input;
pub mod ladder;
mod libav;
mod lower;
mod mux;
pub mod playlist;
pub mod probe;
#[cfg(test)]
mod proof;
mod pulse;
mod raw;
pub mod recording;
mod rehearsal;
mod remote;
pub mod resident;
pub mod sandbox;
mod shared;
pub mod stills;
pub mod storyboard;
pub mod task;
#[cfg(test)]
mod through;
pub mod timeline;
pub mod wire;

pub use error::{Ending, Error};

/// The FFmpeg this binary runs on, for the provenance of what it makes.
pub fn build() -> String {
    let version = ffmpeg_next::codec::version();
    format!("libavcodec {}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff)
}

/// The encoders, decoders and filters the pipeline needs, and whether this FFmpeg has them: kind, name, there.
pub fn features() -> Vec<(&'static str, &'static str, bool)> {
    let encoders = ["libx264", "aac", "mjpeg"]
        .map(|name| ("encoder", name, ffmpeg_next::encoder::find_by_name(name).is_some()));
    let decoders = ["mjpeg", "png", "webp"]
        .map(|name| ("decoder", name, ffmpeg_next::decoder::find_by_name(name).is_some()));
    let filters = [
        "scale",
        "bwdif",
        "zscale",
        "tonemap",
        "setparams",
        "premultiply",
        "pad",
        "transpose",
        "color",
        "overlay",
        "ebur128",
        "aresample",
        "alimiter",
    ]
    .map(|name| ("filter", name, ffmpeg_next::filter::find(name).is_some()));
    encoders.into_iter().chain(decoders).chain(filters).collect()
}
