//! A broadcast and an encoder that sends a clip to it over and over.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};
use tokio::process::Child;

use crate::api::Api;
use crate::tool::{program, succeed};

/// An announced broadcast, its video published.
pub struct Broadcast {
    pub id: String,
    pub video: String,
    /// Where encoders send RTMP to, with the key.
    pub rtmp: String,
}

impl Broadcast {
    pub async fn announce(api: &Api) -> Self {
        let body = json!({"account": "lanting-ecology", "topic": "environment/air", "title": "Press conference",
            "language": "en", "grace_seconds": 60});
        let told = api.post("/api/v1/broadcasts", &body).await;
        let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {told}")).to_owned();
        let (id, video, ingest) = (text(&told["id"]), text(&told["video"]), &told["ingest"]);
        api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
        let rtmp = format!("{}/{}", text(&ingest["rtmp_url"]), text(&ingest["stream_key"]));
        Self { id, video, rtmp }
    }

    pub async fn wait_until_it_plays(&self, api: &Api) {
        api.wait_until(&self.video, |video| video["media"]["state"] == "playable").await;
    }

    /// The path of the playlist with the encoder's own pictures.
    pub async fn pictures(&self, api: &Api) -> String {
        let master = format!("{}/play/{}/master.m3u8", api.base, self.video);
        let text = String::from_utf8(api.bytes(&master, None).await).expect("a playlist");
        let mut lines = text.lines().skip_while(|line| !line.starts_with("#EXT-X-STREAM-INF"));
        let uri = lines.nth(1).unwrap_or_else(|| panic!("no variant in {text}"));
        format!("/play/{}/{uri}", self.video)
    }
}

/// 720p30 at 3 Mbit/s with sound and a keyframe every 2 s, encoded before anything is measured.
pub async fn make_clip(folder: &Path) -> PathBuf {
    let path = folder.join("clip.flv");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30"]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", "20"]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-g", "60"]);
    ffmpeg.args(["-b:v", "3M", "-minrate", "3M", "-maxrate", "3M", "-bufsize", "3M"]);
    ffmpeg.args(["-x264-params", "nal-hrd=cbr:scenecut=0", "-c:a", "aac", "-b:a", "128k", "-ac", "2"]);
    ffmpeg.arg(&path);
    succeed(ffmpeg).await;
    path
}

/// FFmpeg sending the clip in real time until it is dropped; it would complain of the end of a broadcast.
pub fn push(clip: &Path, url: &str) -> Child {
    send(clip, url, &["-re"], &[])
}

/// FFmpeg sending so many seconds of the clip, faster than in real time.
pub fn hurry(clip: &Path, url: &str, (seconds, speed): (u32, u32)) -> Child {
    send(clip, url, &["-readrate", &speed.to_string()], &["-t", &seconds.to_string()])
}

fn send(clip: &Path, url: &str, pace: &[&str], length: &[&str]) -> Child {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "error"]).args(pace).args(["-stream_loop", "-1", "-i"]).arg(clip);
    ffmpeg.args(length).args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", url]);
    ffmpeg.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ffmpeg starts")
}
