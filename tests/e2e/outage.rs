//! What policast stands on is taken away at the worst moment and brought back: nothing acknowledged is lost, clients are
//! told when to try again, and what was begun goes on.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use reqwest::Response;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::clients::ends_well;
use crate::clip::heavy;
use crate::command::{only_video, upload};
use crate::kill::{agrees, catch};
use crate::postgres::Postgres;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::tool::{fixture, program, run};
use crate::{playlist, tus, weed};

const MIB: usize = 1 << 20;
/// Nothing that is waited for takes longer.
const STUCK: Duration = Duration::from_mins(5);

/// A server whose bucket lies behind a line that can be cut.
pub async fn with_bucket() -> (Server, Proxy) {
    let bucket = weed::settings().await;
    let endpoint = bucket.endpoint.expect("an endpoint");
    let line = Proxy::to(endpoint.trim_start_matches("http://"));
    let endpoint = format!("http://{}", line.address);
    let server = Server::start_with(&[
        ("POLICAST_S3_ENDPOINT", &endpoint),
        ("POLICAST_S3_BUCKET", &bucket.bucket),
        ("POLICAST_S3_ACCESS_KEY_ID", &bucket.access_key_id),
        ("POLICAST_S3_SECRET_ACCESS_KEY", &bucket.secret_access_key),
    ])
    .await;
    server.api.agency().await;
    (server, line)
}

/// A server whose database can be stopped. What an owner of a broadcast holds lapses soon.
pub async fn with_database() -> (Server, Postgres) {
    let postgres = Postgres::own().await;
    let url = postgres.database().await;
    let server = Server::start_with(&[("POLICAST_DATABASE_URL", &url), ("POLICAST_LIVE_LEASE", "2s")]).await;
    server.api.agency().await;
    (server, postgres)
}

/// The refusal of what can't be taken now.
async fn is_told(answer: Response, status: u16, code: &str) {
    let retry = answer.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
    let told = answer.status().as_u16();
    let problem: Value = answer.json().await.expect("a problem");
    assert_eq!((told, problem["code"].as_str()), (status, Some(code)), "{problem}");
    assert_eq!(retry.is_some(), status == 503, "Retry-After is {retry:?}");
}

/// An upload by hand of which some is there.
struct Halfway {
    video: String,
    file: PathBuf,
    bytes: Vec<u8>,
    url: String,
    acknowledged: usize,
}

impl Halfway {
    async fn set(server: &Server, extra_bytes: usize) -> Self {
        let video = server.api.video("Interrupted").await.id;
        let file = heavy(server.home(), u32::try_from(extra_bytes).expect("a small file"));
        let bytes = fs::read(&file).expect("a file");
        let url = tus::create(&server.api, &video, bytes.len()).await;
        let acknowledged = tus::send(&server.api, &url, 0, &bytes[..7 * MIB]).await;
        assert_eq!(acknowledged, 7 * MIB);
        Self { video, file, bytes, url, acknowledged }
    }

    /// Sends so many more bytes, whatever comes of it.
    async fn try_send(&self, server: &Server, count: usize) -> Response {
        let end = (self.acknowledged + count).min(self.bytes.len());
        let piece = &self.bytes[self.acknowledged..end];
        tus::try_send(&server.api, &self.url, self.acknowledged, piece).await.expect("an answer")
    }

    /// No less than what was acknowledged is there; goes on from there to the end.
    async fn goes_on(mut self, server: &Server) {
        while self.acknowledged < self.bytes.len() {
            let kept = tus::offset(&server.api, &self.url).await;
            assert!(
                kept >= self.acknowledged,
                "{} bytes were acknowledged, {kept} are left",
                self.acknowledged
            );
            let end = (kept + 6 * MIB).min(self.bytes.len());
            self.acknowledged = tus::send(&server.api, &self.url, kept, &self.bytes[kept..end]).await;
        }
        ends_well(server, &self.video, &self.file).await;
        agrees(server).await;
    }
}

/// Waits for something to be true.
async fn until(what: &str, is_true: impl AsyncFn() -> bool) {
    let begun = Instant::now();
    while !is_true().await {
        assert!(begun.elapsed() < STUCK, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn without_its_bucket_an_upload_is_told_to_try_again_and_goes_on_when_it_is_back() {
    let (server, line) = with_bucket().await;
    let upload = Halfway::set(&server, 20 * MIB).await;
    line.cut();
    is_told(upload.try_send(&server, 3 * MIB).await, 503, "storage_unavailable").await;
    assert_eq!(tus::offset(&server.api, &upload.url).await, upload.acknowledged);
    line.mend();
    upload.goes_on(&server).await;
}

#[tokio::test]
async fn a_bucket_that_goes_in_the_middle_of_a_request_costs_no_more_than_its_unacknowledged_bytes() {
    let (server, line) = with_bucket().await;
    let upload = Halfway::set(&server, 40 * MIB).await;
    let before = line.passed();
    let cut = until("bytes reach the bucket", async || line.passed() > before + 9 * MIB as u64);
    let (answer, ()) = tokio::join!(upload.try_send(&server, usize::MAX / 2), async {
        cut.await;
        line.cut();
    });
    is_told(answer, 503, "storage_unavailable").await;
    line.mend();
    upload.goes_on(&server).await;
}

#[tokio::test]
async fn the_command_waits_for_the_bucket_and_goes_on() {
    let (server, line) = with_bucket().await;
    let file = heavy(server.home(), 40 << 20);
    let before = line.passed();
    let mut command = begin(&server, &file);
    until("bytes reach the bucket", async || line.passed() > before + 15 * MIB as u64).await;
    line.cut();
    until("the outage is felt", async || server.log().contains("storage_unavailable")).await;
    line.mend();
    ends(&server, &mut command, &file).await;
}

#[tokio::test]
async fn without_its_bucket_an_encode_is_put_off_and_the_video_ends_ready() {
    let (server, line) = with_bucket().await;
    for _ in 0..8 {
        let video = server.api.video("Encoded without a bucket").await.id;
        let (status, body) = server.api.put_source(&video, &fixture("explainer.mp4")).await;
        assert!(status.is_success(), "{status} {body}");
        let caught = catch(&server.api, &video, "chunk").await;
        line.cut();
        let failed = async || {
            let jobs = server.api.get(&format!("/api/v1/admin/jobs?video={video}&kind=chunk")).await;
            let jobs = jobs["items"].as_array().cloned().unwrap_or_default();
            let outage =
                |job: &Value| job["last_error"].as_str().is_some_and(|said| said.contains("object store"));
            jobs.iter().any(outage) || jobs.iter().all(|job| job["state"] == "done")
        };
        if caught {
            until("an attempt fails", failed).await;
        }
        line.mend();
        ends_well(&server, &video, &fixture("explainer.mp4")).await;
        let jobs = server.api.get(&format!("/api/v1/admin/jobs?video={video}&kind=chunk")).await;
        let put_off = |job: &Value| job["max_attempts"].as_i64() > Some(4);
        if jobs["items"].as_array().is_some_and(|jobs| jobs.iter().any(put_off)) {
            agrees(&server).await;
            return;
        }
    }
    panic!("never caught a running chunk");
}

#[tokio::test]
async fn without_its_database_an_upload_is_told_to_try_again_and_goes_on_when_it_is_back() {
    let (server, mut postgres) = with_database().await;
    let upload = Halfway::set(&server, 20 * MIB).await;
    postgres.stop();
    is_told(upload.try_send(&server, 3 * MIB).await, 503, "database_unavailable").await;
    postgres.start().await;
    assert_eq!(tus::offset(&server.api, &upload.url).await, upload.acknowledged);
    upload.goes_on(&server).await;
}

#[tokio::test]
async fn without_its_database_a_video_plays_on_and_one_that_was_withdrawn_does_not() {
    let (server, mut postgres) = with_database().await;
    let mut masters = Vec::new();
    for title in ["Played on", "Withdrawn"] {
        let video = server.api.video(title).await.id;
        let (status, body) = server.api.put_source(&video, &fixture("short.mp4")).await;
        assert!(status.is_success(), "{status} {body}");
        server.api.wait_until_ready(&video).await;
        server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
        let master = format!("{}/play/{video}/master.m3u8", server.api.base);
        playlist::read(&master).await;
        masters.push((video, master));
    }
    let [(_, plays), (withdrawn, gone)] = &masters[..] else { panic!("two videos") };
    server.api.post(&format!("/api/v1/videos/{withdrawn}/withdraw"), &json!({"reason": "Out of date"})).await;
    postgres.stop();
    let is_stale = async || reqwest::get(gone).await.is_ok_and(|answer| answer.status() == 503);
    until("no answer is a fresh one any more", is_stale).await;
    for track in playlist::read(plays).await.variants {
        playlist::fetch(&server.api, track, server.home()).await;
    }
    assert_eq!(reqwest::get(gone).await.expect("an answer").status(), 503);
    postgres.start().await;
    until("it is heard again", async || reqwest::get(gone).await.is_ok_and(|answer| answer.status() == 404))
        .await;
}

#[tokio::test]
async fn the_command_waits_for_the_database_and_goes_on() {
    let (server, mut postgres) = with_database().await;
    let file = heavy(server.home(), 40 << 20);
    let mut command = begin(&server, &file);
    let begun = async || {
        let listed = server.api.get("/api/v1/videos").await;
        listed["items"].as_array().is_some_and(|videos| !videos.is_empty())
    };
    until("the upload begins", begun).await;
    postgres.stop();
    until("the outage is felt", async || server.log().contains("database_unavailable")).await;
    postgres.start().await;
    ends(&server, &mut command, &file).await;
}

fn begin(server: &Server, file: &Path) -> Child {
    let said = File::create(server.home().join("upload.log")).expect("a log");
    let mut command = server.command(&upload(file, "Interrupted"));
    command.stdin(Stdio::null()).stdout(said.try_clone().expect("a log")).stderr(said);
    command.spawn().expect("the command")
}

async fn ends(server: &Server, command: &mut Child, file: &Path) {
    let begun = Instant::now();
    let status = loop {
        if let Some(status) = command.try_wait().expect("a child") {
            break status;
        }
        assert!(begun.elapsed() < STUCK, "policast upload hangs");
        tokio::time::sleep(Duration::from_millis(100)).await;
    };
    let said = fs::read_to_string(server.home().join("upload.log")).unwrap_or_default();
    assert!(status.success(), "policast upload ended with {status}:\n{said}");
    ends_well(server, &only_video(server).await, file).await;
    agrees(server).await;
}

/// A small disk of its own; unmounted when dropped.
struct Disk(TempDir);

impl Disk {
    /// `None` where this machine lets nobody mount.
    async fn mount(size_bytes: usize) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("policast-disk-").tempdir().expect("a folder");
        let mut mount = program("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size_bytes}"), "tmpfs"]).arg(folder.path());
        let ended = run(mount).await;
        if !ended.status.success() {
            eprintln!("SKIPPED: no disk could be mounted: {}", String::from_utf8_lossy(&ended.stderr));
            return None;
        }
        Some(Self(folder))
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }

    fn free_bytes(&self) -> usize {
        let disk = nix::sys::statvfs::statvfs(self.0.path()).expect("a disk");
        usize::try_from(disk.blocks_available() * disk.fragment_size()).expect("a small disk")
    }

    /// Leaves no more than this free.
    fn fill(&self, left_bytes: usize) {
        let more = self.free_bytes().saturating_sub(left_bytes);
        let held = fs::read(self.filler()).map_or(0, |bytes| bytes.len());
        fs::write(self.filler(), vec![1; held + more]).expect("a full disk");
    }

    fn make_room(&self) {
        fs::remove_file(self.filler()).expect("a filler");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let ended = std::process::Command::new("umount").arg("-l").arg(self.0.path()).status();
        if !ended.is_ok_and(|status| status.success()) {
            eprintln!("{} stays mounted", self.0.path().display());
        }
    }
}

#[tokio::test]
async fn a_full_disk_takes_no_byte_it_can_t_keep_and_goes_on_once_there_is_room() {
    let Some(disk) = Disk::mount(300 * MIB).await else { return };
    let folder = disk.0.path().display().to_string();
    let server = Server::start_with(&[("POLICAST_DATA_DIR", &folder)]).await;
    server.api.agency().await;
    let mut upload = Halfway::set(&server, 40 * MIB).await;
    // What the store leaves free for its own rows, and a little more.
    disk.fill((64 + 12) * MIB);
    let refused = loop {
        let answer = upload.try_send(&server, 6 * MIB).await;
        if !answer.status().is_success() {
            break answer;
        }
        upload.acknowledged += 6 * MIB;
    };
    is_told(refused, 507, "disk_full").await;
    assert_eq!(tus::offset(&server.api, &upload.url).await, upload.acknowledged);
    disk.fill(0);
    is_told(upload.try_send(&server, 6 * MIB).await, 507, "disk_full").await;
    assert_eq!(tus::offset(&server.api, &upload.url).await, upload.acknowledged);
    disk.make_room();
    upload.goes_on(&server).await;
}
