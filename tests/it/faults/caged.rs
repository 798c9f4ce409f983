//! Jobs that run a caged child, cut between any two changes and with their children killed: a later attempt finishes
//! them, once, and leaves nothing else in the bucket.

use std::collections::HashSet;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::job::{self, Row};
use policast::catalogue::{pack, video};
use policast::domain::job::JobState;
use policast::domain::media::MediaState;
use policast::domain::{Clock, JobId, VideoId};
use policast::fault;
use policast::media::cage::CageLimits;
use policast::worker;

use super::walk::{AGO, WAYS, claim, fence, sound};
use crate::shares::run;
use crate::world::{World, settings};

/// No job makes as many changes.
const MANY: usize = 40;
const SOURCE: &[u8] = include_bytes!("../../../media-fixtures/short.mp4");
const PICTURE: &[u8] = include_bytes!("../../../media-fixtures/slate.jpg");

/// A video whose source and picture of its own wait for their jobs.
async fn prepared(world: &mut World) -> VideoId {
    world.publishing.clock = Clock::fixed(Clock::System.now().minus(AGO));
    let id = world.upload(Bytes::from_static(SOURCE)).await;
    world.publishing.upload_poster(world.operator, id, Bytes::from_static(PICTURE)).await.expect("a picture");
    id
}

/// Every job, and those that it leads to; the first attempt at each is made by `first`, all others as they should be.
async fn through(world: &World, mut first: impl AsyncFnMut(Row)) {
    let mut seen: HashSet<JobId> = HashSet::new();
    while let Some(row) = next(world).await {
        let (held, is_new) = (fence(&row), seen.insert(row.id));
        if is_new {
            first(row).await;
        } else {
            worker::attempt(world.publishing.clone(), settings(CageLimits::default()), row).await;
        }
        // Whatever still holds its lease by now is taken from it, as from a worker that died.
        let mut tx = world.publishing.db.begin().await.expect("a transaction");
        job::renew(tx.conn(), held, Duration::ZERO, 0.0).await.expect("an answer");
        tx.commit().await.expect("committed");
        tokio::time::sleep(Duration::from_millis(5)).await;
        world.publishing.reap().await.expect("reaped");
    }
}

/// The next job; what waits for its next attempt waits no longer.
async fn next(world: &World) -> Option<Row> {
    run(&world.publishing.db, "update job set run_at = 0 where state = 'queued' and run_at > 0").await;
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    job::recall(tx.conn()).await.expect("recalled");
    tx.commit().await.expect("committed");
    claim(&world.publishing).await
}

/// The video is whole, with its own picture, and nothing of it is there twice; how many objects it has.
async fn is_whole(world: &World, id: VideoId) -> usize {
    let mut read = world.publishing.db.read().await.expect("a connection");
    let found = video::find(read.conn(), id).await.expect("an answer").expect("the video");
    let packs = pack::list(read.conn(), (id, 1), None).await.expect("packs");
    let filter = job::Filter { limit: 1000, ..job::Filter::default() };
    let jobs = job::list(read.conn(), &filter).await.expect("jobs").items;
    drop(read);
    let told = || async { world.publishing.story(id).await.expect("a story").lines().join("\n") };
    assert_eq!(found.media_state, MediaState::Ready, "{}", told().await);
    assert!(found.poster.is_some(), "its picture is shown");
    let open = jobs.iter().find(|job| job.state != JobState::Done).map(|job| &job.name);
    assert_eq!(open, None, "every job is done");
    let segments: HashSet<_> = packs.iter().map(|pack| (&pack.rung, pack.first_segment)).collect();
    assert_eq!(segments.len(), packs.len(), "each pack is there once");
    let own = id.to_string();
    world.objects().await.iter().filter(|name| name.contains(&own)).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_in_the_cage_that_fails_between_any_two_changes_is_finished_by_a_later_attempt() {
    for (engine, mut world) in World::both().await.into_iter().enumerate() {
        let id = prepared(&mut world).await;
        let plain = settings(CageLimits::default());
        through(&world, async |row| worker::attempt(world.publishing.clone(), plain.clone(), row).await)
            .await;
        let objects = is_whole(&world, id).await;
        for number in 1..=MANY {
            assert!(number < MANY, "a job never ends");
            let id = prepared(&mut world).await;
            let (mut jobs, mut reached) = (0, 0);
            // Every change of a job, in one of the ways; the other engine and the jobs beside have the others.
            through(&world, async |row| {
                jobs += 1;
                let fault = WAYS[(number + jobs + engine) % WAYS.len()](number);
                let attempt = worker::attempt(world.publishing.clone(), plain.clone(), row);
                reached += usize::from(fault::inject(fault, attempt).await.reached);
            })
            .await;
            eprintln!("change {number}: reached by {reached} of {jobs} jobs");
            assert_eq!(is_whole(&world, id).await, objects, "as much as without faults is there");
            sound(&mut world).await;
            if reached == 0 {
                break;
            }
        }
    }
}

/// This binary, but each process of it is killed after so many seconds.
fn killed_after(folder: &Path, seconds: &str) -> PathBuf {
    let (script, program) = (folder.join(format!("killed-{seconds}")), env!("CARGO_BIN_EXE_policast"));
    let text = format!(
        "#!/bin/sh\nexec 3<&0\n'{program}' \"$@\" <&3 3<&- &\n/bin/sleep {seconds}\nkill -9 $!\nkill -9 $$\n"
    );
    std::fs::write(&script, text).expect("a script");
    std::fs::set_permissions(&script, std::fs::Permissions::from_mode(0o755)).expect("it may be run");
    script
}

#[tokio::test(flavor = "multi_thread")]
async fn a_job_whose_child_is_killed_is_finished_by_a_later_attempt() {
    let folder = tempfile::tempdir().expect("a folder");
    for mut world in World::both().await {
        for seconds in ["0", "0.05", "0.2"] {
            let id = prepared(&mut world).await;
            let mut dying = settings(CageLimits::default());
            dying.program = killed_after(folder.path(), seconds);
            through(&world, async |row| worker::attempt(world.publishing.clone(), dying.clone(), row).await)
                .await;
            is_whole(&world, id).await;
            let story = world.publishing.story(id).await.expect("a story").lines().join("\n");
            assert!(seconds != "0" || story.contains("signal"), "the children were killed:\n{story}");
            sound(&mut world).await;
        }
    }
}
