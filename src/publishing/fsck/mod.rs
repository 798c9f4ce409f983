//! Holds rows against objects and objects against rows: a span of videos at a time, rows and listing side by side, in
//! memory that doesn't grow with the bucket. Findings go out as they are made; interrupted, it can go on.

mod others;
mod spans;

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::FuturesOrdered;
use futures::{FutureExt, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Error, Publishing};
use crate::catalogue::inventory::{self, Span};
use crate::catalogue::{one_connection, setting};
use crate::domain::VideoId;
use crate::storage::Key;

/// Findings that wait to be taken.
pub const PENDING: usize = 64;
/// Videos whose rows and objects are compared in one go.
const SPAN: u32 = 100;

/// What is to be checked.
#[derive(Debug, Clone)]
pub struct Fsck {
    /// Also read every source and compare its digest.
    pub rehash: bool,
    /// Mend what can be mended.
    pub repair: bool,
    /// Objects younger than this may belong to work under way.
    pub grace: Duration,
}

/// How it is gone about.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Go on where an earlier check with the same choices stopped.
    pub resume: bool,
    /// Spans of a hundred videos that are compared at a time.
    pub parallel: usize,
}

/// Spans that are compared at a time where nobody says.
pub const PARALLEL: usize = 4;

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// `missing_object`, `orphan_object`, `foreign_object`, `stray_multipart`, `wrong_size`, `wrong_digest` or
    /// `wrong_usage`.
    pub kind: String,
    /// The object's name, or the handle of the account whose usage is wrong.
    pub key: String,
    pub video: Option<String>,
    /// What was done about it.
    pub repaired: bool,
}

/// How much was checked, together with what an interrupted check had done before.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Checked {
    /// Objects of videos, on either side.
    pub objects: u64,
    pub findings: u64,
    pub resumed: bool,
}

/// Where a check stopped.
#[derive(Default, Serialize, Deserialize)]
struct Cursor {
    after: Option<VideoId>,
    checked: Checked,
}

/// A check under way.
struct Run<'a> {
    publishing: &'a Publishing,
    check: &'a Fsck,
    parallel: usize,
    found: &'a mpsc::Sender<Finding>,
    objects: AtomicU64,
    findings: AtomicU64,
    resumed: bool,
}

impl Publishing {
    /// Everything found, at once: for an instance whose findings fit into memory.
    pub async fn fsck(&self, check: &Fsck) -> Result<Vec<Finding>, Error> {
        let (found, mut findings) = mpsc::channel(PENDING);
        let pace = Pace { resume: false, parallel: PARALLEL };
        let checking = async move { self.check_into(check, pace, &found).await };
        let gathering = async {
            let mut all = Vec::new();
            while let Some(finding) = findings.recv().await {
                all.push(finding);
            }
            all
        };
        let (checked, all) = tokio::join!(checking, gathering);
        checked.map(|_| all)
    }

    /// Sends everything it finds, repaired where asked for; ends with `ClientGone` where nobody takes it any more.
    pub async fn check_into(
        &self,
        check: &Fsck,
        pace: Pace,
        found: &mpsc::Sender<Finding>,
    ) -> Result<Checked, Error> {
        let cursor = if pace.resume { self.find_fsck_cursor(check).await? } else { Cursor::default() };
        let run = Run {
            publishing: self,
            check,
            parallel: pace.parallel.max(1),
            found,
            objects: AtomicU64::new(cursor.checked.objects),
            findings: AtomicU64::new(cursor.checked.findings),
            resumed: cursor.after.is_some(),
        };
        run.check_videos(cursor.after).await?;
        run.check_others().await?;
        let mut tx = self.db.begin().await?;
        setting::delete(tx.conn(), &cursor_name(check)).await?;
        tx.commit().await?;
        Ok(run.checked())
    }

    async fn find_fsck_cursor(&self, check: &Fsck) -> Result<Cursor, Error> {
        let found = setting::find(self.db.read().await?.conn(), &cursor_name(check)).await?;
        Ok(found.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or_default())
    }

    /// SHA-256 of a whole object, in hexadecimal.
    pub async fn digest(&self, key: &Key) -> Result<String, Error> {
        let mut stream = Box::pin(self.storage.stream(key, None).await?);
        let mut hash = Sha256::new();
        while let Some(bytes) = stream.try_next().await? {
            hash.update(&bytes);
        }
        Ok(hex::encode(hash.finalize()))
    }
}

impl Run<'_> {
    /// Several spans at a time; the cursor follows them in order.
    async fn check_videos(&self, after: Option<VideoId>) -> Result<(), Error> {
        let mut checks: FuturesOrdered<BoxFuture<'_, Result<Span, Error>>> = FuturesOrdered::new();
        let mut next = Some(after);
        loop {
            while let Some(after) = next.filter(|_| checks.len() < self.parallel) {
                let to = self.span_end(after).await?;
                checks.push_back(one_connection(self.check_span(Span { after, to })).boxed());
                next = to.map(Some);
            }
            let Some(checked) = checks.next().await else { return Ok(()) };
            if let Some(to) = checked?.to {
                self.keep_cursor(to).await?;
            }
        }
    }

    async fn span_end(&self, after: Option<VideoId>) -> Result<Option<VideoId>, Error> {
        let mut read = self.publishing.db.read().await?;
        Ok(inventory::span_end(read.conn(), after, SPAN).await?)
    }

    async fn keep_cursor(&self, after: VideoId) -> Result<(), Error> {
        let cursor = Cursor { after: Some(after), checked: self.checked() };
        let text = serde_json::to_string(&cursor).unwrap_or_default();
        let mut tx = self.publishing.db.begin().await?;
        setting::set(tx.conn(), &cursor_name(self.check), &text).await?;
        Ok(tx.commit().await?)
    }

    fn checked(&self) -> Checked {
        let (objects, findings) =
            (self.objects.load(Ordering::Relaxed), self.findings.load(Ordering::Relaxed));
        Checked { objects, findings, resumed: self.resumed }
    }

    async fn tell(&self, finding: Finding) -> Result<(), Error> {
        self.findings.fetch_add(1, Ordering::Relaxed);
        self.found.send(finding).await.map_err(|_closed| Error::ClientGone)
    }
}

/// What was found by other choices says nothing of these.
fn cursor_name(check: &Fsck) -> String {
    let (rehash, repair) = (check.rehash, check.repair);
    format!("fsck/rehash={rehash}/repair={repair}")
}

fn blank(kind: &str) -> Finding {
    Finding { kind: kind.to_owned(), key: String::new(), video: None, repaired: false }
}

fn finding(kind: &str, key: &Key, video: Option<VideoId>) -> Finding {
    Finding { key: key.as_str().to_owned(), video: video.map(|id| id.to_string()), ..blank(kind) }
}
