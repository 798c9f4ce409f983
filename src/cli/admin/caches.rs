//! `policast admin purge`.

use std::process::ExitCode;

use anyhow::bail;

use crate::domain::VideoId;
use crate::domain::account::Handle;
use crate::domain::cdn::CacheTag;
use crate::publishing::Publishing;

/// What caches drop.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
pub(super) struct Purge {
    /// What shows this video
    #[arg(long)]
    video: Option<VideoId>,
    /// What shows any video of this account
    #[arg(long)]
    account: Option<Handle>,
    /// Everything
    #[arg(long)]
    all: bool,
}

pub(super) async fn purge(publishing: &Publishing, what: &Purge) -> anyhow::Result<ExitCode> {
    if publishing.limits.purge_hook.is_none() {
        bail!("POLICAST_PURGE_URL is not set: there is no cache to tell");
    }
    let tag = match (what.video, &what.account) {
        (Some(video), _) => CacheTag::Video(video),
        (None, Some(account)) => CacheTag::Account(account.clone()),
        (None, None) => CacheTag::Everything,
    };
    publishing.purge_caches(tag).await?;
    Ok(ExitCode::SUCCESS)
}
