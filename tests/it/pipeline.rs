//! From bytes to a ladder that plays, through the real cage.

use policast::domain::RefusalCode;
use policast::domain::media::MediaState;

use crate::world::World;

fn fixture(name: &str) -> bytes::Bytes {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/media-fixtures/");
    std::fs::read(format!("{path}{name}")).expect("a fixture").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_becomes_ready() {
    let mut world = World::small().await;
    world.work();
    let id = world.upload(fixture("short.mp4")).await;
    let video = world.settled(id).await;
    let story = world.publishing.story(id).await.expect("a story").lines().join("\n");
    assert_eq!(video.media_state, MediaState::Ready, "{story}");
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_named_like_a_video_fails_with_a_code() {
    let mut world = World::small().await;
    world.work();
    let id = world.upload(fixture("not-video.mp4")).await;
    let video = world.settled(id).await;
    assert_eq!(video.media_state, MediaState::Failed);
    assert_eq!(video.error.map(|error| error.code), Some(RefusalCode::NotMedia));
    world.rest().await;
}
