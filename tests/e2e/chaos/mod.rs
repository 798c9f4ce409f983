//! `make chaos`: a whole installation under everything that can go wrong at once, while clients upload and one broadcasts.
//! Afterwards everything acknowledged is ready with its digest, nothing is there twice, nothing is dead.

mod bucket;
mod client;
mod cluster;
mod node;
mod plan;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::api::Api;
use crate::tool::{program, succeed};
use client::{By, Ledger, Uploader};
use cluster::Cluster;

/// How long a job is its worker's unless it says so again.
pub const LEASE: Duration = Duration::from_secs(3);
/// Whatever was begun comes to its end by then.
const SETTLED: Duration = Duration::from_mins(6);

/// How long a run is and from which seeds: `make chaos` sets both; without it there is none, as a run takes minutes.
fn runs() -> (Duration, Vec<u64>) {
    let number = |name: &str, default: u64| {
        let told = std::env::var_os(name).and_then(|told| told.to_str()?.parse().ok());
        told.unwrap_or(default)
    };
    let length = Duration::from_secs(number("POLICAST_CHAOS_SECONDS", 12));
    let (first, count) = (number("POLICAST_CHAOS_SEED", 1), number("POLICAST_CHAOS_RUNS", 0));
    (length, (first..first + count).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_goes_wrong_everything_acknowledged_becomes_ready_once() {
    let (length, seeds) = runs();
    for seed in seeds {
        run(seed, length).await;
    }
}

async fn run(seed: u64, length: Duration) {
    let steps = plan::draw(seed, length, 7);
    eprintln!("chaos: seed {seed}, {} s, {} blows", length.as_secs(), steps.len());
    let own_bucket = steps.iter().any(|step| step.blow == plan::Blow::RestartBucket);
    let mut cluster = Cluster::start(seed, own_bucket).await;
    let folder = tempfile::tempdir().expect("a folder");
    Api::new(cluster.nodes[0].base.clone(), cluster.key.clone()).agency().await;
    let bytes = clip(folder.path()).await;
    let (ledger, stop) = (Arc::new(Mutex::new(Ledger::default())), CancellationToken::new());
    let uploader = Uploader::new(cluster.bases(), cluster.key.clone(), ledger.clone(), bytes.clone());
    let mut clients = JoinSet::new();
    // Two cores have to keep up with them.
    let pause = Duration::from_secs(if length > Duration::from_mins(1) { 4 } else { 2 });
    for by in [By::Tus, By::Put, By::Parts] {
        clients.spawn(uploader.clone().run(by, pause, stop.clone()));
    }
    let broadcast = announce(&uploader).await;
    let rtmp = cluster.nodes.iter().filter(|node| node.name.starts_with("live")).map(|node| {
        let host = node.base.trim_start_matches("http://").split(':').next().unwrap_or_default();
        format!("rtmp://{host}:1935/live/{}", broadcast.key)
    });
    clients.spawn(push(rtmp.collect(), stop.clone()));
    // There has to be something to lose.
    settled(&cluster, &uploader, &broadcast.video, &["playable"], |_| true).await;
    cluster.begin();
    for step in &steps {
        tokio::time::sleep(step.pause).await;
        cluster.suffer(step).await;
    }
    stop.cancel();
    cluster.heal().await;
    while let Some(ended) = clients.join_next().await {
        ended.expect("a client comes to its end");
    }
    uploader.post(&format!("/api/v1/broadcasts/{}/end", broadcast.id), &json!({})).await;
    let told = judge(&cluster, &uploader, (&ledger, &bytes), &broadcast).await;
    eprintln!("{}", cluster.faults().join("\n"));
    eprintln!("{told}");
}

/// A broadcast that was announced.
struct Broadcast {
    id: String,
    video: String,
    key: String,
}

async fn announce(uploader: &Uploader) -> Broadcast {
    let body = json!({"account": "lanting-ecology", "topic": "environment/air", "title": "On air", "language": "en",
        "grace_seconds": 600});
    loop {
        let told = uploader.post("/api/v1/broadcasts", &body).await;
        let text = |value: &Value| value.as_str().map(str::to_owned);
        // Its key is shown once: where that answer was lost, another one is announced.
        if let Some(key) = text(&told["ingest"]["stream_key"]) {
            let (id, video) = (text(&told["id"]).expect("an id"), text(&told["video"]).expect("a video"));
            return Broadcast { id, video, key };
        }
    }
}

/// An encoder that comes back to one live node or the other whenever it is shown out.
async fn push(urls: Vec<String>, stop: CancellationToken) {
    let mut turn = 0;
    while !stop.is_cancelled() {
        let url = &urls[turn % urls.len()];
        turn += 1;
        let mut ffmpeg = program("ffmpeg");
        ffmpeg.args(["-nostdin", "-v", "error", "-re", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=10"]);
        ffmpeg.args(["-f", "lavfi", "-i", "sine=440:r=48000", "-c:v", "libx264", "-preset", "ultrafast"]);
        ffmpeg.args(["-g", "20", "-b:v", "100k", "-pix_fmt", "yuv420p", "-c:a", "aac", "-ac", "1"]);
        ffmpeg.args(["-f", "flv", "-flvflags", "no_duration_filesize", url]);
        let mut child = ffmpeg.stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("ffmpeg starts");
        tokio::select! {
            _ = child.wait() => tokio::time::sleep(Duration::from_millis(500)).await,
            () = stop.cancelled() => {
                child.kill().await.expect("ffmpeg ends");
            }
        }
    }
}

/// A second of tiny pictures and no sound, made heavier so that it takes more than one request.
async fn clip(folder: &Path) -> Bytes {
    let path = folder.join("tiny.mp4");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-y", "-f", "lavfi", "-i", "testsrc2=s=160x90:r=10:d=1"]);
    ffmpeg.args(["-c:v", "libx264", "-g", "10", "-preset", "ultrafast", "-profile:v", "baseline"]);
    ffmpeg.args(["-pix_fmt", "yuv420p", "-movflags", "+faststart"]);
    ffmpeg.arg(&path);
    succeed(ffmpeg).await;
    let mut bytes = std::fs::read(path).expect("a clip");
    let more = 300_000_u32;
    bytes.extend(more.to_be_bytes());
    bytes.extend(b"free");
    bytes.extend((0..more - 8).map(|at| u8::try_from(at % 251).expect("a byte")));
    bytes.into()
}

/// What must be true in the end; a line about it.
async fn judge(
    cluster: &Cluster,
    uploader: &Uploader,
    (ledger, bytes): (&Mutex<Ledger>, &Bytes),
    broadcast: &Broadcast,
) -> String {
    let digest = hex::encode(Sha256::digest(bytes));
    let (acknowledged, unclean, answers) = {
        let ledger = ledger.lock().expect("a ledger");
        (ledger.acknowledged.clone(), ledger.unclean.clone(), ledger.answers.clone())
    };
    let told = answers.iter().fold(String::new(), |mut told, (answer, count)| {
        let _ = writeln!(told, "{count:>5} {answer}");
        told
    });
    eprintln!("{told}");
    assert_eq!(unclean, Vec::<String>::new(), "answers that nobody should see");
    let ids: BTreeSet<&String> = acknowledged.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), acknowledged.len());
    for (id, by) in &acknowledged {
        let video =
            settled(cluster, uploader, id, &["ready"], |video| video["source"]["sha256"].is_string()).await;
        assert_eq!(video["source"]["sha256"], *digest, "{video}");
        assert_eq!(video["media"]["state"], "ready", "{video}");
        // A PUT whose answer was lost was sent again: that is a new source, and asked for.
        assert!(*by == By::Put || video["media"]["revision"] == 1, "made twice: {video}");
    }
    let recording =
        settled(cluster, uploader, &broadcast.video, &["ready"], |video| video["source"].is_object()).await;
    assert_eq!(recording["media"]["state"], "ready", "{recording}");
    let dead = uploader.get("/api/v1/admin/jobs?state=dead").await;
    assert_eq!(dead["items"], json!([]));
    agrees(cluster).await;
    for node in &cluster.nodes {
        let log = node.log();
        let panics: Vec<_> = log.lines().filter(|line| line.contains("panicked at")).collect();
        assert_eq!(panics, Vec::<&str>::new(), "{}", node.name);
    }
    let starts: u32 = cluster.nodes.iter().map(|node| node.starts).sum();
    format!(
        "{} videos acknowledged, 0 lost, 0 doubled, 0 dead; {starts} starts of 7 nodes",
        acknowledged.len()
    )
}

/// Waits until a video has come to one of these states, whole, or can come no further.
async fn settled(
    cluster: &Cluster,
    uploader: &Uploader,
    id: &str,
    states: &[&str],
    whole: impl Fn(&Value) -> bool,
) -> Value {
    let begun = Instant::now();
    loop {
        let video = uploader.get(&format!("/api/v1/videos/{id}")).await;
        let state = video["media"]["state"].as_str().unwrap_or_default();
        if ["degraded", "failed"].contains(&state) || (states.contains(&state) && whole(&video)) {
            return video;
        }
        if begun.elapsed() > SETTLED {
            let why = cluster.nodes[0].command(&["admin", "why", id]).output().expect("a command");
            panic!("{video}\n{}", String::from_utf8_lossy(&why.stdout));
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// Rows and objects agree, down to what was written a moment ago.
async fn agrees(cluster: &Cluster) {
    let begun = Instant::now();
    loop {
        let mut fsck = tokio::process::Command::from(
            cluster.nodes[0].command(&["admin", "fsck", "--rehash", "--grace", "0s"]),
        );
        let output = fsck.kill_on_drop(true).output().await.expect("a command");
        if output.status.success() {
            return;
        }
        let said = [output.stdout, output.stderr].concat();
        // The sweep after a dead attempt ends a moment after its video is ready.
        assert!(begun.elapsed() < Duration::from_mins(1), "{}", String::from_utf8_lossy(&said));
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}
