//! Makes poster and storyboard.

use bytes::Bytes;

use super::encode::unexpected;
use super::{Error, Worker};
use crate::catalogue::job::Fence;
use crate::catalogue::revision::Still as Row;
use crate::domain::VideoId;
use crate::media::storyboard;
use crate::media::task::{Event, Outcome, Still, Stills, Task};
use crate::storage::{Key, Still as Picture};

/// The poster's longer side at most, in pixels: what a large card shows.
pub(super) const POSTER_SIDE: u32 = 1280;

impl Worker {
    pub(super) async fn stills(&self, fence: Fence, id: (VideoId, u32)) -> Result<(), Error> {
        let plan = self.find_plan(id).await?;
        let video = plan.probe.video.clone();
        let duration = plan.probe.duration;
        let task = Stills {
            source: plan.source.as_task(),
            seekable: plan.probe.seekable,
            duration,
            poster_side: POSTER_SIDE,
            storyboard: storyboard::plan(duration, video.width, video.height),
            video,
        };
        let mut run = self.start(&Task::Stills(Box::new(task)), &plan.source).await?;
        loop {
            let (event, bytes) = run.next().await?;
            match event {
                Event::Still { still, width, height } => {
                    self.store_still((fence, id), still, (width, height), bytes).await?;
                }
                Event::Done { outcome: Outcome::Encoded { .. }, .. } => return Ok(()),
                Event::Done { outcome, .. } => return Err(unexpected(&outcome)),
                _ => {}
            }
        }
    }

    async fn store_still(
        &self,
        (fence, id): (Fence, (VideoId, u32)),
        still: Still,
        (width, height): (u32, u32),
        bytes: Bytes,
    ) -> Result<(), Error> {
        let folder = self.publishing.folder(id).await?;
        let row = Row { width, height, size_bytes: bytes.len() as u64, nonce: folder.nonce };
        match still {
            Still::Poster => {
                self.publishing.storage.put(&Key::still(folder, Picture::Poster), bytes).await?;
                self.publishing.add_stills(fence, id, Some(&row), None).await?;
            }
            Still::Storyboard => {
                self.publishing.storage.put(&Key::still(folder, Picture::Storyboard), bytes).await?;
                self.publishing.add_stills(fence, id, None, Some(&row)).await?;
            }
        }
        Ok(())
    }
}
