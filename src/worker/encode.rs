//! Runs one task in the cage: feeds it the source, hands its events on.

use bytes::Bytes;

use super::{Error, Worker};
use crate::catalogue::revision::{self, Revision};
use crate::catalogue::upload;
use crate::domain::media::{Coding, Ladder, Probe, Timeline};
use crate::domain::{Refusal, RefusalCode, VideoId};
use crate::media;
use crate::media::cage::Child;
use crate::media::task::{Event, Outcome, Source, Task};
use crate::publishing::{source_key, unsigned};
use crate::storage::Key;

/// A source in the bucket.
pub(super) struct Original {
    pub key: Key,
    pub size_bytes: u64,
}

/// A revision whose probe is done.
pub(super) struct Planned {
    pub source: Original,
    pub probe: Probe,
    pub ladder: Ladder,
    pub timeline: Timeline,
}

/// A child at work.
pub(super) struct Run<'a> {
    worker: &'a Worker,
    child: Child,
    source: &'a Original,
    /// The rung that is passed through.
    copied: Option<String>,
}

impl Original {
    pub(super) fn as_task(&self) -> Source {
        Source { size_bytes: self.size_bytes }
    }
}

impl Worker {
    pub(super) async fn find_revision(&self, (video, number): (VideoId, u32)) -> Result<Revision, Error> {
        let found = revision::find(self.publishing.db.read().await?.conn(), video, number).await?;
        found.ok_or(Error::Gone("revision"))
    }

    pub(super) async fn find_source(&self, revision: &Revision) -> Result<Original, Error> {
        let found = upload::find(self.publishing.db.read().await?.conn(), revision.upload_id).await?;
        let upload = found.ok_or(Error::Gone("upload"))?;
        Ok(Original { key: source_key(&upload), size_bytes: unsigned(upload.received) })
    }

    pub(super) async fn find_plan(&self, id: (VideoId, u32)) -> Result<Planned, Error> {
        let revision = self.find_revision(id).await?;
        let source = self.find_source(&revision).await?;
        match (revision.probe, revision.ladder, revision.timeline) {
            (Some(probe), Some(ladder), Some(timeline)) => {
                Ok(Planned { source, probe: probe.0, ladder: ladder.0, timeline: timeline.0 })
            }
            _ => Err(Error::Gone("plan")),
        }
    }

    pub(super) async fn start<'a>(&'a self, task: &Task, source: &'a Original) -> Result<Run<'a>, Error> {
        let child = Child::spawn(&self.settings.program, task, self.settings.cage).await?;
        let copied = match task {
            Task::Chunk(chunk) => chunk.rungs.iter().find(|rung| rung.coding == Coding::Copy),
            _ => None,
        };
        Ok(Run { worker: self, child, source, copied: copied.map(|rung| rung.name.clone()) })
    }
}

impl Run<'_> {
    /// The rung is the source's own packets.
    pub(super) fn copies(&self, rung: &str) -> bool {
        self.copied.as_deref() == Some(rung)
    }

    /// The next event that isn't a request for bytes.
    pub(super) async fn next(&mut self) -> Result<(Event, Bytes), Error> {
        loop {
            match self.child.next().await? {
                (Event::Read { offset, len }, _) => self.feed(offset, len).await?,
                other => return Ok(other),
            }
        }
    }

    async fn feed(&mut self, offset: u64, len: u32) -> Result<(), Error> {
        let end = offset.saturating_add(u64::from(len)).min(self.source.size_bytes);
        let bytes = if offset < end {
            self.worker.publishing.storage.get(&self.source.key, offset..end).await?
        } else {
            Bytes::new()
        };
        Ok(self.child.feed(bytes).await?)
    }
}

/// A child that says what its task can't lead to.
pub(super) fn unexpected(outcome: &Outcome) -> Error {
    match outcome {
        Outcome::Refused { refusal } => media::Error::Refused(refusal.clone()).into(),
        Outcome::Probed { .. } | Outcome::Encoded { .. } => media::Error::Refused(Refusal::new(
            RefusalCode::ProcessingFailed,
            "the media process answered another task",
        ))
        .into(),
    }
}
