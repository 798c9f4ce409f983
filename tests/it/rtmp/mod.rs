//! RTMP: what encoders do badly, each as the bytes that show it, what attackers do well, and what real programs say.

mod abuse;
mod chunks;
mod crowds;
mod door;
mod encoder;
mod ffmpeg;
mod frames;
mod push;
mod talk;
mod visits;
