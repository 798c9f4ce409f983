//! Digests a source whose bytes did not pass through us.

use super::{Error, Worker};
use crate::catalogue::job::Fence;
use crate::catalogue::upload;
use crate::domain::UploadId;
use crate::publishing::source_key;

impl Worker {
    pub(super) async fn digest(&self, fence: Fence, id: UploadId) -> Result<(), Error> {
        let found = upload::find(self.publishing.db.read().await?.conn(), id).await?;
        let upload = found.ok_or(Error::Gone("upload"))?;
        let sha256 = self.publishing.digest(&source_key(&upload)).await?;
        Ok(self.publishing.add_digest(fence, id, &sha256).await?)
    }
}
