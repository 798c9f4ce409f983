//! After a start: blobs of earlier starts that no row names are unlinked. They are what was being written, or had
//! just been dropped, when the process died.

use super::backend::Backend;
use super::blobs::SHARDS;

impl Backend {
    /// Goes through the blob folder beside the requests; blobs of this start are never touched.
    pub async fn sweep(&self) -> u64 {
        let mut swept = 0;
        for shard in 0..SHARDS {
            match self.sweep_shard(shard).await {
                Ok(count) => swept += count,
                Err(error) => tracing::warn!(%error, shard, "a blob folder can't be swept"),
            }
        }
        if swept > 0 {
            tracing::info!(blobs = swept, "swept what an earlier run left unfinished");
        }
        swept
    }

    async fn sweep_shard(&self, shard: u16) -> Result<u64, std::io::Error> {
        let blobs = self.blobs.clone();
        let names = tokio::task::spawn_blocking(move || blobs.earlier(shard)).await??;
        let mut swept = 0;
        for name in names {
            if !self.index.knows(&name).await.map_err(std::io::Error::other)? {
                self.blobs.remove(&[name]);
                swept += 1;
            }
        }
        Ok(swept)
    }
}
