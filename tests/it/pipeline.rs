//! From bytes to a ladder that plays, through the real cage.

use policast::catalogue::job;
use policast::domain::RefusalCode;
use policast::domain::media::MediaState;
use policast::media::cage::CageLimits;

use crate::cage::many_tags;
use crate::clip;
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
async fn what_no_limit_allows_is_refused_at_the_first_attempt() {
    let mut world = World::small().await;
    world.work();
    let plain = clip::make(clip::PLAIN, "clip.mp4");
    let tracks = "-map 0:v ".to_owned() + &"-map 0:a ".repeat(119) + "-c copy";
    let profile = [b"prof".as_slice(), &vec![7; 200 << 20]].concat();
    for (source, code) in [
        (clip::remake(&plain, &tracks, "many.mp4"), RefusalCode::TooManyTracks),
        (clip::with_box(&plain, *b"colr", &profile), RefusalCode::TooMuchMetadata),
    ] {
        let id = world.upload(source.into()).await;
        let video = world.settled(id).await;
        assert_eq!(
            (video.media_state, video.error.map(|error| error.code)),
            (MediaState::Failed, Some(code))
        );
        let mut read = world.publishing.db.read().await.expect("a connection");
        let attempts = job::list_attempts(read.conn(), id).await.expect("attempts");
        let probes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.as_deref()).collect();
        assert_eq!(probes, [Some("done")], "{code}");
    }
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_seven_hundred_thousand_tags_is_refused_at_the_first_attempt() {
    let mut world = World::small().await;
    world.work_within(CageLimits { cpu_seconds: 5, ..CageLimits::default() });
    let id = world.upload(many_tags(700_000).into()).await;
    let video = world.settled(id).await;
    assert_eq!(video.error.map(|error| error.code), Some(RefusalCode::TooMuchWork));
    let mut read = world.publishing.db.read().await.expect("a connection");
    let attempts = job::list_attempts(read.conn(), id).await.expect("attempts");
    let probes: Vec<_> = attempts.iter().map(|attempt| attempt.outcome.as_deref()).collect();
    assert_eq!(probes, [Some("done")]);
    drop(read);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_with_pictures_that_can_t_be_decoded_is_degraded_and_says_in_which_seconds() {
    let clip = clip::make(
        "-f lavfi -i testsrc2=s=320x180:r=25:d=14 -c:v libx264 -preset ultrafast -g 50 -pix_fmt yuv420p",
        "clip.mp4",
    );
    for mut world in World::both().await {
        world.work();
        let id = world.upload(clip::spoil(&clip, "clip.mp4", (4.0, 10.0)).into()).await;
        let video = world.settled(id).await;
        let error = video.error.map(|error| (error.code, error.seconds.clone()));
        assert_eq!(video.media_state, MediaState::Degraded);
        assert_eq!(error, Some((RefusalCode::PicturesDamaged, vec![[4, 10]])));
        world.rest().await;
    }
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
