//! A picture of one's own, cut between any two changes: what is shown is there, and nothing else of it is.

use bytes::Bytes;
use policast::catalogue::job::{Fence, Row};
use policast::catalogue::revision::Still;
use policast::catalogue::video;
use policast::domain::job::Job;
use policast::domain::{PosterId, Refusal, RefusalCode, VideoId};
use policast::publishing::{Error, PosterOf, PosterStage};
use policast::storage::Key;

use super::walk::{claim, fence, walk, work};
use crate::world::{World, draft};

const PICTURE: Bytes = Bytes::from_static(b"a picture");
const STILL: Still = Still { width: 64, height: 64, size_bytes: 9, nonce: None };

async fn new_video(world: &World) -> VideoId {
    world.publishing.draft_video(world.operator, draft()).await.expect("a draft").id
}

/// A picture whose job is at work.
async fn under_way(world: &World, id: VideoId) -> (Fence, PosterOf) {
    world.publishing.upload_poster(world.operator, id, PICTURE).await.expect("uploaded");
    loop {
        let row: Row = claim(&world.publishing).await.expect("its job");
        if let Job::Poster { video, poster } = row.work.0
            && video == id
        {
            return (fence(&row), (video, poster));
        }
    }
}

async fn show(world: &World, (fence, of): (Fence, PosterOf)) -> Result<(), Error> {
    world.publishing.storage.put(&Key::poster(of.0, of.1), PICTURE).await?;
    world.publishing.show_poster(fence, of, STILL).await
}

/// The next attempt at a job whose process died, as a worker makes it; under the fence of the first, which nobody took.
async fn again(world: &World, (fence, of): (Fence, PosterOf)) {
    let stage = world.publishing.find_poster_stage(of).await.expect("a stage");
    let done = match stage {
        PosterStage::Over => world.publishing.end_poster(fence, of).await,
        PosterStage::Arrived | PosterStage::Refused => show(world, (fence, of)).await,
    };
    assert!(matches!(done, Ok(()) | Err(Error::LeaseLost)), "{done:?}");
}

async fn shown(world: &World, id: VideoId) -> Option<PosterId> {
    let mut read = world.publishing.db.read().await.expect("a connection");
    let found = video::find(read.conn(), id).await.expect("an answer").expect("the video");
    found.poster.map(|poster| poster.id)
}

async fn objects_of(world: &World, id: VideoId) -> Vec<String> {
    let id = id.to_string();
    world.objects().await.into_iter().filter(|name| name.contains(&id)).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_uploaded_is_known_or_leaves_nothing() {
    walk(
        new_video,
        async |world, id| world.publishing.upload_poster(world.operator, *id, PICTURE).await,
        async |world, id, well| {
            let mut read = world.publishing.db.read().await.expect("a connection");
            let found = video::find(read.conn(), *id).await.expect("an answer").expect("the video");
            drop(read);
            assert!(!well || found.poster_upload.is_some(), "it was acknowledged");
            world.publishing.remove_poster(world.operator, *id).await.expect("taken away");
            work(world).await;
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_takes_the_place_of_another_and_leaves_nothing_but_itself() {
    walk(
        async |world| {
            let id = new_video(world).await;
            let older = under_way(world, id).await;
            show(world, older).await.expect("shown");
            under_way(world, id).await
        },
        async |world, job| show(world, *job).await,
        async |world, job, _| {
            again(world, *job).await;
            let (id, poster) = job.1;
            assert_eq!(shown(world, id).await, Some(poster));
            assert_eq!(objects_of(world, id).await, [Key::poster(id, poster).as_str()]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_that_is_refused_leaves_nothing() {
    let refusal = Refusal::new(RefusalCode::NotPicture, "It is none.");
    walk(
        async |world| {
            let id = new_video(world).await;
            under_way(world, id).await
        },
        async |world, (fence, of)| world.publishing.refuse_poster(*fence, *of, &refusal).await,
        async |world, (fence, of), _| {
            let again = world.publishing.refuse_poster(*fence, *of, &refusal).await;
            assert!(matches!(again, Ok(()) | Err(Error::LeaseLost)), "{again:?}");
            assert_eq!(objects_of(world, of.0).await, [""; 0]);
        },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_taken_away_leave_nothing() {
    walk(
        async |world| {
            let id = new_video(world).await;
            let job = under_way(world, id).await;
            show(world, job).await.expect("shown");
            world.publishing.upload_poster(world.operator, id, PICTURE).await.expect("uploaded");
            id
        },
        async |world, id| world.publishing.remove_poster(world.operator, *id).await,
        async |world, id, well| {
            assert!(!well || shown(world, *id).await.is_none(), "it was acknowledged");
            world.publishing.remove_poster(world.operator, *id).await.expect("taken away");
            work(world).await;
            assert_eq!(objects_of(world, *id).await, [""; 0]);
        },
    )
    .await;
}
