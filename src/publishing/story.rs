//! The whole story of a video: what it is, how it came there, who works on it, what is next.

use serde::Serialize;

use super::{Error, Publishing};
use crate::catalogue::job::{Attempt, Row};
use crate::catalogue::revision::Revision;
use crate::catalogue::rung::Rung;
use crate::catalogue::upload::Upload;
use crate::catalogue::video::Video;
use crate::catalogue::{job, revision, rung, upload, video};
use crate::domain::job::JobState;
use crate::domain::media::MediaState;
use crate::domain::video::VideoState;
use crate::domain::{Refusal, Timestamp, VideoId};

/// A video's story, as `admin why` tells it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Story {
    pub video: String,
    pub account: String,
    pub topic: String,
    pub state: VideoState,
    pub media_state: MediaState,
    pub error: Option<Refusal>,
    /// Why the latest source is not played, where an earlier one plays on.
    pub source_error: Option<Refusal>,
    /// The revision that plays.
    pub revision: Option<i64>,
    /// What happens next, in one sentence.
    pub next: String,
    pub uploads: Vec<UploadTale>,
    pub revisions: Vec<RevisionTale>,
    pub jobs: Vec<JobTale>,
}

/// One upload of the story.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct UploadTale {
    pub id: String,
    pub door: String,
    pub state: String,
    pub received: i64,
    pub length: Option<i64>,
    pub sha256: Option<String>,
    pub begun: String,
    pub finished: Option<String>,
}

/// One revision of the story.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct RevisionTale {
    pub number: i64,
    pub state: MediaState,
    pub upload: String,
    pub ladder_version: i64,
    pub rungs: Vec<String>,
    pub warnings: Vec<Refusal>,
    pub error: Option<Refusal>,
    pub provenance: std::collections::BTreeMap<String, String>,
    pub cpu_ms: i64,
    pub begun: String,
    pub finished: Option<String>,
    pub retires: Option<String>,
}

/// One job of the story, with every attempt at it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct JobTale {
    pub id: String,
    pub name: String,
    pub state: JobState,
    pub attempt: i64,
    pub max_attempts: i64,
    pub progress: f64,
    /// Who holds the lease.
    pub lease_by: Option<String>,
    pub lease_until: Option<String>,
    pub run_at: String,
    pub last_error: Option<String>,
    pub attempts: Vec<String>,
}

impl Publishing {
    /// Tells a video's story.
    pub async fn story(&self, id: VideoId) -> Result<Story, Error> {
        let mut read = self.db.read().await?;
        let video = video::find(read.conn(), id).await?.ok_or(Error::NotFound("video"))?;
        let uploads = upload::list_of_video(read.conn(), id).await?;
        let jobs = job::list_of_video(read.conn(), id).await?;
        let attempts = job::list_attempts(read.conn(), id).await?;
        let mut revisions = Vec::new();
        for revision in revision::list(read.conn(), id).await? {
            let number = u32::try_from(revision.number).unwrap_or(0);
            let rungs = rung::list(read.conn(), id, number).await?;
            revisions.push(RevisionTale::of(revision, &rungs));
        }
        Ok(Story {
            next: next(&video, &uploads, &jobs),
            video: id.to_string(),
            account: video.account.to_string(),
            topic: video.topic.to_string(),
            state: video.state,
            media_state: video.media_state,
            error: video.error.map(|error| error.0),
            source_error: video.source_refused.map(|refused| refused.0.error),
            revision: video.revision,
            uploads: uploads.into_iter().map(UploadTale::of).collect(),
            revisions,
            jobs: jobs.into_iter().map(|row| JobTale::of(row, &attempts)).collect(),
        })
    }
}

/// What happens next, in one sentence.
fn next(video: &Video, uploads: &[Upload], jobs: &[Row]) -> String {
    if let Some(row) = jobs.iter().find(|row| row.state == JobState::Running) {
        let holder = row.lease_by.as_deref().unwrap_or("a worker");
        return format!("{holder} is at {}, attempt {} of {}.", row.name, row.attempt, row.max_attempts);
    }
    if let Some(row) = jobs.iter().find(|row| row.state == JobState::Queued) {
        return format!("{} waits for a worker, from {} on.", row.name, row.run_at.to_rfc3339());
    }
    if let Some(row) = jobs.iter().rev().find(|row| row.state == JobState::Dead) {
        return format!("Nothing: {} is dead. `admin jobs retry {}` tries it again.", row.name, row.id);
    }
    if let Some(refused) = &video.source_refused {
        return format!(
            "Nothing: source {} was refused ({}), and revision {} plays on. A new source begins again.",
            refused.upload,
            refused.error.code,
            shown(video.revision)
        );
    }
    match (video.media_state, uploads.last()) {
        (MediaState::Waiting, None) => "It waits for an upload to begin.".to_owned(),
        (MediaState::Waiting, Some(upload)) => {
            format!("It waits for the rest of upload {}: {} bytes are there.", upload.id, upload.received)
        }
        (MediaState::Failed, _) => "Nothing: a new source, or `admin reprocess`, begins again.".to_owned(),
        _ => "Nothing: all is done.".to_owned(),
    }
}

impl UploadTale {
    fn of(upload: Upload) -> Self {
        Self {
            id: upload.id.to_string(),
            door: upload.door.to_string(),
            state: upload.state.to_string(),
            received: upload.received,
            length: upload.length,
            sha256: upload.sha256,
            begun: upload.created_at.to_rfc3339(),
            finished: upload.finished_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl RevisionTale {
    fn of(revision: Revision, rungs: &[Rung]) -> Self {
        let told = |rung: &Rung| match &rung.error {
            Some(error) => format!("{} {}: {error}", rung.name, rung.state),
            None => format!("{} {}", rung.name, rung.state),
        };
        Self {
            number: revision.number,
            state: revision.state,
            upload: revision.upload_id.to_string(),
            ladder_version: revision.ladder_version,
            rungs: rungs.iter().map(told).collect(),
            warnings: revision.warnings.0,
            error: revision.error.map(|error| error.0),
            provenance: revision.provenance.0,
            cpu_ms: revision.cpu_ms,
            begun: revision.created_at.to_rfc3339(),
            finished: revision.finished_at.map(Timestamp::to_rfc3339),
            retires: revision.retire_at.map(Timestamp::to_rfc3339),
        }
    }
}

impl JobTale {
    fn of(row: Row, attempts: &[Attempt]) -> Self {
        let own = attempts.iter().filter(|attempt| attempt.job_id == row.id);
        let told = |attempt: &Attempt| {
            let outcome = attempt.outcome.as_deref().unwrap_or("under way");
            let error = attempt.error.as_deref().map(|error| format!(": {error}")).unwrap_or_default();
            format!(
                "{} {} by {}, {outcome}{error}",
                attempt.attempt,
                attempt.started_at.to_rfc3339(),
                attempt.worker
            )
        };
        Self {
            id: row.id.to_string(),
            name: row.name,
            state: row.state,
            attempt: row.attempt,
            max_attempts: row.max_attempts,
            progress: row.progress,
            lease_by: row.lease_by,
            lease_until: row.lease_until.map(Timestamp::to_rfc3339),
            run_at: row.run_at.to_rfc3339(),
            last_error: row.last_error,
            attempts: own.map(told).collect(),
        }
    }
}

impl Story {
    /// The story in lines for people.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![
            format!("{} of {} on {}", self.video, self.account, self.topic),
            format!(
                "  is {}, its media is {}; revision {} plays",
                self.state,
                self.media_state,
                shown(self.revision)
            ),
            format!("  next: {}", self.next),
        ];
        lines.extend(self.error.iter().map(|error| format!("  error: {error}")));
        lines.extend(self.source_error.iter().map(|error| format!("  latest source: {error}")));
        for upload in &self.uploads {
            let length = shown(upload.length);
            lines.push(format!(
                "upload {} ({}) {}: {} of {length} bytes",
                upload.id, upload.door, upload.state, upload.received
            ));
        }
        for revision in &self.revisions {
            lines.push(format!(
                "revision {} {}: {}",
                revision.number,
                revision.state,
                revision.rungs.join(", ")
            ));
            lines.extend(revision.warnings.iter().map(|warning| format!("  warning: {warning}")));
            lines.extend(revision.error.iter().map(|error| format!("  error: {error}")));
        }
        for job in &self.jobs {
            lines.push(format!("job {} {} {}, {:.0} %", job.id, job.name, job.state, job.progress * 100.0));
            lines.extend(job.attempts.iter().map(|attempt| format!("  attempt {attempt}")));
        }
        lines
    }
}

fn shown(number: Option<i64>) -> String {
    number.map_or_else(|| "no".to_owned(), |number| number.to_string())
}
