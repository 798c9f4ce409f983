//! Looks at a source and plans its ladder and timeline, or refuses it.

use super::encode::{Original, unexpected};
use super::{Error, Worker};
use crate::catalogue::job::Row;
use crate::catalogue::revision::{Plan, Revision};
use crate::catalogue::upload;
use crate::domain::media::Probe;
use crate::domain::{Refusal, RefusalCode, VideoId};
use crate::media::ladder::{self, LadderSettings};
use crate::media::task::{Event, Outcome, Task};
use crate::media::timeline;
use crate::publishing::{fence_of, is_unfit};

impl Worker {
    pub(super) async fn probe(&self, row: &Row, id: (VideoId, u32)) -> Result<(), Error> {
        let fence = fence_of(row);
        let revision = self.find_revision(id).await?;
        let source = self.find_source(&revision).await?;
        let refusal = match self.look_at(&source).await? {
            Ok(probe) => {
                let plan = self.plan(*probe, &revision).await?;
                return Ok(self.publishing.plan_revision(fence, id, &plan).await?);
            }
            Err(refusal) => refusal,
        };
        Ok(self.publishing.refuse_source(fence, id, &refusal).await?)
    }

    async fn look_at(&self, source: &Original) -> Result<Result<Box<Probe>, Refusal>, Error> {
        match self.publishing.storage.head(&source.key).await? {
            None => {
                let gone = Refusal::new(RefusalCode::SourceGone, "The stored source is no longer there.");
                return Ok(Err(gone));
            }
            Some(_) if source.size_bytes == 0 => {
                return Ok(Err(Refusal::new(RefusalCode::Empty, "The file is empty.")));
            }
            Some(_) => {}
        }
        let task = Task::Probe { source: source.as_task(), limits: self.settings.limits.clone() };
        let mut run = self.start(&task, source).await?;
        loop {
            match run.next().await?.0 {
                Event::Done { outcome: Outcome::Probed { probe }, .. } => return Ok(Ok(probe)),
                Event::Done { outcome: Outcome::Refused { refusal }, .. } => return Ok(Err(refusal)),
                Event::Done { outcome, .. } => return Err(unexpected(&outcome)),
                _ => {}
            }
        }
    }

    async fn plan(&self, mut probe: Probe, revision: &Revision) -> Result<Plan, Error> {
        let unfit = is_unfit(&revision.provenance);
        let settings = self.settings.ladder.clone();
        let settings = LadderSettings { passthrough: settings.passthrough && !unfit, ..settings };
        let ladder = ladder::plan(&probe, &settings);
        let timeline = timeline::plan(&probe, &ladder);
        // The plan has what it needs of them; a long film's would only swell the row.
        probe.keyframes = Vec::new();
        let upload = upload::find(self.publishing.db.read().await?.conn(), revision.upload_id).await?;
        let mut provenance = revision.provenance.0.clone();
        provenance.extend([
            ("policast".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            ("ffmpeg".to_owned(), crate::media::build()),
            ("ladder_version".to_owned(), ladder.version.to_string()),
            ("preset".to_owned(), self.settings.ladder.preset.clone()),
            ("source_sha256".to_owned(), upload.and_then(|upload| upload.sha256).unwrap_or_default()),
        ]);
        Ok(Plan { probe, ladder, timeline, provenance })
    }
}
