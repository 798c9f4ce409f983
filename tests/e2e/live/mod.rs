//! Broadcasts with real encoders: FFmpeg sends, players and ffprobe judge what residents get.

mod interrupted;
mod keyframes;
mod nodes;
mod obs;
mod outage;
mod players;
mod push_on;
mod recording;
mod refused;
mod rungs;
mod slate;
mod sound_only;
mod viewer;

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::process::{Child, Command};

use crate::playlist::{self, Master};
use crate::server::Server;
use crate::tool::{program, run, succeed};

/// A broadcast that takes longer to get anywhere is stuck.
const STUCK: Duration = Duration::from_mins(2);

/// An announced broadcast, its video published.
struct Broadcast<'a> {
    server: &'a Server,
    id: String,
    video: String,
    key: String,
    /// Where encoders send RTMP to, with the key.
    url: String,
}

impl<'a> Broadcast<'a> {
    async fn announce(server: &'a Server, grace_seconds: u32) -> Self {
        Self::announce_with(server, json!({"grace_seconds": grace_seconds})).await
    }

    async fn announce_with(server: &'a Server, plan: Value) -> Self {
        let mut body = json!({"account": "lanting-ecology", "topic": "environment/air", "title": "Press conference",
            "language": "en"});
        let plan = plan.as_object().expect("a plan").clone();
        body.as_object_mut().expect("a body").extend(plan);
        let told = server.api.post("/api/v1/broadcasts", &body).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {told}")).to_owned();
        let (video, key) = (text(&told["video"]), text(&told["ingest"]["stream_key"]));
        server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
        let url = format!("{}/{key}", text(&told["ingest"]["rtmp_url"]));
        Self { server, id: text(&told["id"]), video, key, url }
    }

    async fn look(&self) -> Value {
        self.server.api.get(&format!("/api/v1/broadcasts/{}", self.id)).await
    }

    async fn wait_for(&self, state: &str) {
        let begun = Instant::now();
        loop {
            let found = self.look().await;
            if found["state"] == state {
                return;
            }
            assert!(begun.elapsed() < STUCK, "never {state}: {found}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Waits until the first segment can be played.
    async fn wait_until_it_plays(&self) {
        self.server.api.wait_until(&self.video, |video| video["media"]["state"] == "playable").await;
    }

    async fn end(&self) {
        self.server.api.post(&format!("/api/v1/broadcasts/{}/end", self.id), &json!({})).await;
        self.wait_for("ended").await;
    }

    fn master(&self) -> String {
        format!("{}/play/{}/master.m3u8", self.server.api.base, self.video)
    }

    /// Codes of its log, oldest first.
    async fn log(&self) -> Vec<String> {
        let told = self.look().await;
        let lines = told["log"].as_array().expect("a log").iter().rev();
        lines.map(|line| line["code"].as_str().expect("a code").to_owned()).collect()
    }

    /// Pictures and frames of sound in what was recorded, as ffprobe counts them.
    async fn recorded(&self) -> (u64, u64) {
        let source = self.source().await;
        (count(&self.rung(1, &source)).await, count(&self.rung(1, "audio")).await)
    }

    /// The playlist of a rung.
    fn rung(&self, revision: u32, name: &str) -> String {
        format!("{}/play/{}/{revision}/{name}/playlist.m3u8", self.server.api.base, self.video)
    }

    /// The name of the rung with the source's own pictures.
    async fn source(&self) -> String {
        let video = self.server.api.get(&format!("/api/v1/videos/{}", self.video)).await;
        video["media"]["rungs"][0]["name"].as_str().expect("a rung").to_owned()
    }
}

/// A clip as an encoder would send it, and how many packets it has.
struct Clip {
    path: PathBuf,
    pictures: u64,
    sounds: u64,
}

impl Clip {
    /// A test picture and a tone, with a keyframe every 2 s.
    async fn make(folder: &Path, size: &str, seconds: u32, sound: bool) -> Self {
        Self::make_of(folder, (&format!("testsrc2=size={size}:rate=30"), "1000k"), seconds, sound).await
    }

    /// The same of another picture and bitrate.
    async fn make_of(folder: &Path, (picture, rate): (&str, &str), seconds: u32, sound: bool) -> Self {
        let path = folder.join(format!("{}.flv", uuid::Uuid::now_v7()));
        let mut ffmpeg = program("ffmpeg");
        ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", picture]);
        if sound {
            ffmpeg.args([
                "-f",
                "lavfi",
                "-i",
                "sine=frequency=440:sample_rate=48000",
                "-c:a",
                "aac",
                "-ac",
                "2",
            ]);
        }
        // Each size has parameter sets of its own, in all that can be in them.
        let preset = if picture.contains("320x180") { "superfast" } else { "ultrafast" };
        ffmpeg.args(["-t", &seconds.to_string(), "-c:v", "libx264", "-preset", preset, "-bf", "2"]);
        ffmpeg.args(["-g", "60", "-b:v", rate, "-pix_fmt", "yuv420p"]).arg(&path);
        succeed(ffmpeg).await;
        let pictures = playlist::packets_of(&path, "v").await;
        let first = pictures.iter().map(|packet| packet.start).fold(f64::INFINITY, f64::min);
        let sounds = if sound {
            let heard = playlist::packets_of(&path, "a").await;
            // A recording begins with its first picture; before it is what the AAC encoder begins with, and is not heard.
            let kept = heard.iter().filter(|packet| packet.start >= first).count();
            assert!(
                heard.len() - kept <= 2,
                "{} frames of sound before the first picture",
                heard.len() - kept
            );
            kept as u64
        } else {
            // Silence of AAC frames at 48 kHz.
            (u64::from(seconds) * 48_000).div_ceil(1024)
        };
        Self { pictures: pictures.len() as u64, sounds, path }
    }

    /// FFmpeg sending it in real time.
    fn push(&self, url: &str) -> Command {
        let mut ffmpeg = program("ffmpeg");
        ffmpeg.args(["-nostdin", "-hide_banner", "-v", "info", "-re", "-i"]).arg(&self.path);
        ffmpeg.args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", url]);
        ffmpeg
    }

    /// Sends all of it; FFmpeg has to be content.
    async fn send(&self, url: &str) {
        succeed(self.push(url)).await;
    }

    /// Begins to send.
    fn begin(&self, url: &str) -> Child {
        let mut ffmpeg = self.push(url);
        ffmpeg.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ffmpeg starts")
    }
}

/// Packets of a playlist with one track.
async fn count(playlist: &str) -> u64 {
    playlist::packets_of(Path::new(playlist), "0").await.len() as u64
}

/// Waits until players are told that nothing more comes.
async fn wait_for_the_end(broadcast: &Broadcast<'_>) -> Master {
    let begun = Instant::now();
    loop {
        let found = playlist::read(&broadcast.master()).await;
        if found.variants.iter().chain(&found.renditions).all(|media| media.ended) {
            return found;
        }
        assert!(begun.elapsed() < STUCK, "the playlists never end");
    }
}

/// FFmpeg plays so much of it and finds nothing wrong; what it said.
async fn plays(url: &str, seconds: u32) {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-i", url, "-t", &seconds.to_string()]);
    // By the frame rate, two pictures a hair less than one apart would fall together.
    ffmpeg.args(["-fps_mode", "passthrough", "-enc_time_base:v", "1:90000", "-f", "null", "-"]);
    let output = run(ffmpeg).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && said.is_empty(), "{url}: {}\n{said}", output.status);
}
