//! Encodes the whole audio track, once.

use std::collections::HashMap;

use super::chunk::share;
use super::lease::Progress;
use super::pack::Packer;
use super::{Error, Worker};
use crate::catalogue::job::Fence;
use crate::catalogue::pack;
use crate::domain::VideoId;
use crate::domain::{Refusal, RefusalCode};
use crate::media;
use crate::media::task::{Audio, Task};
use crate::publishing::next_missing;

impl Worker {
    pub(super) async fn sound(
        &self,
        fence: Fence,
        id: (VideoId, u32),
        progress: &Progress,
    ) -> Result<(), Error> {
        let plan = self.find_plan(id).await?;
        let (Some(stream), Some(rung)) = (&plan.probe.audio, &plan.ladder.audio) else { return Ok(()) };
        let packs = pack::list(self.publishing.db.read().await?.conn(), id, Some(&rung.name)).await?;
        let next = next_missing(&packs, &rung.name, 0);
        let task = Audio {
            source: plan.source.as_task(),
            choices: stream.choices(),
            video: plan.probe.video.clone(),
            rung: rung.clone(),
            starts: plan.timeline.starts.clone(),
            end: plan.timeline.end,
        };
        let mut packers = HashMap::from([(rung.name.clone(), Packer::new(&rung.name, next))]);
        let end = plan.timeline.end;
        let mut run = self.start(&Task::Audio(Box::new(task)), &plan.source).await?;
        match self.gather(&mut run, (fence, id), &mut packers, |at| progress.set(share(at, 0, end))).await {
            Err(Error::Media(media::Error::Refused(refusal)))
                if refusal.code == RefusalCode::AudioUndecodable =>
            {
                self.refuse_sound(fence, id, &refusal).await
            }
            other => other.map(drop),
        }
    }

    async fn refuse_sound(&self, fence: Fence, id: (VideoId, u32), refusal: &Refusal) -> Result<(), Error> {
        Ok(self.publishing.refuse_audio(fence, id, refusal).await?)
    }
}
