//! An encoder whose pictures carry the wall clock: 32 squares at the top, each a bit of the milliseconds since 1970.

use std::io::Write;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use policast::domain::Clock;

const WIDTH: usize = 640;
const HEIGHT: usize = 360;
const RATE: u32 = 30;
const BITS: usize = 32;
const SQUARE: usize = WIDTH / BITS;
/// What a decoder may still tell apart after every loss.
const BLACK: u8 = 16;
const WHITE: u8 = 235;

/// FFmpeg and the thread that paints for it; ended when dropped.
pub struct Painter {
    ffmpeg: Child,
    stop: Arc<AtomicBool>,
    painting: Option<JoinHandle<()>>,
}

impl Painter {
    /// Sends one encoding of what is painted to every output, written as FFmpeg's tee muxer wants them.
    pub fn start(outputs: &[String], b_frames: u32) -> Self {
        let size = format!("{WIDTH}x{HEIGHT}");
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args([
            "-hide_banner",
            "-v",
            "error",
            "-f",
            "rawvideo",
            "-pix_fmt",
            "gray",
            "-video_size",
            &size,
        ]);
        ffmpeg.args(["-framerate", &RATE.to_string(), "-thread_queue_size", "8", "-i", "pipe:0"]);
        ffmpeg.args(["-re", "-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000"]);
        ffmpeg.args(["-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "ultrafast"]);
        ffmpeg.args(["-tune", "zerolatency", "-bf", &b_frames.to_string(), "-g", &(RATE * 2).to_string()]);
        ffmpeg.args(["-b:v", "1500k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "2"]);
        ffmpeg.args(["-flags", "+global_header", "-f", "tee", &outputs.join("|")]);
        let mut ffmpeg = ffmpeg.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("ffmpeg starts");
        let pipe = ffmpeg.stdin.take().expect("a pipe");
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let painting = thread::spawn(move || paint(pipe, &stopped));
        Self { ffmpeg, stop, painting: Some(painting) }
    }

    /// Fails where it has ended by itself.
    pub fn expect_running(&mut self) {
        let ended = self.ffmpeg.try_wait().expect("a child");
        assert!(ended.is_none(), "the encoder ended with {ended:?}");
    }
}

impl Drop for Painter {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        // It may be gone already; then there is nothing to end.
        let _ = self.ffmpeg.kill();
        let _ = self.ffmpeg.wait();
        let _ = self.painting.take().map(JoinHandle::join);
    }
}

/// In real time until told to stop, or until nobody reads.
fn paint(mut pipe: ChildStdin, stop: &AtomicBool) {
    let begun = Instant::now();
    let mut picture = backdrop();
    for number in 0.. {
        let due = Duration::from_secs(1) * number / RATE;
        thread::sleep(due.saturating_sub(begun.elapsed()));
        stamp(&mut picture);
        if stop.load(Ordering::Relaxed) || pipe.write_all(&picture).is_err() {
            return;
        }
    }
}

fn backdrop() -> Vec<u8> {
    let shade = |at: usize| u8::try_from((at % WIDTH + at / WIDTH * 3) % 256).unwrap_or(0);
    (0..WIDTH * HEIGHT).map(shade).collect()
}

fn stamp(picture: &mut [u8]) {
    let now = Clock::System.now().0;
    for row in picture.chunks_exact_mut(WIDTH).take(SQUARE * 2) {
        for (bit, square) in row.chunks_exact_mut(SQUARE).enumerate() {
            square.fill(if now >> bit & 1 == 1 { WHITE } else { BLACK });
        }
    }
}
