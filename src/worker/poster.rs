//! Makes an uploaded picture fit to stand for a video, or refuses it.

use bytes::Bytes;

use super::encode::{Original, unexpected};
use super::stills::POSTER_SIDE;
use super::{Error, Worker};
use crate::catalogue::job::Fence;
use crate::catalogue::revision::Still as Row;
use crate::domain::{Refusal, RefusalCode};
use crate::media::task::{Event, Outcome, Task};
use crate::publishing::{PosterOf, PosterStage};
use crate::storage::Key;

impl Worker {
    pub(super) async fn poster(&self, fence: Fence, of: PosterOf) -> Result<(), Error> {
        let publishing = &self.publishing;
        let stage = publishing.find_poster_stage(of).await?;
        if stage == PosterStage::Over {
            return Ok(publishing.end_poster(fence, of).await?);
        }
        match self.make_poster(Key::new_poster(of.0, of.1)).await? {
            Ok((row, jpeg)) => {
                publishing.storage.put(&Key::poster(of.0, of.1), jpeg).await?;
                Ok(publishing.show_poster(fence, of, row).await?)
            }
            // Refused by an attempt that died once the picture was removed: its editor was told why.
            Err(gone) if stage == PosterStage::Refused && gone.code == RefusalCode::SourceGone => {
                Ok(publishing.end_poster(fence, of).await?)
            }
            Err(refusal) => Ok(publishing.refuse_poster(fence, of, &refusal).await?),
        }
    }

    async fn make_poster(&self, key: Key) -> Result<Result<(Row, Bytes), Refusal>, Error> {
        let source = match self.publishing.storage.head(&key).await? {
            None => {
                let gone = Refusal::new(RefusalCode::SourceGone, "The stored picture is no longer there.");
                return Ok(Err(gone));
            }
            Some(head) if head.size_bytes == 0 => {
                return Ok(Err(Refusal::new(RefusalCode::Empty, "The file is empty.")));
            }
            Some(head) => Original { key, size_bytes: head.size_bytes },
        };
        let max_pixels = self.settings.limits.max_pixels;
        let task = Task::Poster { source: source.as_task(), max_pixels, side: POSTER_SIDE };
        let mut run = self.start(&task, &source).await?;
        let mut made = None;
        loop {
            let (event, bytes) = run.next().await?;
            match (event, made.take()) {
                (Event::Still { width, height, .. }, _) => {
                    made = Some((Row { width, height, size_bytes: bytes.len() as u64, nonce: None }, bytes));
                }
                (Event::Done { outcome: Outcome::Encoded { .. }, .. }, Some(made)) => return Ok(Ok(made)),
                (Event::Done { outcome: Outcome::Refused { refusal }, .. }, _) => return Ok(Err(refusal)),
                (Event::Done { outcome, .. }, _) => return Err(unexpected(&outcome)),
                (_, before) => made = before,
            }
        }
    }
}
