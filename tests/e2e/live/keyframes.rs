//! Encoders whose pictures or keyframes come seldom: no stream ends, and no promise is broken.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::time::sleep;

use super::viewer::Viewer;
use super::{Broadcast, plays, wait_for_the_end};
use crate::playlist;
use crate::server::Server;
use crate::tool::{program, succeed};

/// Sends pictures of this rate, coded so; somebody who comes this long after the first segment watches in Chromium. Then
/// the recording has all of them.
async fn is_kept(rate: u32, (coding, seconds): (&[&str], u32), late: Duration) {
    let server = Server::start_with(&[("POLICAST_LIVE_RUNGS", "0")]).await;
    server.api.agency().await;
    let clip = server.home().join("clip.flv");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", &format!("testsrc2=size=640x360:rate={rate}")]);
    ffmpeg.args(["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000", "-t", &seconds.to_string()]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "1000k"]);
    ffmpeg.args(coding).args(["-c:a", "aac", "-ac", "2"]).arg(&clip);
    succeed(ffmpeg).await;
    let sent = playlist::packets_of(&clip, "v").await.len() as u64;
    let broadcast = Broadcast::announce(&server, 60).await;
    let mut encoder = program("ffmpeg");
    encoder.args(["-nostdin", "-v", "error", "-re", "-i"]).arg(&clip);
    encoder.args(["-c", "copy", "-f", "flv", "-flvflags", "no_duration_filesize", &broadcast.url]);
    let mut encoder = encoder.stdout(Stdio::null()).spawn().expect("ffmpeg starts");
    broadcast.wait_until_it_plays().await;
    sleep(late).await;
    let mut viewer = Viewer::sit(&broadcast).await;
    viewer.goes_on().await;
    viewer.leave().await;
    assert!(encoder.wait().await.expect("ffmpeg").success(), "the encoder was shown out");
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    let whole = wait_for_the_end(&broadcast).await;
    for media in whole.variants.iter().chain(&whole.renditions).filter(|media| !media.iframe_only) {
        let longest = media.segments.iter().map(|segment| segment.duration).fold(0.0, f64::max);
        assert!(
            longest.round() <= media.target_duration,
            "{longest} s in a playlist of {} s",
            media.target_duration
        );
    }
    let source = broadcast.source().await;
    let rung = broadcast.rung(1, &source);
    assert_eq!(playlist::packets_of(Path::new(&rung), "0").await.len() as u64, sent);
    plays(&broadcast.master(), 10).await;
    server.stop().await;
}

#[tokio::test]
async fn keyframes_16_s_apart_end_no_stream_and_are_recorded() {
    // The first keyframes are at 0, 16.7 and 33.3 s: whoever comes at about 28 s finds no other for 5 s.
    is_kept(15, (&["-g", "250", "-sc_threshold", "0"], 60), Duration::from_secs(24)).await;
}

#[tokio::test]
async fn keyframes_2_and_then_10_s_apart_are_watched_from_between_and_recorded() {
    // At 0, 2, 4, 14, 16, 18, 28 s: whoever comes at about 22 s finds no other for 6 s.
    let irregular = "expr:lt(mod(t+0.0001,14),0.066)+lt(mod(t+9.9999,14),0.066)+lt(mod(t+11.9999,14),0.066)";
    let coding = ["-g", "1000", "-sc_threshold", "0", "-force_key_frames", irregular];
    is_kept(15, (&coding, 45), Duration::from_secs(19)).await;
}

#[tokio::test]
async fn two_pictures_a_second_are_watched_and_recorded() {
    is_kept(2, (&["-g", "4"], 60), Duration::ZERO).await;
}
