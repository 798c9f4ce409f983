//! Encoders that drop and come back: one broadcast, one recording.

use super::{Broadcast, Clip, count, plays, wait_for_the_end};
use crate::server::Server;

#[tokio::test]
async fn an_encoder_that_comes_back_otherwise_goes_on_with_the_same_recording() {
    let server = Server::start().await;
    server.api.agency().await;
    let folder = server.home();
    let broadcast = Broadcast::announce(&server, 60).await;
    let clips = [
        Clip::make(folder, "640x360", 5, true).await,
        Clip::make(folder, "320x180", 5, true).await,
        Clip::make(folder, "320x180", 5, false).await,
        Clip::make(folder, "640x360", 5, true).await,
    ];
    for clip in &clips {
        clip.send(&broadcast.url).await;
        broadcast.wait_for("interrupted").await;
    }
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    let sent = clips.iter().fold((0, 0), |(v, a), clip| (v + clip.pictures, a + clip.sounds));
    assert_eq!(broadcast.recorded().await, sent);
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    plays(&broadcast.master(), 20).await;
    let rung = format!("{}/play/{}/2/360p/playlist.m3u8", server.api.base, broadcast.video);
    assert_eq!(count(&rung).await, sent.0);
    server.stop().await;
}

#[tokio::test]
async fn of_an_encoder_that_is_killed_everything_that_arrived_is_kept() {
    let server = Server::start().await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "640x360", 12, true).await;
    let broadcast = Broadcast::announce(&server, 1).await;
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;
    encoder.kill().await.expect("a running encoder");
    broadcast.wait_for("ended").await;
    let (pictures, sounds) = broadcast.recorded().await;
    // It played, so one segment of 2 s was there, and it was not sent faster than in real time.
    assert!(
        (60..clip.pictures).contains(&pictures) && sounds > 0,
        "{pictures} pictures, {sounds} frames of sound"
    );
    plays(&broadcast.master(), 12).await;
    assert_eq!(broadcast.log().await, ["encoder_came", "encoder_dropped", "ended"]);
    server.stop().await;
}
