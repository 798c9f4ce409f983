//! Walks a verb: once for every change it makes and every way that change can go wrong, then whatever the product does
//! about it by itself, and what must hold afterwards.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::job::{self, Claim, Fence, Row};
use policast::catalogue::upload::{self, Upload};
use policast::domain::job::{Job, JobState};
use policast::domain::upload::{Concat, Door, UploadState};
use policast::domain::{Clock, UploadId};
use policast::fault::{self, Fault};
use policast::publishing::{Error, Fsck, Incoming, PosterStage, Publishing, Target};
use policast::storage::{Key, Object};
use sha2::{Digest, Sha256};

use crate::world::{World, draft};

/// A verb that makes more changes never ends.
const MANY: usize = 60;
/// Verbs run this long ago, so that what they put off is due by the database's clock.
pub const AGO: Duration = Duration::from_hours(1);
/// Whatever was begun in this time is given up by then: uploads last a day, replaced revisions an hour.
const LATER: Duration = Duration::from_hours(50);
const LEASE: Duration = Duration::from_secs(30);

/// How a change can go wrong.
pub const WAYS: [fn(usize) -> Fault; 3] = [Fault::StopAfter, Fault::Refuse, Fault::LoseAnswer];

/// Lets `verb` fail at each of its changes in each way, on both engines. What `prepare` made is its argument; `after` is
/// the client that comes back and what it must find, told whether the verb was answered well.
pub async fn walk<S, T>(
    prepare: impl AsyncFn(&World) -> S,
    verb: impl AsyncFn(&World, &S) -> Result<T, Error>,
    after: impl AsyncFn(&World, &S, bool),
) {
    for mut world in World::both().await {
        for way in WAYS {
            for number in 1..=MANY {
                assert!(number < MANY, "the verb never ends");
                world.publishing.clock = Clock::fixed(Clock::System.now().minus(AGO));
                let state = prepare(&world).await;
                let run = fault::inject(way(number), verb(&world, &state)).await;
                let well = matches!(run.answer, Some(Ok(_)));
                eprintln!("{:?}: {:?}, answered well: {well}", way(number), run.changes);
                assert!(
                    run.reached || well,
                    "the verb fails by itself: {:?}",
                    run.answer.and_then(Result::err)
                );
                work(&world).await;
                after(&world, &state, well).await;
                work(&world).await;
                sound(&mut world).await;
                if !run.reached {
                    break;
                }
            }
        }
    }
}

/// What workers do that are there in time: every job but those that need the cage.
pub async fn work(world: &World) {
    let publishing = &world.publishing;
    publishing.reap().await.expect("reaped");
    let mut held = Vec::new();
    while let Some(row) = claim(publishing).await {
        assert!(held.len() < 1000, "jobs without end");
        if carry_out(publishing, &row).await {
            publishing.finish_job(fence(&row), &row.work).await.expect("done");
        } else {
            held.push(fence(&row));
        }
    }
    for fence in held {
        publishing.hand_over(fence).await.expect("handed over");
    }
}

/// The next job, as a worker claims it.
pub async fn claim(publishing: &Publishing) -> Option<Row> {
    let claim = Claim { worker: "walk", lease: LEASE, account_cap: 10_000 };
    let mut tx = publishing.db.begin().await.expect("a transaction");
    let row = job::claim(&mut tx, &claim).await.expect("an answer");
    tx.commit().await.expect("committed");
    row
}

/// Proof of a claim.
pub fn fence(row: &Row) -> Fence {
    Fence { id: row.id, attempt: row.attempt }
}

/// False where the job needs the cage.
async fn carry_out(publishing: &Publishing, row: &Row) -> bool {
    match row.work.0 {
        Job::Assemble { upload } => {
            if find(publishing, upload).await.is_none_or(|upload| upload.door != Door::Live) {
                publishing.assemble(upload).await.expect("assembled");
                return true;
            }
            false
        }
        Job::Retire { video, revision } => {
            publishing.retire(video, revision).await.expect("retired");
            true
        }
        Job::Purge { video } => {
            publishing.purge(video).await.expect("purged");
            true
        }
        Job::Poster { video, poster } => {
            let stage = publishing.find_poster_stage((video, poster)).await.expect("a stage");
            if stage == PosterStage::Over {
                publishing.clear_posters(video, Some(poster)).await.expect("cleared");
            }
            stage == PosterStage::Over
        }
        _ => false,
    }
}

/// Nothing is dead; and when all that was begun is over, rows and objects agree to the last one.
pub async fn sound(world: &mut World) {
    let counts = job::count(world.publishing.db.read().await.expect("a connection").conn()).await;
    let dead = counts.expect("counts").into_iter().find(|(state, _)| *state == JobState::Dead);
    assert_eq!(dead, None);
    world.publishing.clock = Clock::fixed(Clock::System.now().plus(LATER));
    world.publishing.tidy().await;
    for row in queued(world).await {
        if carry_out(&world.publishing, &row).await {
            let mut tx = world.publishing.db.begin().await.expect("a transaction");
            job::withdraw(tx.conn(), &row.work).await.expect("withdrawn");
            tx.commit().await.expect("committed");
        }
    }
    let check = Fsck { rehash: true, repair: false, grace: Duration::ZERO };
    assert_eq!(world.publishing.fsck(&check).await.expect("checked"), []);
    // By the bucket itself: `fsck` asks the rows, which may be wrong.
    let multiparts = world.publishing.storage.list_multiparts("").await.expect("a list");
    assert_eq!(multiparts, [], "no upload is under way any more");
    let left = |name: &String| {
        let key: Key = name.parse().expect("a name of ours");
        matches!(key.object(), Object::Tail { .. } | Object::Partial { .. } | Object::NewPoster { .. })
    };
    assert_eq!(world.objects().await.into_iter().find(left), None, "nothing that was under way is left");
}

/// Every job that waits, whenever it is due.
pub async fn queued(world: &World) -> Vec<Row> {
    let filter = job::Filter { state: Some(JobState::Queued), limit: 1000, ..job::Filter::default() };
    let mut read = world.publishing.db.read().await.expect("a connection");
    job::list(read.conn(), &filter).await.expect("jobs").items
}

/// The row of an upload.
pub async fn find(publishing: &Publishing, id: UploadId) -> Option<Upload> {
    let mut read = publishing.db.read().await.expect("a connection");
    upload::find(read.conn(), id).await.expect("an answer")
}

/// Announces an upload of so many bytes.
pub fn incoming(target: Target, length: Option<u64>) -> Incoming {
    Incoming {
        door: Door::Tus,
        target,
        partials: Vec::new(),
        length,
        filename: "clip.mp4".to_owned(),
        metadata: BTreeMap::new(),
    }
}

/// A new video's upload.
pub async fn begin(world: &World, length: Option<u64>) -> Upload {
    let incoming = incoming(Target::New(Box::new(draft())), length);
    world.publishing.begin_upload(world.operator, incoming).await.expect("an upload")
}

/// Sends the rest from where HEAD says the upload stands, as one request.
pub async fn send(world: &World, id: UploadId, rest: Bytes) -> Result<u64, Error> {
    let upload = world.publishing.find_upload(world.operator, id).await?;
    let offset = u64::try_from(upload.received).expect("a size");
    let mut receiver = world.publishing.receive(world.operator, id, offset, None).await?;
    receiver.write(rest).await?;
    receiver.close().await
}

/// The client asks how far its upload is, and sends what is missing. Then everything it sent is the source: once, with
/// its digest, and with one job that looks at it.
pub async fn arrives(world: &World, id: UploadId, bytes: &Bytes) {
    let before = find(&world.publishing, id).await.expect("the upload");
    let received = usize::try_from(before.received).expect("a size");
    if before.state == UploadState::Open && received < bytes.len() {
        send(world, id, bytes.slice(received..)).await.expect("the rest is taken");
    }
    work(world).await;
    if find(&world.publishing, id).await.is_some_and(|upload| upload.state != UploadState::Finished) {
        // Every byte was acknowledged: whatever happened to the request, the product finishes it by itself.
        late(world).await;
    }
    let upload = find(&world.publishing, id).await.expect("the upload");
    assert_eq!(upload.state, UploadState::Finished, "all bytes of {upload:?} are there");
    let key = match upload.video_id {
        Some(video) => Key::source(video, id),
        None => Key::partial(id),
    };
    assert_eq!(world.publishing.storage.read_all(&key).await.expect("the source"), bytes);
    let expected = hex::encode(Sha256::digest(bytes));
    assert!(upload.sha256.is_none_or(|digest| digest == expected), "the digest is another");
    let Some(video) = upload.video_id.filter(|_| upload.concat != Concat::Partial) else { return };
    let jobs = queued(world).await;
    let probes = jobs.iter().filter(|row| matches!(row.work.0, Job::Probe { video: of, .. } if of == video));
    assert_eq!(probes.count(), 1, "one job looks at the source");
    let story = world.publishing.story(video).await.expect("a story");
    assert_eq!(story.revisions.len(), 1, "{story:?}");
}

/// The sweep comes when the upload's time is over, and the workers after it.
async fn late(world: &World) {
    let later =
        Publishing { clock: Clock::fixed(Clock::System.now().plus(LATER)), ..world.publishing.clone() };
    later.tidy().await;
    for row in queued(world).await {
        if matches!(row.work.0, Job::Assemble { .. }) {
            carry_out(&later, &row).await;
        }
    }
}
