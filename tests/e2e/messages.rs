//! What the command line says, as people read it: every message is a snapshot.

use std::fs;
use std::path::Path;
use std::process::{Output, Stdio};

use insta::assert_snapshot;
use reqwest::StatusCode;
use sqlx::{Connection, Executor, SqliteConnection};

use crate::server::Server;
use crate::tool::fixture;

/// Runs a command with settings beside the server's own; what it says goes to pipes.
async fn run(server: &Server, settings: &[(&str, &str)], arguments: &[&str]) -> Output {
    let mut command = server.command(arguments);
    command.envs(settings.iter().copied()).stdin(Stdio::null());
    tokio::process::Command::from(command).output().await.expect("the command")
}

/// What it said to a person, without what differs from run to run.
fn said(server: &Server, bytes: &[u8]) -> String {
    let mut text = String::from_utf8_lossy(bytes).trim_end().to_owned();
    for (name, shown) in [
        ("POLICAST_LISTEN", "HOST"),
        ("POLICAST_S3_LISTEN", "S3"),
        ("POLICAST_METRICS_LISTEN", "METRICS"),
        ("POLICAST_RTMP_LISTEN", "RTMP"),
    ] {
        text = text.replace(server.setting(name), shown);
    }
    text.replace(&server.home().display().to_string(), "HOME")
}

#[tokio::test]
async fn a_wrong_setting_is_refused_with_its_name_and_what_to_write_instead() {
    let server = Server::at(&[]);
    let wrong = [
        ("POLICAST_PUBLIC_URL", "videos.example.gov"),
        ("POLICAST_CDN_URL", "localhost:9000/cdn"),
        ("POLICAST_NODE_URL", "ftp://node"),
        ("POLICAST_S3_ENDPOINT", "https://me:secret@s3.example.gov"),
        ("POLICAST_DATABASE_URL", "mysql://policast:secret@db/policast"),
        ("POLICAST_LISTEN", "8080"),
        ("POLICAST_WORKER_SLOTS", "0"),
        ("POLICAST_ACCOUNT_JOBS", "many"),
        ("POLICAST_CACHE_BYTES", "64M"),
        ("POLICAST_KEEP_ALIVE", "75"),
        ("POLICAST_LEASE", "0s"),
        ("POLICAST_UPLOAD_TTL", "1.5h"),
        ("POLICAST_STALE_IF_ERROR", "2h"),
        ("POLICAST_ROLES", "api,woker"),
        ("POLICAST_PRESET", "fastest"),
        ("POLICAST_UHD", "yes"),
        ("POLICAST_TRUSTED_PROXIES", "10.0.0.0/8,proxy"),
        ("POLICAST_LOG", "warning"),
        ("POLICAST_PURGE_TOKEN", ""),
        ("POLICAST_PUBLICURL", "https://videos.example.gov"),
        ("POLICAST_COLOUR", "red"),
    ];
    let mut told = Vec::new();
    for setting in wrong {
        let output = run(&server, &[setting], &["serve"]).await;
        assert_eq!(output.status.code(), Some(2), "{setting:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{setting:?}: {output:?}");
        told.push(said(&server, &output.stderr));
    }
    let told = told.join("\n");
    assert!(!told.contains("me:secret") && !told.contains(":secret@db"), "{told}");
    assert_snapshot!("wrong_settings", told);
}

#[tokio::test]
async fn a_wrong_setting_is_told_by_the_place_it_stands_in() {
    let server = Server::at(&[]);
    let file = |text: &str| fs::write(server.home().join("policast.toml"), text).expect("written");
    let in_file = [("POLICAST_CONFIG", "policast.toml")];
    let mut told = Vec::new();
    let mut ask = async |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = run(&server, settings, arguments).await;
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        told.push(said(&server, &output.stderr));
    };
    ask(&[("POLICAST_WORKER_SLOTS", "2")], &["serve", "--worker-slots=0"]).await;
    file("worker_slots = 0\n");
    ask(&in_file, &["serve"]).await;
    file("lease = 30\nworker_slots = 2\n");
    ask(&in_file, &["serve"]).await;
    file("worker_slot = 2\n");
    ask(&in_file, &["serve"]).await;
    file("admin_key = secret\n");
    ask(&in_file, &["serve"]).await;
    ask(&[("POLICAST_CONFIG", "nowhere.toml")], &["serve"]).await;
    let mut command = server.command(&["upload", "clip.mp4", "--account", "a"]);
    command.env_remove("POLICAST_KEY");
    let output = tokio::process::Command::from(command).output().await.expect("the command");
    assert_eq!(output.status.code(), Some(2), "{output:?}");
    told.push(said(&server, &output.stderr));
    assert_snapshot!("places_of_settings", told.join("\n"));
}

#[tokio::test]
async fn config_prints_what_is_in_force_and_from_where_and_no_secret() {
    let server = Server::at(&[("POLICAST_CONFIG", "policast.toml")]);
    let text = "listen = \"0.0.0.0:80\"\nlease = \"20s\"\nlog = \"debug\"\n\
        database_url = \"postgres://policast:hidden@db.example.gov/policast?sslpassword=hidden\"\n";
    fs::write(server.home().join("policast.toml"), text).expect("written");
    let output = run(&server, &[("POLICAST_PURGE_TOKEN", "hidden")], &["config", "--cache-bytes", "1"]).await;
    assert!(output.status.success(), "{output:?}");
    let printed = said(&server, &output.stdout);
    assert!(!printed.contains("hidden") && !printed.contains(&server.api.key), "{printed}");
    // Columns are as wide as this machine's paths, and slots as many as its processors.
    let lines = printed.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join("  "));
    let lines = lines.filter(|line| !line.starts_with("POLICAST_WORKER_SLOTS"));
    assert_snapshot!("config", lines.collect::<Vec<_>>().join("\n"));
    let output = run(&server, &[], &["config", "--output", "json"]).await;
    let rows: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let row = |name: &str| rows.iter().find(|row| row["setting"] == name).expect("the setting").clone();
    assert_eq!(row("POLICAST_LEASE")["from"], "policast.toml");
    assert_eq!(row("POLICAST_ADMIN_KEY")["value"], "***");
    assert_eq!(row("POLICAST_CDN_URL")["value"], serde_json::Value::Null);
}

#[tokio::test]
async fn the_help_of_a_command_begins_with_its_own_options() {
    let server = Server::at(&[]);
    let help = async |arguments: &[&str]| {
        let output = run(&server, &[("POLICAST_KEY", "hidden")], arguments).await;
        assert!(output.status.success(), "{output:?}");
        let lines = String::from_utf8(output.stdout).expect("text");
        lines.lines().map(str::trim_end).collect::<Vec<_>>().join("\n")
    };
    assert_snapshot!("help_upload", said(&server, help(&["upload", "--help"]).await.as_bytes()));
    assert_snapshot!("help", help(&["--help"]).await);
    // Of the longer ones the headings, and what stands before the settings.
    for command in [&["serve"][..], &["demo"], &["doctor"], &["config"], &["admin"], &["admin", "fsck"]] {
        let text = help(&[command, &["--help"]].concat()).await;
        let own = text.split("\nSettings").next().unwrap_or_default().to_owned();
        let headings = text.lines().filter(|line| line.ends_with(':') && !line.starts_with(' '));
        let shown = format!("{}\n---\n{}", own.trim_end(), headings.collect::<Vec<_>>().join("\n"));
        assert_snapshot!(format!("help_{}", command.join("_")), shown);
    }
}

#[tokio::test]
async fn no_command_minds_that_nobody_reads_what_it_prints() {
    let server = Server::at(&[]);
    for arguments in [
        &["openapi"][..],
        &["config"],
        &["config", "--output", "json"],
        &["doctor"],
        &["serve", "--help"],
        &["admin", "jobs", "list"],
        &["admin", "fsck"],
        &["health"],
    ] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = server.command(arguments);
        command.stdin(Stdio::null()).stdout(writer);
        let output = tokio::process::Command::from(command).output().await.expect("the command");
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(!told.contains("panicked"), "{arguments:?}: {told}");
        assert_ne!(output.status.code(), Some(101), "{arguments:?}: {told}");
    }
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = server.command(&["health"]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(writer);
    assert_eq!(command.status().expect("the command").code(), Some(1), "with its errors unread");
}

/// The lines of an upload in which nothing depends on how fast it went.
fn steady(server: &Server, bytes: &[u8], video: &str) -> String {
    let text = said(server, bytes).replace(video, "ID");
    let lines = text.lines().filter(|line| !line.contains(" %"));
    lines
        .map(|line| line.split("?token=").next().unwrap_or_default().to_owned())
        .collect::<Vec<_>>()
        .join("\n")
}

#[tokio::test]
async fn an_upload_outside_a_terminal_tells_how_far_it_is_and_an_address_that_opens() {
    let server = Server::start().await;
    server.api.agency().await;
    let file = fixture("short.mp4");
    let clip = file.to_str().expect("a path");
    let about = ["--account", "lanting-ecology", "--topic", "environment/air"];
    let upload = |more: &[&'static str]| [&["upload", clip], &about[..], more].concat();
    let output = run(&server, &[], &upload(&["--wait", "playable"])).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{told}");
    assert!(told.contains("short.mp4: 100 % of"), "{told}");
    assert!(told.contains("short.mp4: playable (") || told.contains("short.mp4: ready ("), "{told}");
    let address = String::from_utf8(output.stdout).expect("text");
    let answer = reqwest::get(address.trim()).await.expect("an answer");
    assert_eq!(answer.status(), StatusCode::OK, "a draft is opened by its token: {address}");
    assert!(address.contains("?token="), "{address}");
    // Nothing is waited for, not even whether it is a video at all.
    let other = server.home().join("notes.mp4");
    fs::write(&other, "no video").expect("written");
    let notes = other.to_str().expect("a path");
    let output = run(&server, &[], &[&["upload", notes], &about[..], &["--wait", "stored"]].concat()).await;
    assert!(output.status.success(), "{output:?}");
    let video = only(&server, "notes").await;
    let mut told = vec![format!(
        "{}\n{}",
        steady(&server, &output.stderr, &video),
        steady(&server, &output.stdout, &video)
    )];
    // And that it is none.
    fs::write(&other, "no video at all").expect("written");
    let missing = server.home().join("missing.mp4");
    let folder = server.home().to_str().expect("a path");
    let missing = missing.to_str().expect("a path");
    let output =
        run(&server, &[], &[&["upload", missing, folder, notes], &about[..], &["--title", "None"]].concat())
            .await;
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    told.push(steady(&server, &output.stderr, &video));
    assert_snapshot!("upload", told.join("\n---\n"));
    server.stop().await;
}

#[tokio::test]
async fn a_refused_upload_and_a_server_that_is_away_are_told_in_sentences() {
    let server = Server::start().await;
    server.api.agency().await;
    let file = fixture("short.mp4");
    let clip = file.to_str().expect("a path");
    let upload = |account, topic| ["upload", clip, "--account", account, "--topic", topic];
    let ours = upload("lanting-ecology", "environment/air");
    let mut told = Vec::new();
    let mut ask = async |settings: &[(&str, &str)], arguments: &[&str]| {
        let output = run(&server, settings, arguments).await;
        assert_eq!(output.status.code(), Some(1), "{output:?}");
        let name = file.display().to_string();
        let text = said(&server, &output.stderr).replace(&name, "short.mp4");
        told.push(text.lines().filter(|line| !line.contains(": uploading ")).collect::<Vec<_>>().join("\n"));
    };
    ask(&[("POLICAST_KEY", "pk_wrong")], &ours).await;
    ask(&[], &upload("nobody", "environment/air")).await;
    ask(&[], &upload("lanting-ecology", "nothing")).await;
    ask(&[], &[&ours[..], &["--language", "english!"]].concat()).await;
    ask(&[("POLICAST_URL", "http://127.0.0.1:9")], &ours).await;
    ask(&[("POLICAST_URL", &format!("http://{}", server.setting("POLICAST_S3_LISTEN")))], &ours).await;
    ask(&[("POLICAST_URL", "http://127.0.0.1:9")], &["health"]).await;
    assert_snapshot!("refused_uploads", told.join("\n"));
    server.stop().await;
}

/// The newest video of this title.
async fn only(server: &Server, title: &str) -> String {
    let listed = server.api.get("/api/v1/videos").await;
    let videos = listed["items"].as_array().expect("videos");
    let found = videos.iter().find(|video| video["title"]["en"] == title);
    found.unwrap_or_else(|| panic!("no {title} in {listed}"))["id"].as_str().expect("an id").to_owned()
}

/// Doctor's findings that don't depend on the machine, and whether it found all well.
async fn doctor(server: &Server) -> (bool, String) {
    let output = run(server, &[], &["doctor", "--output", "json"]).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    let rows: Vec<serde_json::Value> =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {told}"));
    let own = |name: &str| !name.starts_with("ffmpeg") && !name.starts_with("sandbox");
    let lines = rows.iter().filter(|row| own(row["name"].as_str().unwrap_or_default())).map(|row| {
        let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        format!("{} {}: {}", if row["ok"] == true { "ok" } else { "NO" }, text("name"), text("finding"))
    });
    let lines = lines.collect::<Vec<_>>().join("\n");
    (output.status.success(), said(server, lines.as_bytes()))
}

#[tokio::test]
async fn doctor_works_before_the_first_start_beside_a_server_and_tells_a_newer_schema_from_a_broken_one() {
    let mut server = Server::at(&[]);
    let (well, before) = doctor(&server).await;
    assert!(well, "{before}");
    assert!(!Path::new(&server.home().join("data")).exists(), "it made something");
    server.restart().await;
    let (well, beside) = doctor(&server).await;
    assert!(well, "{beside}");
    server.kill();
    let file = format!("sqlite://{}", server.home().join("data/policast.db").display());
    let mut database = SqliteConnection::connect(&file).await.expect("SQLite");
    let newer = "insert into _sqlx_migrations (version, description, success, checksum, execution_time) \
        values (9999, 'of a newer one', true, '', 0)";
    database.execute(newer).await.expect("a migration");
    let (well, after_newer) = doctor(&server).await;
    assert!(!well, "{after_newer}");
    database.execute("delete from _sqlx_migrations where version = 9999").await.expect("gone");
    database.execute("alter table topic rename column slug to snail").await.expect("broken");
    let (well, broken) = doctor(&server).await;
    assert!(!well, "{broken}");
    assert_snapshot!("doctor", [before, beside, after_newer, broken].join("\n---\n"));
}
