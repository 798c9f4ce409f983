//! Bytes on their way in: what is acknowledged is durable, whatever happens next.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::upload::{self, Upload};
use policast::domain::upload::{Door, UploadState};
use policast::domain::{KeyId, UploadId};
use policast::publishing::{Checksum, ChecksumKind, Error, Incoming, Target};
use policast::storage::{Key, Part};
use sha1::Sha1;
use sha2::{Digest, Sha256};

use crate::world::{World, draft};

const MIB: usize = 1 << 20;

fn noise(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at * at / 7 + at) % 251).expect("a byte")).collect::<Vec<u8>>().into()
}

fn incoming(door: Door, target: Target, length: Option<u64>) -> Incoming {
    Incoming {
        door,
        target,
        partials: Vec::new(),
        length,
        filename: "ü 政策 \"../\".mp4".to_owned(),
        metadata: BTreeMap::new(),
    }
}

async fn begin(world: &World, length: usize) -> Upload {
    let target = Target::New(Box::new(draft()));
    let incoming = incoming(Door::Tus, target, Some(length as u64));
    world.publishing.begin_upload(world.operator, incoming).await.expect("an upload")
}

async fn find(world: &World, id: UploadId) -> Upload {
    let mut read = world.publishing.db.read().await.expect("a connection");
    upload::find(read.conn(), id).await.expect("an answer").expect("the upload")
}

async fn stored(world: &World, upload: &Upload) -> Bytes {
    let key = Key::source(upload.video_id.expect("a video"), upload.id);
    world.publishing.storage.read_all(&key).await.expect("the source")
}

/// Writes `bytes` at `offset` as one request that ends well.
async fn send(world: &World, id: UploadId, offset: usize, bytes: Bytes) -> Result<u64, Error> {
    let mut receiver = world.publishing.receive(world.operator, id, offset as u64, None).await?;
    for piece in bytes.chunks(700_001) {
        receiver.write(Bytes::copy_from_slice(piece)).await?;
    }
    receiver.close().await
}

#[tokio::test(flavor = "multi_thread")]
async fn pieces_of_any_size_become_one_source_with_its_digest() {
    for world in World::both().await {
        let bytes = noise(19 * MIB + 17);
        let upload = begin(&world, bytes.len()).await;
        let mut at = 0;
        for len in [1, 3 * MIB, 9 * MIB + 5, 7 * MIB - 3, 14] {
            let reached = send(&world, upload.id, at, bytes.slice(at..at + len)).await.expect("taken");
            at += len;
            assert_eq!(reached, at as u64);
        }
        assert_eq!(at, bytes.len());
        let upload = find(&world, upload.id).await;
        assert_eq!(upload.state, UploadState::Finished);
        assert_eq!(upload.sha256, Some(hex::encode(Sha256::digest(&bytes))));
        assert_eq!(upload.filename, "ü 政策 \"../\".mp4");
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
        assert_eq!(world.objects().await.len(), 1, "nothing is left beside the source");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_loses_nothing_that_came() {
    for world in World::both().await {
        let bytes = noise(9 * MIB);
        let upload = begin(&world, bytes.len()).await;
        let mut receiver =
            world.publishing.receive(world.operator, upload.id, 0, None).await.expect("a receiver");
        receiver.write(bytes.slice(..8 * MIB + 100)).await.expect("taken");
        receiver.rescue().await.expect("kept");
        let kept = find(&world, upload.id).await;
        assert_eq!((kept.received, kept.tail), (8 * 1_048_576 + 100, 100));
        let at = 8 * MIB + 100;
        send(&world, upload.id, at, bytes.slice(at..)).await.expect("the rest");
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_offset_is_told_with_the_right_one() {
    let world = World::small().await;
    let upload = begin(&world, 10).await;
    let refused = send(&world, upload.id, 4, noise(2)).await;
    assert!(matches!(refused, Err(Error::Offset { offset: 4, expected: 0 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_writer_fences_the_old_one_off() {
    for world in World::both().await {
        let bytes = noise(MIB);
        let upload = begin(&world, bytes.len()).await;
        let mut old = world.publishing.receive(world.operator, upload.id, 0, None).await.expect("a receiver");
        old.write(bytes.slice(..100)).await.expect("taken");
        send(&world, upload.id, 0, bytes.slice(..1000)).await.expect("the new writer");
        let refused = old.close().await;
        assert!(matches!(refused, Err(Error::TakenOver)), "{refused:?}");
        assert_eq!(find(&world, upload.id).await.received, 1000);
        send(&world, upload.id, 1000, bytes.slice(1000..)).await.expect("the rest");
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_with_a_wrong_checksum_never_were() {
    let world = World::small().await;
    let bytes = noise(9 * MIB);
    let upload = begin(&world, bytes.len()).await;
    let wrong = Checksum { kind: ChecksumKind::Sha1, expected: Sha1::digest(b"something else").to_vec() };
    let mut receiver =
        world.publishing.receive(world.operator, upload.id, 0, Some(wrong)).await.expect("a receiver");
    receiver.write(bytes.clone()).await.expect("taken");
    assert!(matches!(receiver.close().await, Err(Error::Checksum { kind: "sha1", .. })));
    assert_eq!(find(&world, upload.id).await.received, 0);
    let right = Checksum { kind: ChecksumKind::Sha1, expected: Sha1::digest(&bytes).to_vec() };
    let mut receiver =
        world.publishing.receive(world.operator, upload.id, 0, Some(right)).await.expect("a receiver");
    receiver.write(bytes.clone()).await.expect("taken");
    receiver.close().await.expect("finished");
    assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
}

#[tokio::test(flavor = "multi_thread")]
async fn more_bytes_than_declared_are_refused() {
    let world = World::small().await;
    let upload = begin(&world, 10).await;
    let refused = send(&world, upload.id, 0, noise(11)).await;
    assert!(matches!(refused, Err(Error::PastLength { length: 10 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_over_the_limit_or_the_quota_is_refused_before_its_bytes() {
    let mut world = World::small().await;
    world.publishing.limits.max_upload_bytes = 1000;
    let target = || Target::New(Box::new(draft()));
    let begin =
        |length| world.publishing.begin_upload(world.operator, incoming(Door::Tus, target(), Some(length)));
    assert!(matches!(begin(1001).await, Err(Error::TooLarge { size: 1001, most: 1000 })));
    assert!(begin(1000).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn finishing_goes_on_where_a_crash_cut_it() {
    for world in World::both().await {
        let bytes = noise(9 * MIB);
        let upload = begin(&world, bytes.len()).await;
        send(&world, upload.id, 0, bytes.slice(..8 * MIB)).await.expect("taken");
        // The process dies after the bucket completed the object and before the row was told.
        let mut receiver =
            world.publishing.receive(world.operator, upload.id, 8 << 20, None).await.expect("a receiver");
        receiver.write(bytes.slice(8 * MIB..=8 * MIB)).await.expect("taken");
        receiver.rescue().await.expect("kept");
        send(&world, upload.id, 8 * MIB + 1, bytes.slice(8 * MIB + 1..)).await.expect("finished");
        world.publishing.finish_received(upload.id).await.expect("again");
        world.publishing.assemble(upload.id).await.expect("and again");
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_abandoned_upload_leaves_nothing_in_the_bucket() {
    for mut world in World::both().await {
        let upload = begin(&world, 20 * MIB).await;
        send(&world, upload.id, 0, noise(9 * MIB)).await.expect("taken");
        assert!(!world.objects().await.is_empty());
        world.publishing.limits.upload_ttl = Duration::ZERO;
        send(&world, upload.id, 9 * MIB, noise(10)).await.expect("taken");
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.publishing.tidy().await;
        assert_eq!(find(&world, upload.id).await.state, UploadState::Abandoned);
        assert_eq!(world.objects().await, Vec::<String>::new());
        let left = world.publishing.storage.list_multiparts("").await.expect("a list");
        assert!(left.is_empty(), "{left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_uploads_become_one_source() {
    for world in World::both().await {
        let bytes = noise(13 * MIB + 1);
        let cuts = [0..MIB, MIB..12 * MIB, 12 * MIB..bytes.len()];
        let mut partials = Vec::new();
        for cut in cuts {
            let length = Some(cut.len() as u64);
            let begun = incoming(Door::Tus, Target::Partial, length);
            let partial = world.publishing.begin_upload(world.operator, begun).await.expect("a partial");
            send(&world, partial.id, 0, bytes.slice(cut)).await.expect("taken");
            partials.push(partial.id);
        }
        let last = Incoming { partials, ..incoming(Door::Tus, Target::New(Box::new(draft())), None) };
        let last = world.publishing.begin_upload(world.operator, last).await.expect("the final one");
        world.publishing.assemble(last.id).await.expect("put together");
        let upload = find(&world, last.id).await;
        assert_eq!(upload.sha256, Some(hex::encode(Sha256::digest(&bytes))));
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
        assert_eq!(world.objects().await.len(), 1, "the partials are gone");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_went_straight_into_the_bucket_are_counted() {
    for world in World::both().await {
        let bytes = noise(12 * MIB);
        let upload = world.publishing.draft_with_parts(world.operator, draft()).await.expect("an upload");
        let size = Some(bytes.len() as u64);
        let (upload, urls) =
            world.publishing.part_urls(world.operator, upload.id, size, &[1, 2]).await.expect("addresses");
        assert_eq!((urls.len(), upload.part_size), (2, 8 << 20));
        let early = world.publishing.finish_parts(world.operator, upload.id, &[]).await;
        assert!(matches!(early, Err(Error::PartMissing { .. } | Error::Unfinished { .. })), "{early:?}");
        let key = Key::source(upload.video_id.expect("a video"), upload.id);
        let multipart = policast::storage::MultipartId(upload.multipart.clone().expect("begun"));
        let storage = &world.publishing.storage;
        let second = storage.upload_part(&key, &multipart, 2, bytes.slice(8 * MIB..)).await.expect("part 2");
        let gap = world.publishing.finish_parts(world.operator, upload.id, &[]).await;
        assert!(matches!(gap, Err(Error::PartMissing { number: 1 })), "{gap:?}");
        storage.upload_part(&key, &multipart, 1, bytes.slice(..8 * MIB)).await.expect("part 1");
        let claimed = [Part { number: 2, size_bytes: 0, tag: second }];
        world.publishing.finish_parts(world.operator, upload.id, &claimed).await.expect("finished");
        assert!(stored(&world, &upload).await == bytes, "the bucket has other bytes");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn another_keys_partial_is_not_there() {
    let world = World::small().await;
    let begun = incoming(Door::Tus, Target::Partial, Some(10));
    let partial = world.publishing.begin_upload(world.operator, begun).await.expect("a partial");
    let other = policast::domain::key::Caller { key: KeyId::new(), ..world.operator };
    assert!(matches!(world.publishing.find_upload(other, partial.id).await, Err(Error::NotFound("upload"))));
}
