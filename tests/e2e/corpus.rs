//! `make corpus`: real files nobody here made, each through the whole pipeline, and what plays held against the source
//! by sound and length; a table of expected against got.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]
#![expect(dead_code, reason = "it needs a part of what the end-to-end tests share")]

mod api;
mod hearing;
#[path = "../it/ports.rs"]
mod ports;
mod server;
mod tool;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use futures::stream::{self, StreamExt};
use serde_json::Value;

use api::Api;
use server::Server;

/// Files in flight at a time.
const IN_FLIGHT: usize = 6;
/// No file of the corpus is long: what takes longer hangs.
const HANG: Duration = Duration::from_mins(15);

/// One line of the manifest.
struct Entry {
    path: String,
    expected: Expected,
}

/// What the manifest says should become of a file.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Expected {
    /// Plays to its end.
    Plays,
    /// Fails with a code.
    Refused,
    /// One or the other.
    Either,
}

/// What became of it.
enum Got {
    Plays {
        state: String,
        warning: String,
    },
    Refused {
        code: String,
    },
    /// Neither played nor refused: always wrong.
    Broken(String),
}

#[tokio::main]
async fn main() -> ExitCode {
    let folder = std::env::var_os("POLICAST_CORPUS")
        .map_or_else(|| tool::root().join("../shared/corpus"), PathBuf::from);
    let Ok(manifest) = fs::read_to_string(folder.join("manifest.tsv")) else {
        println!("there is no manifest.tsv in {}: nothing to try", folder.display());
        return ExitCode::SUCCESS;
    };
    let server = Server::start().await;
    server.api.agency().await;
    let wanted = std::env::var_os("POLICAST_CORPUS_ONLY").unwrap_or_default().to_string_lossy().into_owned();
    let is_wanted = |entry: &Entry| wanted.split(',').any(|begin| entry.path.starts_with(begin));
    let entries: Vec<Entry> = manifest.lines().skip(1).filter_map(entry).filter(is_wanted).collect();
    let total = entries.len();
    let work = entries.into_iter().map(|entry| judge(&server, &folder, entry));
    let mut results = Vec::new();
    let mut running = stream::iter(work).buffer_unordered(IN_FLIGHT);
    while let Some(result) = running.next().await {
        results.push(result);
        println!("[{}/{total}] {}", results.len(), line(results.last().expect("a result")));
    }
    let alive = server.api.is_ready().await;
    drop(running);
    report(&results, alive)
}

/// ffprobe gives up at its sound, which is why the manifest says `reject`; `ffmpeg -an` decodes 48 pictures of it.
const PLAYS_WITHOUT_SOUND: &str = "20-corrupt-truncated/sindresorhus__fixture.ogm";

/// The videos of the manifest; captions are not uploaded as videos.
fn entry(row: &str) -> Option<Entry> {
    let (path, expected) = (row.split('\t').next()?, row.rsplit('\t').next()?);
    let is_caption = path.starts_with("24-captions/");
    let expected = if path == PLAYS_WITHOUT_SOUND { Expected::Plays } else { expectation(expected) };
    (!is_caption).then(|| Entry { path: path.to_owned(), expected })
}

fn expectation(words: &str) -> Expected {
    match words {
        _ if words.contains("policy") || words.contains("or reject") || words.contains("clean rejection") => {
            Expected::Either
        }
        _ if words.starts_with("reject") => Expected::Refused,
        _ => Expected::Plays,
    }
}

async fn judge(server: &Server, folder: &Path, entry: Entry) -> (Entry, Got) {
    let went = tokio::time::timeout(HANG, put(&server.api, folder, &entry)).await;
    let got = match went {
        Ok(Ok(video)) => outcome(server, &folder.join(&entry.path), &video).await,
        Ok(Err(got)) => got,
        Err(_) => Got::Broken("hangs".to_owned()),
    };
    (entry, got)
}

/// Uploads and waits for an end; the video, or why it went no further.
async fn put(api: &Api, folder: &Path, entry: &Entry) -> Result<Value, Got> {
    let video = api.video(&entry.path).await.id;
    let (status, body) = api.put_source(&video, &folder.join(&entry.path)).await;
    if status.is_server_error() {
        return Err(Got::Broken(format!("{status} {body}")));
    }
    if !status.is_success() {
        return Err(refused(&body["code"]));
    }
    loop {
        let found = api.get(&format!("/api/v1/videos/{video}")).await;
        if matches!(found["media"]["state"].as_str(), Some("ready" | "degraded" | "failed")) {
            return Ok(found);
        }
        tokio::time::sleep(Duration::from_millis(300)).await;
    }
}

async fn outcome(server: &Server, source: &Path, video: &Value) -> Got {
    let media = &video["media"];
    if media["state"] == "failed" {
        return refused(&media["error"]["code"]);
    }
    let hls = media["hls"].as_str().unwrap_or_default().to_owned();
    let told = media["error"]["code"].as_str().or(media["warnings"][0]["code"].as_str());
    if let Err(error) = plays(&hls).await {
        let home = server.home().display();
        return Got::Broken(format!("{} does not play: {error} ({home})", video["id"]));
    }
    let wrong = hearing::compare(source, &hls).await;
    if !wrong.is_empty() {
        return Got::Broken(format!("{} plays, but {}", video["id"], wrong.join("; ")));
    }
    Got::Plays {
        state: media["state"].as_str().unwrap_or_default().to_owned(),
        warning: told.unwrap_or_default().to_owned(),
    }
}

fn refused(code: &Value) -> Got {
    match code.as_str() {
        Some("processing_failed" | "internal") | None => Got::Broken(format!("failed with the code {code}")),
        Some(code) => Got::Refused { code: code.to_owned() },
    }
}

/// FFmpeg decodes every rung and sound to its end without a complaint.
async fn plays(hls: &str) -> Result<(), String> {
    let mut ffmpeg = tool::program("ffmpeg");
    ffmpeg.args(["-v", "error", "-xerror", "-i", hls, "-map", "0:v", "-map", "0:a?", "-f", "null", "-"]);
    let output = tool::run(ffmpeg).await;
    let complaint = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    if output.status.success() && complaint.is_empty() { Ok(()) } else { Err(complaint) }
}

fn is_as_expected((entry, got): &(Entry, Got)) -> bool {
    match got {
        Got::Plays { .. } => entry.expected != Expected::Refused,
        Got::Refused { .. } => entry.expected != Expected::Plays,
        Got::Broken(_) => false,
    }
}

fn line(result: &(Entry, Got)) -> String {
    let (entry, got) = result;
    let told = match got {
        Got::Plays { state, warning } => format!("{state} {warning}"),
        Got::Refused { code } => format!("refused: {code}"),
        Got::Broken(what) => what.clone(),
    };
    let verdict = if is_as_expected(result) { "ok   " } else { "WRONG" };
    format!("{verdict} {}: {told}, expected {:?}", entry.path, entry.expected)
}

/// The table by class, what went wrong once more, and the closing line.
fn report(results: &[(Entry, Got)], alive: bool) -> ExitCode {
    let mut classes: BTreeMap<&str, [usize; 5]> = BTreeMap::new();
    for result in results {
        let class = classes.entry(result.0.path.split('/').next().unwrap_or_default()).or_default();
        let column = match result.1 {
            Got::Plays { .. } => 1,
            Got::Refused { .. } => 2,
            Got::Broken(_) => 3,
        };
        class[0] += 1;
        class[column] += 1;
        class[4] += usize::from(!is_as_expected(result));
    }
    println!("\n{:<28}{:>7}{:>7}{:>9}{:>8}{:>7}", "class", "files", "plays", "refused", "broken", "wrong");
    for (class, [files, plays, refused, broken, wrong]) in &classes {
        println!("{class:<28}{files:>7}{plays:>7}{refused:>9}{broken:>8}{wrong:>7}");
    }
    let wrong: Vec<_> = results.iter().filter(|result| !is_as_expected(result)).collect();
    for result in &wrong {
        println!("{}", line(result));
    }
    if !alive {
        println!("the server is down");
    }
    println!("{} passed, {} failed", results.len() - wrong.len(), wrong.len());
    if wrong.is_empty() && alive { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
