//! Holds rows against objects and objects against rows.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use sha2::{Digest, Sha256};

use super::retire::pack_key;
use super::uploads::{source_key, unsigned};
use super::{Error, Publishing};
use crate::catalogue::revision::Selection;
use crate::catalogue::upload::Upload;
use crate::catalogue::video::{Filter, Video};
use crate::catalogue::{Conn, pack, revision, upload, video};
use crate::domain::upload::UploadState;
use crate::domain::video::PosterState;
use crate::domain::{UploadId, VideoId};
use crate::storage::{Key, Object, Still};

/// Rows looked at in one go.
const PAGE: u32 = 200;

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

/// Something that is not as it should be.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// `missing_object`, `orphan_object`, `foreign_object`, `stray_multipart`, `wrong_size` or `wrong_digest`.
    pub kind: String,
    pub key: String,
    pub video: Option<String>,
    /// What was done about it.
    pub repaired: bool,
}

impl Publishing {
    /// Everything found, repaired where asked for.
    pub async fn fsck(&self, check: &Fsck) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        self.check_sources(check, &mut findings).await?;
        self.check_media(check, &mut findings).await?;
        self.check_objects(check, &mut findings).await?;
        self.check_multiparts(check, &mut findings).await?;
        Ok(findings)
    }

    async fn check_sources(&self, check: &Fsck, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut after: Option<UploadId> = None;
        loop {
            let page = upload::list_finished(self.db.read().await?.conn(), after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.id);
            for upload in &page {
                let key = source_key(upload);
                let kind = match self.storage.head(&key).await? {
                    None => Some("missing_object"),
                    Some(head) if head.size_bytes != unsigned(upload.received) => Some("wrong_size"),
                    Some(_) if check.rehash && !self.digest_matches(&key, upload).await? => {
                        Some("wrong_digest")
                    }
                    Some(_) => None,
                };
                if let Some(kind) = kind.filter(|_| upload.video_id.is_some()) {
                    findings.push(finding(kind, &key, upload.video_id));
                }
            }
        }
    }

    async fn digest_matches(&self, key: &Key, upload: &Upload) -> Result<bool, Error> {
        let Some(expected) = &upload.sha256 else { return Ok(true) };
        Ok(self.digest(key).await? == *expected)
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

    async fn check_media(&self, check: &Fsck, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let mut filter = Filter { limit: PAGE, ..Filter::default() };
        loop {
            let page = video::list(self.db.read().await?.conn(), &filter).await?;
            for video in &page.items {
                let missing = self.missing_media(video.id).await?;
                let repaired = check.repair && !missing.is_empty();
                if repaired {
                    let selection = Selection { video: Some(video.id), ..Selection::default() };
                    self.reprocess(&selection).await?;
                }
                let found = missing.iter().map(|key| finding("missing_object", key, Some(video.id)));
                findings.extend(found.map(|finding| Finding { repaired, ..finding }));
                self.check_poster(check, video, findings).await?;
            }
            match page.next.and_then(|cursor| cursor.parse().ok()) {
                Some(cursor) => filter.cursor = Some(cursor),
                None => return Ok(()),
            }
        }
    }

    async fn missing_media(&self, id: VideoId) -> Result<Vec<Key>, Error> {
        let mut expected = Vec::new();
        let mut read = self.db.read().await?;
        for revision in revision::list(read.conn(), id).await? {
            let number = u32::try_from(revision.number).unwrap_or(0);
            let packs = pack::list(read.conn(), (id, number), None).await?;
            let inits: BTreeSet<(&str, i64)> =
                packs.iter().map(|pack| (pack.rung.as_str(), pack.init)).collect();
            expected.extend(packs.iter().map(|pack| pack_key((id, number), pack)));
            expected.extend(
                inits
                    .into_iter()
                    .map(|(rung, init)| Key::init_of((id, number), rung, u32::try_from(init).unwrap_or(0))),
            );
            expected.extend(revision.poster.map(|_| Key::still(id, number, Still::Poster)));
            expected.extend(revision.storyboard.map(|_| Key::still(id, number, Still::Storyboard)));
        }
        drop(read);
        let mut missing = Vec::new();
        for key in expected {
            if self.storage.head(&key).await?.is_none() {
                missing.push(key);
            }
        }
        Ok(missing)
    }

    /// An uploaded picture that is lost can't be made again: mended, the frame is shown.
    async fn check_poster(
        &self,
        check: &Fsck,
        listed: &Video,
        findings: &mut Vec<Finding>,
    ) -> Result<(), Error> {
        let id = listed.id;
        if listed.poster_state().is_none() {
            return Ok(());
        }
        // Listed a while ago: another may have taken its place.
        let Some(video) = video::find(self.db.read().await?.conn(), id).await? else { return Ok(()) };
        if let Some(poster) = video.poster.as_ref().map(|poster| poster.id) {
            let key = Key::poster(id, poster);
            if self.storage.head(&key).await?.is_none() {
                let repaired = check.repair && self.forget_poster((id, poster)).await?;
                findings.push(Finding { repaired, ..finding("missing_object", &key, Some(id)) });
            }
        }
        let waiting = video.poster_upload.filter(|_| video.poster_state() == Some(PosterState::Processing));
        if let Some(key) = waiting.map(|poster| Key::new_poster(id, poster))
            && self.storage.head(&key).await?.is_none()
        {
            // Its job says so to the editor.
            findings.push(finding("missing_object", &key, Some(id)));
        }
        Ok(())
    }

    async fn check_objects(&self, check: &Fsck, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let old = self.clock.now().minus(check.grace);
        let mut after = None;
        loop {
            let page = self.storage.list("", after).await?;
            for object in page.items.iter().filter(|object| object.modified <= old) {
                let Ok(key) = object.key.parse::<Key>() else {
                    // Somebody else's, in our bucket: told, never touched.
                    findings.push(Finding { key: object.key.clone(), ..blank("foreign_object") });
                    continue;
                };
                if !self.knows_object(&key).await? {
                    if check.repair {
                        self.storage.delete(&key).await?;
                    }
                    let found = finding("orphan_object", &key, None);
                    findings.push(Finding { repaired: check.repair, ..found });
                }
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn knows_object(&self, key: &Key) -> Result<bool, Error> {
        let mut read = self.db.read().await?;
        Ok(match *key.object() {
            Object::Source { upload, .. } => upload::find(read.conn(), upload)
                .await?
                .is_some_and(|upload| upload.state != UploadState::Abandoned),
            Object::Partial { upload } => upload::find(read.conn(), upload).await?.is_some(),
            Object::Tail { upload, offset } => upload::find(read.conn(), upload)
                .await?
                .filter(|upload| matches!(upload.state, UploadState::Open | UploadState::Finishing))
                .is_some_and(|upload| upload.tail > 0 && unsigned(upload.received) == offset),
            Object::Pack { video, revision, .. } => {
                let packs = pack::list(read.conn(), (video, revision), None).await?;
                packs.iter().any(|pack| pack_key((video, revision), pack).as_str() == key.as_str())
            }
            Object::Init { video, revision, .. } | Object::Still { video, revision, .. } => {
                revision::find(read.conn(), video, revision).await?.is_some()
            }
            Object::NewPoster { video, poster } => {
                knows_poster(read.conn(), video, |video| video.poster_upload == Some(poster)).await?
            }
            Object::Poster { video, poster } => {
                let shown = |video: &Video| video.poster.as_ref().is_some_and(|shown| shown.id == poster);
                knows_poster(read.conn(), video, shown).await?
            }
        })
    }

    async fn check_multiparts(&self, check: &Fsck, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let old = self.clock.now().minus(check.grace);
        for stray in self.storage.list_multiparts("").await? {
            if stray.begun <= old && !self.knows_multipart(&stray).await? {
                if check.repair {
                    self.abort_stray(&stray).await?;
                }
                let found = blank("stray_multipart");
                findings.push(Finding { key: stray.key, repaired: check.repair, ..found });
            }
        }
        Ok(())
    }
}

/// A deleted video's pictures are its purge's to remove.
async fn knows_poster(
    mut conn: Conn<'_>,
    id: VideoId,
    is_its: impl FnOnce(&Video) -> bool,
) -> Result<bool, Error> {
    match video::find(conn.again(), id).await? {
        Some(video) => Ok(is_its(&video)),
        None => Ok(video::exists(conn, id).await?),
    }
}

fn blank(kind: &str) -> Finding {
    Finding { kind: kind.to_owned(), key: String::new(), video: None, repaired: false }
}

fn finding(kind: &str, key: &Key, video: Option<VideoId>) -> Finding {
    Finding { key: key.as_str().to_owned(), video: video.map(|id| id.to_string()), ..blank(kind) }
}
