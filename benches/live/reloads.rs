//! Thousands of players at one live playlist, each with a reload that waits for the next part (RFC 8216bis 6.2.5.2).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::Request;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::SETTINGS;
use crate::broadcast::{Broadcast, make_clip, push};
use crate::process::{raise_open_files, usage};
use crate::server::Server;

const CLIENTS: u32 = 5000;
/// So many connect at a time: more than a listener's backlog at once would measure the kernel's retries.
const CROWD: u32 = 100;
const MINUTE: Duration = Duration::from_mins(1);
/// A client that doesn't hear of the end by then never will.
const STUCK: Duration = Duration::from_mins(1);

/// Prints what it takes; a reload that fails fails it.
pub async fn hold() {
    println!("{CLIENTS} players follow one playlist with blocked reloads for a minute");
    let allowed = raise_open_files();
    assert!(allowed > u64::from(CLIENTS) + 500, "only {allowed} files may be open (ulimit -n)");
    let folder = tempfile::tempdir().expect("a folder");
    let clip = make_clip(folder.path()).await;
    let server = Server::start_with(&SETTINGS).await;
    server.api.agency().await;
    let broadcast = Broadcast::announce(&server.api).await;
    let encoder = push(&clip, &broadcast.rtmp);
    broadcast.wait_until_it_plays(&server.api).await;
    let place = Arc::new(Place {
        host: server.api.base.trim_start_matches("http://").to_owned(),
        path: broadcast.pictures(&server.api).await,
        answers: AtomicU64::new(0),
    });
    sleep(Duration::from_secs(10)).await;
    let memory = || usage(server.id().expect("a running server")).memory_mb;
    let (before, cpu) = (memory(), usage(server.id().expect("a running server")).cpu_seconds);
    let mut players = gather(&place).await;
    let begun = (Instant::now(), place.answers.load(Ordering::Relaxed));
    sleep(MINUTE).await;
    let answers = place.answers.load(Ordering::Relaxed) - begun.1;
    let (seconds, during) = (begun.0.elapsed().as_secs_f64(), memory());
    let cpu = usage(server.id().expect("a running server")).cpu_seconds - cpu;
    let ended = Instant::now();
    server.api.post(&format!("/api/v1/broadcasts/{}/end", broadcast.id), &json!({})).await;
    let (last, errors) = let_go(&mut players).await;
    drop(encoder);
    sleep(Duration::from_secs(5)).await;
    let (rate, each) = (average(answers, seconds), average(answers, f64::from(CLIENTS)));
    println!("  reloads answered, per second                      {rate:>10.0}");
    println!("  reloads answered, per player                      {each:>10.1}");
    println!("  reloads that failed                               {:>10}", errors.len());
    println!("  CPU seconds of the server                         {cpu:>10.1}");
    println!("  memory before the players came, MB                {before:>10.1}");
    println!("  memory at the end of the minute, MB               {during:>10.1}");
    println!("  memory 5 s after they left, the worker at the recording, MB {:>10.1}", memory());
    let released = last.map_or(f64::NAN, |last| last.duration_since(ended).as_secs_f64());
    println!("  from the request to end it to the last answer, 1 s or less wanted {released:>10.2} s\n");
    if errors.is_empty() {
        return server.stop().await;
    }
    // Its log has a line for each of a million answers: not to be printed when this fails.
    drop(server);
    panic!("{} players failed, first: {:?}", errors.len(), errors.first());
}

/// The playlist they are at, and how many answers they got.
struct Place {
    host: String,
    path: String,
    answers: AtomicU64,
}

type Player = SendRequest<Empty<Bytes>>;

async fn gather(place: &Arc<Place>) -> JoinSet<Result<Instant, String>> {
    let mut players = JoinSet::new();
    for _ in 0..CLIENTS / CROWD {
        for _ in 0..CROWD {
            let place = place.clone();
            players.spawn(async move {
                let socket = TcpStream::connect(&place.host).await.map_err(|error| error.to_string())?;
                let shaken = handshake(TokioIo::new(socket)).await;
                let (player, connection) = shaken.map_err(|error| error.to_string())?;
                let (ended, _) = tokio::join!(follow(player, &place), connection);
                ended
            });
        }
        sleep(Duration::from_millis(50)).await;
    }
    players
}

/// Reloads until the playlist ends; when that was told.
async fn follow(mut player: Player, place: &Place) -> Result<Instant, String> {
    let mut next = place.path.clone();
    loop {
        let text = reload(&mut player, &place.host, &next).await.map_err(|what| format!("{next}: {what}"))?;
        if text.contains("#EXT-X-ENDLIST") {
            return Ok(Instant::now());
        }
        place.answers.fetch_add(1, Ordering::Relaxed);
        let (segment, part) = after(&text).ok_or_else(|| format!("{next}: not a playlist: {text}"))?;
        next = format!("{}?_HLS_msn={segment}&_HLS_part={part}&_HLS_skip=YES", place.path);
    }
}

async fn reload(player: &mut Player, host: &str, path: &str) -> Result<String, String> {
    player.ready().await.map_err(|error| error.to_string())?;
    let request = Request::get(path).header("Host", host).body(Empty::new()).map_err(|e| e.to_string())?;
    let answer = player.send_request(request).await.map_err(|error| error.to_string())?;
    let status = answer.status();
    let body = answer.into_body().collect().await.map_err(|error| error.to_string())?.to_bytes();
    let text = String::from_utf8_lossy(&body).into_owned();
    if status.is_success() { Ok(text) } else { Err(format!("{status} {text}")) }
}

/// The segment and part that come next, counted as a player does.
fn after(text: &str) -> Option<(u32, u32)> {
    let (mut segment, mut part) = (None, 0);
    for line in text.lines() {
        if let Some(first) = line.strip_prefix("#EXT-X-MEDIA-SEQUENCE:") {
            segment = first.parse::<u32>().ok();
        } else if let Some(skipped) = line.strip_prefix("#EXT-X-SKIP:SKIPPED-SEGMENTS=") {
            segment = Some(segment? + skipped.parse::<u32>().ok()?);
        } else if line.starts_with("#EXTINF:") {
            (segment, part) = (Some(segment? + 1), 0);
        } else if line.starts_with("#EXT-X-PART:") {
            part += 1;
        }
    }
    Some((segment?, part))
}

/// Waits for all to hear of the end: when the last one did, and what went wrong.
async fn let_go(players: &mut JoinSet<Result<Instant, String>>) -> (Option<Instant>, Vec<String>) {
    let (mut last, mut errors) = (None, Vec::new());
    let all = async {
        while let Some(ended) = players.join_next().await {
            match ended.expect("a player") {
                Ok(at) => last = last.max(Some(at)),
                Err(what) => errors.push(what),
            }
        }
    };
    if timeout(STUCK, all).await.is_err() {
        errors.push(format!("{} players were never told of the end", players.len()));
    }
    (last, errors)
}

#[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
fn average(count: u64, of: f64) -> f64 {
    count as f64 / of
}
