//! Targets of a broadcast: how many, whose, and what is noted of them, on both engines.

use std::time::Duration;

use policast::catalogue::broadcast;
use policast::catalogue::push_target::{self, PushTarget};
use policast::domain::BroadcastId;
use policast::domain::key::Secret;
use policast::domain::push::PushState;
use policast::publishing::{Error, Ingest, Publishing, PushNote, TargetDraft};
use serde_json::{Value, json};

use crate::app::{App, request, stranger};
use crate::world::World;

const KEY: &str = "account-elsewhere-key";

fn target(name: &str, key: &str) -> Value {
    json!({"name": name, "url": "rtmps://live.example.org/app", "stream_key": key})
}

async fn announce(app: &App) -> String {
    let body = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
    let reply = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), body).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    format!("/api/v1/broadcasts/{}", reply.json()["id"].as_str().expect("an id"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broadcast_has_five_targets_at_most_and_each_once() {
    for app in App::both().await {
        let broadcast = announce(&app).await;
        let path = format!("{broadcast}/targets");
        let add = async |body: Value| app.send("POST", &path, Some(&app.publisher), body).await;
        for number in 0..4 {
            assert_eq!(add(target("Elsewhere", &format!("{KEY}-{number}"))).await.status, 201);
        }
        assert_eq!(add(target("Again", &format!("{KEY}-0"))).await.problem(), (409, "target_taken".into()));
        let added = add(target("Last", KEY)).await;
        assert_eq!(added.status, 201, "{added:?}");
        assert_eq!(add(target("One more", "x")).await.problem(), (409, "too_many_targets".into()));

        let listed = app.get(&path, Some(&app.editor)).await;
        assert!(!listed.text().contains(KEY) && !added.text().contains(KEY), "{}", listed.text());
        let names: Vec<_> = listed.json()["items"]
            .as_array()
            .expect("targets")
            .iter()
            .map(|item| item["name"].clone())
            .collect();
        assert_eq!(names, ["Elsewhere", "Elsewhere", "Elsewhere", "Elsewhere", "Last"]);

        let last = format!("{path}/{}", added.json()["id"].as_str().expect("an id"));
        assert_eq!(app.ask(request("DELETE", &last, &[], ""), Some(&app.publisher)).await.status, 204);
        let again = app.ask(request("DELETE", &last, &[], ""), Some(&app.publisher)).await;
        assert_eq!(again.problem(), (404, "target_not_found".into()));
        assert_eq!(add(target("Last", KEY)).await.status, 201);

        let ended = app.send("POST", &format!("{broadcast}/end"), Some(&app.publisher), json!({})).await;
        assert_eq!(ended.status, 200, "{ended:?}");
        let listed = app.get(&path, Some(&app.editor)).await.json();
        assert!(listed["items"].as_array().expect("targets").iter().all(|item| item["state"] == "ended"));
        assert_eq!(add(target("Late", "x")).await.problem(), (409, "broadcast_over".into()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn targets_of_another_account_are_not_there() {
    let app = App::small().await;
    let other = stranger(&app).await;
    let path = format!("{}/targets", announce(&app).await);
    let missing = (404, "broadcast_not_found".to_owned());
    assert_eq!(app.get(&path, Some(&other)).await.problem(), missing);
    assert_eq!(app.send("POST", &path, Some(&other), target("Mine", KEY)).await.problem(), missing);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_cannot_be_is_refused_by_name_and_without_its_key() {
    let app = App::small().await;
    let path = format!("{}/targets", announce(&app).await);
    for (field, value, code) in [
        ("name", "", "name_empty"),
        ("stream_key", " ", "stream_key_empty"),
        ("stream_key", "a\u{0}b", "stream_key_invalid"),
        ("url", "https://live.example.org/app", "url_invalid"),
        ("url", "rtmp://user:hunter2@live.example.org/app", "url_invalid"),
        ("url", "rtmp://192.168.1.1/app", "target_private"),
    ] {
        let mut body = target("Elsewhere", KEY);
        body[field] = value.into();
        let reply = app.send("POST", &path, Some(&app.publisher), body).await;
        assert_eq!(reply.problem(), (422, code.to_owned()), "{reply:?}");
        assert!(!reply.text().contains(KEY) && !reply.text().contains("hunter2"), "{}", reply.text());
    }
}

/// A broadcast with an encoder and one target.
async fn under_way(world: &World) -> (Ingest, Secret, PushTarget) {
    let publishing = &world.publishing;
    let (broadcast, key) = world.announce(false).await;
    let target = TargetDraft {
        name: "Elsewhere".to_owned(),
        url: "rtmp://live.example.org/app".parse().unwrap(),
        stream_key: Secret::new(KEY),
    };
    let target = publishing.add_target(world.operator, broadcast.id, target).await.unwrap();
    let ingest = publishing.begin_ingest(&key, "node", Duration::from_mins(1)).await.unwrap();
    (ingest, key, target)
}

async fn look(publishing: &Publishing, id: BroadcastId) -> (PushState, usize) {
    let mut read = publishing.db.read().await.unwrap();
    let targets = push_target::list(read.conn(), id).await.unwrap();
    let log = broadcast::list_log(read.conn(), id, 100).await.unwrap();
    (targets[0].state, log.iter().filter(|line| line.code == "push_began").count())
}

#[tokio::test]
async fn what_a_target_says_is_noted_only_while_its_stream_lasts() {
    for world in World::both().await {
        let publishing = &world.publishing;
        let (ingest, key, target) = under_way(&world).await;
        let id = ingest.tenure.id;
        let pushing = PushNote { state: PushState::Pushing, error: None, attempts: 1 };
        let line = [("push_began", "Elsewhere gets the stream".to_owned())];
        publishing.note_push((ingest.tenure, target.id), &pushing, &line).await.unwrap();
        assert_eq!(look(publishing, id).await, (PushState::Pushing, 1));

        publishing.leave_ingest(&ingest, ("encoder_stopped", "it stopped")).await.unwrap();
        assert_eq!(look(publishing, id).await, (PushState::Idle, 1));
        publishing.note_push((ingest.tenure, target.id), &pushing, &line).await.unwrap();
        assert_eq!(look(publishing, id).await, (PushState::Idle, 1), "it came too late");

        let next = publishing.begin_ingest(&key, "node", Duration::from_mins(1)).await.unwrap();
        let stale = publishing.note_push((ingest.tenure, target.id), &pushing, &line).await;
        assert!(matches!(stale, Err(Error::ChannelLost)), "{stale:?}");
        assert_eq!(publishing.list_pushes(id).await.unwrap()[0].stream_key.reveal(), KEY);

        publishing.end_broadcast(world.operator, id).await.unwrap();
        publishing.leave_ingest(&next, ("broadcast_over", "it was ended")).await.unwrap();
        assert_eq!(look(publishing, id).await, (PushState::Ended, 1));
        assert!(publishing.list_pushes(id).await.unwrap().is_empty(), "the key is forgotten");
    }
}
