//! What is next for a video, in one sentence.

use crate::catalogue::job::Row;
use crate::catalogue::upload::Upload;
use crate::catalogue::video::Video;
use crate::domain::job::JobState;
use crate::domain::media::MediaState;
use crate::domain::upload::UploadState;

/// What is next: what runs, else what waits, else what somebody could do.
pub fn next(video: &Video, uploads: &[Upload], jobs: &[Row]) -> String {
    let of = |state| jobs.iter().filter(move |job| job.state == state);
    if let Some(job) = of(JobState::Running).next() {
        let holder = job.lease_by.as_deref().unwrap_or("a worker");
        return format!(
            "{} of {} jobs run; {} is held by {holder}, in attempt {} of {}, {:.0} % done.",
            of(JobState::Running).count(),
            jobs.len(),
            job.name,
            job.attempt,
            job.max_attempts,
            job.progress * 100.0
        );
    }
    if let Some(job) = of(JobState::Queued).min_by_key(|job| job.run_at) {
        let again = job.last_error.as_deref().map(|error| format!(" Its last attempt said: {error}."));
        return format!(
            "{} jobs wait for a worker; the next is {}, not before {}.{}",
            of(JobState::Queued).count(),
            job.name,
            job.run_at.to_rfc3339(),
            again.unwrap_or_default()
        );
    }
    settled(video, uploads, of(JobState::Dead).next_back())
}

fn settled(video: &Video, uploads: &[Upload], dead: Option<&Row>) -> String {
    match (video.media_state, dead) {
        (MediaState::Waiting, _) => waiting(uploads),
        (MediaState::Ready, _) => "Nothing: its ladder is whole.".to_owned(),
        (MediaState::Failed, None) => {
            "Nothing until another source is uploaded or it is reprocessed.".to_owned()
        }
        (MediaState::Degraded | MediaState::Failed, Some(job)) => {
            let said = job.last_error.as_deref().unwrap_or("nothing");
            format!(
                "Nothing until job {} is retried; after {} attempts it said: {said}.",
                job.id, job.attempt
            )
        }
        (MediaState::Degraded, None) => "Nothing until it is reprocessed.".to_owned(),
        (MediaState::Processing | MediaState::Playable, _) => {
            "Nothing waits and nothing runs, although it is not finished: reprocess it.".to_owned()
        }
    }
}

fn waiting(uploads: &[Upload]) -> String {
    let begun = uploads.iter().filter(|upload| upload.received > 0 || upload.state == UploadState::Finishing);
    match begun
        .filter(|upload| matches!(upload.state, UploadState::Open | UploadState::Finishing))
        .next_back()
    {
        Some(upload) => {
            let length = upload.length.map_or("an unknown number of".to_owned(), |length| length.to_string());
            format!(
                "It waits for bytes: upload {} has {} of {length}, and is given up on {}.",
                upload.id,
                upload.received,
                upload.expires_at.to_rfc3339()
            )
        }
        None => "It waits for somebody to upload a source.".to_owned(),
    }
}
