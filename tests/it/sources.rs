//! What becomes of the latest source, and who may replace what the public sees: at the beginning and at the end of every
//! way in.

use std::collections::BTreeMap;

use axum::body::Body;
use bytes::Bytes;
use futures::StreamExt;
use policast::catalogue::upload;
use policast::domain::key::{Caller, Role};
use policast::domain::upload::{Door, UploadState};
use policast::domain::{UploadId, VideoId};
use policast::publishing::{Error, Incoming, Target};
use policast::storage::{MultipartId, Part};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::app::{App, request};
use crate::world::{World, caller, draft};

fn incoming(door: Door, target: Target, length: usize) -> Incoming {
    Incoming {
        door,
        target,
        partials: Vec::new(),
        length: Some(length as u64),
        filename: "clip.mp4".to_owned(),
        metadata: BTreeMap::new(),
    }
}

fn short() -> Vec<u8> {
    std::fs::read(format!("{}/media-fixtures/short.mp4", env!("CARGO_MANIFEST_DIR"))).expect("a fixture")
}

async fn editor(world: &World) -> Caller {
    caller(&world.publishing, Some(world.agency().await), Role::Editor).await
}

async fn new_video(world: &World, by: Caller) -> VideoId {
    world.publishing.draft_video(by, draft()).await.expect("a draft").id
}

async fn state(world: &World, id: UploadId) -> UploadState {
    let mut read = world.publishing.db.read().await.expect("a connection");
    upload::find(read.conn(), id).await.expect("an answer").expect("the upload").state
}

/// What the video says of its latest source.
async fn told(app: &App, id: impl std::fmt::Display) -> Value {
    app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json()["media"]["source"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_whose_video_was_published_while_it_came_is_refused_and_told() {
    for app in App::both().await {
        let world = &app.world;
        let by = editor(world).await;
        let id = new_video(world, by).await;
        let begun = incoming(Door::Tus, Target::Video(id), 5);
        let upload = world.publishing.begin_upload(by, begun).await.expect("an upload");
        let mut receiver = world.publishing.receive(by, upload.id, 0, None).await.expect("a receiver");
        receiver.write(Bytes::from_static(b"hello")).await.expect("taken");
        world.publishing.publish_without_media(world.operator, id).await.expect("published");
        let ended = receiver.close().await;
        assert!(matches!(ended, Err(Error::Forbidden(_))), "{ended:?}");
        assert_eq!(state(world, upload.id).await, UploadState::Abandoned);
        let told = told(&app, id).await;
        assert_eq!((&told["state"], &told["error"]["code"]), (&json!("refused"), &json!("not_allowed")));
        assert_eq!((&told["upload"], &told["filename"]), (&json!(upload.id), &json!("clip.mp4")));
        assert_eq!(world.objects().await, [""; 0], "nothing of it stays");
        let why = world.publishing.story(id).await.expect("a story");
        assert!(why.next.contains("was refused (not_allowed)"), "{}", why.next);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_ends_after_its_video_was_published_is_answered_with_403() {
    let app = App::small().await;
    let id = app.draft().await;
    let (start, begun) = oneshot::channel();
    let (release, released) = oneshot::channel();
    // The body is asked for only once the upload has begun.
    let body = futures::stream::once(async move {
        start.send(()).expect("somebody waits");
        released.await.expect("it goes on");
        Ok::<_, std::io::Error>(Bytes::from_static(b"hello"))
    });
    let put = request("PUT", &format!("/api/v1/videos/{id}/source"), &[], Body::from_stream(body.boxed()));
    let publish = async {
        begun.await.expect("it begins");
        let path = format!("/api/v1/videos/{id}/publish?without_media=true");
        assert_eq!(app.send("POST", &path, Some(&app.publisher), json!({})).await.status, 200);
        release.send(()).expect("it waits");
    };
    let (reply, ()) = tokio::join!(app.ask(put, Some(&app.editor)), publish);
    assert_eq!(reply.problem(), (403, "role_too_low".to_owned()));
    assert_eq!(told(&app, &id).await["state"], "refused");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_while_bytes_come_makes_no_source_of_them() {
    for app in App::both().await {
        let world = &app.world;
        let by = editor(world).await;
        let id = new_video(world, by).await;
        let begun = incoming(Door::Tus, Target::Video(id), 5);
        let upload = world.publishing.begin_upload(by, begun).await.expect("an upload");
        let mut receiver = world.publishing.receive(by, upload.id, 0, None).await.expect("a receiver");
        receiver.write(Bytes::from_static(b"hello")).await.expect("taken");
        world.publishing.revoke_key(by.key).await.expect("revoked");
        let ended = receiver.close().await;
        assert!(matches!(ended, Err(Error::KeyRevoked)), "{ended:?}");
        assert_eq!(told(&app, id).await["error"]["code"], "not_allowed");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_that_an_editor_may_not_finish_any_more_a_publisher_may() {
    for app in App::both().await {
        let world = &app.world;
        let (by, publishing) = (editor(world).await, &world.publishing);
        let id = new_video(world, by).await;
        let begun = incoming(Door::Parts, Target::Video(id), 5);
        let upload = publishing.begin_upload(by, begun).await.expect("an upload");
        let (upload, _) = publishing.part_urls(by, upload.id, Some(5), &[1]).await.expect("addresses");
        let key = policast::storage::Key::source(id, upload.id);
        let multipart = MultipartId(upload.multipart.clone().expect("begun"));
        let bytes = Bytes::from_static(b"hello");
        let tag = publishing.storage.upload_part(&key, &multipart, 1, bytes).await.expect("a part");
        publishing.publish_without_media(world.operator, id).await.expect("published");

        let more = publishing.part_urls(by, upload.id, None, &[2]).await;
        assert!(matches!(more, Err(Error::Forbidden(_))), "{more:?}");
        let claimed = [Part { number: 1, size_bytes: 0, tag }];
        let ended = publishing.finish_parts(by, upload.id, &claimed).await;
        assert!(matches!(ended, Err(Error::Forbidden(_))), "{ended:?}");
        assert_eq!(told(&app, id).await["state"], "refused");
        assert_eq!(state(world, upload.id).await, UploadState::Open);
        publishing.finish_parts(world.operator, upload.id, &claimed).await.expect("finished");
        assert_eq!(told(&app, id).await["state"], "processing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_concatenation_is_held_against_who_asked_for_it_when_it_is_made() {
    for app in App::both().await {
        let world = &app.world;
        let (by, publishing) = (editor(world).await, &world.publishing);
        let id = new_video(world, by).await;
        let begun = incoming(Door::Tus, Target::Partial, 5);
        let partial = publishing.begin_upload(by, begun).await.expect("a partial");
        let mut receiver = publishing.receive(by, partial.id, 0, None).await.expect("a receiver");
        receiver.write(Bytes::from_static(b"hello")).await.expect("taken");
        receiver.close().await.expect("whole");
        let partials = vec![partial.id];
        let last = Incoming { partials, length: None, ..incoming(Door::Tus, Target::Video(id), 0) };
        let last = publishing.begin_upload(by, last).await.expect("the final one");
        publishing.publish_without_media(world.operator, id).await.expect("published");
        publishing.assemble(last.id).await.expect("the job is done");
        assert_eq!(state(world, last.id).await, UploadState::Abandoned);
        let told = told(&app, id).await;
        assert_eq!((&told["state"], &told["upload"]), (&json!("refused"), &json!(last.id)));
        assert_eq!(world.objects().await, [""; 0], "nothing of it stays");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_replaced_by_one_that_fails_is_told_beside_what_plays() {
    for mut app in App::both().await {
        app.world.work();
        let id = app.world.upload(short().into()).await;
        app.world.settled(id).await;
        let plays = told(&app, id).await;
        assert_eq!((&plays["state"], &plays["error"]), (&json!("playing"), &json!(null)));
        app.world.replace(id, Bytes::from_static(b"no video at all")).await;
        let refused = loop {
            let told = told(&app, id).await;
            assert_ne!(told["upload"], plays["upload"], "the latest one is told of");
            if told["state"] != "processing" {
                break told;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        };
        assert_eq!((&refused["state"], &refused["error"]["code"]), (&json!("refused"), &json!("not_media")));
        let video = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
        assert_eq!((&video["media"]["state"], &video["media"]["error"]), (&json!("ready"), &json!(null)));
        assert_eq!(video["media"]["plays"], plays["upload"]);
        let why = app.world.publishing.story(id).await.expect("a story");
        assert!(why.next.contains("not_media") && !why.next.contains("all is done"), "{}", why.next);
        app.world.publishing.publish_without_media(app.world.operator, id).await.expect("published");
        let shown = app.get(&format!("/api/v1/videos/{id}"), None).await.json();
        assert_eq!((&shown["media"]["source"], &shown["media"]["plays"]), (&json!(null), &json!(null)));
        app.world.rest().await;
    }
}
