//! Pushing on: FFmpeg is the agency's account elsewhere.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use base64::Engine;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::process::Child;

use super::{Broadcast, Clip, STUCK};
use crate::playlist;
use crate::ports::Port;
use crate::server::Server;
use crate::tool::program;

const KEY: &str = "key-of-the-account-elsewhere";

/// FFmpeg waiting for a stream on a port, and the file it keeps it in.
struct Elsewhere {
    port: Port,
    file: PathBuf,
}

impl Elsewhere {
    fn new(folder: &Path) -> Self {
        let port = Port::reserve();
        Self { file: folder.join(format!("elsewhere-{port}.flv")), port }
    }

    fn url(&self) -> String {
        format!("rtmp://127.0.0.1:{}/live", self.port)
    }

    fn open(&self) -> Child {
        let log = File::create(self.file.with_extension("log")).expect("a log");
        let mut ffmpeg = program("ffmpeg");
        ffmpeg.args(["-nostdin", "-hide_banner", "-v", "info", "-listen", "1", "-i"]);
        ffmpeg.arg(format!("{}/{KEY}", self.url())).args(["-c", "copy", "-f", "flv"]).arg(&self.file);
        ffmpeg.stdout(Stdio::null()).stderr(log).spawn().expect("ffmpeg starts")
    }

    async fn wait_until_open(&self) {
        // Connecting would take FFmpeg's only place.
        let place = format!("0100007F:{:04X} 00000000:0000 0A", self.port.number);
        let begun = Instant::now();
        while !std::fs::read_to_string("/proc/net/tcp").expect("connections").contains(&place) {
            assert!(begun.elapsed() < STUCK, "ffmpeg never listens");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Pictures that came, as ffprobe counts them.
    async fn pictures(&self) -> u64 {
        playlist::packets_of(&self.file, "v").await.len() as u64
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.file.with_extension("log")).unwrap_or_default()
    }
}

impl Broadcast<'_> {
    fn targets(&self) -> String {
        format!("/api/v1/broadcasts/{}/targets", self.id)
    }

    async fn push_to(&self, name: &str, url: &str) -> Value {
        let target = json!({"name": name, "url": url, "stream_key": KEY});
        self.server.api.post(&self.targets(), &target).await
    }

    /// Waits until the only target is in this state; the target.
    async fn wait_for_target(&self, state: &str) -> Value {
        let begun = Instant::now();
        loop {
            let found = self.server.api.get(&self.targets()).await["items"][0].clone();
            if found["state"] == state {
                return found;
            }
            assert!(begun.elapsed() < STUCK, "never {state}: {found}\n{}", self.look().await);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

async fn permissive() -> Server {
    let server = Server::start_with(&[("POLICAST_PUSH_ALLOW_PRIVATE", "true")]).await;
    server.api.agency().await;
    server
}

#[tokio::test]
async fn a_target_gets_every_picture_from_its_first_keyframe_on() {
    let server = permissive().await;
    let clip = Clip::make(server.home(), "640x360", 12, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let elsewhere = Elsewhere::new(server.home());
    let mut ffmpeg = elsewhere.open();
    elsewhere.wait_until_open().await;
    let added = broadcast.push_to("Elsewhere", &elsewhere.url()).await;
    assert_eq!((&added["state"], &added["attempts"]), (&json!("idle"), &json!(0)));

    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_for_target("pushing").await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    assert_eq!(broadcast.wait_for_target("idle").await["error"], Value::Null);
    broadcast.end().await;
    broadcast.wait_for_target("ended").await;

    assert!(ffmpeg.wait().await.expect("ffmpeg").success(), "{}", elsewhere.log());
    let arrived = elsewhere.pictures().await;
    let missed = clip.pictures - arrived;
    assert!(missed.is_multiple_of(60) && missed <= 120, "{arrived} of {} arrived", clip.pictures);
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    assert_eq!(broadcast.log().await, ["encoder_came", "push_began", "encoder_stopped", "ended"]);
    let told = format!("{}{}", broadcast.look().await, server.api.get(&broadcast.targets()).await);
    assert!(!told.contains(KEY) && !server.log().contains(KEY), "the stream key is shown");
    server.stop().await;
}

#[tokio::test]
async fn a_target_that_is_away_is_tried_until_it_is_there() {
    let server = permissive().await;
    let clip = Clip::make(server.home(), "320x180", 16, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let elsewhere = Elsewhere::new(server.home());
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    // Added while it is live.
    broadcast.push_to("Elsewhere", &elsewhere.url()).await;
    let waiting = broadcast.wait_for_target("waiting").await;
    let error = waiting["error"].as_str().expect("a reason");
    assert!(error.contains("can't be reached: Connection refused"), "{error}");
    let mut ffmpeg = elsewhere.open();
    broadcast.wait_for_target("pushing").await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    assert!(ffmpeg.wait().await.expect("ffmpeg").success(), "{}", elsewhere.log());
    assert!(elsewhere.pictures().await >= 60, "{}", elsewhere.log());
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    let log = ["encoder_came", "push_lost", "push_began", "encoder_stopped", "ended"];
    assert_eq!(broadcast.log().await, log);
    server.stop().await;
}

#[tokio::test]
async fn targets_that_hang_disturb_nobody() {
    let server = permissive().await;
    let clip = big_clip(server.home()).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    // One takes connections and never reads, one stops in the middle.
    let deaf = TcpListener::bind("127.0.0.1:0").expect("a port");
    let stuck = Elsewhere::new(server.home());
    let ffmpeg = stuck.open();
    stuck.wait_until_open().await;
    broadcast.push_to("Stuck", &stuck.url()).await;
    broadcast.push_to("Deaf", &format!("rtmp://{}/live", deaf.local_addr().expect("an address"))).await;
    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_for_target("pushing").await;
    let id = Pid::from_raw(i32::try_from(ffmpeg.id().expect("a process")).expect("a process id"));
    kill(id, Signal::SIGSTOP).expect("a running ffmpeg");
    assert!(encoder.wait().await.expect("ffmpeg").success());
    let begun = Instant::now();
    broadcast.wait_for("interrupted").await;
    // A goodbye may take five seconds, and a stall is one after ten.
    assert!(begun.elapsed() < Duration::from_secs(5), "the end waited for a target");
    // The encoder may come back at once.
    let mut again = clip.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    assert!(again.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    assert_eq!(broadcast.recorded().await, (2 * clip.pictures, 2 * clip.sounds));
    let log = broadcast.log().await;
    assert_eq!(log.iter().filter(|code| *code == "encoder_came").count(), 2, "{log:?}");
    assert!(log.iter().any(|code| code == "push_lost"), "{log:?}");
    kill(id, Signal::SIGKILL).expect("a stopped ffmpeg");
    server.stop().await;
}

#[tokio::test]
async fn a_target_inside_the_network_is_refused() {
    let server = Server::start().await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let target = |url: &str| json!({"name": "Inside", "url": url, "stream_key": KEY});
    let ask = async |url: &str| {
        let (status, problem) = server.api.ask(Method::POST, &broadcast.targets(), Some(&target(url))).await;
        (status, problem["code"].as_str().unwrap_or_default().to_owned(), problem.to_string())
    };
    for url in
        ["rtmp://127.0.0.1/live", "rtmps://localhost/live", "rtmp://169.254.169.254/live", "rtmp://[::1]/a"]
    {
        let (status, code, problem) = ask(url).await;
        assert_eq!(
            (status, code.as_str()),
            (StatusCode::UNPROCESSABLE_ENTITY, "target_private"),
            "{problem}"
        );
        assert!(problem.contains("private network"), "{problem}");
    }
    for url in ["http://a.example/live", "rtmp://a.example/live?token=1", "rtmp://"] {
        let (status, code, problem) = ask(url).await;
        assert_eq!((status, code.as_str()), (StatusCode::UNPROCESSABLE_ENTITY, "url_invalid"), "{problem}");
        assert!(!problem.contains("token="), "{problem}");
    }

    // What only the resolver knows to lead inside is found out when it is connected to.
    let clip = Clip::make(server.home(), "320x180", 4, true).await;
    broadcast.push_to("Inside", "rtmp://127.1/live").await;
    let mut encoder = clip.begin(&broadcast.url);
    let failed = broadcast.wait_for_target("failed").await;
    let error = failed["error"].as_str().expect("a reason");
    // Where it leads is for the operator's log alone.
    assert_eq!(error, "127.1 leads inside a private network, where this server pushes nothing to");
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    assert_eq!(broadcast.log().await, ["encoder_came", "push_refused", "encoder_stopped", "ended"]);
    server.stop().await;
}

#[tokio::test]
async fn by_tls_a_target_is_pushed_to_only_under_its_own_name() {
    let folder = tempfile::tempdir().expect("a folder");
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).expect("a certificate");
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, pem("CERTIFICATE", made.cert.der())).expect("written");
    std::fs::write(&key, pem("PRIVATE KEY", &made.signing_key.serialize_der())).expect("written");
    let (cert, key) = (cert.display().to_string(), key.display().to_string());
    let door = Elsewhere::new(folder.path()).port;
    // Another policast is the account elsewhere.
    let elsewhere = Server::start_with(&[
        ("POLICAST_RTMPS_LISTEN", &format!("127.0.0.1:{door}")),
        ("POLICAST_RTMPS_CERT", &cert),
        ("POLICAST_RTMPS_KEY", &key),
    ])
    .await;
    elsewhere.api.agency().await;
    let theirs = Broadcast::announce(&elsewhere, 60).await;
    let server =
        Server::start_with(&[("POLICAST_PUSH_ALLOW_PRIVATE", "true"), ("SSL_CERT_FILE", &cert)]).await;
    server.api.agency().await;
    let ours = Broadcast::announce(&server, 60).await;
    let clip = Clip::make(server.home(), "320x180", 8, true).await;
    let target = |host: &str| json!({"name": host, "url": format!("rtmps://{host}:{door}/live"), "stream_key": theirs.key});
    server.api.post(&ours.targets(), &target("localhost")).await;
    let mut encoder = clip.begin(&ours.url);
    ours.wait_for_target("pushing").await;
    // The certificate says nothing of the number.
    server.api.post(&ours.targets(), &target("127.0.0.1")).await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    ours.wait_for("interrupted").await;
    ours.end().await;
    theirs.wait_for("interrupted").await;
    theirs.end().await;
    let told = ours.look().await["log"].to_string();
    assert!(told.contains("127.0.0.1: TLS is not agreed on: invalid peer certificate"), "{told}");
    let arrived = theirs.recorded().await.0;
    let missed = clip.pictures - arrived;
    assert!(missed.is_multiple_of(60) && missed <= 120, "{arrived} of {} arrived", clip.pictures);
    server.stop().await;
    elsewhere.stop().await;
}

fn pem(what: &str, der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| str::from_utf8(line).expect("base64")).collect();
    format!("-----BEGIN {what}-----\n{}\n-----END {what}-----\n", lines.join("\n"))
}

/// So much that a target which stops reading can't hide it in its socket.
async fn big_clip(folder: &Path) -> Clip {
    let noise = "testsrc2=size=1280x720:rate=30,noise=alls=60:allf=t";
    Clip::make_of(folder, (noise, "20M"), 8, true).await
}
