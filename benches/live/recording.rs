//! How soon after its end a broadcast plays from its start, in Chromium and at the same address.

use std::path::Path;
use std::time::Duration;

use serde::Deserialize;
use tokio::time::sleep;

use crate::broadcast::{Broadcast, hurry, make_clip, push};
use crate::server::Server;
use crate::tool::{node, succeed};

/// Minutes of the recordings.
const LENGTHS: [u32; 2] = [1, 60];
/// The last minute is sent in real time and watched, what comes before it so much faster.
const SPEED: u32 = 20;
const MINUTE: Duration = Duration::from_mins(1);

/// What `recording.mjs` prints: milliseconds, but for the length in seconds.
#[derive(Deserialize)]
struct Seen {
    offer: f64,
    played: f64,
    newcomer: f64,
    middle: f64,
    length: f64,
}

/// Prints both. The server has its own settings, lower rungs too.
pub async fn time() {
    println!("From the request to end a broadcast to its recording in Chromium, 5 s or less wanted");
    println!("  {:<14} {:>9} {:>10} {:>22} {:>12}", "", "offered", "plays", "newcomer, from then", "middle");
    let folder = tempfile::tempdir().expect("a folder");
    let clip = make_clip(folder.path()).await;
    for minutes in LENGTHS {
        let Seen { offer, played, newcomer, middle, length } = watch(&clip, minutes).await;
        assert!(length > f64::from(minutes) * 60.0, "{length} s were recorded");
        let name = format!("{:.1} minutes", length / 60.0);
        let [offer, played, newcomer, middle] = [offer, played, newcomer, middle].map(|time| time / 1000.0);
        println!("  {name:<14} {offer:>7.2} s {played:>8.2} s {newcomer:>20.2} s {middle:>10.2} s");
    }
    println!();
}

async fn watch(clip: &Path, minutes: u32) -> Seen {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server.api).await;
    if minutes > 1 {
        let before = (minutes - 1) * 60;
        let sent = hurry(clip, &broadcast.rtmp, (before, SPEED)).wait().await.expect("ffmpeg");
        assert!(sent.success(), "the encoder ended with {sent}");
    }
    let encoder = push(clip, &broadcast.rtmp);
    broadcast.wait_until_it_plays(&server.api).await;
    sleep(MINUTE).await;
    let mut viewer = node("recording.mjs");
    viewer.arg(format!("{}/watch/{}", server.api.base, broadcast.video));
    viewer.env("POLICAST_KEY", &server.api.key).env("POLICAST_BROADCAST", &broadcast.id);
    let printed = succeed(viewer).await;
    drop(encoder);
    server.stop().await;
    serde_json::from_str(&printed).expect("what recording.mjs prints")
}
