//! Sound and picture in step, seen and heard: a flash and a beep that begin together still do, in every rung.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::clip::flash_and_beep;
use crate::playlist::{Track, fetch, packets, read};
use crate::server::Server;
use crate::tool::{program, run, succeed};

const SAMPLE_RATE: f64 = 48_000.0;

#[tokio::test]
async fn a_flash_and_its_beep_stay_together_at_start_and_end() {
    let server = Server::start().await;
    server.api.agency().await;
    let video = server.api.video("Flash").await.id;
    let clip = flash_and_beep(server.home()).await;
    let (status, body) = server.api.put_source(&video, &clip).await;
    assert!(status.is_success(), "{status} {body}");
    let ready = server.api.wait_until_ready(&video).await;
    let master = read(ready["media"]["hls"].as_str().expect("an address")).await;
    let [sound] = <[_; 1]>::try_from(master.renditions).ok().expect("one sound");
    let heard = beeps(&save(&fetch(&server.api, sound, server.home()).await, server.home())).await;
    for media in master.variants.into_iter().filter(|variant| !variant.iframe_only) {
        let rung = fetch(&server.api, media, server.home()).await;
        let seen = flashes(&save(&rung, server.home())).await;
        assert_eq!((seen.len(), heard.len()), (2, 2), "{}: seen {seen:?}, heard {heard:?}", rung.name);
        for (flash, beep) in seen.iter().zip(&heard) {
            assert!((flash - beep).abs() <= 0.020, "{}: seen {seen:?}, heard {heard:?}", rung.name);
        }
    }
    server.stop().await;
}

fn save(track: &Track, folder: &Path) -> PathBuf {
    let path = folder.join("track.mp4");
    fs::write(&path, &track.whole).expect("a file");
    path
}

/// When it begins to be shown, in seconds: filters and decoders start their clocks there.
async fn start_of(path: &Path) -> f64 {
    packets(path).await.iter().map(|packet| packet.start).fold(f64::INFINITY, f64::min).max(0.0)
}

/// When the picture turns white.
async fn flashes(path: &Path) -> Vec<f64> {
    let mut ffprobe = program("ffprobe");
    let graph = format!("movie={},signalstats", path.display());
    ffprobe.args(["-v", "error", "-f", "lavfi", "-of", "json", "-i", &graph]);
    ffprobe.args(["-show_entries", "frame=pts_time:frame_tags=lavfi.signalstats.YAVG"]);
    let printed: Value = serde_json::from_str(&succeed(ffprobe).await).expect("JSON");
    let number = |value: &Value| value.as_str().and_then(|text| text.parse::<f64>().ok()).expect("a number");
    let frames = printed["frames"].as_array().expect("frames").iter();
    let frames: Vec<_> = frames
        .map(|frame| (number(&frame["pts_time"]), number(&frame["tags"]["lavfi.signalstats.YAVG"])))
        .collect();
    let start = start_of(path).await - frames[0].0;
    let turns = frames.windows(2).filter(|pair| pair[0].1 < 125.0 && pair[1].1 >= 125.0);
    turns.map(|pair| pair[1].0 + start).collect()
}

/// When the sound sets in.
async fn beeps(path: &Path) -> Vec<f64> {
    let start = start_of(path).await;
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(path).args(["-ac", "1", "-ar", "48000", "-f", "f32le", "-"]);
    let decoded = run(ffmpeg).await;
    assert!(decoded.status.success(), "{}", String::from_utf8_lossy(&decoded.stderr));
    let samples = decoded
        .stdout
        .chunks_exact(4)
        .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
    let samples: Vec<f32> = samples.map(f32::abs).collect();
    let half = samples.iter().copied().fold(0.0, f32::max) / 2.0;
    onsets(&samples, half).into_iter().map(|at| start + at).collect()
}

/// When it is loud again after at least half a second that was not, in seconds.
fn onsets(samples: &[f32], loud: f32) -> Vec<f64> {
    let (mut found, mut quiet_since) = (Vec::new(), 0_u32);
    for (at, sample) in (0_u32..).zip(samples) {
        if *sample >= loud {
            if f64::from(at - quiet_since) > SAMPLE_RATE / 2.0 {
                found.push(f64::from(at) / SAMPLE_RATE);
            }
            quiet_since = at;
        }
    }
    found
}

#[tokio::test]
async fn a_flash_is_seen_and_a_beep_heard_where_they_were_put() {
    let folder = tempfile::tempdir().expect("a folder");
    let clip = flash_and_beep(folder.path()).await;
    for (track, name) in [("0:v", "seen.mp4"), ("0:a", "heard.mp4")] {
        let mut ffmpeg = program("ffmpeg");
        ffmpeg.args(["-v", "error", "-i"]).arg(&clip).args(["-map", track, "-c", "copy"]);
        ffmpeg.arg(folder.path().join(name));
        succeed(ffmpeg).await;
    }
    let (seen, heard) =
        (flashes(&folder.path().join("seen.mp4")).await, beeps(&folder.path().join("heard.mp4")).await);
    for found in [&seen, &heard] {
        assert_eq!(found.len(), 2, "{seen:?} {heard:?}");
        assert!((found[0] - 1.0).abs() < 0.005 && (found[1] - 9.0).abs() < 0.005, "{seen:?} {heard:?}");
    }
}

#[test]
fn a_sound_sets_in_once_however_it_swings() {
    let swing = (0..48_000_u16).map(|n| if n >= 30_000 && n % 2 == 0 { 1.0 } else { 0.0 });
    assert_eq!(onsets(&swing.collect::<Vec<f32>>(), 0.5), [0.625]);
}
