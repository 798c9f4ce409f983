//! What an account may keep: promised room is reserved before a byte comes, under the lock of the account's row.

use super::uploads::{signed, unsigned};
use super::{Error, Publishing};
use crate::catalogue::upload::Upload;
use crate::catalogue::{Conn, Tx, account, upload};
use crate::domain::upload::UploadState;
use crate::domain::{AccountId, UploadId};

impl Publishing {
    /// The most bytes one source of the account may have.
    pub(super) async fn max_source_bytes(&self, conn: Conn<'_>, id: Option<AccountId>) -> Result<u64, Error> {
        let account = match id {
            Some(id) => account::find_by_id(conn, id).await?,
            None => None,
        };
        let own = account.and_then(|account| account.max_video_bytes);
        Ok(own.map_or(self.limits.max_upload_bytes, unsigned).min(self.limits.max_upload_bytes))
    }

    /// A source of `size` bytes is none too many for this account.
    pub(super) async fn check_size(
        &self,
        conn: Conn<'_>,
        id: Option<AccountId>,
        size: u64,
    ) -> Result<(), Error> {
        let most = self.max_source_bytes(conn, id).await?;
        if size > most { Err(Error::TooLarge { size, most }) } else { Ok(()) }
    }
}

/// The upload counts for `size` bytes from now on, where the quota of its account has room for them. Locks the
/// account's row: nothing else is locked after it.
pub(super) async fn reserve(tx: &mut Tx, id: UploadId, size: u64) -> Result<Upload, Error> {
    let upload = upload::lock(tx.conn(), id).await?.ok_or(Error::NotFound("upload"))?;
    if !matches!(upload.state, UploadState::Open | UploadState::Finishing) {
        return Err(Error::UploadGone("it was given up or has expired"));
    }
    let more = signed(size) - upload.counted();
    if upload.reserved == Some(signed(size)) {
        return Ok(upload);
    }
    upload::set_reserved(tx.conn(), id, signed(size)).await?;
    if let Some(account) = upload.account_id
        && !account::reserve(tx.conn(), account, more).await?
    {
        let found = account::find_by_id(tx.conn(), account).await?;
        let quota = found.and_then(|account| account.quota_bytes).map_or(0, unsigned);
        let stored = unsigned(account::used_bytes(tx.conn(), account).await?);
        return Err(Error::Quota { quota, stored, size: unsigned(more) });
    }
    Ok(upload)
}

/// Changes the account's sum by what came or went, whatever its quota. Locks the account's row: nothing else is locked
/// after it.
pub(super) async fn recount(tx: &mut Tx, id: Option<AccountId>, change: i64) -> Result<(), Error> {
    match id {
        Some(id) if change != 0 => Ok(account::count(tx.conn(), id, change).await?),
        _ => Ok(()),
    }
}
