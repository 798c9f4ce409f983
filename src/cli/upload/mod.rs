//! `policast upload`: tus, its progress as a bar or in lines; parallel where it helps; goes on where it was killed.

mod memory;
mod progress;
mod tus;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures::future::try_join_all;
use reqwest::Method;
use serde_json::Value;

use super::api::Api;
use super::output;
use crate::config::http_url;
use memory::{Memory, Place};
use progress::Progress;
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
    /// Connections for a large file
    #[arg(long, default_value = "3")]
    parallel: u64,
    /// Also publish each video
    #[arg(long)]
    publish: bool,
    /// How far each video has to be before the command ends
    #[arg(long, value_name = "STATE", default_value = "ready")]
    wait: Wait,
    /// The same as --wait stored
    #[arg(long, conflicts_with = "wait")]
    no_wait: bool,
    /// The server
    #[arg(
        long,
        env = "POLICAST_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        value_parser = http_url,
        help_heading = "Settings"
    )]
    server: String,
    /// An API key that may edit the account's videos
    #[arg(long, env = "POLICAST_KEY", hide_env_values = true, help_heading = "Settings")]
    key: String,
}

/// How far a video has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Wait {
    /// The bytes are kept; nothing is known of what they hold
    Stored,
    /// It can be watched, in one quality at least
    Playable,
    /// It can be watched in every quality
    Ready,
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

/// 0 where every file is uploaded and as far as was asked for; one that fails holds up no other.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let api = Api::new(&args.server, &args.key)?;
    let mut is_whole = true;
    for file in &args.files {
        match deliver(&api, args, file).await {
            Ok((address, is_there)) => {
                is_whole &= is_there;
                output::line(&address);
            }
            Err(error) => {
                is_whole = false;
                output::complain(&format!("{}: {}", file.display(), output::story(&error)));
            }
        }
    }
    Ok(if is_whole { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// One file; where it can be watched, and whether it is as far as was asked for.
async fn deliver(api: &Api, args: &Args, file: &Path) -> anyhow::Result<(String, bool)> {
    let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let upload = Upload {
        file,
        account: &args.account,
        topic: &args.topic,
        title: args.title.clone().unwrap_or(name),
        language: &args.language,
        parallel: args.parallel.clamp(1, 16),
    };
    let video = send(api, &upload).await?;
    if args.publish {
        api.ask(Method::POST, &format!("/api/v1/videos/{video}/publish"), None).await?;
    }
    let wait = if args.no_wait { Wait::Stored } else { args.wait };
    let is_there = watch(api, (&video, &name_of(file)), wait).await?;
    Ok((address(api, &video).await?, is_there))
}

/// Where it can be watched: a draft by who has the token in it.
pub async fn address(api: &Api, video: &str) -> anyhow::Result<String> {
    let shown = api.ask(Method::GET, &format!("/api/v1/videos/{video}"), None).await?;
    Ok(shown["watch"].as_str().context("the server does not say where the video is watched")?.to_owned())
}

fn name_of(file: &Path) -> String {
    file.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// Uploads a file, or the rest of it; returns the video's id.
pub async fn send(api: &Api, upload: &Upload<'_>) -> anyhow::Result<String> {
    let metadata = std::fs::metadata(upload.file).context("can't be read")?;
    if metadata.is_dir() {
        bail!("is a folder; give it the files");
    }
    let size = metadata.len();
    let place = Place {
        server: &api.server,
        file: &upload.file.canonicalize()?,
        size,
        modified: metadata.modified()?,
        said: format!("{}\n{}\n{}\n{}", upload.account, upload.topic, upload.title, upload.language),
    };
    let mut memory = Memory::open(&place)?;
    let progress = Progress::of_file(&name_of(upload.file), size)?;
    let tus = Tus { api, file: upload.file, progress: &progress };
    let count = if size >= PARALLEL_FROM_BYTES { upload.parallel } else { 1 };
    let location = if count == 1 {
        one(&tus, upload, &mut memory, size).await?
    } else {
        several(&tus, upload, &mut memory, (size, count)).await?
    };
    progress.finish();
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

/// Shows processing until the video is as far as it has to be, or failed; whether it came so far.
pub async fn watch(api: &Api, (video, name): (&str, &str), wait: Wait) -> anyhow::Result<bool> {
    if wait == Wait::Stored {
        return Ok(true);
    }
    let progress = Progress::of_processing(name)?;
    let mut is_there = false;
    api.follow(video, |video| {
        progress.show(video);
        let media = &video["media"];
        let state = media["state"].as_str().unwrap_or_default();
        is_there = matches!(state, "ready" | "degraded") || (wait == Wait::Playable && state == "playable");
        let is_over = is_there || state == "failed";
        if is_over {
            reasons(media).for_each(|reason| progress.tell(&format!("{name}: {reason}")));
        }
        is_over
    })
    .await?;
    progress.finish();
    Ok(is_there)
}

/// What an editor has to know of it: why it failed, or what is wrong with it and still lets it play.
fn reasons(media: &Value) -> impl Iterator<Item = String> {
    let warnings = media["warnings"].as_array().map(Vec::as_slice).unwrap_or_default();
    let all = std::iter::once(&media["error"]).chain(warnings);
    all.filter_map(|told| {
        let message = told["message"].as_str()?;
        Some(format!("{message} ({})", told["code"].as_str().unwrap_or_default()))
    })
}
