//! The power goes at the worst moment: in every state the server is killed, started again, and nothing is lost.

use std::time::{Duration, Instant};

use reqwest::Method;

use crate::api::Api;
use crate::clients::ends_well;
use crate::clip::heavy;
use crate::server::{Server, parent_of};
use crate::tool::fixture;
use crate::tus;

/// After which change of its own a debug build dies.
const FAULTS: &str = "POLICAST_FAULTS";
/// How often a state may slip by unseen before a test gives up on it.
const TRIES: usize = 8;

async fn scene() -> Server {
    // What a killed server held is given out again after this long.
    let server = Server::start_with(&[("POLICAST_LEASE", "5s")]).await;
    server.api.agency().await;
    server
}

async fn upload(server: &Server, title: &str) -> String {
    let video = server.api.video(title).await.id;
    let (status, body) = server.api.put_source(&video, &fixture("short.mp4")).await;
    assert!(status.is_success(), "{status} {body}");
    video
}

/// A job of this kind runs for the video right now.
async fn is_running(api: &Api, video: &str, kind: &str) -> bool {
    let jobs = api.get(&format!("/api/v1/admin/jobs?video={video}&state=running")).await;
    jobs["items"].as_array().is_some_and(|jobs| jobs.iter().any(|job| job["kind"] == kind))
}

/// Waits until such a job runs; false where it came and went unseen.
pub async fn catch(api: &Api, video: &str, kind: &str) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_mins(1) {
        if is_running(api, video, kind).await {
            return true;
        }
        let media = api.get(&format!("/api/v1/videos/{video}")).await["media"]["state"].clone();
        if media == "ready" {
            return false;
        }
    }
    false
}

/// The video comes through, and rows and objects agree.
async fn comes_through(server: &Server, video: &str) {
    ends_well(server, video, &fixture("short.mp4")).await;
    agrees(server).await;
}

/// Rows and objects agree, down to what was written a moment ago. The sweep after a dead attempt ends a moment after
/// the video is ready.
pub async fn agrees(server: &Server) {
    let begun = Instant::now();
    loop {
        let (well, said) = server.try_run(&["admin", "fsck", "--rehash", "--grace", "0s"]).await;
        if well {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{said}");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

async fn killed_while_running(kind: &str) {
    let mut server = scene().await;
    for _ in 0..TRIES {
        let video = upload(&server, &format!("Killed while running {kind}")).await;
        let caught = catch(&server.api, &video, kind).await;
        server.restart().await;
        comes_through(&server, &video).await;
        if caught {
            return;
        }
    }
    panic!("never saw a running {kind}");
}

#[tokio::test]
async fn killed_while_probing_it_ends_ready() {
    killed_while_running("probe").await;
}

#[tokio::test]
async fn killed_while_encoding_pictures_it_ends_ready() {
    killed_while_running("chunk").await;
}

#[tokio::test]
async fn killed_while_encoding_sound_it_ends_ready() {
    killed_while_running("audio").await;
}

#[tokio::test]
async fn killed_while_making_stills_it_ends_ready() {
    killed_while_running("stills").await;
}

#[tokio::test]
async fn a_killed_server_leaves_no_child_behind() {
    let mut server = scene().await;
    let video = upload(&server, "Orphans").await;
    assert!(catch(&server.api, &video, "chunk").await, "never saw a running chunk");
    let children = server.children();
    assert!(!children.is_empty(), "media is worked on in a child process");
    server.kill();
    let begun = Instant::now();
    while children.iter().any(|child| parent_of(*child).is_some()) {
        assert!(begun.elapsed() < Duration::from_mins(1), "{children:?} live on");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until the server has ended by itself, or has nothing left to do for the video.
async fn ends_or(server: &mut Server, video: &str) {
    let begun = Instant::now();
    while !server.has_ended() {
        let path = format!("/api/v1/videos/{video}");
        let seen = server.api.try_get(&path).await;
        if seen.is_some_and(|video| video["media"]["state"] == "ready") {
            return;
        }
        assert!(begun.elapsed() < Duration::from_mins(2), "it neither dies nor gets on:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn killed_again_and_again_it_ends_ready() {
    let mut server = scene().await;
    let video = upload(&server, "Killed again and again").await;
    // By itself, after so many commits and changes to the bucket since its start.
    for changes in [1, 4, 8, 12, 20] {
        server.set(FAULTS, &format!("any@{changes}"));
        server.begin("serve");
        ends_or(&mut server, &video).await;
    }
    server.set(FAULTS, "");
    server.restart().await;
    comes_through(&server, &video).await;
}

#[tokio::test]
async fn killed_while_bytes_arrive_it_keeps_every_acknowledged_one() {
    let mut server = scene().await;
    let video = server.api.video("Killed while uploading").await.id;
    let file = heavy(server.home(), 13 << 20);
    let bytes = std::fs::read(&file).expect("a file");
    let upload = tus::create(&server.api, &video, bytes.len()).await;
    let mut offset = 0;
    for chunk in bytes.chunks(3 << 20) {
        offset = tus::send(&server.api, &upload, offset, chunk).await;
        assert!(tus::offset(&server.api, &upload).await >= offset);
        server.restart().await;
        let kept = tus::offset(&server.api, &upload).await;
        assert!(kept >= offset || offset == bytes.len(), "{offset} bytes were acknowledged, {kept} are left");
    }
    ends_well(&server, &video, &file).await;
    agrees(&server).await;
}

#[tokio::test]
async fn killed_while_finishing_it_ends_ready() {
    let mut server = scene().await;
    let bytes = std::fs::read(fixture("short.mp4")).expect("a clip");
    for change in ["begin_multipart", "upload_part", "complete_multipart"] {
        server.set(FAULTS, &format!("{change}@1"));
        server.restart().await;
        let video = server.api.video(&format!("Killed after {change}")).await.id;
        let upload = tus::create(&server.api, &video, bytes.len()).await;
        let answer = tus::try_send(&server.api, &upload, 0, &bytes).await;
        assert!(answer.is_err(), "it died before it could answer: {answer:?}");
        server.set(FAULTS, "");
        server.restart().await;
        let left = tus::offset(&server.api, &upload).await;
        if left < bytes.len() {
            tus::send(&server.api, &upload, left, &bytes[left..]).await;
        }
        comes_through(&server, &video).await;
    }
}

#[tokio::test]
async fn killed_while_reprocessing_the_old_revision_plays_and_the_new_one_comes() {
    let mut server = scene().await;
    let video = upload(&server, "Killed while reprocessing").await;
    let before = server.api.wait_until_ready(&video).await;
    server.run(&["admin", "reprocess", "--video", &video]).await;
    let begun = Instant::now();
    while !is_running(&server.api, &video, "chunk").await {
        assert!(begun.elapsed() < Duration::from_mins(2), "its new revision is never worked at");
    }
    server.restart().await;
    let hls = before["media"]["hls"].as_str().expect("an address");
    assert!(!server.api.bytes(hls, None).await.is_empty());
    let revision = &before["media"]["revision"];
    server.api.wait_until(&video, |video| video["media"]["revision"] != *revision).await;
    comes_through(&server, &video).await;
}

#[tokio::test]
async fn killed_while_deleting_nothing_is_left() {
    let mut server = scene().await;
    let video = upload(&server, "Killed while deleting").await;
    server.api.wait_until_ready(&video).await;
    let path = format!("/api/v1/videos/{video}");
    let (status, body) = server.api.ask(Method::DELETE, &path, None).await;
    assert!(status.is_success(), "{status} {body}");
    server.restart().await;
    let (status, body) = server.api.ask(Method::GET, &path, None).await;
    assert_eq!(status, 404, "{body}");
    let begun = Instant::now();
    while jobs_left(&server.api).await {
        assert!(begun.elapsed() < Duration::from_mins(5), "its objects are never removed");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    agrees(&server).await;
}

async fn jobs_left(api: &Api) -> bool {
    for state in ["queued", "running"] {
        let jobs = api.get(&format!("/api/v1/admin/jobs?state={state}")).await;
        if jobs["items"].as_array().is_some_and(|jobs| !jobs.is_empty()) {
            return true;
        }
    }
    false
}
