//! From the first picture to the recording, at one address.

use reqwest::Method;
use serde_json::{Value, json};

use super::{Broadcast, Clip, count, plays, wait_for_the_end};
use crate::playlist;
use crate::server::Server;

#[tokio::test]
async fn a_broadcast_plays_while_it_runs_and_its_recording_at_the_same_address() {
    let server = Server::start().await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "640x360", 14, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;

    // Strict about LL-HLS: an error in any playlist fails here.
    let live = playlist::read(&broadcast.master()).await;
    assert!(
        live.variants.iter().chain(&live.renditions).all(|media| !media.ended && !media.segments.is_empty())
    );
    plays(&broadcast.master(), 2).await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;

    // Nothing is processed yet: the recording is what was sent.
    wait_for_the_end(&broadcast).await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));

    // The worker adds lower rungs and stills, and changes nothing of what was sent.
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    assert!(
        whole["media"]["poster"]["url"].is_string() && whole["media"]["storyboard"].is_string(),
        "{whole}"
    );
    let names: Vec<_> =
        whole["media"]["rungs"].as_array().expect("rungs").iter().map(|rung| &rung["name"]).collect();
    assert_eq!(names, ["360p", "240p", "audio"]);
    assert_eq!(count(&broadcast.rung(2, "360p")).await, clip.pictures);
    assert_eq!(count(&broadcast.rung(2, "240p")).await, clip.pictures);
    plays(&broadcast.master(), 14).await;
    assert_eq!(broadcast.log().await, ["encoder_came", "encoder_stopped", "ended"]);

    // Its ends are cut off and put back, and nothing is encoded for it: the two segments of 4 s from 4 s on.
    let cut = shown(&broadcast, json!({"start_ms": 4000, "end_ms": 9500})).await;
    assert_eq!((&cut["media"]["duration_ms"], &cut["media"]["revision"]), (&json!(5500), &json!(2)), "{cut}");
    let seen = playlist::read(&broadcast.master()).await;
    for media in seen.variants.iter().filter(|media| !media.iframe_only) {
        assert_eq!(count(&media.url).await, 2 * 120, "{}", media.url);
    }
    plays(&broadcast.master(), 6).await;
    shown(&broadcast, json!({})).await;
    let seen = playlist::read(&broadcast.master()).await;
    assert_eq!(count(&seen.variants[0].url).await, clip.pictures);
    server.stop().await;
}

/// The video once it is trimmed like that.
async fn shown(broadcast: &Broadcast<'_>, trim: Value) -> Value {
    let path = format!("/api/v1/videos/{}", broadcast.video);
    let (status, video) = broadcast.server.api.ask(Method::PATCH, &path, Some(&json!({"trim": trim}))).await;
    assert_eq!(status, 200, "{video}");
    video
}
