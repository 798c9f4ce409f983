//! FFmpeg pushes SRT: with a broadcast's key it is watched, with another it is refused.

use std::time::{Duration, Instant};

use reqwest::Method;
use serde_json::{Value, json};
use tokio::process::Command;

use crate::server::Server;
use crate::tool::{program, run};

/// Nothing that is waited for takes longer.
const STUCK: Duration = Duration::from_mins(2);

async fn server() -> Server {
    let server = Server::start_with(&[("POLICAST_SRT_LISTEN", "127.0.0.1:0")]).await;
    server.api.agency().await;
    server
}

/// A broadcast everybody may watch.
async fn announce(server: &Server) -> Value {
    let body = json!({
        "account": "lanting-ecology", "topic": "environment/air", "title": "Press conference", "language": "en",
    });
    let broadcast = server.api.post("/api/v1/broadcasts", &body).await;
    let publish = format!("/api/v1/videos/{}/publish", text(&broadcast["video"]));
    let (status, told) = server.api.ask(Method::POST, &publish, None).await;
    assert!(status.is_success(), "{status} {told}");
    broadcast
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_else(|| panic!("{value} is no text"))
}

/// Sends pictures and sound in real time, pictures out of order as encoders like them.
fn encoder(url: &str, seconds: u32) -> Command {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "warning", "-re", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=25"]);
    ffmpeg.args(["-re", "-f", "lavfi", "-i", "sine=r=48000", "-t", &seconds.to_string()]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-bf", "2", "-g", "25", "-pix_fmt", "yuv420p"]);
    ffmpeg.args(["-c:a", "aac", "-f", "mpegts", url]);
    ffmpeg
}

/// How many pictures and how much sound two seconds of a stream have, in packets; none where it can't be played yet.
async fn watch(master: &str) -> (usize, usize) {
    let mut ffprobe = program("ffprobe");
    ffprobe.args(["-v", "error", "-read_intervals", "%+2", "-show_entries", "packet=codec_type"]);
    ffprobe.args(["-of", "csv=p=0", master]);
    let printed = run(ffprobe).await.stdout;
    let printed = String::from_utf8_lossy(&printed);
    let of = |kind| printed.lines().filter(|line| line.starts_with(kind)).count();
    (of("video"), of("audio"))
}

#[tokio::test]
async fn an_encoder_by_srt_is_watched_and_its_end_is_told() {
    let server = server().await;
    let broadcast = announce(&server).await;
    // FFmpeg drops what it has not sent yet when it closes, unless told to linger.
    let url = format!("{}&linger=3", text(&broadcast["ingest"]["srt_url"]));
    let mut sending = encoder(&url, 15).spawn().expect("ffmpeg");
    let master = format!("{}/play/{}/master.m3u8", server.api.base, text(&broadcast["video"]));
    let begun = Instant::now();
    loop {
        let (pictures, sound) = watch(&master).await;
        if pictures > 30 && sound > 50 {
            break;
        }
        assert!(begun.elapsed() < STUCK, "{pictures} pictures, {sound} of sound:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    assert!(sending.wait().await.expect("ffmpeg").success());
    let path = format!("/api/v1/broadcasts/{}", text(&broadcast["id"]));
    let codes = loop {
        let found = server.api.get(&path).await;
        let log = found["log"].as_array().expect("a log").iter();
        let codes: Vec<String> = log.map(|line| text(&line["code"]).to_owned()).collect();
        if codes.len() > 1 {
            break codes;
        }
        assert!(begun.elapsed() < STUCK, "{found}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    };
    assert_eq!(codes, ["encoder_stopped", "encoder_came"]);
    server.stop().await;
}

#[tokio::test]
async fn a_bad_key_by_srt_is_refused_and_the_encoder_says_so() {
    let server = server().await;
    let broadcast = announce(&server).await;
    let url = text(&broadcast["ingest"]["srt_url"]);
    let (door, _) = url.split_once('?').expect("a stream id");
    let refused = run(encoder(&format!("{door}?streamid=live_wrong"), 5)).await;
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("REJECT reported"), "{said}");
    assert!(server.log().contains("The stream key is wrong or was revoked"), "{}", server.log());
    server.stop().await;
}
