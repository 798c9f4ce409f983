//! `policast upload`: tus with a progress bar; parallel where it helps; goes on where it was killed.

mod memory;
mod tus;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use futures::future::try_join_all;
use indicatif::{ProgressBar, ProgressStyle};
use reqwest::Method;
use serde_json::Value;

use super::api::Api;
use super::output;
use memory::{Memory, Place};
use tus::{Slice, Tus};

/// Below this one connection is as fast as several.
const PARALLEL_FROM_BYTES: u64 = 64 << 20;

/// What is uploaded, to where.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Video files
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Handle of the account that speaks
    #[arg(long)]
    account: String,
    /// Slug of the policy topic it explains
    #[arg(long)]
    topic: String,
    /// Title [default: the file's name]
    #[arg(long)]
    title: Option<String>,
    /// Language of the video and its title
    #[arg(long, default_value = "en")]
    language: String,
    /// The server
    #[arg(long, env = "POLICAST_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    server: String,
    /// An API key that may edit the account's videos
    #[arg(long, env = "POLICAST_KEY", hide_env_values = true)]
    key: String,
    /// Connections for a large file
    #[arg(long, default_value = "3")]
    parallel: u64,
    /// Also publish each video
    #[arg(long)]
    publish: bool,
    /// Return as soon as the bytes are there, without waiting for processing
    #[arg(long)]
    no_wait: bool,
}

/// A file and what is said of it.
pub struct Upload<'a> {
    pub file: &'a Path,
    pub account: &'a str,
    pub topic: &'a str,
    pub title: String,
    pub language: &'a str,
    pub parallel: u64,
}

/// 0 where every file is uploaded and plays.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let api = Api::new(&args.server, &args.key)?;
    let mut whole = true;
    for file in &args.files {
        let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let upload = Upload {
            file,
            account: &args.account,
            topic: &args.topic,
            title: args.title.clone().unwrap_or(name),
            language: &args.language,
            parallel: args.parallel.clamp(1, 16),
        };
        let video = send(&api, &upload).await.with_context(|| file.display().to_string())?;
        if args.publish {
            api.ask(Method::POST, &format!("/api/v1/videos/{video}/publish"), None).await?;
        }
        whole &= args.no_wait || watch(&api, &video).await?;
        output::line(&format!("{}/watch/{video}", api.server));
    }
    Ok(if whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Uploads a file, or the rest of it; returns the video's id.
pub async fn send(api: &Api, upload: &Upload<'_>) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(upload.file)?;
    let size = metadata.len();
    let place = Place {
        server: &api.server,
        file: &upload.file.canonicalize()?,
        size,
        modified: metadata.modified()?,
        said: format!("{}\n{}\n{}\n{}", upload.account, upload.topic, upload.title, upload.language),
    };
    let mut memory = Memory::open(&place)?;
    let bar = bar(size, &upload.file.file_name().unwrap_or_default().to_string_lossy());
    let tus = Tus { api, file: upload.file, bar: &bar };
    let count = if size >= PARALLEL_FROM_BYTES { upload.parallel } else { 1 };
    let location = if count == 1 {
        one(&tus, upload, &mut memory, size).await?
    } else {
        several(&tus, upload, &mut memory, (size, count)).await?
    };
    bar.finish();
    let video = tus.find_video(&location).await?;
    memory.forget()?;
    Ok(video)
}

async fn one(tus: &Tus<'_>, upload: &Upload<'_>, memory: &mut Memory, size: u64) -> anyhow::Result<String> {
    let slice = Slice { from: 0, len: size };
    let location = match memory.locations().first() {
        Some(known) if tus.is_there(known).await? => known.clone(),
        _ => {
            let location = tus.create(size, &said(upload), None).await?;
            memory.keep(vec![location.clone()])?;
            location
        }
    };
    tus.send(&location, slice).await?;
    Ok(location)
}

async fn several(
    tus: &Tus<'_>,
    upload: &Upload<'_>,
    memory: &mut Memory,
    (size, count): (u64, u64),
) -> anyhow::Result<String> {
    let step = size.div_ceil(count);
    let slices: Vec<Slice> =
        (0..count).map(|n| Slice { from: n * step, len: step.min(size - n * step) }).collect();
    let mut locations = memory.locations().to_vec();
    let known = try_join_all(locations.iter().map(|known| tus.is_there(known))).await?;
    if locations.len() != slices.len() || known.contains(&false) {
        locations =
            try_join_all(slices.iter().map(|slice| tus.create(slice.len, &[], Some("partial")))).await?;
        memory.keep(locations.clone())?;
    }
    try_join_all(locations.iter().zip(&slices).map(|(location, slice)| tus.send(location, *slice))).await?;
    tus.create(0, &said(upload), Some(&format!("final;{}", locations.join(" ")))).await
}

fn said(upload: &Upload<'_>) -> Vec<(&'static str, String)> {
    let name = upload.file.file_name().unwrap_or_default().to_string_lossy().into_owned();
    vec![
        ("filename", name),
        ("account", upload.account.to_owned()),
        ("topic", upload.topic.to_owned()),
        ("title", upload.title.clone()),
        ("language", upload.language.to_owned()),
    ]
}

/// Shows processing until the video is whole or failed; whether it plays.
pub async fn watch(api: &Api, video: &str) -> anyhow::Result<bool> {
    let bar = ProgressBar::new(100);
    bar.set_style(ProgressStyle::with_template("processing {bar:30} {percent:>3}%  {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(200));
    let mut plays = false;
    api.follow(video, |video| {
        let media = &video["media"];
        let state = media["state"].as_str().unwrap_or_default();
        let share = media["progress"].as_f64().unwrap_or(0.0).clamp(0.0, 1.0);
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 100")]
        bar.set_position((share * 100.0) as u64);
        bar.set_message(format!("{state}  {}", rungs(media)));
        plays = matches!(state, "ready" | "degraded");
        let over = plays || state == "failed";
        if let (true, Some(said)) = (over, media["error"]["message"].as_str()) {
            bar.println(format!("{}: {said}", media["error"]["code"].as_str().unwrap_or_default()));
        }
        over
    })
    .await?;
    bar.finish();
    Ok(plays)
}

fn rungs(media: &Value) -> String {
    let rungs = media["rungs"].as_array().map(Vec::as_slice).unwrap_or_default();
    let done = rungs.iter().filter(|rung| rung["state"] != "queued").filter_map(|rung| rung["name"].as_str());
    done.collect::<Vec<_>>().join(" ")
}

fn bar(size: u64, name: &str) -> ProgressBar {
    let bar = ProgressBar::new(size);
    let style =
        ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
