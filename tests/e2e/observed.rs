//! What an operator reads: the log from the start to the end of a day, and the metrics.

use std::collections::BTreeSet;

use insta::assert_snapshot;
use reqwest::{Client, Method, StatusCode};
use serde_json::json;

use crate::server::Server;
use crate::tool::fixture;

/// A line without what differs from run to run: the time, ids, ports and how long it took.
fn steady(server: &Server, line: &str) -> String {
    let (_, said) = line.split_once("Z ").unwrap_or(("", line));
    let said = said.trim().replace(&server.home().display().to_string(), "HOME");
    let mut out = Vec::new();
    for word in said.split(' ') {
        let of = |name: &str| word.starts_with(&format!("{name}="));
        let bare = word.trim_end_matches(['}', ':']);
        out.push(match () {
            () if of("latency_ms") => "latency_ms=MS".to_owned(),
            () if of("took") => "took=TIME".to_owned(),
            () => ids(&word.replace(bare, &ports(bare))),
        });
    }
    out.join(" ")
}

/// `127.0.0.1:45123` becomes `127.0.0.1:PORT`.
fn ports(word: &str) -> String {
    match word.split_once("127.0.0.1:") {
        Some((before, rest)) => {
            let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
            format!("{before}127.0.0.1:PORT{rest}")
        }
        None => word.to_owned(),
    }
}

/// Every UUID becomes `ID`.
fn ids(word: &str) -> String {
    let mut out = word.to_owned();
    while let Some(at) = (0..out.len().saturating_sub(35))
        .find(|at| out.get(*at..at + 36).is_some_and(|part| uuid::Uuid::try_parse(part).is_ok()))
    {
        out.replace_range(at..at + 36, "ID");
    }
    out
}

async fn ask(server: &Server, key: &str, method: Method, path: &str) -> StatusCode {
    let request = Client::new().request(method, format!("{}{path}", server.api.base)).bearer_auth(key);
    request.header("x-request-id", "a-request").send().await.expect("an answer").status()
}

/// The server's log up to now; only lines of a request of ours have its id.
fn log(server: &Server) -> Vec<String> {
    server.log().lines().map(|line| steady(server, line)).collect()
}

#[tokio::test]
async fn the_log_tells_the_story_of_a_day_to_somebody_who_has_never_seen_it() {
    let mut server = Server::start().await;
    server.api.agency().await;
    let body = json!({"role": "publisher", "label": "press office"});
    let issued = server.api.post("/api/v1/accounts/lanting-ecology/keys", &body).await;
    let publisher = issued["secret"].as_str().expect("a secret").to_owned();
    let body = json!({"role": "editor", "label": "intern"});
    let issued = server.api.post("/api/v1/accounts/lanting-ecology/keys", &body).await;
    let editor = issued["secret"].as_str().expect("a secret").to_owned();
    let video = server.api.video("Low-emission zone").await.id;
    let (status, said) = server.api.put_source(&video, &fixture("short.mp4")).await;
    assert!(status.is_success(), "{said}");
    server.api.wait_until_ready(&video).await;
    let publish = format!("/api/v1/videos/{video}/publish");
    assert_eq!(ask(&server, &editor, Method::POST, &publish).await, StatusCode::FORBIDDEN);
    assert_eq!(ask(&server, "pk_wrong", Method::POST, &publish).await, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&server, &publisher, Method::POST, &publish).await, StatusCode::OK);
    let broken = server.api.video("Notes").await.id;
    let notes = server.home().join("notes.mp4");
    std::fs::write(&notes, "no video").expect("written");
    server.api.put_source(&broken, &notes).await;
    server.api.wait_until(&broken, |video| video["media"]["state"] == "failed").await;
    assert_eq!(
        ask(&server, &publisher, Method::DELETE, &format!("/api/v1/videos/{broken}")).await.as_u16(),
        204
    );
    let objects = format!("http://{}/policast/sources/x", server.setting("POLICAST_S3_LISTEN"));
    assert_eq!(reqwest::get(&objects).await.expect("an answer").status(), StatusCode::FORBIDDEN);
    for _ in 0..20 {
        assert_eq!(ask(&server, &publisher, Method::GET, "/health/live").await, StatusCode::OK);
        assert!(server.api.is_ready().await);
    }
    server.terminate();
    server.ends_well();
    let lines = log(&server);
    // What happens by itself beside it, and what the first look finds, depends on the machine.
    let is_work =
        |line: &&String| line.contains(" job ") || line.contains(" media ") || line.contains("not_media");
    let is_readiness = |line: &&String| line.contains(" ready") && !line.contains(" media ");
    let is_told =
        |line: &&String| !is_work(line) && !is_readiness(line) && !line.contains("answered status=20");
    let join = |lines: Vec<&String>| lines.into_iter().cloned().collect::<Vec<_>>().join("\n");
    assert_snapshot!("log_story", join(lines.iter().filter(is_told).collect()));
    // Pictures and what is thrown away have their turn when they have it.
    let is_sure = |line: &&String| {
        !["=stills", "=purge", "=retire", " playable "].iter().any(|kind| line.contains(kind))
    };
    let work: BTreeSet<&String> = lines.iter().filter(is_work).filter(is_sure).collect();
    assert_snapshot!("log_work", join(work.into_iter().collect()));
    let ready = "INFO ready: the database and the object store answer";
    assert_eq!(lines.iter().filter(|line| *line == ready).count(), 1, "told once: {lines:#?}");
    assert!(!lines.iter().any(|line| line.contains("/health/")), "polls fill the log");
    for secret in [&publisher, &editor, &server.api.key] {
        assert!(!server.log().contains(secret.as_str()), "a key is in the log");
    }
}

#[tokio::test]
async fn what_a_stranger_sends_is_never_in_the_log_as_it_is() {
    let server = Server::start_with(&[("POLICAST_LOG", "debug")]).await;
    let evil = "\u{1b}[2Jx\u{202e}y\u{85}z";
    let encoded = evil.bytes().map(|byte| format!("%{byte:02X}")).collect::<Vec<_>>().concat();
    for path in
        [format!("/{encoded}"), format!("/api/v1/videos?{encoded}=1"), format!("/api/v1/topics/{encoded}")]
    {
        ask(&server, "pk_wrong", Method::GET, &path).await;
        reqwest::get(format!("{}{path}", server.api.base)).await.expect("an answer");
    }
    let body = json!({"handle": evil, "name": {"en": evil}, "sector": evil, "level": evil, evil: evil});
    server.api.ask(Method::POST, "/api/v1/accounts", Some(&body)).await;
    for path in ["x", &encoded, "policast/sources/%1B%5B2J"] {
        let url = format!("http://{}/{path}?X-Amz-Signature={encoded}", server.setting("POLICAST_S3_LISTEN"));
        reqwest::get(url).await.expect("an answer");
    }
    let log = server.log();
    let shown = log.chars().find(|c| (c.is_control() && *c != '\n') || ['\u{202e}', '\u{85}'].contains(c));
    assert_eq!(shown, None, "{log}");
    server.stop().await;
}

#[tokio::test]
async fn every_metric_has_its_help_and_histograms_can_be_summed() {
    let server = Server::start().await;
    server.api.agency().await;
    let url = format!("http://{}/metrics", server.setting("POLICAST_METRICS_LISTEN"));
    let text = String::from_utf8(server.api.bytes(&url, None).await).expect("text");
    let helped: BTreeSet<&str> =
        text.lines().filter_map(|line| line.strip_prefix("# HELP ")?.split(' ').next()).collect();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').expect("a type");
        assert!(helped.contains(name), "{name} has no HELP:\n{text}");
        assert_ne!(kind, "summary", "{name} can't be summed");
    }
    for begun in [
        "policast_build_info{version=\"",
        "policast_http_request_seconds_bucket{",
        "policast_http_request_seconds_sum{",
        "policast_queue_jobs{lane=\"encodes\"} 0",
        "policast_queue_oldest_seconds{lane=\"steps\"} 0",
        "policast_queue_running_jobs{lane=\"housekeeping\"} 0",
        "process_cpu_seconds_total",
        "process_resident_memory_bytes",
        "process_open_fds",
        "process_start_time_seconds",
    ] {
        assert!(text.lines().any(|line| line.starts_with(begun)), "{begun}:\n{text}");
    }
    server.stop().await;
}
