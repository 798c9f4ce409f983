//! A start without what it needs, and an end that no balancer and no client suffers from.

use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::Value;
use sqlx::{Connection, Executor, PgConnection};

use crate::postgres::Postgres;
use crate::proxy::Proxy;
use crate::server::Server;
use crate::tool::fixture;
use crate::weed;

/// Nothing that is waited for takes longer.
const STUCK: Duration = Duration::from_mins(2);

/// Waits for an answer of any kind.
async fn ask(url: &str) -> (StatusCode, Option<String>, Value) {
    let begun = Instant::now();
    loop {
        if let Ok(answer) = reqwest::get(url).await {
            let retry =
                answer.headers().get("retry-after").map(|value| value.to_str().expect("text").to_owned());
            return (answer.status(), retry, answer.json().await.unwrap_or_default());
        }
        assert!(begun.elapsed() < STUCK, "nobody listens at {url}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// It lives, isn't ready, says what it waits for, and says so to everybody else too.
async fn waits_for(server: &Server, missing: &str) {
    let begun = Instant::now();
    let ready = format!("{}/health/ready", server.api.base);
    loop {
        let (status, retry, problem) = ask(&ready).await;
        assert_eq!((status, retry.is_some()), (StatusCode::SERVICE_UNAVAILABLE, true), "{problem}");
        if problem["detail"].as_str().is_some_and(|detail| detail.contains(missing)) {
            break;
        }
        assert!(begun.elapsed() < STUCK, "it doesn't wait for {missing} but: {problem}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(ask(&format!("{}/health/live", server.api.base)).await.0, StatusCode::OK);
    for path in ["/api/v1/videos", "/watch/x", "/"] {
        let (status, retry, problem) = ask(&format!("{}{path}", server.api.base)).await;
        assert_eq!((status, problem["code"].as_str()), (StatusCode::SERVICE_UNAVAILABLE, Some("starting")));
        assert!(retry.is_some(), "{path}");
    }
}

#[tokio::test]
async fn a_server_that_starts_without_its_database_waits_for_it_and_gets_ready_by_itself() {
    let mut postgres = Postgres::own().await;
    let url = postgres.database().await;
    postgres.stop();
    let mut server = Server::at(&[("POLICAST_DATABASE_URL", &url)]);
    server.begin("serve");
    waits_for(&server, "database").await;
    postgres.start().await;
    server.wait_until_ready().await;
    // Its schema, its bucket and its first key are there.
    server.api.agency().await;
    server.api.video("After the outage").await;
    server.stop().await;
}

#[tokio::test]
async fn a_server_that_starts_without_its_bucket_waits_for_it_and_gets_ready_by_itself() {
    let bucket = weed::settings().await;
    let line = Proxy::to(bucket.endpoint.expect("an endpoint").trim_start_matches("http://"));
    line.cut();
    let mut server = Server::at(&[
        ("POLICAST_S3_ENDPOINT", &format!("http://{}", line.address)),
        ("POLICAST_S3_BUCKET", &bucket.bucket),
        ("POLICAST_S3_ACCESS_KEY_ID", &bucket.access_key_id),
        ("POLICAST_S3_SECRET_ACCESS_KEY", &bucket.secret_access_key),
    ]);
    server.begin("serve");
    waits_for(&server, "object store").await;
    line.mend();
    server.wait_until_ready().await;
    server.api.agency().await;
    server.stop().await;
}

#[tokio::test]
async fn a_worker_that_starts_without_its_database_waits_for_it_and_tells_its_health_beside_the_metrics() {
    let mut postgres = Postgres::own().await;
    let url = postgres.database().await;
    postgres.stop();
    let mut server = Server::at(&[("POLICAST_DATABASE_URL", &url)]);
    server.begin("worker");
    let ready = format!("http://{}/health/ready", server.setting("POLICAST_METRICS_LISTEN"));
    assert_eq!(ask(&ready).await.0, StatusCode::SERVICE_UNAVAILABLE);
    postgres.start().await;
    let begun = Instant::now();
    while ask(&ready).await.0 != StatusCode::OK {
        assert!(begun.elapsed() < STUCK, "never ready:\n{}", server.log());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn wrong_settings_and_a_newer_schema_end_the_start_at_once_with_a_sentence() {
    let postgres = Postgres::own().await;
    let url = postgres.database().await;
    let stranger = url.replace("policast@", "nobody-here@");
    let ends = async |setting: (&str, &str), told: &str| {
        let server = Server::at(&[setting]);
        let (is_well, said) =
            tokio::time::timeout(STUCK, server.try_run(&["serve"])).await.expect("it ends at once");
        assert!(!is_well && said.contains(told), "{setting:?}: {said}");
    };
    ends(("POLICAST_DATABASE_URL", &stranger), "nobody-here").await;
    ends(("POLICAST_DATABASE_URL", "not an address"), "POLICAST_DATABASE_URL").await;
    ends(("POLICAST_S3_ENDPOINT", "not an address"), "POLICAST_S3_ENDPOINT").await;
    let mut server = Server::start_with(&[("POLICAST_DATABASE_URL", &url)]).await;
    server.kill();
    let mut connection = PgConnection::connect(&url).await.expect("a server");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
                 values (9999, 'of a newer one', true, '', 0)";
    connection.execute(newer).await.expect("a migration");
    ends(("POLICAST_DATABASE_URL", &url), "migration 9999, which this policast doesn't know").await;
}

#[tokio::test]
async fn who_is_told_to_stop_serves_on_until_the_balancer_has_noticed_and_resets_nobody() {
    let mut server = Server::start_with(&[("POLICAST_SHUTDOWN_DELAY", "2s")]).await;
    let live = format!("{}/health/live", server.api.base);
    let ready = format!("{}/health/ready", server.api.base);
    server.terminate();
    let begun = Instant::now();
    while ask(&ready).await.0 == StatusCode::OK {
        assert!(begun.elapsed() < STUCK, "it never says that it leaves");
    }
    let mut answers = 0;
    loop {
        // A connection of its own for each, as a balancer opens them.
        match Client::new().get(&live).send().await {
            Ok(answer) => {
                assert_eq!(answer.status(), StatusCode::OK);
                assert_eq!(answer.headers()["connection"], "close");
                answers += 1;
            }
            Err(error) => {
                assert!(error.is_connect(), "one was let in and not answered: {error:?}");
                break;
            }
        }
        assert!(begun.elapsed() < STUCK, "it never stops");
    }
    assert!(answers > 0, "nothing was served after the signal");
    server.ends_well();
}

#[tokio::test]
async fn nobody_else_reads_the_data_folder_and_what_was_left_open_is_closed_at_start() {
    let mut server = Server::start().await;
    server.api.agency().await;
    let video = server.api.video("Ours").await.id;
    let (status, said) = server.api.put_source(&video, &fixture("short.mp4")).await;
    assert!(status.is_success(), "{said}");
    let data = server.home().join("data");
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    server.kill();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).expect("ours");
    fs::set_permissions(data.join("policast.db"), fs::Permissions::from_mode(0o644)).expect("ours");
    server.restart().await;
    assert_eq!(open_to_others(&data), Vec::<String>::new());
    assert!(server.log().contains("files and folders that others could read are closed now"));
    server.stop().await;
}

#[tokio::test]
async fn a_log_that_cannot_be_written_costs_no_request_and_no_video() {
    let server = Server::at(&[("POLICAST_LOG", "debug")]);
    let full = File::options().write(true).open("/dev/full").expect("a disk that is full");
    let mut serving = tokio::process::Command::from(server.command(&["serve"]));
    serving.stdin(Stdio::null()).stdout(Stdio::null()).stderr(full).kill_on_drop(true);
    let mut child = serving.spawn().expect("policast starts");
    let begun = Instant::now();
    while !server.api.is_ready().await {
        assert_eq!(child.try_wait().expect("a child"), None, "policast ended");
        assert!(begun.elapsed() < STUCK, "it does not get ready");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    server.api.agency().await;
    let video = server.api.video("Untold").await.id;
    let (status, said) = server.api.put_source(&video, &fixture("short.mp4")).await;
    assert!(status.is_success(), "{said}");
    server.api.wait_until_ready(&video).await;
    child.kill().await.expect("a child");
}

/// What others may read or enter, below a folder and the folder itself.
fn open_to_others(path: &Path) -> Vec<String> {
    let mode = fs::metadata(path).map_or(0, |metadata| metadata.permissions().mode() & 0o777);
    let mut open = Vec::new();
    if mode & 0o077 != 0 {
        open.push(format!("{} {mode:o}", path.display()));
    }
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        open.extend(open_to_others(&entry.path()));
    }
    open
}
