//! Encoders that send sound and no pictures.

use std::process::Stdio;

use super::{Broadcast, STUCK, count, plays, wait_for_the_end};
use crate::server::Server;
use crate::tool::program;

#[tokio::test]
async fn sound_alone_is_watched_and_recorded_with_a_picture_that_says_so() {
    let server = Server::start_with(&[("POLICAST_LIVE_RUNGS", "0")]).await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = program("ffmpeg");
    encoder.args([
        "-nostdin",
        "-v",
        "error",
        "-re",
        "-f",
        "lavfi",
        "-i",
        "sine=frequency=440:sample_rate=48000",
    ]);
    encoder.args(["-t", "25", "-c:a", "aac", "-ac", "2", "-f", "flv", &broadcast.url]);
    let mut encoder = encoder.stdout(Stdio::null()).spawn().expect("ffmpeg starts");
    broadcast.wait_until_it_plays().await;
    let master = broadcast.master();
    plays(&master, 4).await;
    let health = broadcast.look().await["health"].clone();
    let advice = health["advice"].as_array().expect("advice").iter().map(|piece| piece["code"].clone());
    assert_eq!(advice.collect::<Vec<_>>(), ["no_pictures"], "{health}");
    assert_eq!(health["audio_codecs"], "mp4a.40.2", "{health}");
    let ended = tokio::time::timeout(STUCK, encoder.wait()).await.expect("ffmpeg hangs").expect("a child");
    assert!(ended.success(), "the encoder was shown out");
    broadcast.wait_for("interrupted").await;
    assert!(broadcast.look().await["health"].is_null(), "an encoder that is gone has no health");
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    // 25 s of frames of 1024 samples, of which none is lost, and silence up to the last picture; and a still picture, ten times a second.
    let (pictures, sounds) =
        (count(&broadcast.rung(1, "360p")).await, count(&broadcast.rung(1, "audio")).await);
    assert!((1_168..=1_184).contains(&sounds), "{sounds} frames of sound");
    assert!((240..=260).contains(&pictures), "{pictures} pictures");
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    server.stop().await;
}
