//! How late Chromium shows what an encoder saw: our page beside hls.js on nginx-rtmp's HLS and on FFmpeg's own, all of
//! the same push at the same time.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::json;

use crate::SETTINGS;
use crate::broadcast::Broadcast;
use crate::nginx::Nginx;
use crate::painter::Painter;
use crate::server::Server;
use crate::tool::{node, root, succeed};

const SECONDS: u32 = 60;
/// A first segment that takes longer never comes.
const STUCK: Duration = Duration::from_mins(1);
const OURS: &str = "policast";

/// What `latency.mjs` prints of one page; times in milliseconds.
#[derive(Deserialize)]
struct Seen {
    name: String,
    p50: f64,
    p95: f64,
    max: f64,
    pictures: u32,
    stalls: u32,
    waits: u32,
    fatal: Vec<String>,
    troubles: Vec<String>,
}

/// Prints both comparisons; a player of ours that gives up fails it.
pub async fn compare() {
    let server = Server::start_with(&SETTINGS).await;
    let nginx = Nginx::start().await;
    server.api.agency().await;
    if let Some(nginx) = &nginx {
        lay_out(&nginx.web());
    }
    for b_frames in [0, 2] {
        println!(
            "From the wall clock in the picture to a canvas in Chromium, {SECONDS} s, {b_frames} B-frames"
        );
        let seen = watch(&server, nginx.as_ref(), b_frames).await;
        print(&seen);
        let ours = seen.iter().find(|seen| seen.name == OURS).expect("our page");
        assert!(ours.fatal.is_empty() && ours.troubles.is_empty(), "{:?} {:?}", ours.fatal, ours.troubles);
    }
    server.stop().await;
}

/// hls.js with our settings on a page of its own.
fn lay_out(web: &Path) {
    let page = root().join("benches/live/player.html");
    let library = root().join("tests/e2e/node_modules/hls.js/dist/hls.min.js");
    let ours = ["live.js", "hls.js"].map(|name| root().join("src/web/player").join(name));
    for from in [page, library].into_iter().chain(ours) {
        fs::copy(&from, web.join(from.file_name().expect("a name"))).expect("a file");
    }
}

async fn watch(server: &Server, nginx: Option<&Nginx>, b_frames: u32) -> Vec<Seen> {
    let broadcast = Broadcast::announce(&server.api).await;
    let mut outputs = vec![format!("[f=flv:flvflags=no_duration_filesize]{}", broadcast.rtmp)];
    let mut pages = vec![format!("{OURS}={}/watch/{}", server.api.base, broadcast.video)];
    let mut playlists = Vec::new();
    if let Some(nginx) = nginx {
        let own = format!("ffmpeg-{b_frames}.m3u8");
        let theirs = format!("hls/{b_frames}.m3u8");
        outputs.push(format!("[f=flv:flvflags=no_duration_filesize]{}", nginx.rtmp(&b_frames.to_string())));
        // As long a list as nginx-rtmp's.
        let form = "f=hls:hls_time=2:hls_list_size=15:hls_flags=delete_segments";
        outputs.push(format!("[{form}]{}", nginx.web().join(&own).display()));
        for (name, playlist) in [("nginx-rtmp, HLS", theirs), ("FFmpeg, HLS", own)] {
            pages.push(format!("{name}={}", nginx.url(&format!("player.html?{playlist}"))));
            playlists.push(nginx.web().join(playlist));
        }
    }
    let mut painter = Painter::start(&outputs, b_frames);
    broadcast.wait_until_it_plays(&server.api).await;
    wait_for_segments(&playlists).await;
    let mut latency = node("latency.mjs");
    latency.arg(SECONDS.to_string()).args(&pages);
    let printed = succeed(latency).await;
    painter.expect_running();
    drop(painter);
    server.api.post(&format!("/api/v1/broadcasts/{}/end", broadcast.id), &json!({})).await;
    serde_json::from_str(&printed).expect("what latency.mjs prints")
}

/// Three segments: fewer, and hls.js begins nearer to the edge than it can stay.
async fn wait_for_segments(playlists: &[std::path::PathBuf]) {
    let begun = Instant::now();
    for playlist in playlists {
        let segments = || fs::read_to_string(playlist).unwrap_or_default().matches("#EXTINF").count();
        while segments() < 3 {
            assert!(begun.elapsed() < STUCK, "no segments in {}", playlist.display());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn print(seen: &[Seen]) {
    println!(
        "  {:<18} {:>8} {:>8} {:>8} {:>9} {:>7} {:>6} {:>6}",
        "", "p50", "p95", "most", "pictures", "stalls", "waits", "fatal"
    );
    for Seen { name, p50, p95, max, pictures, stalls, waits, fatal, .. } in seen {
        let [p50, p95, max] = [p50, p95, max].map(|time| time / 1000.0);
        println!(
            "  {name:<18} {p50:>6.2} s {p95:>6.2} s {max:>6.2} s {pictures:>9} {stalls:>7} {waits:>6} {:>6}",
            fatal.len()
        );
    }
    println!();
}
