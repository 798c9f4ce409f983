//! One span of videos: its rows against the listing of its objects, in both directions.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::Ordering;

use super::super::Error;
use super::{Finding, Run, finding};
use crate::catalogue::inventory::{self, Inventory, Source, Span, VideoRow};
use crate::catalogue::revision::Selection;
use crate::domain::upload::UploadState;
use crate::domain::{Timestamp, VideoId};
use crate::storage::{Folder, Item, Key, Object, Still};

/// Where the objects of videos are, each by the video's id.
const FOLDERS: [&str; 3] = ["media", "sources", "stills"];

/// What the rows of a span say.
#[derive(Default)]
struct Rows {
    /// Objects that have to be there.
    expected: HashMap<String, Expected>,
    /// Objects that may be there.
    allowed: HashSet<String>,
    /// What revisions lie in, under every name that a row knows.
    folders: HashSet<Folder>,
    /// Their objects are their purge's to remove.
    deleted: HashSet<VideoId>,
}

struct Expected {
    key: Key,
    video: VideoId,
    /// A finished source.
    source: Option<Source>,
}

impl Run<'_> {
    pub(super) async fn check_span(&self, span: Span) -> Result<Span, Error> {
        let mut rows = self.rows(span).await?;
        for folder in FOLDERS {
            self.check_folder(folder, span, &mut rows).await?;
        }
        if rows.expected.is_empty() {
            return Ok(span);
        }
        // Rows and listing were of different moments: what seems to be missing is looked for once more.
        let mut now = self.rows(span).await?;
        let mut missing: BTreeMap<VideoId, Vec<Key>> = BTreeMap::new();
        for name in rows.expected.into_keys() {
            let Some(Expected { key, video, .. }) = now.expected.remove(&name) else { continue };
            if self.publishing.storage.head(&key).await?.is_none() {
                missing.entry(video).or_default().push(key);
            }
        }
        for (video, keys) in missing {
            self.tell_missing(video, keys).await?;
        }
        Ok(span)
    }

    async fn rows(&self, span: Span) -> Result<Rows, Error> {
        let mut read = self.publishing.db.read().await?;
        Ok(Rows::of(inventory::list(read.conn(), span).await?))
    }

    /// Every listed object takes its expectation off the rows; what is left over afterwards is missing.
    async fn check_folder(&self, folder: &str, span: Span, rows: &mut Rows) -> Result<(), Error> {
        let old = self.publishing.clock.now().minus(self.check.grace);
        let prefix = format!("{folder}/");
        // `0` is what follows `/`: behind all objects of a video.
        let behind = |id: VideoId| format!("{folder}/{id}0");
        let (mut after, end) = (span.after.map(behind), span.to.map(behind));
        loop {
            let page = self.publishing.storage.list(&prefix, after).await?;
            for item in &page.items {
                if end.as_ref().is_some_and(|end| item.key >= *end) {
                    return Ok(());
                }
                self.objects.fetch_add(1, Ordering::Relaxed);
                self.check_item(item, rows, old).await?;
            }
            after = page.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    async fn check_item(&self, item: &Item, rows: &mut Rows, old: Timestamp) -> Result<(), Error> {
        if let Some(expected) = rows.expected.remove(&item.key) {
            return match &expected.source {
                Some(source) => self.check_source(item, &expected, source).await,
                None => Ok(()),
            };
        }
        if item.modified > old || rows.allow(&item.key) {
            return Ok(());
        }
        self.check_unknown(&item.key).await
    }

    async fn check_source(&self, item: &Item, expected: &Expected, source: &Source) -> Result<(), Error> {
        let kind = if i64::try_from(item.size_bytes) != Ok(source.received) {
            "wrong_size"
        } else if self.check.rehash && !self.digest_matches(&expected.key, source).await? {
            "wrong_digest"
        } else {
            return Ok(());
        };
        self.tell(finding(kind, &expected.key, Some(expected.video))).await
    }

    async fn digest_matches(&self, key: &Key, source: &Source) -> Result<bool, Error> {
        let Some(expected) = &source.sha256 else { return Ok(true) };
        Ok(self.publishing.digest(key).await? == *expected)
    }

    async fn tell_missing(&self, video: VideoId, missing: Vec<Key>) -> Result<(), Error> {
        let remade = self.check.repair && missing.iter().any(is_made);
        if remade {
            let selection = Selection { video: Some(video), ..Selection::default() };
            self.publishing.reprocess(&selection).await?;
        }
        for key in missing {
            // An uploaded picture that is lost can't be made again: mended, the frame is shown.
            let repaired = match *key.object() {
                Object::Poster { poster, .. } if self.check.repair => {
                    self.publishing.forget_poster((video, poster)).await?
                }
                _ => remade && is_made(&key),
            };
            self.tell(Finding { repaired, ..finding("missing_object", &key, Some(video)) }).await?;
        }
        Ok(())
    }
}

impl Rows {
    fn of(inventory: Inventory) -> Self {
        let mut rows = Self::default();
        rows.deleted.extend(inventory.videos.iter().filter(|video| video.deleted).map(|video| video.id));
        for video in &inventory.videos {
            rows.add_posters(video);
        }
        for source in inventory.sources {
            let key = Key::source(source.video_id, source.id);
            if source.state == UploadState::Finished {
                rows.expect(key, source.video_id, Some(source));
            } else {
                rows.allowed.insert(key.as_str().to_owned());
            }
        }
        for revision in &inventory.revisions {
            let (video, number) = (revision.video_id, number(revision.number));
            let folder = |nonce| Folder { video, revision: number, nonce };
            rows.folders.insert(folder(revision.nonce));
            let stills = [(&revision.poster, Still::Poster), (&revision.storyboard, Still::Storyboard)];
            for (made, still) in stills.into_iter().filter_map(|(made, still)| Some((made.as_ref()?, still)))
            {
                rows.folders.insert(folder(made.nonce));
                rows.expect(Key::still(folder(made.nonce), still), video, None);
            }
        }
        let mut inits = HashSet::new();
        for pack in &inventory.packs {
            let folder = Folder { video: pack.video_id, revision: number(pack.revision), nonce: pack.nonce };
            rows.folders.insert(folder);
            let key = Key::pack(folder, &pack.rung, number(pack.first_segment), number(pack.attempt));
            rows.expect(key, folder.video, None);
            inits.insert((folder, pack.rung.as_str(), number(pack.init)));
        }
        for (folder, rung, init) in inits {
            rows.expect(Key::init_of(folder, rung, init), folder.video, None);
        }
        rows
    }

    fn add_posters(&mut self, video: &VideoRow) {
        if let Some(poster) = &video.poster {
            self.expect(Key::poster(video.id, poster.id), video.id, None);
        }
        // Where it is lost, its job says so to the editor.
        if let Some(poster) = video.poster_upload.filter(|_| !video.poster_refused) {
            self.expect(Key::new_poster(video.id, poster), video.id, None);
        }
    }

    /// A deleted video's objects may be gone already.
    fn expect(&mut self, key: Key, video: VideoId, source: Option<Source>) {
        let name = key.as_str().to_owned();
        if self.deleted.contains(&video) {
            self.allowed.insert(name);
        } else {
            self.expected.insert(name, Expected { key, video, source });
        }
    }

    fn allow(&self, name: &str) -> bool {
        let belongs = |key: Key| match *key.object() {
            Object::Init { folder, .. } | Object::Still { folder, .. } => self.folders.contains(&folder),
            Object::Poster { video, .. } => self.deleted.contains(&video),
            _ => false,
        };
        self.allowed.contains(name) || name.parse().is_ok_and(belongs)
    }
}

/// The worker can make it again.
fn is_made(key: &Key) -> bool {
    matches!(key.object(), Object::Init { .. } | Object::Pack { .. } | Object::Still { .. })
}

fn number(value: i64) -> u32 {
    u32::try_from(value).unwrap_or(0)
}
