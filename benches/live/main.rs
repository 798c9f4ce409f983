//! `make bench`: what broadcasts cost and how late they are seen, beside nginx-rtmp's in the same run.
//! `-- load`, `-- reloads`, `-- glass` or `-- recording` runs only that part.
#![expect(clippy::print_stdout, reason = "the comparison is what it is for")]
#![expect(dead_code, reason = "it needs a part of what the end-to-end tests share")]

#[path = "../../tests/e2e/api.rs"]
mod api;
mod broadcast;
mod glass;
mod load;
mod nginx;
mod painter;
#[path = "../../tests/it/ports.rs"]
mod ports;
mod process;
mod recording;
mod reloads;
#[path = "../../tests/e2e/server.rs"]
mod server;
#[path = "../../tests/e2e/tool.rs"]
mod tool;

/// nginx-rtmp encodes nothing either.
const SETTINGS: [(&str, &str); 1] = [("POLICAST_LIVE_RUNGS", "0")];

#[tokio::main]
async fn main() {
    // `cargo bench` adds an option of its own.
    let named: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with('-')).collect();
    let is_wanted = |part: &str| named.is_empty() || named.iter().any(|name| name == part);
    if is_wanted("load") {
        load::compare().await;
    }
    if is_wanted("reloads") {
        reloads::hold().await;
    }
    if is_wanted("glass") {
        glass::compare().await;
    }
    if is_wanted("recording") {
        recording::time().await;
    }
}
