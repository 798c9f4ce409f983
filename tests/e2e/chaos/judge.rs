//! What must be true when all is well again, and what is shown where it isn't.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::Broadcast;
use super::client::{By, Ledger, Uploader};
use super::cluster::Cluster;

/// What was begun comes to its end by then.
const SETTLED: Duration = Duration::from_mins(5);
/// A command that takes longer hangs.
const ANSWERED: Duration = Duration::from_mins(2);
/// What dead attempts and uploads left is swept by then.
const SWEPT: Duration = Duration::from_mins(5);
/// So many of a node's last lines are shown.
const LAST_LINES: usize = 60;

/// What must be true in the end; a line about it.
pub async fn judge(
    cluster: &Cluster,
    uploader: &Uploader,
    (ledger, bytes): (&Mutex<Ledger>, &Bytes),
    broadcast: &Broadcast,
) -> String {
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
        is_whole(uploader, id, *by, bytes).await;
    }
    let whole = |video: &Value| video["source"].is_object();
    let recording = settled(uploader, &broadcast.video, &["ready"], whole).await;
    assert_eq!(recording["media"]["state"], "ready", "{recording}");
    uploader.is_well(&broadcast.video);
    // A draft or a broadcast whose answer was lost was asked for again under the same key: it is there once.
    assert_eq!(count(uploader).await, acknowledged.len() + broadcast.announced, "drafts made twice");
    let dead = uploader.get("/api/v1/admin/jobs?state=dead").await;
    assert_eq!(dead["items"], json!([]));
    agrees(cluster, uploader).await;
    for node in &cluster.nodes {
        let log = node.log();
        let panics: Vec<_> = log.lines().filter(|line| line.contains("panicked at")).collect();
        assert_eq!(panics, Vec::<&str>::new(), "{}", node.name);
    }
    let starts: u32 = cluster.nodes.iter().map(|node| node.starts).sum();
    let videos = acknowledged.len();
    format!("{videos} videos acknowledged, 0 lost, 0 doubled, 0 dead; {starts} starts of 7 nodes")
}

/// A video that was acknowledged is ready, once, with the bytes that were sent.
async fn is_whole(uploader: &Uploader, id: &str, by: By, bytes: &Bytes) {
    uploader.concerns(id);
    let video = settled(uploader, id, &["ready"], |video| video["source"]["sha256"].is_string()).await;
    assert_eq!(video["source"]["sha256"], hex::encode(Sha256::digest(bytes)), "{video}");
    assert_eq!(video["media"]["state"], "ready", "{video}");
    // A PUT whose answer was lost was sent again: that is a new source, and asked for.
    assert!(by == By::Put || video["media"]["revision"] == 1, "made twice: {video}");
    uploader.is_well(id);
}

/// Waits until a video has come to one of these states, whole, or can come no further.
pub async fn settled(
    uploader: &Uploader,
    id: &str,
    states: &[&str],
    whole: impl Fn(&Value) -> bool,
) -> Value {
    let begun = Instant::now();
    uploader.concerns(id);
    loop {
        let video = uploader.get(&format!("/api/v1/videos/{id}")).await;
        let state = video["media"]["state"].as_str().unwrap_or_default();
        if ["degraded", "failed"].contains(&state) || (states.contains(&state) && whole(&video)) {
            return video;
        }
        assert!(begun.elapsed() < SETTLED, "expected to become {states:?}: {video}");
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

/// How many videos there are.
async fn count(uploader: &Uploader) -> usize {
    let (mut found, mut path) = (0, "/api/v1/videos?limit=100".to_owned());
    loop {
        let page = uploader.get(&path).await;
        found += page["items"].as_array().expect("a list").len();
        let Some(next) = page["next"].as_str() else { return found };
        path = format!("/api/v1/videos?limit=100&cursor={next}");
    }
}

/// Rows and objects agree, down to what was written a moment ago.
async fn agrees(cluster: &Cluster, uploader: &Uploader) {
    let begun = Instant::now();
    loop {
        let (agreed, said) = command(cluster, &["admin", "fsck", "--rehash", "--grace", "0s"]).await;
        if agreed {
            return;
        }
        if begun.elapsed() > SWEPT {
            let ids = said.split('/').filter(|part| uuid::Uuid::try_parse(part).is_ok());
            ids.for_each(|id| uploader.concerns(id));
            panic!("{said}");
        }
        tokio::time::sleep(Duration::from_secs(2)).await;
    }
}

/// Runs a command with the settings of the first node: whether it ended well, and what it said.
async fn command(cluster: &Cluster, arguments: &[&str]) -> (bool, String) {
    let mut command = tokio::process::Command::from(cluster.nodes[0].command(arguments));
    let running = command.stdin(std::process::Stdio::null()).kill_on_drop(true).output();
    match tokio::time::timeout(ANSWERED, running).await {
        Ok(output) => {
            let output = output.expect("a command");
            let said = [output.stdout, output.stderr].concat();
            (output.status.success(), String::from_utf8_lossy(&said).into_owned())
        }
        Err(_) => (false, format!("{arguments:?} hangs")),
    }
}

/// Shows all there is to find out why a run failed.
pub async fn explain(cluster: &Cluster, ledger: &Mutex<Ledger>) {
    let concerned = ledger.lock().unwrap_or_else(PoisonError::into_inner).concerned.clone();
    for node in &cluster.nodes {
        let log = node.log();
        let lines: Vec<_> = log.lines().collect();
        let last = &lines[lines.len().saturating_sub(LAST_LINES)..];
        eprintln!("--- the end of the log of {} ---\n{}", node.name, last.join("\n"));
    }
    for id in concerned {
        eprintln!("--- admin why {id} ---\n{}", command(cluster, &["admin", "why", &id]).await.1);
    }
}
