//! Revisions: made, switched, replaced, taken back, swept; and what `fsck` finds.

use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::job;
use policast::catalogue::revision::{self, Selection};
use policast::catalogue::{pack, rung, video};
use policast::domain::job::JobState;
use policast::domain::media::{Coding, MediaState};
use policast::domain::{RefusalCode, VideoId};
use policast::publishing::Fsck;
use policast::storage::{Key, Still};

use crate::clip;
use crate::world::World;

const CHECK: Fsck = Fsck { rehash: true, repair: false, grace: Duration::ZERO };

fn fixture(name: &str) -> Vec<u8> {
    let path = format!("{}/media-fixtures/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(path).expect("a fixture")
}

/// A clip whose sound is of a kind nobody knows.
fn with_unknown_sound() -> Bytes {
    let mut clip = fixture("short.mp4");
    let at = clip.windows(4).rposition(|window| window == b"mp4a").expect("a sound track");
    clip[at..at + 4].copy_from_slice(b"zzzz");
    // The decoder's kind in the elementary stream's descriptor (ISO 14496-1 7.2.6.6): private, of nobody's making.
    let descriptor = [4, 0x80, 0x80, 0x80];
    let kind = clip.windows(4).rposition(|window| window == descriptor).expect("a descriptor") + 5;
    clip[kind] = 0xfe;
    clip.into()
}

async fn find(world: &World, id: VideoId) -> video::Video {
    let mut read = world.publishing.db.read().await.expect("a connection");
    video::find(read.conn(), id).await.expect("an answer").expect("the video")
}

/// Waits until the video plays this revision.
async fn playing(world: &World, id: VideoId, number: i64) -> video::Video {
    for _ in 0..600 {
        let video = find(world, id).await;
        if video.revision == Some(number) && video.media_state == MediaState::Ready {
            return video;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{}", world.publishing.story(id).await.expect("a story").lines().join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_revision_replaces_the_old_one_which_plays_on_for_its_grace() {
    for mut world in World::both().await {
        world.work();
        let id = world.upload(fixture("short.mp4").into()).await;
        assert_eq!(world.settled(id).await.media_state, MediaState::Ready);
        let selection = Selection { video: Some(id), ..Selection::default() };
        let estimate = world.publishing.estimate(&selection, |_| ()).await.expect("an estimate");
        assert_eq!(estimate.videos, 1);
        assert!(estimate.minutes > 0.0 && estimate.cpu_minutes > 0.0 && estimate.bytes > 0, "{estimate:?}");
        assert_eq!(world.publishing.reprocess(&selection).await.expect("begun").videos, 1);
        assert_eq!(find(&world, id).await.revision, Some(1), "the old one plays while the new one is made");
        playing(&world, id, 2).await;
        let old = revision::find(world.publishing.db.read().await.expect("a connection").conn(), id, 1).await;
        assert!(old.expect("an answer").expect("kept for its grace").retire_at.is_some());
        world.publishing.roll_back(id, 1).await.expect("rolled back");
        playing(&world, id, 1).await;
        assert_eq!(world.publishing.fsck(&CHECK).await.expect("checked"), []);
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_master_playlist_has_the_highest_and_the_lowest_rung() {
    let clip = clip::make("-f lavfi -i testsrc2=s=1280x720:r=25:d=20 -c:v mpeg2video -b:v 8M", "clip.mpg");
    for mut world in World::both().await {
        world.work();
        let id = world.upload(clip.clone().into()).await;
        let plays = |state| matches!(state, MediaState::Playable | MediaState::Ready);
        let mut looks = 0;
        while !plays(find(&world, id).await.media_state) {
            looks += 1;
            assert!(looks < 12_000, "it never plays");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let mut read = world.publishing.db.read().await.expect("a connection");
        let packs = pack::list(read.conn(), (id, 1), None).await.expect("packs");
        drop(read);
        let begun = |rung: &str| packs.iter().any(|pack| pack.rung == rung && pack.first_segment == 0);
        assert!(begun("720p") && begun("240p"), "{packs:?}");
        assert_eq!(world.settled(id).await.media_state, MediaState::Ready);
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_revision_whose_grace_is_over_goes_with_its_objects() {
    let mut world = World::small().await;
    world.publishing.limits.revision_grace = Duration::ZERO;
    world.work();
    let id = world.upload(fixture("short.mp4").into()).await;
    world.settled(id).await;
    world.publishing.reprocess(&Selection { video: Some(id), ..Selection::default() }).await.expect("begun");
    playing(&world, id, 2).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    world.publishing.retire(id, 1).await.expect("retired");
    let old = format!("media/{id}/1-");
    assert!(world.objects().await.iter().all(|name| !name.starts_with(&old)));
    world.publishing.retire(id, 2).await.expect("nothing to do");
    assert_eq!(find(&world, id).await.revision, Some(2), "what plays is never retired");
    assert_eq!(world.publishing.fsck(&CHECK).await.expect("checked"), []);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_whose_sound_is_lost_is_degraded_and_says_so() {
    let mut world = World::small().await;
    world.work();
    let id = world.upload(with_unknown_sound()).await;
    let video = world.settled(id).await;
    assert_eq!(video.media_state, MediaState::Degraded);
    assert_eq!(video.error.map(|error| error.code), Some(RefusalCode::AudioUndecodable));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_truncated_clip_plays_what_is_there_and_says_so() {
    let mut world = World::small().await;
    world.work();
    let id = world.upload(fixture("truncated.mp4").into()).await;
    let video = world.settled(id).await;
    assert_eq!(video.media_state, MediaState::Ready, "{:?}", video.error);
    let story = world.publishing.story(id).await.expect("a story");
    let warnings: Vec<_> = story.revisions[0].warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(warnings, [RefusalCode::Truncated]);
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn fsck_finds_what_is_missing_and_what_is_nobodys_and_repairs_both() {
    for mut world in World::both().await {
        world.work();
        let id = world.upload(fixture("short.mp4").into()).await;
        world.settled(id).await;
        let storage = world.publishing.storage.clone();
        let orphan = Key::still((VideoId::new(), 1).into(), Still::Poster);
        storage.put(&orphan, Bytes::from_static(b"jpeg")).await.expect("stored");
        let init = Key::init(world.publishing.folder((id, 1)).await.expect("a folder"), "audio");
        storage.delete(&init).await.expect("deleted");
        let mut found = world.publishing.fsck(&CHECK).await.expect("checked");
        found.sort_by(|a, b| a.kind.cmp(&b.kind));
        let kinds: Vec<_> =
            found.iter().map(|finding| (finding.kind.as_str(), finding.key.as_str())).collect();
        assert_eq!(kinds, [("missing_object", init.as_str()), ("orphan_object", orphan.as_str())]);
        let repair = Fsck { repair: true, ..CHECK };
        assert!(
            world.publishing.fsck(&repair).await.expect("checked").iter().all(|finding| finding.repaired)
        );
        playing(&world, id, 2).await;
        world.publishing.limits.revision_grace = Duration::ZERO;
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_video_leaves_nothing() {
    for mut world in World::both().await {
        world.work();
        let id = world.upload(fixture("short.mp4").into()).await;
        world.settled(id).await;
        world.publishing.delete_video(world.operator, id).await.expect("deleted");
        comes_to_nothing(&world).await;
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_deleted_while_it_is_encoded_leaves_nothing() {
    let mut world = World::small().await;
    world.work();
    let id = world.upload(fixture("explainer.mp4").into()).await;
    while !world.objects().await.iter().any(|name| name.starts_with("media/")) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    world.publishing.delete_video(world.operator, id).await.expect("deleted");
    comes_to_nothing(&world).await;
    world.rest().await;
}

/// Waits until the bucket is empty and nobody is left to write to it.
async fn comes_to_nothing(world: &World) {
    for _ in 0..600 {
        let jobs =
            job::count(world.publishing.db.read().await.expect("a connection").conn()).await.expect("counts");
        let busy = jobs.iter().any(|(state, _)| matches!(state, JobState::Queued | JobState::Running));
        if !busy && world.objects().await.is_empty() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let filter = job::Filter { limit: 20, ..job::Filter::default() };
    let mut read = world.publishing.db.read().await.expect("a connection");
    let rows = job::list(read.conn(), &filter).await.expect("jobs");
    let told: Vec<_> = rows.items.iter().map(|row| (&row.name, row.state, &row.last_error)).collect();
    panic!("jobs: {told:?}; left in the bucket: {:?}", world.objects().await);
}

/// A web-friendly clip with damage in its pictures, well after the first.
fn damaged(size: &str) -> Bytes {
    let made = format!(
        "-f lavfi -i testsrc2=s={size}:r=10:d=9 -c:v libx264 -crf 40 -profile:v main -g 20 -pix_fmt yuv420p"
    );
    let mut clip = clip::make(&made, "damaged.mp4");
    let pictures = clip::box_at(&clip, *b"mdat");
    let middle = pictures + (clip.len() - pictures) / 2;
    clip[middle..middle + 3000].fill(0xa5);
    clip.into()
}

/// Every rung of a revision, as one file each.
async fn rungs(world: &World, (id, number): (VideoId, u32)) -> Vec<(String, Vec<u8>)> {
    let mut read = world.publishing.db.read().await.expect("a connection");
    let listed = rung::list(read.conn(), id, number).await.expect("rungs");
    let packs = pack::list(read.conn(), (id, number), None).await.expect("packs");
    drop(read);
    let mut files = Vec::new();
    for rung in listed.iter().filter(|rung| !rung.audio) {
        let folder = world.publishing.folder((id, number)).await.expect("a folder");
        let mut keys = vec![Key::init(folder, &rung.name)];
        let own = packs.iter().filter(|pack| pack.rung == rung.name);
        keys.extend(own.map(|pack| {
            let place = (pack.first_segment.try_into(), pack.attempt.try_into());
            Key::pack(folder, &rung.name, place.0.expect("small"), place.1.expect("small"))
        }));
        let mut file = Vec::new();
        for key in keys {
            let size =
                world.publishing.storage.head(&key).await.expect("an answer").expect("stored").size_bytes;
            file.extend(world.publishing.storage.get(&key, 0..size).await.expect("bytes"));
        }
        files.push((rung.name.clone(), file));
    }
    files
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_source_is_never_passed_through() {
    // With rungs below it and alone.
    for size in ["640x360", "176x144"] {
        let mut world = World::small().await;
        world.work();
        let id = world.upload(damaged(size)).await;
        let video = world.settled(id).await;
        // What can't be decoded is told; nothing of it is copied.
        assert_eq!((video.media_state, video.revision), (MediaState::Degraded, Some(2)), "{size}");
        let mut read = world.publishing.db.read().await.expect("a connection");
        let second = revision::find(read.conn(), id, 2).await.expect("an answer").expect("the second");
        drop(read);
        let planned = second.ladder.expect("a ladder");
        assert!(planned.rungs.iter().all(|rung| rung.coding != Coding::Copy), "{planned:?}");
        let made = rungs(&world, (id, 2)).await;
        assert_eq!(made.len(), planned.rungs.len());
        for (name, file) in made {
            let told = clip::complaints(&file);
            assert_eq!(told, "", "{size}, {name}");
        }
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_source_replaces_what_was_being_made_of_the_old_one() {
    let mut world = World::small().await;
    let id = world.upload(fixture("short.mp4").into()).await;
    world.replace(id, fixture("no-audio.mp4").into()).await;
    world.work();
    playing(&world, id, 2).await;
    let story = world.publishing.story(id).await.expect("a story");
    assert!(story.revisions.iter().all(|revision| revision.state != MediaState::Processing), "{story:?}");
    world.rest().await;
}
