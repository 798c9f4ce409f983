//! `fsck` over many videos: streams, resumes, holds sums against rows, and is quick enough to be run.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::{account, inventory};
use policast::domain::{UploadId, VideoId};
use policast::publishing::{Finding, Fsck, PENDING, Pace, Publishing};
use policast::storage::{Key, Still};
use serde_json::json;
use sqlx::Executor;
use tokio::sync::mpsc;

use crate::app::App;
use crate::faulty::Fault;
use crate::world::{World, draft};

const CHECK: Fsck = Fsck { rehash: false, repair: false, grace: Duration::ZERO };
const REPAIR: Fsck = Fsck { repair: true, ..CHECK };

/// Videos with a source each, made as an import would: rows and objects, no media.
async fn filled(world: &World, count: usize) -> Vec<VideoId> {
    let mut videos = Vec::new();
    for _ in 0..count {
        videos.push(world.upload(Bytes::from_static(b"a film")).await);
    }
    videos
}

async fn source_of(world: &World, id: VideoId) -> Key {
    let mut read = world.publishing.db.read().await.expect("a connection");
    let video =
        policast::catalogue::video::find(read.conn(), id).await.expect("an answer").expect("the video");
    Key::source(id, video.upload_id.expect("a source"))
}

/// Findings up to a number of them, after which nobody listens any more.
async fn first(publishing: &Publishing, pace: Pace, most: usize) -> (Vec<Finding>, bool) {
    let (found, mut findings) = mpsc::channel(1);
    let node = publishing.clone();
    let checking = tokio::spawn(async move { node.check_into(&CHECK, pace, &found).await });
    let mut told = Vec::new();
    while told.len() < most
        && let Some(finding) = findings.recv().await
    {
        told.push(finding);
    }
    drop(findings);
    let checked = checking.await.expect("no panic");
    (told, checked.is_ok_and(|checked| checked.resumed))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_difference_is_found_whichever_side_it_is_on() {
    for world in World::both().await {
        let videos = filled(&world, 6).await;
        let storage = &world.publishing.storage;
        let (lost, cut) = (source_of(&world, videos[1]).await, source_of(&world, videos[4]).await);
        storage.delete(&lost).await.expect("deleted");
        storage.put(&cut, Bytes::from_static(b"a fil")).await.expect("stored");
        let orphans = [
            Key::source(videos[2], UploadId::new()),
            Key::still((VideoId::new(), 1).into(), Still::Poster),
            Key::pack((videos[3], 1).into(), "720p", 0, 1),
            Key::tail(UploadId::new(), 7),
            Key::partial(UploadId::new()),
        ];
        for orphan in &orphans {
            storage.put(orphan, Bytes::from_static(b"x")).await.expect("stored");
        }
        let found = crate::world::fsck(&world, &CHECK).await;
        let mut told: Vec<_> = found.iter().map(|one| (one.kind.as_str(), one.key.as_str())).collect();
        told.sort_unstable();
        let mut expected: Vec<_> = orphans.iter().map(|key| ("orphan_object", key.as_str())).collect();
        expected.extend([("missing_object", lost.as_str()), ("wrong_size", cut.as_str())]);
        expected.sort_unstable();
        assert_eq!(told, expected);
        crate::world::fsck(&world, &REPAIR).await;
        let left = crate::world::fsck(&world, &CHECK).await;
        let kinds: Vec<_> = left.iter().map(|one| one.kind.as_str()).collect();
        assert_eq!(kinds.len(), 2, "a source can't be made again: {left:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_check_goes_on_where_it_stopped() {
    for world in World::both().await {
        let storage = &world.publishing.storage;
        // Three spans of a hundred; the last video of each has lost its source.
        let videos = many(&world, 300).await;
        for at in [99, 199, 299] {
            storage.delete(&Key::source(videos[at].0, videos[at].1)).await.expect("deleted");
        }
        let pace = Pace { resume: false, parallel: 1 };
        let (told, _) = first(&world.publishing, pace, 2).await;
        assert_eq!(told.len(), 2);
        let (rest, resumed) = first(&world.publishing, Pace { resume: true, ..pace }, usize::MAX).await;
        assert!(resumed, "it says that there was something before");
        let names: Vec<_> = rest.iter().map(|one| one.key.clone()).collect();
        let last = Key::source(videos[299].0, videos[299].1);
        assert!(names.contains(&last.as_str().to_owned()), "{names:?}");
        let first_one = Key::source(videos[99].0, videos[99].1);
        assert!(!names.contains(&first_one.as_str().to_owned()), "that was told before: {names:?}");
        let (again, resumed) = first(&world.publishing, Pace { resume: true, ..pace }, usize::MAX).await;
        assert_eq!((again.len(), resumed), (3, false), "what is done is begun anew");
    }
}

/// Rows by the hundred, with their objects.
async fn many(world: &World, count: usize) -> Vec<(VideoId, UploadId)> {
    let video = world.publishing.draft_video(world.operator, draft()).await.expect("a video");
    let mut made = Vec::new();
    for _ in 0..count {
        made.push((VideoId::new(), UploadId::new()));
    }
    let mut statements = Vec::new();
    for (id, upload) in &made {
        statements.push(format!(
            "insert into video (id, account_id, topic_id, title, description, language, state, poster_alt, media_state,
               upload_id, created_at, updated_at) values ('{id}', '{}', '{}', '{{}}', '{{}}', 'en', 'draft', '{{}}',
               'ready', '{upload}', 0, 0)",
            video.account_id, video.topic_id
        ));
        statements.push(format!(
            "insert into upload (id, video_id, account_id, api_key_id, door, concat, partials, length, received, part_size,
               tail, fence, state, filename, metadata, created_at, expires_at)
             values ('{upload}', '{id}', '{}', '{}', 'put', 'none', '[]', 6, 6, 8, 0, 0, 'finished', '', '{{}}', 0, 0)",
            video.account_id,
            UploadId::new()
        ));
    }
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    for statement in statements {
        let statement = sqlx::AssertSqlSafe(statement);
        match tx.conn() {
            policast::catalogue::Conn::Sqlite(c) => c.execute(statement).await.map(drop).expect("filled"),
            policast::catalogue::Conn::Pg(c) => c.execute(statement).await.map(drop).expect("filled"),
        }
    }
    account::count(tx.conn(), video.account_id, 6 * i64::try_from(count).expect("few"))
        .await
        .expect("counted");
    tx.commit().await.expect("committed");
    for (id, upload) in &made {
        let key = Key::source(*id, *upload);
        world.publishing.storage.put(&key, Bytes::from_static(b"a film")).await.expect("stored");
    }
    made
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_that_is_wrong_is_found_and_mended() {
    for world in World::both().await {
        filled(&world, 1).await;
        let mut tx = world.publishing.db.begin().await.expect("a transaction");
        let usage = inventory::list_usages(tx.conn(), None, 10).await.expect("a list");
        assert_eq!((usage.len(), usage[0].used_bytes, usage[0].counted), (1, 6, 6));
        account::count(tx.conn(), usage[0].id, 1000).await.expect("counted");
        tx.commit().await.expect("committed");
        let found = crate::world::fsck(&world, &CHECK).await;
        let told: Vec<_> = found.iter().map(|one| (one.kind.as_str(), one.key.as_str())).collect();
        assert_eq!(told, [("wrong_usage", "agency")]);
        assert!(crate::world::fsck(&world, &REPAIR).await[0].repaired);
        assert_eq!(crate::world::fsck(&world, &CHECK).await, []);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_who_listens_no_more_is_checked_for() {
    let world = World::small().await;
    for _ in 0..PENDING * 2 {
        let orphan = Key::source(VideoId::new(), UploadId::new());
        world.publishing.storage.put(&orphan, Bytes::from_static(b"x")).await.expect("stored");
    }
    let (found, findings) = mpsc::channel(1);
    drop(findings);
    let checked = world.publishing.check_into(&REPAIR, Pace { resume: false, parallel: 4 }, &found).await;
    assert!(matches!(checked, Err(policast::publishing::Error::ClientGone)), "{checked:?}");
    assert!(world.objects().await.len() > PENDING, "it stopped early");
}

#[tokio::test(flavor = "multi_thread")]
async fn findings_stream_as_one_document() {
    let app = App::small().await;
    for _ in 0..3 {
        let orphan = Key::source(VideoId::new(), UploadId::new());
        app.world.publishing.storage.put(&orphan, Bytes::from_static(b"x")).await.expect("stored");
    }
    let asked = json!({"grace_seconds": 0, "parallel": 2});
    let reply = app.send("POST", "/api/v1/admin/fsck", Some(&app.operator), asked).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/json"));
    let told = reply.json();
    assert_eq!(told["findings"].as_array().map(Vec::len), Some(3), "{told}");
    assert_eq!(told["checked"], json!({"objects": 3, "findings": 3, "resumed": false}));
    let wrong = app.send("POST", "/api/v1/admin/fsck", Some(&app.operator), json!({"parallel": 0})).await;
    assert_eq!(wrong.problem(), (422, "parallel_invalid".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clean_bucket_is_listed_and_no_object_is_asked_for() {
    for (world, faults) in World::with_faults().await {
        many(&world, 250).await;
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = asked.clone();
        faults.decide(move |method, path| {
            seen.lock().expect("no panic before").push(format!("{method} {path}"));
            Fault::None
        });
        assert_eq!(crate::world::fsck(&world, &CHECK).await, []);
        faults.mend();
        let asked = asked.lock().expect("no panic before").clone();
        assert!(asked.iter().all(|request| request.starts_with("GET ")), "{asked:?}");
        // Three folders of three spans, what is on its way, the names between, and the multipart uploads.
        assert!(asked.len() <= 3 * 3 + 1 + 5 + 1, "{} requests: {asked:?}", asked.len());
    }
}
