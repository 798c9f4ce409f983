//! `policast admin jobs`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::output::{self, Format};
use crate::catalogue::job::{self, Row};
use crate::domain::job::{JobKind, JobState};
use crate::domain::{JobId, VideoId};
use crate::publishing::Publishing;

/// What is done with jobs.
#[derive(Debug, Subcommand)]
pub(super) enum Jobs {
    /// List jobs, newest first
    List {
        #[arg(long)]
        state: Option<JobState>,
        #[arg(long)]
        kind: Option<JobKind>,
        #[arg(long)]
        video: Option<VideoId>,
        #[arg(long, default_value = "100")]
        limit: u32,
    },
    /// Queue a dead or cancelled job again
    Retry { id: JobId },
    /// Call a job off
    Cancel { id: JobId },
}

pub(super) async fn run(publishing: &Publishing, command: &Jobs, format: Format) -> anyhow::Result<ExitCode> {
    match command {
        Jobs::List { state, kind, video, limit } => {
            let filter =
                job::Filter { state: *state, video: *video, kind: *kind, cursor: None, limit: *limit };
            let page = job::list(publishing.db.read().await?.conn(), &filter).await?;
            let rows: Vec<Value> = page.items.iter().map(row).collect();
            output::rows(
                format,
                &["id", "name", "state", "attempt", "progress", "lease_by", "last_error"],
                &rows,
            )
        }
        Jobs::Retry { id } => output::one(format, &row(&publishing.retry_job(*id).await?)),
        Jobs::Cancel { id } => output::one(format, &row(&publishing.cancel_job(*id).await?)),
    }
}

fn row(row: &Row) -> Value {
    json!({"id": row.id, "kind": row.kind, "name": row.name, "video": row.video_id, "state": row.state,
        "attempt": row.attempt, "max_attempts": row.max_attempts, "progress": row.progress,
        "lease_by": row.lease_by, "lease_until": row.lease_until, "run_at": row.run_at,
        "last_error": row.last_error, "created_at": row.created_at, "finished_at": row.finished_at})
}
