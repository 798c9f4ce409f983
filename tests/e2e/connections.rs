//! Clients that connect and do nothing, or do it slowly, by the thousand: everybody else is served.

use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::clip::heavy;
use crate::server::Server;
use crate::tool::fixture;
use crate::{store, tus};

const MIB: usize = 1 << 20;
const IDLE: usize = 2_000;
const SLOW: usize = 200;
const STALLED: usize = 100;
/// What a stalled upload has sent.
const SENT: usize = 3 * MIB;
/// Nothing that is waited for takes longer.
const STUCK: Duration = Duration::from_mins(2);

/// As many files as this process may open.
fn open_many_files() {
    use nix::sys::resource::{Resource, getrlimit, setrlimit};
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).expect("a limit");
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard).expect("a higher limit");
}

async fn connect(server: &Server) -> TcpStream {
    TcpStream::connect(server.setting("POLICAST_LISTEN")).await.expect("a connection")
}

/// Memory of the server in MiB.
fn resident_mib(server: &Server) -> usize {
    let id = server.id().expect("a running server");
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("a process");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a size");
    line.split_whitespace().next().and_then(|kib| kib.parse::<usize>().ok()).expect("a number") / 1024
}

/// Reads until the other side ends; what it said.
async fn to_the_end(mut socket: TcpStream) -> String {
    let mut said = Vec::new();
    let read = tokio::time::timeout(STUCK, socket.read_to_end(&mut said)).await;
    // Cut off is as good as closed.
    let _ = read.expect("the server never ends it");
    String::from_utf8_lossy(&said).into_owned()
}

/// Begins an upload, sends a part of what it promised, and then nothing.
async fn stall(server: &Server, video: &str) -> TcpStream {
    let url = tus::create(&server.api, video, 8 * MIB).await;
    let path = url.strip_prefix(&server.api.base).expect("our own address");
    let head = format!(
        "PATCH {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nTus-Resumable: 1.0.0\r\n\
         Upload-Offset: 0\r\nContent-Type: application/offset+octet-stream\r\nContent-Length: {}\r\n\r\n",
        server.api.key,
        8 * MIB
    );
    let mut socket = connect(server).await;
    socket.write_all(head.as_bytes()).await.expect("sent");
    // Told to come back later is told.
    let _ = socket.write_all(&vec![7; SENT]).await;
    socket
}

#[tokio::test]
async fn thousands_of_idle_and_slow_clients_and_stalled_uploads_hinder_nobody_else() {
    open_many_files();
    let server = Server::start_with(&[("POLICAST_UPLOAD_BUFFER_BYTES", "134217728")]).await;
    server.api.agency().await;
    let video = server.api.video("Stalled").await.id;
    let before = resident_mib(&server);
    let mut held = Vec::new();
    for _ in 0..IDLE {
        held.push(connect(&server).await);
    }
    for _ in 0..SLOW {
        let mut socket = connect(&server).await;
        socket.write_all(b"GET / HTTP/1.1\r\nHost:").await.expect("sent");
        held.push(socket);
    }
    let connected = resident_mib(&server);
    for _ in 0..STALLED {
        held.push(stall(&server, &video).await);
    }
    let stalled = resident_mib(&server);
    // Others are served, and an upload gets room as soon as those that are silent have to make some.
    let (status, _) = server.api.ask(reqwest::Method::GET, "/api/v1/videos", None).await;
    assert_eq!(status, StatusCode::OK);
    let others = server.api.video("Served").await.id;
    let begun = Instant::now();
    loop {
        let (status, said) = server.api.put_source(&others, &fixture("short.mp4")).await;
        if status.is_success() {
            break;
        }
        assert_eq!(said["code"], "too_many_uploads", "{said}");
        assert!(begun.elapsed() < STUCK, "no upload is taken any more");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let ended = resident_mib(&server);
    println!(
        "VmRSS {before} MiB; with {IDLE} idle and {SLOW} slow connections {connected} MiB; with {STALLED} stalled \
         uploads {stalled} MiB; after another's upload {ended} MiB"
    );
    assert!(connected < before + 150, "{before} MiB became {connected} with idle connections");
    assert!(stalled < connected + 300, "{connected} MiB became {stalled} with stalled uploads");
    drop(held);
}

#[tokio::test]
async fn a_client_that_is_too_slow_is_left() {
    let server = Server::start_with(&[
        ("POLICAST_HEADER_TIMEOUT", "1s"),
        ("POLICAST_KEEP_ALIVE", "1s"),
        ("POLICAST_BODY_IDLE_TIMEOUT", "1s"),
    ])
    .await;
    let idle = connect(&server).await;
    let mut slow = connect(&server).await;
    slow.write_all(b"GET /health/live HTTP/1.1\r\nHo").await.expect("sent");
    let mut resting = connect(&server).await;
    resting.write_all(b"GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n").await.expect("sent");
    let mut body = connect(&server).await;
    let head = format!(
        "POST /api/v1/videos HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
         Content-Length: 100\r\n\r\n{{\"title\"",
        server.api.key
    );
    body.write_all(head.as_bytes()).await.expect("sent");
    let (idle, slow, resting, body) =
        tokio::join!(to_the_end(idle), to_the_end(slow), to_the_end(resting), to_the_end(body));
    assert_eq!((idle.as_str(), slow.as_str()), ("", ""));
    assert!(resting.starts_with("HTTP/1.1 200"), "{resting}");
    assert!(body.starts_with("HTTP/1.1 408") && body.contains("body_idle"), "{body}");
    server.stop().await;
}

/// A connection that asks for a large object and takes no more of it than the system takes by itself, which is little.
async fn ask_for(server: &Server, address: &str) -> TcpStream {
    let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a small buffer");
    let listen = server.setting("POLICAST_S3_LISTEN");
    let mut socket = socket.connect(listen.parse().expect("an address")).await.expect("a connection");
    let path = address.split_once(listen).expect("its own address").1;
    let head = format!("GET {path} HTTP/1.1\r\nHost: {listen}\r\n\r\n");
    socket.write_all(head.as_bytes()).await.expect("sent");
    socket
}

/// Reads so many bytes at a time with a pause after each until the other side resets the connection.
async fn until_reset(mut socket: TcpStream, size: usize) {
    let mut buffer = vec![0; size];
    let reset = async {
        // What came before the reset could still be read for long: it is the system that knows.
        while socket.take_error().expect("a socket").is_none() {
            if size > 0 && socket.read(&mut buffer).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(STUCK, reset).await.expect("the server never ends it");
}

/// How many bytes an answer has for whoever reads on.
async fn read_on(mut socket: TcpStream) -> usize {
    let (mut read, mut buffer) = (0, vec![0; MIB]);
    let all = async {
        while let Ok(count @ 1..) = socket.read(&mut buffer).await {
            read += count;
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(STUCK, all).await.expect("a connection that rests is closed");
    read
}

#[tokio::test]
async fn who_reads_an_answer_too_slowly_is_left_and_holds_little_memory() {
    let server =
        Server::start_with(&[("POLICAST_BODY_IDLE_TIMEOUT", "2s"), ("POLICAST_KEEP_ALIVE", "2s")]).await;
    server.api.agency().await;
    let video = server.api.video("Large").await.id;
    let (status, body) = server.api.put_source(&video, &heavy(server.home(), 24 << 20)).await;
    assert!(status.is_success(), "{status} {body}");
    server.api.wait_until_ready(&video).await;
    let (address, size) = store::source_address(&server, &video).await;
    let before = resident_mib(&server);
    let mut silent = Vec::new();
    for _ in 0..40 {
        silent.push(ask_for(&server, &address).await);
    }
    let held = resident_mib(&server);
    println!("VmRSS {before} MiB, {held} MiB with 40 who read nothing of {} MiB", size / MIB);
    assert!(held < before + 150, "{before} MiB became {held}");
    // A byte now and then takes nothing off the server: the systems hold more than that.
    let trickle = until_reset(ask_for(&server, &address).await, 1);
    let steady = read_on(ask_for(&server, &address).await);
    let left = futures::future::join_all(silent.into_iter().map(|socket| until_reset(socket, 0)));
    let ((), steady, _) = tokio::join!(trickle, steady, left);
    assert!(steady >= size, "who reads on gets all: {steady} of {size}");
    server.stop().await;
}

#[tokio::test]
async fn where_there_is_no_room_the_oldest_make_some_and_one_address_leaves_the_others_theirs() {
    let server = Server::start_with(&[
        ("POLICAST_HTTP_CONNECTIONS", "40"),
        ("POLICAST_HTTP_PER_ADDRESS", "30"),
        // Longer than the test: silence alone ends no connection.
        ("POLICAST_HEADER_TIMEOUT", "10m"),
    ])
    .await;
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(connect(&server).await);
    }
    for refused in held.split_off(30) {
        assert_eq!(to_the_end(refused).await, "", "one address has no more than its own");
    }
    let other = Client::builder().local_address(Some([127, 0, 0, 2].into())).build().expect("a client");
    let live = format!("{}/health/live", server.api.base);
    assert_eq!(other.get(&live).send().await.expect("an answer").status(), StatusCode::OK);
    for last in 3..=30 {
        for _ in 0..2 {
            let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
            socket.bind(([127, 0, 0, last], 0).into()).expect("an address");
            let address = server.setting("POLICAST_LISTEN").parse().expect("an address");
            held.push(socket.connect(address).await.expect("a connection"));
        }
    }
    let fresh = Client::builder().local_address(Some([127, 0, 0, 99].into())).build().expect("a client");
    let answer = tokio::time::timeout(STUCK, fresh.get(&live).send()).await.expect("room");
    assert_eq!(answer.expect("an answer").status(), StatusCode::OK);
    server.stop().await;
}

/// The server's log must hold no error when it is stopped.
#[tokio::test]
async fn what_strangers_send_is_no_error_of_ours_and_no_series_of_its_own() {
    let server = Server::start().await;
    let objects = format!("http://{}/policast/sources/x", server.setting("POLICAST_S3_LISTEN"));
    assert_eq!(reqwest::get(&objects).await.expect("an answer").status(), StatusCode::FORBIDDEN);
    let metrics = format!("http://{}/metrics", server.setting("POLICAST_METRICS_LISTEN"));
    for number in 0..50 {
        let method = reqwest::Method::from_bytes(format!("BREW{number}").as_bytes()).expect("a token");
        let url = format!("{}/\u{202e}%1b[2J", server.api.base);
        Client::new().request(method, url).send().await.expect("an answer");
    }
    let counted = reqwest::get(&metrics).await.expect("an answer").text().await.expect("text");
    assert!(counted.contains("method=\"other\"") && !counted.contains("BREW"), "{counted}");
    assert!(!server.log().contains(['\u{1b}', '\0', '\u{202e}']), "{}", server.log());
    server.stop().await;
}

#[tokio::test]
async fn the_events_of_a_revoked_key_end() {
    let server = Server::start().await;
    server.api.agency().await;
    let video = server.api.video("Watched").await.id;
    let key = json!({"role": "editor", "label": "studio"});
    let issued: Value = server.api.post("/api/v1/accounts/lanting-ecology/keys", &key).await;
    let (id, secret) = (issued["id"].as_str().expect("an id"), issued["secret"].as_str().expect("a secret"));
    let url = format!("{}/api/v1/videos/{video}/events", server.api.base);
    let mut events = Client::new().get(&url).bearer_auth(secret).send().await.expect("an answer");
    assert!(events.chunk().await.expect("an event").is_some());
    server.api.ask(reqwest::Method::DELETE, &format!("/api/v1/keys/{id}"), None).await;
    let rest = async { while events.chunk().await.expect("events").is_some() {} };
    tokio::time::timeout(Duration::from_secs(9), rest).await.expect("the events go on");
    server.stop().await;
}
