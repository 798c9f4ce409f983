//! Other players than the one on our pages. FFmpeg's plays in nearly every test here.

use std::time::Duration;

use tokio::time::sleep;

use super::{Broadcast, Clip, wait_for_the_end};
use crate::playlist;
use crate::server::Server;
use crate::tool::{node, succeed};

#[tokio::test]
async fn shaka_player_plays_a_broadcast_and_its_recording() {
    let server = Server::start_with(&[("POLICAST_LIVE_RUNGS", "0")]).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "640x360", 60, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;
    // shaka-player 5.2 can't begin with a playlist whose first segment is told in parts, as it is for some seconds.
    while playlist::read(&broadcast.master()).await.variants[0].segments.len() < 4 {
        sleep(Duration::from_millis(500)).await;
    }
    let latency: f64 = shaka(&broadcast).await.parse().expect("a live latency");
    assert!(latency > 0.0, "{latency} s");
    encoder.kill().await.expect("a running encoder");
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    assert_eq!(shaka(&broadcast).await, "whole");
    server.stop().await;
}

#[tokio::test]
async fn viewers_may_seek_back_as_far_as_the_setting_says_and_the_recording_has_all() {
    let server = Server::start_with(&[("POLICAST_LIVE_RUNGS", "0"), ("POLICAST_LIVE_DVR", "8s")]).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "320x180", 20, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    clip.send(&broadcast.url).await;
    broadcast.wait_for("interrupted").await;
    let live = playlist::read(&broadcast.master()).await;
    for media in live.variants.iter().chain(&live.renditions) {
        let seconds: f64 = media.segments.iter().map(|segment| segment.duration).sum();
        assert!((7.9..=12.0).contains(&seconds), "{seconds} s of 20 are listed");
    }
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    server.stop().await;
}

async fn shaka(broadcast: &Broadcast<'_>) -> String {
    let mut player = node("shaka.mjs");
    player.arg(broadcast.master());
    succeed(player).await.trim().to_owned()
}
