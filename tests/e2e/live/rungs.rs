//! Lower rungs beside the source's own pictures, and what becomes of them when their maker dies.

use std::time::Instant;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::{Broadcast, Clip, STUCK, count, plays, wait_for_the_end};
use crate::playlist::{self, Master, Media, Track};
use crate::server::Server;

/// The machine may have much else to do.
const FAST: [(&str, &str); 1] = [("POLICAST_PRESET", "ultrafast")];
/// What 720p gets below it.
const LOWER: [&str; 2] = ["480p", "240p"];

#[tokio::test]
async fn lower_rungs_have_the_segments_of_the_source() {
    let server = Server::start_with(&FAST).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "1280x720", 12, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = clip.begin(&broadcast.url);
    wait_for_rungs(&broadcast).await;
    plays(&broadcast.master(), 2).await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;

    let live = playlist::read(&broadcast.master()).await;
    let [source, lower @ ..] = &tracks(&server, live).await[..] else { panic!("no rungs") };
    assert_eq!(lower.len(), 2);
    for rung in lower {
        let pairs = rung.segments.iter().zip(&source.segments);
        assert_eq!(rung.segments.len(), source.segments.len(), "{}", rung.name);
        for (at, (ours, theirs)) in pairs.enumerate() {
            assert!(ours.packets[0].is_key, "{} {at}", rung.name);
            assert!((ours.start() - theirs.start()).abs() < 0.001, "{} {at}", rung.name);
            assert!((ours.extinf - theirs.extinf).abs() < 0.001, "{} {at}", rung.name);
            assert_eq!(ours.packets.len(), theirs.packets.len(), "{} {at}", rung.name);
        }
    }
    broadcast.end().await;
    let recording = wait_for_the_end(&broadcast).await;
    assert_eq!(recording.variants.iter().filter(|media| !media.iframe_only).count(), 3);
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    for rung in LOWER {
        assert_eq!(count(&broadcast.rung(1, rung)).await, clip.pictures, "{rung}");
    }
    assert_eq!(broadcast.log().await, ["encoder_came", "encoder_stopped", "ended"]);
    server.stop().await;
}

#[tokio::test]
async fn the_source_does_not_notice_that_the_maker_of_lower_rungs_is_killed() {
    the_source_goes_on(Signal::SIGKILL, 24).await;
}

#[tokio::test]
async fn the_source_does_not_notice_that_the_maker_of_lower_rungs_hangs() {
    // Nobody hears of it for ten seconds.
    the_source_goes_on(Signal::SIGSTOP, 40).await;
}

async fn the_source_goes_on(signal: Signal, seconds: u32) {
    let server = Server::start_with(&FAST).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "1280x720", seconds, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = clip.begin(&broadcast.url);
    wait_for_rungs(&broadcast).await;
    for child in server.children() {
        kill(Pid::from_raw(i32::try_from(child).expect("an id")), signal).expect("a running child");
    }
    wait_for_log(&broadcast, "rungs_back").await;
    let live = wait_for_rungs(&broadcast).await;
    plays(&broadcast.master(), 2).await;
    let [source, lower @ ..] = &live.variants[..] else { panic!("no rungs") };
    for rung in lower {
        assert!(rung.segments.iter().any(|segment| segment.gap), "{}: {}", rung.url, told(rung));
        assert!(rung.segments.last().is_some_and(|segment| !segment.gap), "{}: {}", rung.url, told(rung));
        for (ours, theirs) in rung.segments.iter().zip(&source.segments) {
            assert!((ours.duration - theirs.duration).abs() < 0.001, "{}: {}", rung.url, told(rung));
        }
    }
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    // A recording offers what plays to its end.
    let recording = wait_for_the_end(&broadcast).await;
    let pictures = recording.variants.iter().filter(|media| !media.iframe_only).count();
    assert_eq!(pictures, 1);
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    let log = ["encoder_came", "rungs_paused", "rungs_back", "encoder_stopped", "ended"];
    assert_eq!(broadcast.log().await, log);
    let whole = server.api.wait_until(&broadcast.video, |video| video["media"]["revision"] == 2).await;
    assert_eq!(whole["media"]["state"], "ready", "{whole}");
    server.stop().await;
}

#[tokio::test]
async fn no_lower_rungs_are_made_where_none_are_wanted() {
    let server = Server::start_with(&[("POLICAST_LIVE_RUNGS", "0")]).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "1280x720", 6, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_until_it_plays().await;
    assert_eq!(server.children(), Vec::<u32>::new());
    assert!(encoder.wait().await.expect("ffmpeg").success());
    assert_eq!(playlist::read(&broadcast.master()).await.variants.len(), 1);
    server.stop().await;
}

/// Waits until the master lists the lower rungs.
async fn wait_for_rungs(broadcast: &Broadcast<'_>) -> Master {
    broadcast.wait_until_it_plays().await;
    let begun = Instant::now();
    loop {
        let found = playlist::read(&broadcast.master()).await;
        if found.variants.len() == 1 + LOWER.len() {
            return found;
        }
        assert!(begun.elapsed() < STUCK, "the lower rungs never come:\n{}", broadcast.server.log());
    }
}

async fn wait_for_log(broadcast: &Broadcast<'_>, code: &str) {
    let begun = Instant::now();
    while !broadcast.log().await.iter().any(|line| line == code) {
        assert!(begun.elapsed() < STUCK, "never {code}:\n{}", broadcast.server.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

async fn tracks(server: &Server, live: Master) -> Vec<Track> {
    let mut tracks = Vec::new();
    for variant in live.variants {
        tracks.push(playlist::fetch(&server.api, variant, server.home()).await);
    }
    tracks
}

fn told(rung: &Media) -> String {
    rung.segments.iter().map(|segment| if segment.gap { 'x' } else { '.' }).collect()
}
