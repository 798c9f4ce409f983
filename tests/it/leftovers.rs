//! What uploads leave in the bucket goes, however long the bucket was away; and one bad row holds up no other.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use policast::catalogue::upload::{self, Upload};
use policast::catalogue::{account, job, revision};
use policast::domain::job::{Job, JobKind, JobState};
use policast::domain::upload::{Door, UploadState};
use policast::domain::{Timestamp, UploadId, VideoId};
use policast::publishing::{Fsck, Incoming, Target};

use crate::faulty::Fault;
use crate::world::{World, draft};

const MIB: usize = 1 << 20;
const CHECK: Fsck = Fsck { rehash: false, repair: false, grace: Duration::ZERO };

async fn begin(world: &World) -> Upload {
    let incoming = Incoming {
        door: Door::Tus,
        target: Target::New(Box::new(draft())),
        partials: Vec::new(),
        length: Some(20 << 20),
        filename: "a.mp4".to_owned(),
        metadata: BTreeMap::new(),
    };
    world.publishing.begin_upload(world.operator, incoming).await.expect("an upload")
}

/// A part and a tail are in the bucket, and the upload's time is over.
async fn rested(world: &mut World) -> Upload {
    let ttl = std::mem::replace(&mut world.publishing.limits.upload_ttl, Duration::ZERO);
    let upload = begin(world).await;
    let mut receiver =
        world.publishing.receive(world.operator, upload.id, 0, None).await.expect("a receiver");
    receiver.write(Bytes::from(vec![7; 9 * MIB])).await.expect("taken");
    receiver.close().await.expect("kept");
    world.publishing.limits.upload_ttl = ttl;
    tokio::time::sleep(Duration::from_millis(5)).await;
    upload
}

async fn find(world: &World, id: UploadId) -> Option<Upload> {
    let mut read = world.publishing.db.read().await.expect("a connection");
    upload::find(read.conn(), id).await.expect("an answer")
}

/// Whatever is to be tried again is due now.
async fn is_due(world: &World, id: UploadId) {
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    upload::set_sweep(tx.conn(), id, Some(Timestamp(0))).await.expect("due");
    tx.commit().await.expect("committed");
}

async fn multiparts(world: &World) -> usize {
    world.publishing.storage.list_multiparts("").await.expect("a list").len()
}

fn away(_: &Method, _: &str) -> Fault {
    Fault::Refuse(StatusCode::FORBIDDEN)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_upload_left_while_the_bucket_was_away_goes_when_it_is_back() {
    for (mut world, faults) in World::with_faults().await {
        let expired = rested(&mut world).await;
        faults.decide(away);
        world.publishing.tidy().await;
        let row = find(&world, expired.id).await.expect("the row");
        assert_eq!(row.state, UploadState::Abandoned, "its time is over, with or without the bucket");
        faults.mend();
        assert_eq!((multiparts(&world).await, world.objects().await.len()), (1, 1));
        is_due(&world, expired.id).await;
        world.publishing.tidy().await;
        assert_eq!((multiparts(&world).await, world.objects().await.len()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn giving_an_upload_up_does_not_hang_on_the_bucket() {
    for (mut world, faults) in World::with_faults().await {
        let upload = rested(&mut world).await;
        faults.decide(away);
        world.publishing.abandon_upload(&upload).await.expect("given up");
        faults.mend();
        is_due(&world, upload.id).await;
        world.publishing.tidy().await;
        assert_eq!((multiparts(&world).await, world.objects().await.len()), (0, 0));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn fsck_finds_what_an_abandoned_upload_left() {
    let [(mut world, faults), _] = World::with_faults().await;
    let upload = rested(&mut world).await;
    faults.decide(away);
    world.publishing.abandon_upload(&upload).await.expect("given up");
    faults.mend();
    let found = crate::world::fsck(&world, &CHECK).await;
    let mut kinds: Vec<&str> = found.iter().map(|finding| finding.kind.as_str()).collect();
    kinds.sort_unstable();
    assert_eq!(kinds, ["orphan_object", "stray_multipart"]);
    crate::world::fsck(&world, &Fsck { repair: true, ..CHECK }).await;
    assert_eq!((multiparts(&world).await, world.objects().await.len()), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_cannot_be_tidied_holds_up_no_other() {
    for (mut world, faults) in World::with_faults().await {
        let bad = rested(&mut world).await;
        let good = [rested(&mut world).await, rested(&mut world).await];
        let theirs = bad.id.to_string();
        faults.decide(move |_, path| {
            if path.contains(&theirs) { Fault::Refuse(StatusCode::FORBIDDEN) } else { Fault::None }
        });
        let retired = due_revisions(&world, 1).await;
        world.publishing.tidy().await;
        for upload in good.iter().chain([&bad]) {
            assert_eq!(find(&world, upload.id).await.map(|row| row.state), Some(UploadState::Abandoned));
        }
        assert_eq!(retirements(&world).await, retired, "the rest of the round went on");
        faults.mend();
        assert_eq!((multiparts(&world).await, world.objects().await.len()), (1, 1), "the bad one's alone");
    }
}

/// Revisions of one video whose grace is over.
async fn due_revisions(world: &World, count: usize) -> usize {
    let video = world.publishing.draft_video(world.operator, draft()).await.expect("a video").id;
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    for _ in 0..count {
        let number = revision::insert(tx.conn(), video, UploadId::new(), Timestamp(0)).await.expect("one");
        revision::set_retire(tx.conn(), (video, number), Some(Timestamp(1))).await.expect("due");
    }
    tx.commit().await.expect("committed");
    count
}

async fn retirements(world: &World) -> usize {
    let filter = job::Filter { kind: Some(JobKind::Retire), limit: 1000, ..job::Filter::default() };
    let mut read = world.publishing.db.read().await.expect("a connection");
    job::list(read.conn(), &filter).await.expect("jobs").items.len()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_revision_whose_grace_is_over_is_retired_in_one_round() {
    for world in World::both().await {
        let due = due_revisions(&world, 250).await;
        world.publishing.tidy().await;
        assert_eq!(retirements(&world).await, due);
        world.publishing.tidy().await;
        assert_eq!(retirements(&world).await, due, "what waits already is not asked for again");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_tidy_the_same_rows_without_a_collision() {
    for mut world in World::both().await {
        let mut uploads = Vec::new();
        for _ in 0..4 {
            uploads.push(rested(&mut world).await);
        }
        let due = due_revisions(&world, 150).await;
        let node = world.publishing.clone();
        let (one, two) = tokio::join!(world.publishing.expire_uploads(), node.expire_uploads());
        assert_eq!(one.expect("expired") + two.expect("expired"), uploads.len(), "each by one of them");
        tokio::join!(world.publishing.tidy(), node.tidy());
        assert_eq!(retirements(&world).await, due);
        assert_eq!((multiparts(&world).await, world.objects().await.len()), (0, 0));
        let mut read = world.publishing.db.read().await.expect("a connection");
        let handle = "agency".parse().expect("a handle");
        let id = account::find_id(read.conn(), &handle).await.expect("an answer").expect("the account");
        assert_eq!(account::used_bytes(read.conn(), id).await.expect("a sum"), 0, "given back once each");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_jobs_are_returned_while_the_bucket_hangs() {
    let [(mut world, faults), _] = World::with_faults().await;
    rested(&mut world).await;
    let hanging = Arc::new(AtomicBool::new(false));
    let hangs = hanging.clone();
    faults.decide(move |_, _| {
        hangs.store(true, Ordering::Relaxed);
        Fault::Hang
    });
    world.work();
    while !hanging.load(Ordering::Relaxed) {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let work = Job::Purge { video: VideoId::new() };
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    job::enqueue(tx.conn(), &work, None, Timestamp(0)).await.expect("enqueued");
    let claim = job::Claim { worker: "dead", lease: Duration::from_millis(1), account_cap: 1 };
    job::claim(&mut tx, &claim).await.expect("an answer").expect("claimed");
    tx.commit().await.expect("committed");
    let begun = tokio::time::Instant::now();
    loop {
        let filter = job::Filter { kind: Some(JobKind::Purge), limit: 1, ..job::Filter::default() };
        let mut read = world.publishing.db.read().await.expect("a connection");
        let rows = job::list(read.conn(), &filter).await.expect("jobs").items;
        drop(read);
        let error = rows[0].last_error.clone().unwrap_or_default();
        if error.contains("dead was lost") || rows[0].state == JobState::Done {
            break;
        }
        assert!(begun.elapsed() < Duration::from_mins(1), "{rows:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    faults.mend();
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_presigned_upload_that_a_draft_did_not_use_is_forgotten() {
    for mut world in World::both().await {
        let used = world.publishing.draft_with_parts(world.operator, draft()).await.expect("an upload");
        let video = used.video_id.expect("a video");
        world.replace(video, Bytes::from_static(b"no film")).await;
        assert!(find(&world, used.id).await.is_none(), "another way was taken");
        world.publishing.limits.upload_ttl = Duration::ZERO;
        let unused = world.publishing.draft_with_parts(world.operator, draft()).await.expect("an upload");
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.publishing.tidy().await;
        assert!(find(&world, unused.id).await.is_none(), "its time is over");
    }
}
