//! What only the embedded server promises: what it acknowledged survives any crash, what it didn't leaves nothing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use policast::storage::embedded::OpenError;
use policast::storage::{Embedded, Error, Part, PartTag, Storage};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::place::{HOUR, Place, bytes, code, source};

async fn open(folder: &Path) -> (Embedded, Storage) {
    let embedded = Embedded::open(folder, None).await.unwrap();
    let storage = Storage::embedded(&embedded, "http://127.0.0.1:1");
    (embedded, storage)
}

fn blobs(folder: &Path) -> Vec<PathBuf> {
    let shards = std::fs::read_dir(folder.join("blobs")).unwrap().map(|shard| shard.unwrap().path());
    shards.flat_map(|shard| std::fs::read_dir(shard).unwrap()).map(|blob| blob.unwrap().path()).collect()
}

#[tokio::test]
async fn what_was_acknowledged_is_there_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let (key, unfinished) = (source(), source());
    let (embedded, storage) = open(folder.path()).await;
    storage.put(&key, bytes(1000, 1)).await.unwrap();
    let id = storage.begin_multipart(&unfinished).await.unwrap();
    let tag = storage.upload_part(&unfinished, &id, 1, bytes(20, 2)).await.unwrap();
    embedded.close().await;

    let (embedded, storage) = open(folder.path()).await;
    assert_eq!(embedded.swept().await, 0);
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(1000, 1));
    let parts = storage.list_parts(&unfinished, &id).await.unwrap();
    assert_eq!(parts, [Part { number: 1, size_bytes: 20, tag }]);
    storage.complete_multipart(&unfinished, &id, &parts).await.unwrap();
    assert_eq!(storage.read_all(&unfinished).await.unwrap(), bytes(20, 2));
}

#[tokio::test]
async fn a_blob_no_row_names_goes_at_the_next_start_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let key = source();
    let (embedded, storage) = open(folder.path()).await;
    storage.put(&key, bytes(1000, 1)).await.unwrap();
    embedded.close().await;
    // Killed while the bytes arrived, or synced but before the row; dropped by a row but not yet unlinked.
    let orphans = ["00", "7f", "ff"].map(|shard| {
        let orphan = folder.path().join("blobs").join(shard).join(format!("1-{shard}abc"));
        std::fs::write(&orphan, b"half").unwrap();
        orphan
    });

    let (embedded, storage) = open(folder.path()).await;
    assert_eq!(embedded.swept().await, 3);
    assert!(orphans.iter().all(|orphan| !orphan.exists()));
    assert_eq!(blobs(folder.path()).len(), 1);
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(1000, 1));
}

#[tokio::test]
async fn writes_of_this_start_are_safe_from_its_sweep() {
    let folder = tempfile::tempdir().unwrap();
    let (embedded, storage) = open(folder.path()).await;
    let keys: Vec<_> = (0..50).map(|_| source()).collect();
    for key in &keys {
        storage.put(key, bytes(100, 1)).await.unwrap();
    }
    embedded.swept().await;
    for key in &keys {
        assert_eq!(storage.read_all(key).await.unwrap(), bytes(100, 1));
    }
}

#[tokio::test]
async fn what_is_replaced_deleted_or_aborted_frees_its_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let (_embedded, storage) = open(folder.path()).await;
    let (key, aborted) = (source(), source());
    storage.put(&key, bytes(10, 1)).await.unwrap();
    storage.put(&key, bytes(10, 2)).await.unwrap();
    assert_eq!(blobs(folder.path()).len(), 1);
    let id = storage.begin_multipart(&aborted).await.unwrap();
    storage.upload_part(&aborted, &id, 1, bytes(10, 3)).await.unwrap();
    storage.upload_part(&aborted, &id, 1, bytes(10, 4)).await.unwrap();
    let tag = storage.upload_part(&aborted, &id, 2, bytes(10, 5)).await.unwrap();
    let listed = storage.list_parts(&aborted, &id).await.unwrap();
    assert_eq!(listed[1], Part { number: 2, size_bytes: 10, tag });
    assert_eq!(blobs(folder.path()).len(), 3);
    storage.abort_multipart(&aborted, &id).await.unwrap();
    storage.delete(&key).await.unwrap();
    assert_eq!(blobs(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn parts_that_are_not_listed_go_when_the_upload_is_completed() {
    let folder = tempfile::tempdir().unwrap();
    let (_embedded, storage) = open(folder.path()).await;
    let key = source();
    let id = storage.begin_multipart(&key).await.unwrap();
    storage.upload_part(&key, &id, 1, bytes(10, 1)).await.unwrap();
    let tag = storage.upload_part(&key, &id, 2, bytes(10, 2)).await.unwrap();
    storage.complete_multipart(&key, &id, &[Part { number: 2, size_bytes: 10, tag }]).await.unwrap();
    assert_eq!(blobs(folder.path()).len(), 1);
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(10, 2));
}

#[tokio::test]
async fn of_many_who_ask_for_a_new_object_one_gets_it() {
    let folder = tempfile::tempdir().unwrap();
    let (_embedded, storage) = open(folder.path()).await;
    let key = source();
    let puts = (0..20).map(|seed| storage.put_new(&key, bytes(1000, seed)));
    let done = futures::future::join_all(puts).await;
    let won: Vec<usize> = (0..20).filter(|&at| done[at].is_ok()).collect();
    assert_eq!(won.len(), 1);
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(1000, u8::try_from(won[0]).unwrap()));
    assert_eq!(blobs(folder.path()).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_leaves_nothing() {
    let place = Place::embedded().await;
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let url = place.storage.presign_put(&key, HOUR).await.unwrap();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let mut socket = TcpStream::connect(host).await.unwrap();
    let head = format!("PUT /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 1000\r\n\r\n");
    socket.write_all(head.as_bytes()).await.unwrap();
    socket.write_all(&[7; 500]).await.unwrap();
    while blobs(place.folder()).len() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    drop(socket);
    while blobs(place.folder()).len() > 1 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
}

#[tokio::test]
async fn a_full_disk_refuses_and_keeps_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let key = source();
    let (embedded, storage) = open(folder.path()).await;
    storage.put(&key, bytes(10, 1)).await.unwrap();
    let id = storage.begin_multipart(&key).await.unwrap();
    embedded.close().await;

    let embedded = Embedded::open_with_reserve(folder.path(), None, u64::MAX).await.unwrap();
    let storage = Storage::embedded(&embedded, "http://127.0.0.1:1");
    assert!(matches!(storage.put(&key, bytes(10, 2)).await, Err(Error::Full)));
    assert!(matches!(storage.upload_part(&key, &id, 1, bytes(10, 2)).await, Err(Error::Full)));
    assert_eq!(storage.read_all(&key).await.unwrap(), bytes(10, 1));
    storage.delete(&key).await.unwrap();
    assert_eq!(blobs(folder.path()), Vec::<PathBuf>::new());
}

#[tokio::test]
async fn two_servers_never_share_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (embedded, _) = open(folder.path()).await;
    let second = Embedded::open(folder.path(), None).await;
    assert!(matches!(second, Err(OpenError::Locked { .. })));
    embedded.close().await;
    open(folder.path()).await;
}

#[tokio::test]
async fn a_lost_blob_is_told_and_never_served_short() {
    let folder = tempfile::tempdir().unwrap();
    let (_embedded, storage) = open(folder.path()).await;
    let key = source();
    storage.put(&key, bytes(1000, 1)).await.unwrap();
    std::fs::write(&blobs(folder.path())[0], b"short").unwrap();
    assert!(storage.read_all(&key).await.unwrap_err().is_unavailable());
}

#[tokio::test]
async fn names_that_look_like_paths_never_reach_the_file_system() {
    let place = Place::embedded().await;
    let long = "n".repeat(1024);
    for name in ["../../../etc/passwd", "..", "a/../b", "/absolute", "//", "a//b/", "\u{1f}\u{7f}", &long] {
        let put = place.sdk.put_object().bucket(&place.bucket).key(name);
        put.body(name.as_bytes().to_vec().into()).send().await.unwrap();
        let got = place.sdk.get_object().bucket(&place.bucket).key(name).send().await.unwrap();
        assert_eq!(got.body.collect().await.unwrap().into_bytes(), name.as_bytes(), "{name}");
    }
    let put = place.sdk.put_object().bucket(&place.bucket).key(long + "n").body(vec![1].into());
    assert_eq!(code(put.send().await), "KeyTooLongError");
}

#[tokio::test]
async fn a_wrong_checksum_of_any_kind_leaves_the_old_object() {
    let place = Place::embedded().await;
    let key = source();
    place.storage.put(&key, bytes(10, 1)).await.unwrap();
    let put = || place.sdk.put_object().bucket(&place.bucket).key(key.as_str()).body(vec![7; 50].into());
    assert_eq!(code(put().checksum_crc32("AAAAAA==").send().await), "BadDigest");
    assert_eq!(code(put().checksum_sha256("A".repeat(43) + "=").send().await), "BadDigest");
    let id = place.storage.begin_multipart(&key).await.unwrap();
    let part = place.sdk.upload_part().bucket(&place.bucket).key(key.as_str()).upload_id(&id.0);
    let part = part.part_number(1).body(vec![7; 50].into()).checksum_crc32("AAAAAA==");
    assert_eq!(code(part.send().await), "BadDigest");
    assert_eq!(place.storage.list_parts(&key, &id).await.unwrap(), []);
    assert_eq!(place.storage.read_all(&key).await.unwrap(), bytes(10, 1));
}

#[tokio::test]
async fn a_part_copied_from_an_object_is_a_part() {
    let place = Place::embedded().await;
    let (from, to) = (source(), source());
    place.storage.put(&from, bytes(1000, 1)).await.unwrap();
    let id = place.storage.begin_multipart(&to).await.unwrap();
    let copy = place.sdk.upload_part_copy().bucket(&place.bucket).key(to.as_str()).upload_id(&id.0);
    let copy = copy.part_number(1).copy_source(format!("{}/{from}", place.bucket));
    let copied = copy.copy_source_range("bytes=100-199").send().await.unwrap();
    let tag = copied.copy_part_result().unwrap().e_tag().unwrap().trim_matches('"').to_owned();
    let parts = [Part { number: 1, size_bytes: 100, tag: PartTag(tag) }];
    place.storage.complete_multipart(&to, &id, &parts).await.unwrap();
    assert_eq!(place.storage.read_all(&to).await.unwrap(), bytes(1000, 1)[100..200]);
}
