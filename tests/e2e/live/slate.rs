//! What viewers see while an encoder is away, where the broadcast has a slate.

use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::sleep;

use super::viewer::Viewer;
use super::{Broadcast, Clip, STUCK, count, plays, wait_for_the_end};
use crate::playlist::{self, Segment};
use crate::server::Server;
use crate::tool::program;

#[tokio::test]
async fn while_an_encoder_is_away_viewers_see_the_slate_and_then_it_goes_on() {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce_with(&server, json!({"grace_seconds": 60, "slate": true})).await;
    let clip = Clip::make(server.home(), "640x360", 9, true).await;
    let mut encoder = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&broadcast).await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    let slate = wait_for_slate(&broadcast).await;
    assert_eq!(seen(&server, &slate).await, ("640x360".to_owned(), true));
    viewer.goes_on().await;
    assert_eq!(broadcast.look().await["state"], "interrupted");
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    viewer.goes_on().await;
    viewer.leave().await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;

    let sent = playlist::hashes_of(&clip.path, "v").await;
    let recorded = playlist::hashes_of(Path::new(&broadcast.rung(1, "360p")), "0").await;
    assert!(recorded.len() >= 2 * sent.len() + 60, "{} pictures", recorded.len());
    assert!(recorded.starts_with(&sent) && recorded.ends_with(&sent));
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    plays(&broadcast.master(), 60).await;
    // Sound may last longer than the pictures before each of the two breaks: at a fixed frame rate that is one more.
    let made = usize::try_from(count(&broadcast.rung(2, "360p")).await).expect("a count");
    assert!((recorded.len()..=recorded.len() + 2).contains(&made), "{made} of {} pictures", recorded.len());
    server.stop().await;
}

#[tokio::test]
async fn viewers_go_on_whenever_the_encoder_is_back() {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce_with(&server, json!({"grace_seconds": 60, "slate": true})).await;
    let clip = Clip::make(server.home(), "640x360", 60, true).await;
    let mut encoder = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&broadcast).await;
    // Before, while and after the slate begins.
    for away_ms in [200, 700, 1200, 2500] {
        encoder.kill().await.expect("a running encoder");
        broadcast.wait_for("interrupted").await;
        sleep(Duration::from_millis(away_ms)).await;
        encoder = clip.begin(&broadcast.url);
        broadcast.wait_for("live").await;
        viewer.goes_on().await;
    }
    viewer.leave().await;
    broadcast.end().await;
    let ended = wait_for_the_end(&broadcast).await;
    assert!(ended.variants[0].segments.iter().all(|segment| !segment.gap));
    server.stop().await;
}

#[tokio::test]
async fn a_recording_ends_where_the_encoder_did_if_nobody_came_back() {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce_with(&server, json!({"grace_seconds": 8, "slate": true})).await;
    let clip = Clip::make(server.home(), "640x360", 9, true).await;
    clip.send(&broadcast.url).await;
    broadcast.wait_for("interrupted").await;
    wait_for_slate(&broadcast).await;
    broadcast.wait_for("ended").await;
    wait_for_the_end(&broadcast).await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    assert_eq!(broadcast.log().await, ["encoder_came", "encoder_stopped", "ended"]);
    server.stop().await;
}

/// The second segment of the slate.
async fn wait_for_slate(broadcast: &Broadcast<'_>) -> Segment {
    let begun = Instant::now();
    loop {
        let mut source = playlist::read(&broadcast.master()).await.variants.swap_remove(0);
        // The clip has five.
        if source.segments.len() > 6 {
            return source.segments.swap_remove(6);
        }
        assert!(begun.elapsed() < STUCK, "no slate comes");
        sleep(Duration::from_millis(300)).await;
    }
}

/// How large the pictures of a segment are, and whether they are as bright as the slate, which the clips are not.
async fn seen(server: &Server, segment: &Segment) -> (String, bool) {
    let map = segment.map.as_ref().expect("an initialisation segment");
    let mut whole = server.api.bytes(&map.url, None).await;
    whole.extend(server.api.bytes(&segment.url, None).await);
    let path = server.home().join("slate.mp4");
    std::fs::write(&path, whole).expect("written");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(&path).args(["-frames:v", "1", "-vf", "scale=1:1,format=gray"]);
    ffmpeg.args(["-f", "rawvideo", "-"]);
    let brightness = crate::tool::run(ffmpeg).await.stdout[0];
    let mut ffprobe = program("ffprobe");
    ffprobe.args(["-v", "error", "-of", "csv=p=0:s=x", "-show_entries", "stream=width,height"]).arg(&path);
    (crate::tool::succeed(ffprobe).await.trim().to_owned(), brightness > 200)
}
