//! What a viewer gets, in a real browser.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policast::domain::Clock;
use serde_json::{Value, json};

use crate::server::Server;
use crate::tool::{fixture, node, program, succeed};

#[tokio::test]
async fn chromium_plays_the_watch_page_to_its_end() {
    let server = Server::start().await;
    server.api.agency().await;
    let video = server.api.video("Cleaner air by 2030").await.id;
    let (status, body) = server.api.put_source(&video, &fixture("explainer.mp4")).await;
    assert!(status.is_success(), "{status} {body}");
    server.api.wait_until_ready(&video).await;
    server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
    let mut watch = node("watch.mjs");
    watch.arg(format!("{}/watch/{video}", server.api.base));
    succeed(watch).await;
    server.stop().await;
}

/// A clip of one colour, of this size.
async fn plain_clip(folder: &Path, (name, colour, size): (&str, &str, &str)) -> PathBuf {
    let path = folder.join(name);
    let picture = format!("color={colour}:s={size}:r=25:d=6");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", &picture, "-f", "lavfi", "-i", "sine=d=6"]);
    ffmpeg.args([
        "-c:v",
        "libx264",
        "-preset",
        "ultrafast",
        "-g",
        "50",
        "-pix_fmt",
        "yuv420p",
        "-c:a",
        "aac",
    ]);
    ffmpeg.arg(&path);
    succeed(ffmpeg).await;
    path
}

#[tokio::test]
async fn every_page_is_for_everybody_with_its_menus_open_in_both_languages_and_without_scripts() {
    let server = Server::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    server.api.agency().await;
    let mut ids = Vec::new();
    for clip in [("white.mp4", "white", "640x360"), ("upright.mp4", "white", "360x640")] {
        let file = plain_clip(folder.path(), clip).await;
        let video = server.api.video("Cleaner air: https://example.org").await.id;
        let (status, body) = server.api.put_source(&video, &file).await;
        assert!(status.is_success(), "{status} {body}");
        server.api.wait_until_ready(&video).await;
        server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
        ids.push(video);
    }
    let ahead = json!({"account": "lanting-ecology", "topic": "environment/air", "language": "en",
        "title": "The year after next", "starts_at": "2126-05-02T20:30:00Z"});
    let broadcast = server.api.post("/api/v1/broadcasts", &ahead).await;
    let video = broadcast["video"].as_str().expect("its video");
    server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
    let mut pages = node("pages.mjs");
    pages.arg(&server.api.base).args(&ids);
    succeed(pages).await;
    server.stop().await;
}

#[tokio::test]
async fn chromium_stays_on_the_page_of_a_broadcast_from_its_countdown_to_its_recording() {
    let server = Server::start().await;
    server.api.agency().await;
    let starts_at = Clock::System.now().plus(Duration::from_mins(65));
    let announced = json!({
        "account": "lanting-ecology", "topic": "environment/air", "language": "en", "grace_seconds": 300,
        "title": {"en": "Press conference", "zh-Hans": "新闻发布会"},
        "starts_at": starts_at.to_rfc3339(),
    });
    let broadcast = server.api.post("/api/v1/broadcasts", &announced).await;
    let text = |value: &Value| value.as_str().unwrap_or_else(|| panic!("missing in {broadcast}")).to_owned();
    let (id, video, ingest) = (text(&broadcast["id"]), text(&broadcast["video"]), &broadcast["ingest"]);
    server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
    let mut live = node("live.mjs");
    live.arg(format!("{}/watch/{video}", server.api.base));
    live.env("POLICAST_KEY", &server.api.key).env("POLICAST_BROADCAST", id);
    live.env("POLICAST_INGEST", format!("{}/{}", text(&ingest["rtmp_url"]), text(&ingest["stream_key"])));
    succeed(live).await;
    server.stop().await;
}

#[tokio::test]
async fn chromium_runs_a_broadcast_from_the_studio() {
    let server = Server::start().await;
    server.api.agency().await;
    let draft = json!({"role": "publisher", "label": "the press office"});
    let issued = server.api.post("/api/v1/accounts/lanting-ecology/keys", &draft).await;
    let mut studio = node("studio.mjs");
    studio.arg(format!("{}/studio", server.api.base));
    studio.env("POLICAST_KEY", issued["secret"].as_str().expect("a secret"));
    let draft = json!({"role": "editor", "label": "the writers"});
    let issued = server.api.post("/api/v1/accounts/lanting-ecology/keys", &draft).await;
    studio.env("POLICAST_EDITOR", issued["secret"].as_str().expect("a secret"));
    succeed(studio).await;
    let metrics = format!("http://{}/metrics", server.setting("POLICAST_METRICS_LISTEN"));
    let told = String::from_utf8(server.api.bytes(&metrics, None).await).expect("text");
    for gauge in ["broadcasts", "viewers", "bitrate_bits", "frame_rate", "recording_pending_bytes"] {
        assert!(told.lines().any(|line| line == format!("policast_live_{gauge} 0")), "{gauge}:\n{told}");
    }
    server.stop().await;
}
