//! `policast admin reprocess|rollback|why|fsck`.

use std::process::ExitCode;

use anyhow::bail;
use indicatif::ProgressBar;
use tokio::sync::mpsc;

use super::super::output::{self, Format};
use crate::catalogue::revision::Selection;
use crate::config::Span;
use crate::domain::account::Handle;
use crate::domain::media::MediaState;
use crate::domain::topic::Slug;
use crate::domain::{Timestamp, VideoId};
use crate::publishing::{self, Estimate, Publishing};

/// Which videos, and whether only to count them.
#[derive(Debug, clap::Args)]
pub(super) struct Reprocess {
    #[arg(long)]
    video: Option<VideoId>,
    #[arg(long)]
    account: Option<Handle>,
    /// This topic and all below it
    #[arg(long)]
    topic: Option<Slug>,
    /// failed or degraded
    #[arg(long)]
    state: Option<MediaState>,
    /// Made by an older version of the ladder than this
    #[arg(long, value_name = "N")]
    ladder_before: Option<u32>,
    /// Videos made since then: 2026-01-31 or an RFC 3339 time
    #[arg(long, value_parser = since)]
    since: Option<Timestamp>,
    /// Every video
    #[arg(long)]
    all: bool,
    /// Only mend what is missing of degraded and failed videos
    #[arg(long)]
    missing_only: bool,
    /// Only say what it would cost
    #[arg(long)]
    dry_run: bool,
}

/// Which revision plays again.
#[derive(Debug, clap::Args)]
pub(super) struct Rollback {
    video: VideoId,
    revision: u32,
}

/// Which video's story.
#[derive(Debug, clap::Args)]
pub(super) struct Why {
    video: VideoId,
}

/// What is checked.
#[derive(Debug, clap::Args)]
pub(super) struct Fsck {
    /// Also read every source and compare its SHA-256
    #[arg(long)]
    rehash: bool,
    /// Mend what can be mended: remove orphans, make missing media again
    #[arg(long)]
    repair: bool,
    /// Objects younger than this may belong to work under way
    #[arg(long, default_value = "1h")]
    grace: Span,
    /// Go on where a check with the same --rehash and --repair was interrupted
    #[arg(long)]
    resume: bool,
    /// Spans of a hundred videos that are compared at a time
    #[arg(long, default_value_t = publishing::PARALLEL, value_name = "N")]
    parallel: usize,
}

pub(super) async fn reprocess(
    publishing: &Publishing,
    args: &Reprocess,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let selection = Selection {
        video: args.video,
        account: args.account.clone(),
        topic: args.topic.clone(),
        state: args.state,
        ladder_before: args.ladder_before,
        since: args.since,
        missing_only: args.missing_only,
    };
    if !args.all && selection.is_everything() {
        bail!("say which videos: --video, --account, --topic, --state, --ladder-before, --since, or --all");
    }
    if args.dry_run {
        // On stderr, and only where somebody looks.
        let bar = ProgressBar::new_spinner();
        let tell = |estimate: &Estimate| {
            bar.set_message(format!("{} videos, {:.0} minutes", estimate.videos, estimate.minutes));
            bar.tick();
        };
        let estimate = publishing.estimate(&selection, tell).await?;
        bar.finish_and_clear();
        return output::one(format, &estimate);
    }
    output::one(format, &publishing.reprocess(&selection).await?)
}

pub(super) async fn rollback(publishing: &Publishing, args: &Rollback) -> anyhow::Result<ExitCode> {
    publishing.roll_back(args.video, args.revision).await?;
    Ok(ExitCode::SUCCESS)
}

pub(super) async fn why(publishing: &Publishing, args: &Why, format: Format) -> anyhow::Result<ExitCode> {
    let story = publishing.story(args.video).await?;
    match format {
        Format::Json => output::document(&story),
        Format::Table => output::lines(&story.lines()),
    }
}

pub(super) async fn fsck(publishing: &Publishing, args: &Fsck, format: Format) -> anyhow::Result<ExitCode> {
    let check = publishing::Fsck { rehash: args.rehash, repair: args.repair, grace: args.grace.0 };
    let pace = publishing::Pace { resume: args.resume, parallel: args.parallel };
    let (found, mut findings) = mpsc::channel(publishing::PENDING);
    let checking = async move { publishing.check_into(&check, pace, &found).await };
    let printing = async {
        let mut rows = output::Rows::begin(format, &["kind", "key", "video", "repaired"])?;
        while let Some(finding) = findings.recv().await {
            rows.print(&finding)?;
        }
        rows.end()
    };
    let (checked, printed) = tokio::join!(checking, printing);
    printed?;
    let checked = checked?;
    let (objects, count) = (checked.objects, checked.findings);
    let since = if checked.resumed { ", with what was checked before" } else { "" };
    output::complain(&format!("{objects} objects checked, {count} findings{since}"));
    Ok(if count == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn since(text: &str) -> Result<Timestamp, String> {
    let whole = if text.len() == 10 { format!("{text}T00:00:00Z") } else { text.to_owned() };
    Timestamp::from_rfc3339(&whole).ok_or_else(|| format!("{text:?} is neither a day nor an RFC 3339 time"))
}
