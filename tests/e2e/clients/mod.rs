//! Every way in, with the clients people have: each ends in a ready video whose stored source is the file.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tokio::process::Command;

use crate::api::Target;
use crate::clip::{heavy, sha256};
use crate::server::Server;
use crate::store::source_sha256;
use crate::tool::{node, program, root, run, succeed, venv};

const MIB: u32 = 1 << 20;

/// A server with an agency, a heavy file and a video to upload it to.
struct Scene {
    server: Server,
    file: PathBuf,
    target: Target,
    log: PathBuf,
}

impl Scene {
    async fn set(title: &str) -> Self {
        let server = Server::start().await;
        server.api.agency().await;
        let target = server.api.video(title).await;
        let file = heavy(server.home(), 13 * MIB);
        let log = server.home().join("client.log");
        Self { server, file, target, log }
    }

    /// The four words every client takes, then where to log.
    fn arm(&self, mut client: Command) -> Command {
        client.args([&self.server.api.base, &self.server.api.key, &self.target.id]).arg(&self.file);
        client.arg("--log").arg(&self.log);
        client
    }

    async fn ends_well(self) {
        ends_well(&self.server, &self.target.id, &self.file).await;
        self.server.stop().await;
    }

    fn events(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.log).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).expect("a log line")).collect()
    }

    fn upload_url(&self) -> String {
        let found = self.events().into_iter().find(|event| event["event"] == "url").expect("an address");
        found["url"].as_str().expect("an address").to_owned()
    }

    /// Runs a tus client that dies in the middle, and again from where it was.
    async fn dies_and_resumes(&self, client: impl Fn() -> Command, die_after: u32) {
        let mut dying = self.arm(client());
        dying.args(["--die-after", &die_after.to_string()]);
        let output = run(dying).await;
        assert_eq!(output.status.code(), None, "it should have been killed: {output:?}");
        let mut resuming = self.arm(client());
        resuming.args(["--resume", &self.upload_url()]);
        succeed(resuming).await;
        no_acknowledged_byte_is_sent_twice(&self.events(), die_after);
    }
}

/// The video gets ready, and bucket and API agree on the bytes.
pub async fn ends_well(server: &Server, video: &str, file: &Path) {
    server.api.wait_until_ready(video).await;
    // Of bytes that went straight to the bucket it is computed afterwards.
    let digested = server.api.wait_until(video, |video| !video["source"]["sha256"].is_null()).await;
    let expected = sha256(file);
    assert_eq!(digested["source"]["sha256"], expected, "{digested}");
    assert_eq!(source_sha256(server, video).await, expected);
}

fn no_acknowledged_byte_is_sent_twice(events: &[Value], died_after: u32) {
    let (mut acknowledged, mut last_sent) = (0, 0);
    for event in events {
        let offset = event["offset"].as_u64().unwrap_or(0);
        match event["event"].as_str() {
            Some("send") => {
                assert!(
                    offset >= acknowledged,
                    "sent from {offset} again, {acknowledged} was acknowledged: {events:?}"
                );
                last_sent = offset;
            }
            Some("ack") => acknowledged = acknowledged.max(offset),
            _ => {}
        }
    }
    let least = u64::from(died_after / 2);
    assert!(last_sent >= least, "it began again at {last_sent}, {died_after} had been sent: {events:?}");
}

#[tokio::test]
async fn tus_js_client_uploads() {
    let scene = Scene::set("By tus-js-client").await;
    succeed(scene.arm(node("clients/tus.mjs"))).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn tus_js_client_killed_in_the_middle_resumes() {
    let scene = Scene::set("By tus-js-client, killed").await;
    scene.dies_and_resumes(|| node("clients/tus.mjs"), 6 * MIB + 12345).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn tuspy_killed_in_the_middle_resumes() {
    let scene = Scene::set("By tuspy, killed").await;
    scene.dies_and_resumes(|| script("tuspy_upload.py"), 5 * MIB).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn curl_puts_a_source_in_one_line() {
    let scene = Scene::set("By curl").await;
    let mut curl = curl();
    curl.args([&scene.server.api.base, &scene.server.api.key, &scene.target.id]).arg(&scene.file);
    succeed(curl).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn curl_killed_in_the_middle_of_a_patch_resumes_from_what_arrived() {
    let scene = Scene::set("By curl, killed").await;
    scene.dies_and_resumes(curl, 4 * MIB).await;
    scene.ends_well().await;
}

#[tokio::test]
async fn presigned_parts_killed_in_the_middle_are_not_sent_again() {
    let scene = Scene::set("By presigned parts").await;
    let client = || {
        let mut client = scene.arm(script("parts.py"));
        client.args(["--parts", &scene.target.parts]);
        client
    };
    let mut dying = client();
    dying.args(["--die-after", &(5 * MIB).to_string()]);
    assert_eq!(run(dying).await.status.code(), None);
    succeed(client()).await;
    let events = scene.events();
    let sent: Vec<_> =
        events.iter().filter(|event| event["event"] == "send").map(|event| &event["number"]).collect();
    let numbers: Vec<_> = (1..=sent.len()).collect();
    assert!(sent.len() > 1 && sent == numbers, "each part once: {sent:?}");
    scene.ends_well().await;
}

fn script(name: &str) -> Command {
    let mut python = venv("python");
    python.arg(root().join("tests/e2e/clients").join(name));
    python
}

fn curl() -> Command {
    program(root().join("tests/e2e/clients/curl.sh").to_str().expect("a path"))
}
