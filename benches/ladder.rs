//! `make bench`: what the README claims about speed, measured side by side in one run on the same clip.
#![expect(clippy::print_stdout, reason = "the comparison is what it is for")]
#![expect(dead_code, reason = "it needs a part of what the end-to-end tests share")]

#[path = "../tests/e2e/api.rs"]
mod api;
#[path = "../tests/it/ports.rs"]
mod ports;
#[path = "../tests/e2e/server.rs"]
mod server;
#[path = "../tests/e2e/tool.rs"]
mod tool;

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};

use server::Server;
use tool::fixture;

/// One rung as PeerTube 6.3 encodes it at 30 pictures a second: its height and its cap in kbit/s.
const PEERTUBE: [(u32, u32); 5] = [(1080, 6221), (720, 3041), (480, 1475), (360, 1037), (240, 522)];

#[tokio::main]
async fn main() {
    let clip = fixture("explainer.mp4");
    println!("clip: {} ({:.1} s)\n", clip.display(), seconds_of(&clip));
    let (start, memory) = idle().await;
    let encoded = ours(&clip, "false").await;
    let theirs = one_process_per_rung(&clip);
    let passed = ours(&clip, "true").await;
    println!("CPU seconds, user and system, children included");
    println!("  one FFmpeg process per rung with PeerTube's arguments    {theirs:>8.1}");
    println!("  policast, upload to ready, every rung encoded            {encoded:>8.1}");
    println!("    ratio, 0.70 or less wanted                             {:>8.2}", encoded / theirs);
    println!("  policast, upload to ready, top rung passed through       {passed:>8.1}");
    println!("    ratio                                                  {:>8.2}\n", passed / theirs);
    println!("policast serve");
    println!("  from start to answering, 1 s or less wanted              {:>8.2} s", start.as_secs_f64());
    println!("  memory when idle, 50 MB or less wanted                   {memory:>8.1} MB");
}

/// What the ladder costs from the upload to `ready`, with everything the server does on the side.
async fn ours(clip: &Path, passthrough: &str) -> f64 {
    let before = cpu_of_children();
    let server = Server::start_with(&[("POLICAST_PASSTHROUGH", passthrough)]).await;
    server.api.agency().await;
    let video = server.api.video("Bench").await.id;
    let (status, body) = server.api.put_source(&video, clip).await;
    assert!(status.is_success(), "{status} {body}");
    let ready = server.api.wait_until_ready(&video).await;
    let rungs = ready["media"]["rungs"].as_array().map_or(0, Vec::len);
    server.stop().await;
    println!("policast made {rungs} rungs");
    cpu_of_children() - before
}

fn one_process_per_rung(clip: &Path) -> f64 {
    let folder = tempfile::tempdir().expect("a folder");
    let before = cpu_of_children();
    for (height, cap) in PEERTUBE {
        let mut ffmpeg = Command::new("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-i"]).arg(clip).args(["-acodec", "copy", "-vcodec", "libx264"]);
        ffmpeg.args([
            "-threads",
            "2",
            "-preset",
            "veryfast",
            "-b_strategy",
            "1",
            "-bf",
            "16",
            "-r",
            "30",
            "-g",
            "60",
        ]);
        ffmpeg.args(["-maxrate", &format!("{cap}k"), "-bufsize", &format!("{}k", 2 * cap)]);
        ffmpeg.args(["-pix_fmt", "yuv420p", "-vf", &format!("scale=w=-2:h={height}")]);
        let status = ffmpeg.arg(folder.path().join(format!("{height}.mp4"))).status().expect("ffmpeg");
        assert!(status.success(), "ffmpeg at {height}: {status}");
    }
    cpu_of_children() - before
}

/// The time until it answers, and the memory it holds after a while, in MB.
async fn idle() -> (Duration, f64) {
    let mut server = Server::start().await;
    server.kill();
    let begun = Instant::now();
    let mut command = server.command(&["serve"]);
    let mut child =
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("policast");
    while !server.api.is_ready().await {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let start = begun.elapsed();
    tokio::time::sleep(Duration::from_secs(20)).await;
    let memory = resident_mb(&child);
    child.kill().expect("a running server");
    child.wait().expect("a child");
    (start, memory)
}

fn resident_mb(child: &Child) -> f64 {
    let status = fs::read_to_string(format!("/proc/{}/status", child.id())).expect("a running server");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("a size");
    let kib: f64 = line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number");
    kib * 1024.0 / 1_000_000.0
}

/// User and system seconds of every child that has ended, and of their children.
fn cpu_of_children() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).expect("usage");
    [usage.user_time(), usage.system_time()]
        .map(|time| Duration::from_micros(micros(time)).as_secs_f64())
        .iter()
        .sum()
}

fn micros(time: nix::sys::time::TimeVal) -> u64 {
    u64::try_from(time.tv_sec() * 1_000_000 + time.tv_usec()).unwrap_or(0)
}

fn seconds_of(clip: &Path) -> f64 {
    let mut ffprobe = Command::new("ffprobe");
    ffprobe.args(["-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0"]).arg(clip);
    let printed = ffprobe.output().expect("ffprobe").stdout;
    String::from_utf8_lossy(&printed).trim().parse().expect("a duration")
}
