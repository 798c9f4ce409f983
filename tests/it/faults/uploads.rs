//! Every way bytes come in, cut between any two changes.

use bytes::Bytes;
use policast::domain::UploadId;
use policast::domain::upload::{Door, UploadState};
use policast::publishing::{Checksum, ChecksumKind, Error, Target};
use policast::storage::{Key, MultipartId};
use sha2::{Digest, Sha256};

use super::walk::{arrives, begin, find, incoming, send, walk, work};
use crate::world::{World, draft};

const CLIP: Bytes = Bytes::from_static(b"every byte of this clip is acknowledged");

/// More than one part, and an end that fills none.
fn large() -> Bytes {
    (0..(8 << 20) + 100_000_u32).map(|at| u8::try_from(at % 251).expect("a byte")).collect()
}

async fn half_sent(world: &World, bytes: &Bytes, half: usize) -> UploadId {
    let upload = begin(world, Some(bytes.len() as u64)).await;
    send(world, upload.id, bytes.slice(..half)).await.expect("the first half");
    upload.id
}

async fn receive_rest(world: &World, id: UploadId, bytes: &Bytes) -> Result<u64, Error> {
    let received = find(&world.publishing, id).await.expect("the upload").received;
    send(world, id, bytes.slice(usize::try_from(received).expect("a size")..)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_announced_is_there_or_is_not() {
    walk(
        async |_| (),
        async |world, ()| {
            let incoming = incoming(Target::New(Box::new(draft())), Some(CLIP.len() as u64));
            world.publishing.begin_upload(world.operator, incoming).await
        },
        async |_, (), _| {},
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_in_one_request_all_arrive() {
    walk(
        async |world| begin(world, Some(CLIP.len() as u64)).await.id,
        async |world, id| send(world, *id, CLIP).await,
        async |world, id, _| arrives(world, *id, &CLIP).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_request_that_brings_the_last_byte_after_a_tail_loses_none() {
    walk(
        async |world| half_sent(world, &CLIP, 10).await,
        async |world, id| receive_rest(world, *id, &CLIP).await,
        async |world, id, _| arrives(world, *id, &CLIP).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_in_the_middle_loses_nothing_that_was_acknowledged() {
    walk(
        async |world| half_sent(world, &CLIP, 10).await,
        async |world, id| send(world, *id, CLIP.slice(10..20)).await,
        async |world, id, well| {
            let received = find(&world.publishing, *id).await.expect("the upload").received;
            assert!(received == 10 || received == 20, "{received}");
            assert!(received == 20 || !well, "it was acknowledged");
            arrives(world, *id, &CLIP).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_of_several_parts_and_a_tail_arrives() {
    let bytes = large();
    walk(
        async |world| half_sent(world, &bytes, 5 << 20).await,
        async |world, id| receive_rest(world, *id, &bytes).await,
        async |world, id, _| arrives(world, *id, &bytes).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_digest_counts_whole_or_not_at_all() {
    walk(
        async |world| half_sent(world, &CLIP, 10).await,
        async |world, id| {
            let expected = Sha256::digest(&CLIP[10..]).to_vec();
            let checksum = Checksum { kind: ChecksumKind::Sha256, expected };
            let mut receiver = world.publishing.receive(world.operator, *id, 10, Some(checksum)).await?;
            receiver.write(CLIP.slice(10..)).await?;
            receiver.close().await
        },
        async |world, id, _| arrives(world, *id, &CLIP).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_hangs_up_keeps_what_it_sent() {
    walk(
        async |world| half_sent(world, &CLIP, 10).await,
        async |world, id| {
            let mut receiver = world.publishing.receive(world.operator, *id, 10, None).await?;
            receiver.write(CLIP.slice(10..20)).await?;
            receiver.rescue().await
        },
        async |world, id, _| arrives(world, *id, &CLIP).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_declared_after_the_last_byte_finishes_the_upload() {
    walk(
        async |world| {
            let upload = begin(world, None).await;
            send(world, upload.id, CLIP).await.expect("all bytes");
            upload.id
        },
        async |world, id| {
            let upload = find(&world.publishing, *id).await.expect("the upload");
            world.publishing.declare_length(&upload, CLIP.len() as u64).await?;
            send(world, *id, Bytes::new()).await
        },
        async |world, id, _| {
            let upload = find(&world.publishing, *id).await.expect("the upload");
            if upload.state == UploadState::Open {
                // The client knows that its length was not taken, or asks again.
                let length = CLIP.len() as u64;
                world.publishing.declare_length(&upload, length).await.expect("its length");
                send(world, *id, Bytes::new()).await.expect("finished");
            }
            arrives(world, *id, &CLIP).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_went_straight_to_the_bucket_become_the_source() {
    walk(
        async |world| {
            let target = Target::New(Box::new(draft()));
            let incoming = policast::publishing::Incoming { door: Door::Parts, ..incoming(target, None) };
            let upload = world.publishing.begin_upload(world.operator, incoming).await.expect("an upload");
            let asked =
                world.publishing.part_urls(world.operator, upload.id, Some(CLIP.len() as u64), &[1]).await;
            let upload = asked.expect("addresses").0;
            let key = Key::source(upload.video_id.expect("a video"), upload.id);
            let multipart = MultipartId(upload.multipart.expect("a multipart upload"));
            world.publishing.storage.upload_part(&key, &multipart, 1, CLIP).await.expect("a part");
            upload.id
        },
        async |world, id| world.publishing.finish_parts(world.operator, *id, &[]).await,
        async |world, id, _| {
            // A client that was not answered asks again.
            world.publishing.finish_parts(world.operator, *id, &[]).await.expect("finished");
            arrives(world, *id, &CLIP).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_for_parts_leave_no_multipart_upload_that_nobody_knows() {
    walk(
        async |world| {
            let target = Target::New(Box::new(draft()));
            let incoming = policast::publishing::Incoming { door: Door::Parts, ..incoming(target, None) };
            world.publishing.begin_upload(world.operator, incoming).await.expect("an upload").id
        },
        async |world, id| world.publishing.part_urls(world.operator, *id, Some(10), &[1]).await,
        async |world, id, _| {
            world.publishing.part_urls(world.operator, *id, Some(10), &[1]).await.expect("addresses");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concatenation_is_the_sum_of_its_parts() {
    walk(
        async |world| {
            let mut partials = Vec::new();
            for half in [CLIP.slice(..10), CLIP.slice(10..)] {
                let incoming = incoming(Target::Partial, Some(half.len() as u64));
                let partial =
                    world.publishing.begin_upload(world.operator, incoming).await.expect("a partial");
                send(world, partial.id, half).await.expect("its bytes");
                partials.push(partial.id);
            }
            let mut incoming = incoming(Target::New(Box::new(draft())), None);
            incoming.partials = partials;
            world.publishing.begin_upload(world.operator, incoming).await.expect("a final upload").id
        },
        async |world, id| world.publishing.assemble(*id).await,
        async |world, id, _| arrives(world, *id, &CLIP).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_leaves_nothing() {
    let bytes = large();
    walk(
        async |world| half_sent(world, &bytes, (8 << 20) + 50).await,
        async |world, id| {
            let upload = find(&world.publishing, *id).await.expect("the upload");
            world.publishing.abandon_upload(&upload).await
        },
        async |world, _, _| work(world).await,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_sweep_that_dies_in_the_middle_leaves_nothing_for_ever() {
    let bytes = large();
    walk(
        async |world| half_sent(world, &bytes, (8 << 20) + 50).await,
        async |world, _| {
            world.publishing.clock.advance(std::time::Duration::from_hours(26));
            world.publishing.tidy().await;
            Ok(())
        },
        async |world, id, _| {
            let state = find(&world.publishing, *id).await.map(|upload| upload.state);
            assert_ne!(state, Some(UploadState::Finished));
        },
    )
    .await;
}
