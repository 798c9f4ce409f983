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

async fn shaka(broadcast: &Broadcast<'_>) -> String {
    let mut player = node("shaka.mjs");
    player.arg(broadcast.master());
    succeed(player).await.trim().to_owned()
}
