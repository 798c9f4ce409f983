//! Verbs that are one commit can't be cut; those that also change the bucket are walked.

use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::revision::{self, Selection};
use policast::catalogue::video;
use policast::domain::job::Job;
use policast::domain::{Timestamp, UploadId, VideoId};
use policast::fault::{self, Change};
use policast::publishing::{BroadcastDraft, BroadcastPlan, Error, Giving, Publishing, VideoChange};
use policast::storage::{Folder, Key, Still};

use super::walk::{begin, claim, fence, find, queued, send, walk, work};
use crate::world::{World, draft, english};

const CLIP: Bytes = Bytes::from_static(b"a clip");
const LEASE: Duration = Duration::from_secs(30);
const GONE: (&str, &str) = ("encoder_stopped", "it stopped");

/// Runs a verb that must be one commit and nothing else; its answer.
fn one<T>(what: &str, verb: impl Future<Output = Result<T, Error>>) -> impl Future<Output = T> {
    let run = fault::trace(verb);
    async move {
        let run = run.await;
        assert_eq!(run.changes, [Change::Commit], "{what}");
        run.answer.expect("an answer").unwrap_or_else(|error| panic!("{what}: {error}"))
    }
}

async fn source(world: &World) -> VideoId {
    let upload = begin(world, Some(CLIP.len() as u64)).await;
    send(world, upload.id, CLIP).await.expect("all bytes");
    upload.video_id.expect("a video")
}

async fn objects_of(world: &World, id: VideoId) -> Vec<String> {
    let id = id.to_string();
    world.objects().await.into_iter().filter(|name| name.contains(&id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_said_of_a_video_changes_in_one_commit() {
    let world = World::small().await;
    let (publishing, operator) = (&world.publishing, world.operator);
    let video = one("draft", publishing.draft_video(operator, draft())).await;
    let change = VideoChange { title: Some(english("Another title").into()), ..VideoChange::default() };
    one("change", publishing.change_video(operator, video.id, change)).await;
    one("publish", publishing.publish_without_media(operator, video.id)).await;
    one("withdraw", publishing.withdraw(operator, video.id, english("Out of date"))).await;
    one("delete", publishing.delete_video(operator, video.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_moves_on_in_one_commit_each_time() {
    let world = World::small().await;
    let (publishing, operator) = (&world.publishing, world.operator);
    let plan = BroadcastPlan { starts_at: None, grace: Duration::from_mins(1), dvr: None, slate: true };
    let announced = BroadcastDraft { video: draft(), plan };
    let (broadcast, _, _) = one("announce", publishing.announce_broadcast(operator, announced)).await;
    one("change", publishing.change_broadcast(operator, broadcast.id, |plan| plan)).await;
    let (_, key) = one("rotate", publishing.rotate_stream_key(operator, broadcast.id)).await;
    let ingest = one("begin", publishing.begin_ingest(&key, "one", LEASE)).await;
    one("leave", publishing.leave_ingest(&ingest, GONE)).await;
    one("slate", publishing.begin_slate(&ingest)).await;
    one("end", publishing.end_broadcast(operator, broadcast.id)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_ends_in_one_commit_however_it_ends() {
    let world = World::small().await;
    let publishing = &world.publishing;
    source(&world).await;
    let row = claim(publishing).await.expect("a job");
    one("hand over", publishing.hand_over(fence(&row))).await;
    let row = claim(publishing).await.expect("the same job");
    one("cancel while it runs", publishing.cancel_job(row.id)).await;
    one("cancelled", publishing.finish_cancelled(fence(&row), &row.work)).await;
    one("retry", publishing.retry_job(row.id)).await;
    let row = claim(publishing).await.expect("the same job");
    let giving = Giving { error: "it died", for_good: true };
    one("dead", publishing.give_back(fence(&row), &row, giving)).await;
    one("retry", publishing.retry_job(row.id)).await;
    let row = claim(publishing).await.expect("the same job");
    one("put off", publishing.put_off(fence(&row), "the bucket is away")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_video_leaves_nothing_wherever_its_purge_is_cut() {
    walk(
        async |world| {
            let id = source(world).await;
            world.publishing.delete_video(world.operator, id).await.expect("deleted");
            id
        },
        async |world, id| world.publishing.purge(*id).await,
        async |world, id, _| {
            work(world).await;
            assert_eq!(objects_of(world, *id).await, Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_that_plays_no_more_leaves_nothing_wherever_its_retirement_is_cut() {
    walk(
        async |world| {
            let id = world.publishing.draft_video(world.operator, draft()).await.expect("a draft").id;
            let mut tx = world.publishing.db.begin().await.expect("a transaction");
            let number = revision::insert(tx.conn(), id, UploadId::new(), Timestamp(0)).await.expect("one");
            revision::set_retire(tx.conn(), (id, number), Some(Timestamp(1))).await.expect("due");
            let nonce = revision::find_nonce(tx.conn(), (id, number)).await.expect("an answer");
            tx.commit().await.expect("committed");
            let folder = Folder { video: id, revision: number, nonce };
            for key in [Key::init(folder, "720p"), Key::still(folder, Still::Poster)] {
                world.publishing.storage.put(&key, CLIP).await.expect("stored");
            }
            (id, number)
        },
        async |world, (id, number)| world.publishing.retire(*id, *number).await,
        async |world, (id, number), _| {
            world.publishing.retire(*id, *number).await.expect("gone on with");
            assert_eq!(objects_of(world, *id).await, Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_deleted_whole_or_not_at_all() {
    walk(
        async |world| source(world).await,
        async |world, id| world.publishing.delete_video(world.operator, *id).await,
        async |world, id, well| {
            let again = world.publishing.delete_video(world.operator, *id).await;
            assert!(matches!(again, Err(Error::NotFound(_))) || (again.is_ok() && !well), "{again:?}");
            work(world).await;
            assert_eq!(objects_of(world, *id).await, Vec::<String>::new());
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn reprocessing_that_is_cut_goes_on_and_does_nothing_twice() {
    walk(
        async |world| source(world).await,
        async |world, id| {
            let selection = Selection { video: Some(*id), ..Selection::default() };
            world.publishing.reprocess(&selection).await
        },
        async |world, id, _| {
            let selection = Selection { video: Some(*id), ..Selection::default() };
            world.publishing.reprocess(&selection).await.expect("gone on with");
            let jobs = queued(world).await;
            let probes =
                jobs.iter().filter(|row| matches!(row.work.0, Job::Probe { video, .. } if video == *id));
            assert_eq!(probes.count(), 1, "older work is called off");
        },
    )
    .await;
}

/// When an owner that says nothing more has lost its channel.
pub(super) async fn lapsed(publishing: &Publishing) {
    let later = Publishing { clock: policast::domain::Clock::fixed(later()), ..publishing.clone() };
    later.lapse_broadcasts(Duration::MAX, |_| false).await.expect("lapsed");
}

fn later() -> Timestamp {
    policast::domain::Clock::System.now().plus(Duration::from_mins(10))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_channel_whose_owner_dies_while_it_takes_it_can_be_taken_again() {
    walk(
        async |world| world.announce(false).await,
        async |world, (_, key)| world.publishing.begin_ingest(key, "one", Duration::ZERO).await,
        async |world, (broadcast, key), _| {
            lapsed(&world.publishing).await;
            let ingest = world.publishing.begin_ingest(key, "two", Duration::ZERO).await.expect("taken");
            assert_eq!(ingest.revision, 1, "its recording is begun once");
            world.publishing.leave_ingest(&ingest, GONE).await.expect("left");
            world.publishing.end_broadcast(world.operator, broadcast.id).await.expect("ended");
            let mut read = world.publishing.db.read().await.expect("a connection");
            video::find(read.conn(), broadcast.video_id).await.expect("an answer").expect("the video");
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_that_replaces_another_is_there_whole_or_not_at_all() {
    walk(
        async |world| {
            let id = source(world).await;
            let incoming = super::walk::incoming(policast::publishing::Target::Video(id), Some(5));
            (id, world.publishing.begin_upload(world.operator, incoming).await.expect("an upload").id)
        },
        async |world, (_, upload)| send(world, *upload, Bytes::from_static(b"other")).await,
        async |world, (id, upload), well| {
            let state = find(&world.publishing, *upload).await.expect("the upload");
            assert!(!well || state.received == 5, "it was acknowledged: {state:?}");
            let story = world.publishing.story(*id).await.expect("a story");
            assert!(story.revisions.len() <= 2, "{story:?}");
        },
    )
    .await;
}
