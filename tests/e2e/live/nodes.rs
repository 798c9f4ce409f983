//! Two nodes over one database and one bucket.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::viewer::Viewer;
use super::{Broadcast, Clip, STUCK, plays, wait_for_the_end};
use crate::api::Api;
use crate::playlist;
use crate::postgres::Postgres;
use crate::server::Server;
use crate::weed;

/// A node of an instance, and another one; the second knows the first one's key.
async fn two() -> (Server, Server, Postgres) {
    let postgres = Postgres::own().await;
    let (database, bucket) = (postgres.database().await, weed::settings().await);
    let endpoint = bucket.endpoint.expect("an endpoint");
    let settings = [
        ("POLICAST_DATABASE_URL", database.as_str()),
        ("POLICAST_S3_ENDPOINT", &endpoint),
        ("POLICAST_S3_BUCKET", &bucket.bucket),
        ("POLICAST_S3_ACCESS_KEY_ID", &bucket.access_key_id),
        ("POLICAST_S3_SECRET_ACCESS_KEY", &bucket.secret_access_key),
        ("POLICAST_LIVE_LEASE", "2s"),
    ];
    let one = Server::start_with(&settings).await;
    let mut other = Server::start_with(&settings).await;
    other.api = Api::new(other.api.base.clone(), one.api.key.clone());
    one.api.agency().await;
    (one, other, postgres)
}

/// The same broadcast, sent to and watched at another node.
fn at<'a>(other: &'a Server, broadcast: &Broadcast<'_>) -> Broadcast<'a> {
    let port = |server: &Server| server.setting("POLICAST_RTMP_LISTEN").to_owned();
    Broadcast {
        server: other,
        id: broadcast.id.clone(),
        video: broadcast.video.clone(),
        key: broadcast.key.clone(),
        url: broadcast.url.replace(&port(broadcast.server), &port(other)),
    }
}

/// Waits until a node's viewers can see so many segments.
async fn wait_for_segments(broadcast: &Broadcast<'_>, count: usize) {
    let begun = Instant::now();
    loop {
        let found = playlist::read(&broadcast.master()).await.variants.swap_remove(0).segments.len();
        if found >= count {
            return;
        }
        assert!(begun.elapsed() < STUCK, "{found} segments of {count}:\n{}", broadcast.server.log());
        sleep(Duration::from_millis(200)).await;
    }
}

/// How many segments of the source's pictures are closed, and how many seconds are told of the open one.
async fn told(broadcast: &Broadcast<'_>) -> (u32, f64) {
    let at = broadcast.rung(1, &broadcast.source().await);
    let text = String::from_utf8(broadcast.server.api.bytes(&at, None).await).expect("a playlist");
    let open = text.rsplit("#EXTINF:").next().unwrap_or_default();
    let parts = open.split("#EXT-X-PART:DURATION=").skip(1);
    let lengths = parts.map(|part| part.split(',').next().and_then(|seconds| seconds.parse::<f64>().ok()));
    let closed = u32::try_from(text.matches("#EXTINF:").count()).expect("a small number");
    (closed, lengths.map(|seconds| seconds.expect("a duration")).sum())
}

/// Waits until a part of a segment is told and its end is far, after so many closed ones; its number.
async fn wait_for_open(broadcast: &Broadcast<'_>, least: u32) -> u32 {
    let begun = Instant::now();
    loop {
        let (closed, seconds) = told(broadcast).await;
        if closed >= least && (0.5..=1.0).contains(&seconds) {
            return closed;
        }
        assert!(begun.elapsed() < STUCK, "{closed} segments, {seconds} s:\n{}", broadcast.server.log());
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn another_node_pulls_a_broadcast_once_for_all_its_viewers() {
    let (one, other, _postgres) = two().await;
    let clip = Clip::make(one.home(), "320x180", 15, true).await;
    let broadcast = Broadcast::announce(&one, 60).await;
    let elsewhere = broadcast.master().replace(&one.api.base, &other.api.base);
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;
    let viewers = (0..3).map(|_| async {
        let found = playlist::read(&elsewhere).await;
        assert!(found.variants.iter().all(|media| !media.ended && !media.segments.is_empty()));
        plays(&elsewhere, 2).await;
    });
    futures::future::join_all(viewers).await;
    let source = broadcast.source().await;
    let at = format!("{}/play/{}/1/{source}/playlist.m3u8", other.api.base, broadcast.video);
    let text = String::from_utf8(other.api.bytes(&at, None).await).expect("a playlist");
    assert!(text.contains("#EXT-X-PART:") && text.contains("#EXT-X-PRELOAD-HINT:"), "{text}");
    let pulled = one.log().lines().filter(|line| line.contains("method=GET path=/internal/live/")).count();
    assert_eq!(pulled, 1);
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    let there = Broadcast { server: &other, ..broadcast };
    wait_for_the_end(&there).await;
    assert_eq!(there.recorded().await, (clip.pictures, clip.sounds));
    other.stop().await;
    one.stop().await;
}

#[tokio::test]
async fn a_live_node_that_is_killed_loses_its_open_segment_at_most_and_another_goes_on() {
    let (mut one, other, _postgres) = two().await;
    let clip = Clip::make(other.home(), "320x180", 18, true).await;
    let broadcast = Broadcast::announce(&one, 60).await;
    let there = at(&other, &broadcast);
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;
    let open = wait_for_open(&broadcast, 3).await;
    drop(broadcast);
    one.kill();
    encoder.kill().await.expect("a running encoder");
    // The lease runs out, and the encoder is let in elsewhere.
    there.wait_for("interrupted").await;
    clip.send(&there.url).await;
    there.wait_for("interrupted").await;
    // Viewers of the killed node know the open segment by its number: nothing else ever has that.
    let live = playlist::read(&there.master()).await.variants.swap_remove(0);
    let gaps: Vec<_> = (0..).zip(&live.segments).filter(|(_, segment)| segment.gap).collect();
    assert!(gaps.iter().any(|(number, _)| *number == open), "{open} of {}", live.segments.len());
    there.end().await;
    wait_for_the_end(&there).await;
    let (pictures, sounds) = there.recorded().await;
    // Segments of 2 s that were closed, and all of what came then: nothing else.
    let before = pictures - clip.pictures;
    assert_eq!(before, 60 * u64::from(open), "{pictures} pictures");
    assert!(sounds > clip.sounds, "{sounds} frames of sound");
    plays(&there.master(), 20).await;
    assert_eq!(there.log().await, ["encoder_came", "owner_lost", "encoder_came", "encoder_stopped", "ended"]);
    other.stop().await;
}

#[tokio::test]
async fn viewers_go_on_when_the_node_of_the_encoder_is_killed_and_what_they_were_told_is_kept() {
    let (mut one, other, _postgres) = two().await;
    let clip = Clip::make(other.home(), "320x180", 18, true).await;
    let broadcast = Broadcast::announce(&one, 60).await;
    let there = at(&other, &broadcast);
    let mut encoder = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&there).await;
    wait_for_open(&there, 1).await;
    drop(broadcast);
    one.kill();
    encoder.kill().await.expect("a running encoder");
    there.wait_for("interrupted").await;
    let (closed, open) = told(&there).await;
    assert!(open > 0.0, "no part is told after {closed} segments");
    let mut encoder = clip.begin(&there.url);
    there.wait_for("live").await;
    viewer.goes_on().await;
    viewer.leave().await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    there.wait_for("interrupted").await;
    there.end().await;
    wait_for_the_end(&there).await;

    let sent = playlist::hashes_of(&clip.path, "v").await;
    let source = there.rung(1, &there.source().await);
    let recorded = playlist::hashes_of(std::path::Path::new(&source), "0").await;
    let before = recorded.len() - sent.len();
    let (kept, told) =
        (f64::from(u32::try_from(before).expect("few")) / 30.0, f64::from(closed) * 2.0 + open);
    assert!(kept > told - 0.001, "{kept} s of {told}");
    assert!(recorded.starts_with(&sent[..before]) && recorded.ends_with(&sent), "{before} pictures");
    other.stop().await;
}

#[tokio::test]
async fn viewers_at_one_node_go_on_when_the_encoder_comes_back_to_another() {
    let (one, other, _postgres) = two().await;
    let broadcast = Broadcast::announce_with(&one, json!({"grace_seconds": 60, "slate": true})).await;
    let there = at(&other, &broadcast);
    let first = Clip::make(one.home(), "320x180", 9, true).await;
    first.send(&broadcast.url).await;
    broadcast.wait_for("interrupted").await;
    // The slate is shown at both.
    wait_for_segments(&broadcast, 6).await;
    wait_for_segments(&there, 6).await;
    let mut viewers = [Viewer::sit(&broadcast).await, Viewer::sit(&there).await];

    let second = Clip::make(other.home(), "320x180", 30, true).await;
    let mut encoder = second.begin(&there.url);
    there.wait_for("live").await;
    go_on(&mut viewers).await;
    // And home again.
    encoder.kill().await.expect("a running encoder");
    broadcast.wait_for("interrupted").await;
    let mut encoder = first.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    go_on(&mut viewers).await;
    for viewer in viewers {
        viewer.leave().await;
    }
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.end().await;
    let (ended, elsewhere) = (wait_for_the_end(&broadcast).await, wait_for_the_end(&there).await);
    assert_eq!(ended.variants[0].segments.len(), elsewhere.variants[0].segments.len());
    let sent = playlist::hashes_of(&first.path, "v").await;
    let source = broadcast.rung(1, &broadcast.source().await);
    let recorded = playlist::hashes_of(std::path::Path::new(&source), "0").await;
    assert!(recorded.starts_with(&sent) && recorded.ends_with(&sent), "{} pictures", recorded.len());
    other.stop().await;
    one.stop().await;
}

async fn go_on(viewers: &mut [Viewer; 2]) {
    let [one, other] = viewers;
    tokio::join!(one.goes_on(), other.goes_on());
}
