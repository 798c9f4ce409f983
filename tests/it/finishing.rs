//! What is acknowledged to the last byte becomes a source, whatever dies or refuses after that byte.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::{Method, StatusCode};
use bytes::Bytes;
use policast::catalogue::job;
use policast::catalogue::upload::{self, Upload};
use policast::domain::job::JobState;
use policast::domain::upload::{Concat, Door, UploadState};
use policast::domain::{Timestamp, UploadId};
use policast::publishing::{Error, Incoming, Receiver, Target};
use policast::storage::{Key, MultipartId, Part};

use crate::faulty::Fault;
use crate::world::{World, draft};

const MIB: usize = 1 << 20;

fn noise(len: usize) -> Bytes {
    (0..len).map(|at| u8::try_from((at * 7 + at / 3) % 251).expect("a byte")).collect::<Vec<u8>>().into()
}

async fn begin(world: &World, door: Door, length: Option<usize>) -> Upload {
    let target = Target::New(Box::new(draft()));
    begin_as(world, door, target, length).await
}

async fn begin_as(world: &World, door: Door, target: Target, length: Option<usize>) -> Upload {
    let incoming = Incoming {
        door,
        target,
        partials: Vec::new(),
        length: length.map(|length| length as u64),
        filename: "a.mp4".to_owned(),
        metadata: BTreeMap::new(),
    };
    world.publishing.begin_upload(world.operator, incoming).await.expect("an upload")
}

async fn find(world: &World, id: UploadId) -> Upload {
    let mut read = world.publishing.db.read().await.expect("a connection");
    upload::find(read.conn(), id).await.expect("an answer").expect("the upload")
}

async fn receive(world: &World, id: UploadId, offset: usize, bytes: &Bytes) -> Receiver {
    let mut receiver =
        world.publishing.receive(world.operator, id, offset as u64, None).await.expect("a receiver");
    receiver.write(bytes.clone()).await.expect("taken");
    receiver
}

/// Names of the jobs that wait.
async fn waiting(world: &World) -> Vec<String> {
    let filter = job::Filter { state: Some(JobState::Queued), limit: 100, ..job::Filter::default() };
    let mut read = world.publishing.db.read().await.expect("a connection");
    let page = job::list(read.conn(), &filter).await.expect("jobs");
    page.items.into_iter().map(|row| row.name).collect()
}

/// The upload is on its way to a source by itself, and becomes that source.
async fn becomes_a_source(world: &World, id: UploadId, bytes: &Bytes) {
    let closed = find(world, id).await;
    assert_eq!(closed.state, UploadState::Finishing, "the last byte and the job are one transaction");
    assert!(waiting(world).await.contains(&format!("assemble/{id}")), "a job finishes it");
    world.publishing.assemble(id).await.expect("finished");
    is_a_source(world, id, bytes).await;
}

async fn is_a_source(world: &World, id: UploadId, bytes: &Bytes) {
    let upload = find(world, id).await;
    assert_eq!(upload.state, UploadState::Finished);
    let key = Key::source(upload.video_id.expect("a video"), id);
    assert!(world.publishing.storage.read_all(&key).await.expect("the source") == bytes, "other bytes");
    assert!(waiting(world).await.iter().any(|name| name.starts_with("probe/")), "it is processed");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_old_tail_cannot_be_deleted_is_finished_all_the_same() {
    for (world, faults) in World::with_faults().await {
        let bytes = noise(11);
        let upload = begin(&world, Door::Tus, Some(11)).await;
        receive(&world, upload.id, 0, &bytes.slice(..6)).await.close().await.expect("kept");
        faults.decide(|method, path| match *method {
            Method::DELETE => Fault::Refuse(StatusCode::FORBIDDEN),
            Method::POST if path.contains("delete") => Fault::Refuse(StatusCode::FORBIDDEN),
            _ => Fault::None,
        });
        receive(&world, upload.id, 6, &bytes.slice(6..)).await.close().await.expect("finished");
        is_a_source(&world, upload.id, &bytes).await;
        assert!(world.objects().await.iter().any(|name| name.contains(".tail-")), "nothing could be deleted");
        faults.mend();
        let mut tx = world.publishing.db.begin().await.expect("a transaction");
        upload::set_sweep(tx.conn(), upload.id, Some(Timestamp(0))).await.expect("due");
        tx.commit().await.expect("committed");
        world.publishing.tidy().await;
        assert_eq!(world.objects().await.len(), 1, "the leftovers are swept later");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_that_dies_with_the_last_part_leaves_a_job() {
    for world in World::both().await {
        let bytes = noise(16 * MIB);
        let upload = begin(&world, Door::Tus, Some(bytes.len())).await;
        // The last part fills to its end: it is written down before the request is over.
        drop(receive(&world, upload.id, 0, &bytes).await);
        becomes_a_source(&world, upload.id, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_after_the_last_byte_has_finished() {
    for world in World::both().await {
        let bytes = noise(9 * MIB);
        let upload = begin(&world, Door::Tus, Some(bytes.len())).await;
        receive(&world, upload.id, 0, &bytes).await.rescue().await.expect("kept");
        is_a_source(&world, upload.id, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_that_is_declared_after_the_last_byte_finishes_the_upload() {
    for world in World::both().await {
        for len in [11, 9 * MIB] {
            let bytes = noise(len);
            let upload = begin(&world, Door::Tus, None).await;
            receive(&world, upload.id, 0, &bytes).await.close().await.expect("kept");
            let open = find(&world, upload.id).await;
            world.publishing.declare_length(&open, len as u64).await.expect("declared");
            // Here the process dies: nobody closes a receiver.
            becomes_a_source(&world, upload.id, &bytes).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_after_the_last_byte_is_waited_for_by_the_job() {
    for (world, faults) in World::with_faults().await {
        let bytes = noise(9 * MIB);
        let upload = begin(&world, Door::Put, Some(bytes.len())).await;
        faults.decide(|method, path| match *method {
            Method::POST if path.contains("uploadId") => Fault::Refuse(StatusCode::SERVICE_UNAVAILABLE),
            _ => Fault::None,
        });
        let reached =
            receive(&world, upload.id, 0, &bytes).await.close().await.expect("every byte is durable");
        assert_eq!(reached, bytes.len() as u64);
        // The door of one request gives up what it could not bring; this it has brought.
        world.publishing.abandon_failed(&upload).await.expect("nothing to give up");
        faults.mend();
        becomes_a_source(&world, upload.id, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_whole_is_finished_by_the_sweep_and_never_abandoned() {
    for mut world in World::both().await {
        world.publishing.limits.upload_ttl = Duration::ZERO;
        let empty = begin(&world, Door::Tus, Some(0)).await;
        // As a version before left it: all bytes are there, and nobody was asked to finish.
        let bytes = noise(11);
        let old = begin(&world, Door::Tus, Some(11)).await;
        receive(&world, old.id, 0, &bytes.slice(..6)).await.close().await.expect("kept");
        world.publishing.storage.put(&Key::tail(old.id, 11), bytes.clone()).await.expect("stored");
        let row = Upload { received: 11, tail: 11, hash_state: None, ..find(&world, old.id).await };
        let mut tx = world.publishing.db.begin().await.expect("a transaction");
        assert!(upload::advance(tx.conn(), &row).await.expect("an answer"));
        tx.commit().await.expect("committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.publishing.tidy().await;
        becomes_a_source(&world, old.id, &bytes).await;
        becomes_a_source(&world, empty.id, &Bytes::new()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_are_completed_by_the_job_where_the_answer_of_the_bucket_was_lost() {
    for (world, faults) in World::with_faults().await {
        let bytes = noise(100);
        let (upload, key, multipart) = presigned(&world, bytes.len()).await;
        world.publishing.storage.upload_part(&key, &multipart, 1, bytes.clone()).await.expect("part 1");
        faults.decide(|method, path| match *method {
            Method::POST if path.contains("uploadId") => Fault::DoAndRefuse(StatusCode::FORBIDDEN),
            _ => Fault::None,
        });
        world.publishing.finish_parts(world.operator, upload.id, &[]).await.expect_err("no answer");
        faults.mend();
        becomes_a_source(&world, upload.id, &bytes).await;
        let again = world.publishing.finish_parts(world.operator, upload.id, &[]).await.expect("again");
        assert_eq!(again.state, UploadState::Finished);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_were_completed_by_a_process_that_never_said_so_become_the_source() {
    for world in World::both().await {
        let bytes = noise(100);
        let (upload, key, multipart) = presigned(&world, bytes.len()).await;
        let storage = &world.publishing.storage;
        let tag = storage.upload_part(&key, &multipart, 1, bytes.clone()).await.expect("part 1");
        let part = Part { number: 1, size_bytes: 100, tag };
        storage.complete_multipart(&key, &multipart, &[part]).await.expect("completed");
        world.publishing.finish_parts(world.operator, upload.id, &[]).await.expect("finished");
        is_a_source(&world, upload.id, &bytes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_changed_after_they_were_counted_may_be_finished_once_more() {
    // SeaweedFS keeps both and makes the object of the part that was counted.
    let [(world, faults), _] = World::with_faults().await;
    let bytes = noise(100);
    let (upload, key, multipart) = presigned(&world, bytes.len()).await;
    let storage = &world.publishing.storage;
    storage.upload_part(&key, &multipart, 1, noise(101).slice(1..)).await.expect("part 1");
    faults.decide(|method, path| match *method {
        Method::POST if path.contains("uploadId") => Fault::Refuse(StatusCode::FORBIDDEN),
        _ => Fault::None,
    });
    world.publishing.finish_parts(world.operator, upload.id, &[]).await.expect_err("refused");
    faults.mend();
    storage.upload_part(&key, &multipart, 1, bytes.clone()).await.expect("another part 1");
    let refused = world.publishing.assemble(upload.id).await;
    assert!(matches!(refused, Err(Error::Storage(_))), "{refused:?}");
    assert_eq!(find(&world, upload.id).await.state, UploadState::Open);
    world.publishing.finish_parts(world.operator, upload.id, &[]).await.expect("finished");
    is_a_source(&world, upload.id, &bytes).await;
}

async fn presigned(world: &World, len: usize) -> (Upload, Key, MultipartId) {
    let upload = world.publishing.draft_with_parts(world.operator, draft()).await.expect("an upload");
    let asked = world.publishing.part_urls(world.operator, upload.id, Some(len as u64), &[1]).await;
    let (upload, _) = asked.expect("addresses");
    let key = Key::source(upload.video_id.expect("a video"), upload.id);
    let multipart = MultipartId(upload.multipart.clone().expect("begun"));
    (upload, key, multipart)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partial_stays_for_as_long_as_a_final_upload_waits_for_it() {
    for mut world in World::both().await {
        let bytes = noise(11);
        let partial = begin_as(&world, Door::Tus, Target::Partial, Some(11)).await;
        receive(&world, partial.id, 0, &bytes).await.close().await.expect("finished");
        let mut finals = Vec::new();
        for _ in 0..2 {
            let incoming = Incoming {
                door: Door::Tus,
                target: Target::New(Box::new(draft())),
                partials: vec![partial.id],
                length: None,
                filename: String::new(),
                metadata: BTreeMap::new(),
            };
            finals.push(world.publishing.begin_upload(world.operator, incoming).await.expect("a final one"));
        }
        // The queue is long, and the time of the partial runs out.
        world.publishing.limits.upload_ttl = Duration::ZERO;
        let mut tx = world.publishing.db.begin().await.expect("a transaction");
        let row = Upload { expires_at: Timestamp(0), ..find(&world, partial.id).await };
        assert_eq!(row.concat, Concat::Partial);
        upload::acquire(tx.conn(), row.id, Timestamp(0)).await.expect("an answer");
        tx.commit().await.expect("committed");
        world.publishing.tidy().await;
        for upload in finals {
            world.publishing.assemble(upload.id).await.expect("put together");
            is_a_source(&world, upload.id, &bytes).await;
        }
        let mut read = world.publishing.db.read().await.expect("a connection");
        assert!(upload::find(read.conn(), partial.id).await.expect("an answer").is_none(), "it is used up");
    }
}
