//! A request under an `Idempotency-Key` whose node died after the change and before the answer was kept: the next
//! attempt finds what was made, and a late one makes nothing.

use std::time::{Duration, Instant};

use policast::catalogue::idempotency::{self, Place};
use policast::catalogue::video::{self, Filter, Sight};
use policast::catalogue::{broadcast, key};
use policast::domain::broadcast::DEFAULT_GRACE;
use policast::domain::key::{Caller, Role, Secret};
use policast::domain::upload::Door;
use policast::fault::{self, Change, Fault};
use policast::publishing::once::{self, Attempt};
use policast::publishing::{
    AccountDraft, BroadcastDraft, BroadcastPlan, Error, Incoming, KeyDraft, Target, TargetDraft, TopicDraft,
};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::app::{App, request};
use crate::world::{World, draft, english};

/// What ended is taken for dead by then.
const STUCK: Duration = Duration::from_mins(1);

/// What streams asks the database while it is read: under a key, too, nothing may hold it meanwhile.
#[tokio::test(flavor = "multi_thread")]
async fn a_streamed_answer_under_a_key_comes_whole_and_again() {
    for app in App::both().await {
        for time in ["first", "again"] {
            let headers = [("content-type", "application/json"), ("idempotency-key", "night")];
            let asked = request("POST", "/api/v1/admin/fsck", &headers, r#"{"grace_seconds": 60}"#);
            let reply = app.ask(asked, Some(&app.operator)).await;
            assert_eq!(reply.status, 200, "{time}: {reply:?}");
            assert!(reply.json()["checked"].is_object(), "{time}: {reply:?}");
        }
    }
}

async fn claim(world: &World, caller: Caller, (key, digest): (&str, &str)) {
    let mut tx = world.publishing.db.begin().await.expect("a transaction");
    let place = Place { api_key: caller.key, key };
    assert!(idempotency::claim(tx.conn(), place, digest, Duration::from_mins(1)).await.expect("a claim"));
    tx.commit().await.expect("a commit");
}

async fn kept(world: &World, caller: Caller, key: &str) -> Option<String> {
    let place = Place { api_key: caller.key, key };
    let mut read = world.publishing.db.read().await.expect("a connection");
    idempotency::find(read.conn(), place).await.expect("an answer").expect("a claim").location
}

/// Runs a verb that makes something three times: stopped behind its commit, again with what that made, and late without.
async fn is_made_once<T>(world: &World, key: &str, verb: impl AsyncFn() -> Result<T, Error>) -> (String, T) {
    let caller = world.operator;
    claim(world, caller, (key, "digest")).await;
    let attempt = |made| Attempt { api_key: caller.key, key: key.to_owned(), made };
    let run = fault::inject(Fault::StopAfter(1), once::attempt(attempt(None), verb())).await;
    assert!(run.answer.is_none(), "{key}");
    assert_eq!(run.changes, [Change::Commit], "{key}");
    let made = kept(world, caller, key).await.expect("what was made");
    let again = once::attempt(attempt(Some(made.clone())), verb()).await;
    let again = again.unwrap_or_else(|error| panic!("{key}: {error}"));
    let now = kept(world, caller, key).await.expect("what was made");
    let late = once::attempt(attempt(None), verb()).await;
    assert!(late.is_err(), "{key}: made twice");
    assert_eq!(kept(world, caller, key).await.as_ref(), Some(&now), "{key}");
    (made, again)
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_request_makes_is_made_once_though_its_node_dies_before_it_answers() {
    for world in World::both().await {
        let (publishing, operator) = (&world.publishing, world.operator);
        let (made, upload) =
            is_made_once(&world, "video", || publishing.draft_with_parts(operator, draft())).await;
        assert_eq!(upload.id.to_string(), made);
        let target = upload.video_id.expect("a video");
        let incoming = || Incoming {
            door: Door::Tus,
            target: Target::Video(target),
            partials: Vec::new(),
            length: Some(1000),
            filename: String::new(),
            metadata: std::collections::BTreeMap::new(),
        };
        let (made, upload) =
            is_made_once(&world, "upload", || publishing.begin_upload(operator, incoming())).await;
        assert_eq!(upload.id.to_string(), made);
        let (made, video) = is_made_once(&world, "draft", || publishing.draft_video(operator, draft())).await;
        assert_eq!(video.id.to_string(), made);
        let name = || TopicDraft { name: english("Water") };
        let water = || publishing.add_topic("water".parse().expect("a slug"), name());
        assert_eq!(is_made_once(&world, "topic", water).await.0, "water");
        let account = || AccountDraft {
            name: english("Another"),
            sector: "health".to_owned(),
            level: "municipal".parse().expect("a level"),
            region: "Riverside".to_owned(),
            parent: None,
            max_video_bytes: None,
            quota_bytes: None,
        };
        let another = || publishing.add_account("another".parse().expect("a handle"), account());
        assert_eq!(is_made_once(&world, "account", another).await.0, "another");
        let mut read = publishing.db.read().await.expect("a connection");
        let filter = Filter { sight: Sight::Everything, limit: 100, ..Filter::default() };
        let listed = video::list(read.conn(), &filter).await.expect("a list");
        assert_eq!(listed.items.len(), 2);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_whose_answer_was_lost_is_made_anew_and_the_one_nobody_saw_is_good_no_more() {
    for world in World::both().await {
        let (publishing, operator) = (&world.publishing, world.operator);
        let plan = BroadcastPlan { starts_at: None, grace: DEFAULT_GRACE, dvr: None, slate: false };
        let announce = || {
            let draft = BroadcastDraft { video: draft(), plan };
            publishing.announce_broadcast(operator, draft)
        };
        let (made, (row, _, secret)) = is_made_once(&world, "broadcast", announce).await;
        assert_eq!(row.id.to_string(), made);
        let mut read = publishing.db.read().await.expect("a connection");
        let found = broadcast::find_by_key(read.conn(), &secret.digest()).await;
        assert_eq!(found.expect("a broadcast").map(|found| found.id), Some(row.id));
        drop(read);
        let target = || TargetDraft {
            name: "Elsewhere".to_owned(),
            url: "rtmps://live.example.org/app".parse().expect("an address"),
            stream_key: Secret::new("key-elsewhere"),
        };
        let (made, target) =
            is_made_once(&world, "target", || publishing.add_target(operator, row.id, target())).await;
        assert_eq!(target.id.to_string(), made);
        let label = || KeyDraft { account: None, role: Role::Editor, label: "Once".to_owned() };
        let (made, (row, _)) = is_made_once(&world, "key", || publishing.issue_key(label())).await;
        let mut read = publishing.db.read().await.expect("a connection");
        let before = key::find(read.conn(), made.parse().expect("an id")).await.expect("keys");
        assert!(before.is_some_and(|key| key.revoked_at.is_some()));
        let after = key::find(read.conn(), row.id).await.expect("keys");
        assert!(after.is_some_and(|key| key.revoked_at.is_none()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_whose_node_died_may_be_sent_again_after_a_lease_and_is_answered_with_what_was_made() {
    for app in App::both().await {
        let body =
            json!({"account": "agency", "topic": "health", "title": "Once", "language": "en"}).to_string();
        let digest = hex::encode(Sha256::digest(format!("POST /api/v1/videos\n{body}")));
        let secret = Secret::new(&app.operator).digest();
        let mut read = app.world.publishing.db.read().await.expect("a connection");
        let caller = key::find_caller(read.conn(), &secret).await.expect("keys").expect("a key");
        drop(read);
        claim(&app.world, caller, ("key", &digest)).await;
        let attempt = Attempt { api_key: caller.key, key: "key".to_owned(), made: None };
        let verb = app.world.publishing.draft_with_parts(caller, draft());
        let run = fault::inject(Fault::StopAfter(1), once::attempt(attempt, verb)).await;
        assert!(run.reached && run.answer.is_none(), "{run:?}");
        let headers = [("content-type", "application/json"), ("idempotency-key", "key")];
        let begun = Instant::now();
        let answer = loop {
            let answer =
                app.ask(request("POST", "/api/v1/videos", &headers, body.clone()), Some(&app.operator)).await;
            if answer.status == 201 {
                break answer;
            }
            assert_eq!(answer.problem(), (409, "request_running".to_owned()));
            assert!(begun.elapsed() < STUCK, "the key is claimed for ever");
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        assert!(answer.json()["upload"]["parts"].is_string(), "{answer:?}");
        let listed = app.get("/api/v1/videos", Some(&app.operator)).await.json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
        assert_eq!(listed["items"][0]["id"], answer.json()["id"]);
    }
}
