//! Encoders that drop and come back: one broadcast, one recording.

use std::path::Path;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tokio::process::Child;
use tokio::time::sleep;

use super::viewer::Viewer;
use super::{Broadcast, Clip, count, plays, wait_for_the_end};
use crate::playlist;
use crate::server::Server;
use crate::tool::{program, run};

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
    assert_eq!(whole["media"]["warnings"], serde_json::json!([]), "{whole}");
    plays(&broadcast.master(), 20).await;
    assert_eq!(count(&broadcast.rung(2, "360p")).await, sent.0);
    let likeness = likeness(&broadcast.rung(2, "360p"), &clips).await;
    assert!(likeness > 0.95, "SSIM {likeness}");
    server.stop().await;
}

/// How much like the clips, one after the other, the pictures of a playlist are; 1 where they are the same.
async fn likeness(playlist: &str, clips: &[Clip]) -> f64 {
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-nostdin", "-v", "info", "-i", playlist]);
    for clip in clips {
        ffmpeg.arg("-i").arg(&clip.path);
    }
    let alike = "scale=640x360,settb=1/30,setpts=N";
    let each = |text: fn(usize) -> String| (1..=clips.len()).map(text).collect::<Vec<_>>().concat();
    let scaled = each(|at| format!("[{at}:v]scale=640x360,setsar=1[c{at}];"));
    let all = each(|at| format!("[c{at}]"));
    let graph = format!(
        "{scaled}{all}concat=n={}[c];[c]{alike}[sent];[0:v]{alike}[made];[made][sent]ssim",
        clips.len()
    );
    ffmpeg.args(["-lavfi", &graph, "-f", "null", "-"]);
    let said = run(ffmpeg).await.stderr;
    let said = String::from_utf8_lossy(&said);
    let told = said.rsplit("All:").next().and_then(|rest| rest.split_whitespace().next());
    told.and_then(|told| told.parse().ok()).unwrap_or_else(|| panic!("no SSIM:\n{said}"))
}

#[tokio::test]
async fn an_encoder_may_be_back_the_moment_it_stopped() {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let clip = Clip::make(server.home(), "640x360", 3, true).await;
    for _ in 0..3 {
        clip.send(&broadcast.url).await;
    }
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    assert_eq!(broadcast.recorded().await, (3 * clip.pictures, 3 * clip.sounds));
    server.stop().await;
}

#[tokio::test]
async fn players_are_never_told_another_segment_by_a_number_they_know() {
    let server = Server::start_with(&[("POLICAST_LIVE_LEASE", "2s")]).await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let clip = Clip::make(server.home(), "640x360", 30, true).await;
    let mut hanging = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&broadcast).await;
    stop(&hanging);
    broadcast.wait_for("interrupted").await;
    let last = Clip::make(server.home(), "640x360", 12, true).await;
    let mut taking_over = last.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    viewer.goes_on().await;
    viewer.leave().await;
    assert!(taking_over.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;

    let live = playlist::read(&broadcast.master()).await.variants.swap_remove(0);
    let gaps = live.segments.iter().filter(|segment| segment.gap).count();
    assert_eq!(gaps, 0);
    let names: std::collections::HashSet<&str> =
        live.segments.iter().map(|segment| number_of(&segment.url)).collect();
    assert_eq!(names.len(), live.segments.len());
    hanging.kill().await.expect("a stopped encoder");
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;
    let recorded = playlist::hashes_of(Path::new(&broadcast.rung(1, "360p")), "0").await;
    let sent = [&clip, &last].map(|clip| playlist::hashes_of(&clip.path, "v"));
    let [first, second] = futures::future::join_all(sent).await.try_into().expect("two");
    let kept = recorded.len() - second.len();
    assert!(
        kept >= 60 && recorded.starts_with(&first[..kept]) && recorded.ends_with(&second),
        "{kept} pictures"
    );
    server.stop().await;
}

fn number_of(url: &str) -> &str {
    url.rsplit('/').next().and_then(|name| name.split('-').next()).expect("a number")
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

#[tokio::test]
async fn an_encoder_that_is_killed_may_be_away_for_nearly_all_of_the_grace() {
    let server = Server::start().await;
    server.api.agency().await;
    let folder = server.home();
    let broadcast = Broadcast::announce(&server, 60).await;
    let killed = [
        (Clip::make(folder, "640x360", 60, true).await, Duration::from_secs(3)),
        (Clip::make(folder, "320x180", 60, true).await, Duration::from_secs(20)),
        (Clip::make(folder, "320x180", 60, false).await, Duration::from_secs(50)),
    ];
    let last = Clip::make(folder, "640x360", 5, true).await;
    for (clip, away) in &killed {
        let mut encoder = clip.begin(&broadcast.url);
        broadcast.wait_for("live").await;
        sleep(Duration::from_secs(4)).await;
        stop_for(&encoder, Duration::from_secs(5)).await;
        sleep(Duration::from_secs(2)).await;
        encoder.kill().await.expect("a running encoder");
        broadcast.wait_for("interrupted").await;
        sleep(*away).await;
    }
    last.send(&broadcast.url).await;
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    wait_for_the_end(&broadcast).await;

    let recorded = playlist::hashes_of(Path::new(&broadcast.rung(1, "360p")), "0").await;
    let mut rest = &recorded[..];
    for (clip, _) in &killed {
        // All that arrived, in order: of the last second some may have been on its way.
        let sent = playlist::hashes_of(&clip.path, "v").await;
        let arrived = rest.iter().zip(&sent).take_while(|(one, other)| one == other).count();
        assert!(arrived > 4 * 30, "{arrived} pictures");
        rest = &rest[arrived..];
    }
    assert_eq!(rest, playlist::hashes_of(&last.path, "v").await);
    // FFmpeg heeds only the first initialisation segment of a playlist: it plays what the worker makes of the recording.
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    plays(&broadcast.master(), 60).await;
    server.stop().await;
}

async fn stop_for(encoder: &Child, span: Duration) {
    let pid = stop(encoder);
    sleep(span).await;
    kill(pid, Signal::SIGCONT).expect("going on");
}

fn stop(encoder: &Child) -> Pid {
    let pid = Pid::from_raw(i32::try_from(encoder.id().expect("a running encoder")).expect("a process id"));
    kill(pid, Signal::SIGSTOP).expect("stopped");
    pid
}
