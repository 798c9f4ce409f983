//! An account keeps no more than its quota, however it is announced: side by side, without a length, by parts, put
//! together of the same bytes again and again. Its sum is right after every end an upload may come to.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::upload::Upload;
use policast::catalogue::{account, video};
use policast::domain::account::Handle;
use policast::domain::key::{Caller, Role};
use policast::domain::upload::Door;
use policast::domain::{AccountId, UploadId};
use policast::publishing::{AccountDraft, Error, Incoming, Target};

use crate::world::{World, caller, draft};

const MIB: u64 = 1 << 20;

/// Gives the agency room for so many bytes; its own editor.
async fn with_quota(world: &World, quota: u64) -> Caller {
    let handle: Handle = "agency".parse().expect("a handle");
    let change = |before| AccountDraft { quota_bytes: Some(quota), ..before };
    world.publishing.change_account(handle, change).await.expect("changed");
    caller(&world.publishing, Some(agency(world).await), Role::Editor).await
}

async fn agency(world: &World) -> AccountId {
    let mut read = world.publishing.db.read().await.expect("a connection");
    let handle = "agency".parse().expect("a handle");
    account::find_id(read.conn(), &handle).await.expect("an answer").expect("the account")
}

async fn used(world: &World) -> i64 {
    let id = agency(world).await;
    let mut read = world.publishing.db.read().await.expect("a connection");
    account::used_bytes(read.conn(), id).await.expect("a sum")
}

fn incoming(target: Target, length: Option<u64>) -> Incoming {
    let (partials, filename, metadata) = (Vec::new(), String::new(), BTreeMap::new());
    Incoming { door: Door::Tus, target, partials, length, filename, metadata }
}

fn new() -> Target {
    Target::New(Box::new(draft()))
}

async fn begin(world: &World, caller: Caller, incoming: Incoming) -> Result<Upload, Error> {
    world.publishing.begin_upload(caller, incoming).await
}

async fn send(world: &World, caller: Caller, id: UploadId, offset: u64, size: u64) -> Result<u64, Error> {
    let mut receiver = world.publishing.receive(caller, id, offset, None).await?;
    let size = usize::try_from(size).expect("small");
    receiver.write(Bytes::from(vec![7; size])).await?;
    receiver.close().await
}

fn is_over<T: std::fmt::Debug>(refused: &Result<T, Error>) {
    assert!(matches!(refused, Err(Error::Quota { .. })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn announcements_side_by_side_are_promised_no_more_than_there_is() {
    for world in World::both().await {
        let caller = with_quota(&world, 100).await;
        let world = Arc::new(world);
        let announce = |_| {
            let world = world.clone();
            tokio::spawn(async move { begin(&world, caller, incoming(new(), Some(30))).await })
        };
        let announced = futures::future::join_all((0..16).map(announce)).await;
        let announced: Vec<_> = announced.into_iter().map(|one| one.expect("no panic")).collect();
        assert_eq!(announced.iter().filter(|one| one.is_ok()).count(), 3, "{announced:?}");
        announced.iter().filter(|one| one.is_err()).for_each(is_over);
        assert_eq!(used(&world).await, 90);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_without_a_declared_length_count_as_they_come() {
    for world in World::both().await {
        let caller = with_quota(&world, 10 * MIB).await;
        let one = begin(&world, caller, incoming(new(), None)).await.expect("announced");
        send(&world, caller, one.id, 0, 6 * MIB).await.expect("there is room");
        assert_eq!(used(&world).await, 6 << 20);
        is_over(&send(&world, caller, one.id, 6 * MIB, 5 * MIB).await);
        let other = begin(&world, caller, incoming(new(), None)).await.expect("announced");
        is_over(&send(&world, caller, other.id, 0, 9 * MIB).await);
        is_over(&world.publishing.declare_length(&one, 11 * MIB).await);
        // The part that was full had room.
        world.publishing.declare_length(&one, 8 * MIB).await.expect("as many as came");
        assert_eq!(used(&world).await, 8 << 20);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_accounts_own_limit_holds_for_bytes_without_a_declared_length() {
    let world = World::small().await;
    let caller = with_quota(&world, 100).await;
    let handle: Handle = "agency".parse().expect("a handle");
    let limited = |before| AccountDraft { max_video_bytes: Some(10), quota_bytes: None, ..before };
    world.publishing.change_account(handle, limited).await.expect("changed");
    let upload = begin(&world, caller, incoming(new(), None)).await.expect("announced");
    let refused = send(&world, caller, upload.id, 0, 11).await;
    assert!(matches!(refused, Err(Error::TooLarge { size: 11, most: 10 })), "{refused:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_that_is_named_twenty_times_counts_twenty_times() {
    for world in World::both().await {
        let caller = with_quota(&world, 100).await;
        let partial = begin(&world, caller, incoming(Target::Partial, Some(10))).await.expect("announced");
        send(&world, caller, partial.id, 0, 10).await.expect("there is room");
        let of = |times| Incoming { partials: vec![partial.id; times], ..incoming(new(), None) };
        is_over(&begin(&world, caller, of(20)).await);
        assert_eq!(used(&world).await, 10, "a refusal reserves nothing");
        let last = begin(&world, caller, of(10)).await.expect("there is room: the partial counts no more");
        assert_eq!(used(&world).await, 100);
        is_over(&begin(&world, caller, of(1)).await);
        world.publishing.assemble(last.id).await.expect("put together");
        assert_eq!(used(&world).await, 100);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_presigned_part_takes_its_own_bytes_and_no_more() {
    let [_, world] = World::both().await;
    let caller = with_quota(&world, 100).await;
    let upload = world.publishing.draft_with_parts(caller, draft()).await.expect("an upload");
    is_over(&world.publishing.part_urls(caller, upload.id, Some(101), &[1]).await);
    let asked = world.publishing.part_urls(caller, upload.id, Some(60), &[1]).await;
    let (_, urls) = asked.expect("there is room");
    assert_eq!(used(&world).await, 60);
    let http = reqwest::Client::new();
    let larger = http.put(&urls[0].url).body(vec![7_u8; 61]).send().await.expect("an answer");
    assert_eq!(larger.status(), 403, "the length is signed");
    let right = http.put(&urls[0].url).body(vec![7_u8; 60]).send().await.expect("an answer");
    assert_eq!(right.status(), 200);
    let no_such = world.publishing.part_urls(caller, upload.id, None, &[2]).await;
    assert!(matches!(no_such, Err(Error::PartNumber { number: 2, most: 1 })), "{no_such:?}");
    let other = world.publishing.part_urls(caller, upload.id, Some(70), &[1]).await;
    assert!(matches!(other, Err(Error::LengthKnown { length: 60 })), "{other:?}");
    world.publishing.finish_parts(caller, upload.id, &[]).await.expect("finished");
    assert_eq!(used(&world).await, 60);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_of_a_file_of_unknown_length_are_counted_by_their_number() {
    let [_, world] = World::both().await;
    let caller = with_quota(&world, 20 * MIB).await;
    let upload = world.publishing.draft_with_parts(caller, draft()).await.expect("an upload");
    is_over(&world.publishing.part_urls(caller, upload.id, None, &[3]).await);
    let (_, urls) =
        world.publishing.part_urls(caller, upload.id, None, &[1, 2]).await.expect("there is room");
    assert_eq!(used(&world).await, 16 << 20);
    let http = reqwest::Client::new();
    let put = async |url: &str, size: usize| {
        http.put(url).body(vec![7_u8; size]).send().await.expect("an answer").status().as_u16()
    };
    let whole = 8 << 20;
    for wrong in [whole - 1, whole + 1] {
        assert_eq!(put(&urls[0].url, wrong).await, 403, "the length of a whole part is signed");
    }
    assert_eq!(put(&urls[0].url, whole).await, 200);
    let end = 8 * MIB + 100;
    let (_, urls) =
        world.publishing.part_urls(caller, upload.id, Some(end), &[2]).await.expect("the last one");
    assert_eq!(used(&world).await, (8 << 20) + 100, "no more than the file has");
    assert_eq!(put(&urls[0].url, 101).await, 403);
    assert_eq!(put(&urls[0].url, 100).await, 200);
    world.publishing.finish_parts(caller, upload.id, &[]).await.expect("finished");
    assert_eq!(used(&world).await, (8 << 20) + 100);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sum_is_right_after_every_end_of_an_upload() {
    for mut world in World::both().await {
        let caller = with_quota(&world, 1000).await;
        let upload = begin(&world, caller, incoming(new(), Some(100))).await.expect("announced");
        assert_eq!(used(&world).await, 100);
        send(&world, caller, upload.id, 0, 100).await.expect("finished");
        assert_eq!(used(&world).await, 100, "what was promised is there");

        let given_up = begin(&world, caller, incoming(new(), Some(200))).await.expect("announced");
        world.publishing.abandon_upload(&given_up).await.expect("given up");
        world.publishing.abandon_upload(&given_up).await.expect_err("once");
        assert_eq!(used(&world).await, 100);

        world.publishing.limits.upload_ttl = Duration::ZERO;
        begin(&world, caller, incoming(new(), Some(300))).await.expect("announced");
        let partial = begin(&world, caller, incoming(Target::Partial, Some(50))).await.expect("announced");
        send(&world, caller, partial.id, 0, 50).await.expect("finished");
        assert_eq!(used(&world).await, 450);
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.publishing.tidy().await;
        assert_eq!(used(&world).await, 100);

        let id = upload.video_id.expect("a video");
        world.publishing.delete_video(world.operator, id).await.expect("deleted");
        assert_eq!(used(&world).await, 100, "it is still in the bucket");
        world.publishing.purge(id).await.expect("purged");
        let mut read = world.publishing.db.read().await.expect("a connection");
        assert!(!video::exists(read.conn(), id).await.expect("an answer"));
        drop(read);
        assert_eq!(used(&world).await, 0);
    }
}
