//! What caches in front may keep, for how long, and how they are told to drop it.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use policast::domain::Texts;
use policast::domain::cdn::{CacheTag, PurgeHook};
use policast::domain::media::MediaState;
use policast::storage::SHOWN;
use serde_json::{Value, json};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use crate::app::{App, PUBLIC, request};
use crate::play::{addresses, ready};
use crate::world::{World, english};

/// A purge hook that is out of order at first, and what it was told.
struct Hook {
    url: String,
    told: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
    heard: Arc<Notify>,
    _server: JoinSet<()>,
}

impl Hook {
    async fn open(mut refusals: u32) -> Self {
        let (told, heard) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Notify::new()));
        let refusals = Arc::new(Mutex::new(std::mem::take(&mut refusals)));
        let (kept, notify) = (told.clone(), heard.clone());
        let hear = move |headers: HeaderMap, axum::Json(body): axum::Json<Value>| async move {
            let mut left = refusals.lock().expect("a lock");
            if *left > 0 {
                *left -= 1;
                return StatusCode::SERVICE_UNAVAILABLE;
            }
            kept.lock().expect("a lock").push((headers, body));
            notify.notify_one();
            StatusCode::OK
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}/purge?zone=1", listener.local_addr().expect("an address"));
        let mut server = JoinSet::new();
        server.spawn(async move {
            axum::serve(listener, Router::new().route("/purge", post(hear))).await.expect("served");
        });
        Self { url, told, heard, _server: server }
    }

    fn as_set(&self, allow_private: bool) -> PurgeHook {
        PurgeHook { url: self.url.clone(), token: Some("the token".to_owned()), allow_private }
    }

    /// The next thing it is told.
    async fn next(&self) -> (HeaderMap, Value) {
        self.heard.notified().await;
        self.told.lock().expect("a lock").remove(0)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_shown_for_a_public_video_changes_nothing() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    let video = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
    let hls = video["media"]["hls"].as_str().expect("an address").to_owned();
    let good = hls.split_once("?token=").expect("a token").1.to_owned();
    app.send(
        "POST",
        &format!("/api/v1/videos/{id}/publish?without_media=true"),
        Some(&app.publisher),
        json!({}),
    )
    .await;
    let master = format!("/play/{id}/master.m3u8");
    let playlist = addresses(&master, &app.get(&master, None).await.text()).remove(0);
    let media = addresses(&playlist, &app.get(&playlist, None).await.text()).pop().expect("media");
    let sheet = format!("/play/{id}/1/storyboard.vtt");
    for address in [&master, &playlist, &media, &sheet] {
        let bare = app.get(address, None).await;
        assert_eq!(bare.status, 200, "{address}");
        let join = if address.contains('?') { '&' } else { '?' };
        for token in [good.as_str(), "forged"] {
            let shown = app.get(&format!("{address}{join}token={token}"), None).await;
            assert_eq!((shown.status, &shown.body), (200, &bare.body), "{address}");
            for name in ["etag", "cache-control", "cache-tag", "surrogate-key", "content-type"] {
                assert_eq!(shown.header(name), bare.header(name), "{address}: {name}");
            }
        }
    }
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn shared_caches_keep_what_is_public_for_minutes_and_know_whose_it_is() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    app.send(
        "POST",
        &format!("/api/v1/videos/{id}/publish?without_media=true"),
        Some(&app.publisher),
        json!({}),
    )
    .await;
    let master = format!("/play/{id}/master.m3u8");
    let listed = app.get(&master, None).await;
    let playlist = addresses(&master, &listed.text()).remove(0);
    let media = addresses(&playlist, &app.get(&playlist, None).await.text()).pop().expect("media");
    let poster = format!("/play/{id}/1/poster.jpg");
    for (address, kept) in [(&master, "no-cache"), (&playlist, SHOWN), (&media, SHOWN), (&poster, SHOWN)] {
        let reply = app.get(address, None).await;
        assert_eq!(reply.header("cache-control"), kept, "{address}");
        assert_eq!(reply.header("cache-tag"), format!("video-{id},account-agency"), "{address}");
        assert_eq!(reply.header("surrogate-key"), format!("video-{id} account-agency"), "{address}");
    }
    assert!(SHOWN.contains("s-maxage=300") && !SHOWN.contains("private"), "{SHOWN}");
    let reason = json!({"reason": "wrong"});
    app.send("POST", &format!("/api/v1/videos/{id}/withdraw"), Some(&app.publisher), reason).await;
    for address in [&master, &playlist, &media, &poster] {
        let reply = app.get(address, None).await;
        assert_eq!((reply.status, reply.header("cache-control")), (404, "no-store"), "{address}");
        assert_eq!(reply.header("cache-tag"), "", "{address}");
    }
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_with_secrets_are_kept_by_no_cache() {
    let app = App::small().await;
    let id = app.draft().await;
    let key = json!({"role": "editor", "label": "studio"});
    let event = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
    let mut replies = vec![
        app.send("POST", "/api/v1/accounts/agency/keys", Some(&app.admin), key).await,
        app.send("POST", "/api/v1/broadcasts", Some(&app.publisher), event).await,
        app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await,
        app.get("/api/v1/videos", Some(&app.editor)).await,
        app.get("/api/v1/videos", None).await,
    ];
    let broadcast = replies[1].json()["id"].as_str().expect("an id").to_owned();
    let rotate = format!("/api/v1/broadcasts/{broadcast}/key");
    replies.push(app.send("POST", &rotate, Some(&app.publisher), json!({})).await);
    let watched = [("authorization", &*format!("Bearer {}", app.editor))];
    let events = request("GET", &format!("/api/v1/videos/{id}/events"), &watched, "");
    let events = tower::ServiceExt::oneshot(app.router.clone(), events).await.expect("an answer");
    assert_eq!(events.headers()["cache-control"], "no-store");
    for reply in replies {
        assert!(reply.status < 300, "{reply:?}");
        assert_eq!(reply.header("cache-control"), "no-store", "{reply:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shown_by_token_is_kept_by_no_cache_and_a_public_one_never_carries_one() {
    let app = App::small().await;
    let id = app.draft().await;
    let video = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
    let address = video["watch"].as_str().expect("an address").strip_prefix(PUBLIC).expect("ours").to_owned();
    let draft = app.get(&address, None).await;
    assert_eq!((draft.status, draft.header("cache-control")), (200, "private, no-store"));
    app.send(
        "POST",
        &format!("/api/v1/videos/{id}/publish?without_media=true"),
        Some(&app.publisher),
        json!({}),
    )
    .await;
    let public = app.get(&address, None).await;
    assert_eq!((public.status, public.header("cache-control")), (200, "no-cache"));
    assert!(!public.text().contains("token="), "a token came into a page that everybody is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_hear_of_every_withdrawal_and_deletion_however_often_they_must_be_told() {
    for mut world in World::both().await {
        let hook = Hook::open(1).await;
        world.publishing.limits.purge_hook = Some(hook.as_set(true));
        let id =
            world.publishing.draft_video(world.operator, crate::world::draft()).await.expect("a video").id;
        world.publishing.publish_without_media(world.operator, id).await.expect("published");
        world.work();
        let reason: Texts = english("wrong");
        world.publishing.withdraw(world.operator, id, reason).await.expect("withdrawn");
        let (headers, body) = hook.next().await;
        let tag = CacheTag::Video(id).to_string();
        assert_eq!(body, json!({"tags": [tag]}));
        assert_eq!(headers["surrogate-key"], tag);
        assert_eq!(headers["authorization"], "Bearer the token");
        world.publishing.delete_video(world.operator, id).await.expect("deleted");
        assert_eq!(hook.next().await.1, json!({"tags": [tag]}));
        let account = CacheTag::Account("agency".parse().expect("a handle"));
        world.publishing.purge_caches(account).await.expect("asked");
        assert_eq!(hook.next().await.1, json!({"tags": ["account-agency"]}));
        world.publishing.purge_caches(CacheTag::Everything).await.expect("asked");
        assert_eq!(hook.next().await.1, json!({"purge_everything": true}));
        world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn caches_hear_of_a_source_that_was_replaced() {
    let mut world = World::small().await;
    let hook = Hook::open(0).await;
    world.publishing.limits.purge_hook = Some(hook.as_set(true));
    let clip = std::fs::read(format!("{}/media-fixtures/short.mp4", env!("CARGO_MANIFEST_DIR")));
    let clip = bytes::Bytes::from(clip.expect("a fixture"));
    world.work();
    let id = world.upload(clip.clone()).await;
    assert_eq!(world.settled(id).await.media_state, MediaState::Ready);
    world.replace(id, clip).await;
    assert_eq!(hook.next().await.1, json!({"tags": [CacheTag::Video(id).to_string()]}));
    world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hook_inside_the_network_is_told_nothing_unless_that_is_allowed() {
    let mut world = World::small().await;
    let hook = Hook::open(0).await;
    world.publishing.limits.purge_hook = Some(hook.as_set(false));
    world.publishing.purge_caches(CacheTag::Everything).await.expect("asked");
    world.work();
    let filter = policast::catalogue::job::Filter { limit: 10, ..Default::default() };
    let said = loop {
        let mut read = world.publishing.db.read().await.expect("a connection");
        let jobs = policast::catalogue::job::list(read.conn(), &filter).await.expect("jobs").items;
        if let Some(error) = jobs.first().and_then(|job| job.last_error.clone()) {
            break error;
        }
        drop(read);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    assert!(said.contains("POLICAST_PURGE_ALLOW_PRIVATE"), "{said}");
    assert!(!said.contains("127.0.0.1") && !said.contains("zone"), "{said}");
    assert!(hook.told.lock().expect("a lock").is_empty());
    world.rest().await;
}
