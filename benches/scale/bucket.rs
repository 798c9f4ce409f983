//! `fsck` of a bucket: every object of every video, small but real, on the embedded store.

use std::time::Instant;

use bytes::Bytes;
use futures::StreamExt;
use policast::catalogue::Db;
use policast::catalogue::inventory::{self, Inventory, Span};
use policast::domain::VideoId;
use policast::publishing::Publishing;
use policast::storage::{Folder, Key, Still};
use sqlx::Executor;

use crate::walks::Walk;
use crate::{fill, walks};

/// What is wanted.
const LONGEST_S: f64 = 20.0;
/// Bytes of an object; rows say so of sources.
const OBJECT: &[u8] = &[7; 1000];
/// Objects stored at a time.
const AT_A_TIME: usize = 32;
/// As its rows say it: that nothing is found is a part of the measurement.
const TRUE: [&str; 2] = [
    "update upload set received = 1000, length = 1000",
    "update account set used_bytes = (select 1000 * count(*) from upload u where u.account_id = account.id)",
];

/// Stores what so many videos have, and checks it.
pub async fn check(videos: i64, pause: bool) {
    let folder = tempfile::tempdir().expect("a folder");
    let begun = Instant::now();
    let db = fill::filled_sqlite(&folder.path().join("policast.db"), videos).await;
    let Db::Sqlite { write, .. } = &db else { return };
    for statement in TRUE {
        write.execute(statement).await.expect("true");
    }
    let publishing = walks::publishing(db, folder.path()).await;
    let objects = store(&publishing).await;
    publishing.db.close().await;
    drop(publishing);
    println!("fsck: {objects} objects of {videos} videos stored in {:.0} s", begun.elapsed().as_secs_f64());
    crate::wait(pause);
    for round in 1..=3 {
        let said = Walk::Fsck.run("sqlite", &folder.path().display().to_string());
        println!("  fsck of {videos} videos, round {round}: {said} (wanted: {LONGEST_S} s)");
    }
}

async fn store(publishing: &Publishing) -> usize {
    let everything = Span { after: None, to: None };
    let mut read = publishing.db.read().await.expect("a connection");
    let keys = keys(inventory::list(read.conn(), everything).await.expect("rows"));
    drop(read);
    let count = keys.len();
    let put = |key| async move { publishing.storage.put(&key, Bytes::from_static(OBJECT)).await };
    let mut stored = futures::stream::iter(keys).map(put).buffer_unordered(AT_A_TIME);
    while let Some(done) = stored.next().await {
        done.expect("stored");
    }
    count
}

fn keys(rows: Inventory) -> Vec<Key> {
    let folder = |video: VideoId, revision: i64| Folder {
        video,
        revision: u32::try_from(revision).expect("small"),
        nonce: None,
    };
    let mut keys: Vec<Key> =
        rows.sources.into_iter().map(|source| Key::source(source.video_id, source.id)).collect();
    for revision in rows.revisions {
        let folder = folder(revision.video_id, revision.number);
        keys.extend([Still::Poster, Still::Storyboard].map(|still| Key::still(folder, still)));
    }
    for pack in rows.packs {
        let folder = folder(pack.video_id, pack.revision);
        keys.push(Key::init(folder, &pack.rung));
        keys.push(Key::pack(folder, &pack.rung, 0, 1));
    }
    keys
}
