//! Every verb stopped, refused and left without an answer at each change it makes: what was acknowledged holds.

mod caged;
mod posters;
mod recording;
mod uploads;
mod verbs;
mod walk;

use bytes::Bytes;
use policast::domain::{UploadId, VideoId};
use policast::fault::{self, Change};
use policast::storage::{Key, Part};

use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn every_change_to_the_bucket_and_every_commit_is_a_fault_point() {
    let world = World::small().await;
    let storage = &world.publishing.storage;
    let (key, other) =
        (Key::source(VideoId::new(), UploadId::new()), Key::source(VideoId::new(), UploadId::new()));
    let run = fault::trace(async {
        storage.put(&key, Bytes::from_static(b"bytes")).await.expect("put");
        storage.put_new(&other, Bytes::from_static(b"bytes")).await.expect("put new");
        storage.copy(&key, &other).await.expect("copied");
        storage.delete(&key).await.expect("deleted");
        let multipart = storage.begin_multipart(&key).await.expect("begun");
        let tag =
            storage.upload_part(&key, &multipart, 1, Bytes::from_static(b"part")).await.expect("a part");
        let parts = [Part { number: 1, size_bytes: 4, tag }];
        storage.complete_multipart(&key, &multipart, &parts).await.expect("completed");
        let multipart = storage.begin_multipart(&key).await.expect("begun");
        storage.abort_multipart(&key, &multipart).await.expect("aborted");
        storage.delete_prefix("sources/").await.expect("deleted");
        world.publishing.db.begin().await.expect("a transaction").commit().await.expect("committed");
    });
    let expected = [
        Change::Put,
        Change::Put,
        Change::Copy,
        Change::Delete,
        Change::BeginMultipart,
        Change::UploadPart,
        Change::CompleteMultipart,
        Change::BeginMultipart,
        Change::AbortMultipart,
        Change::Delete,
        Change::Commit,
    ];
    assert_eq!(run.await.changes, expected);
}
