//! Nobody holds a connection and asks for another: everything the product does, it does over a pool of one.

use std::time::Duration;

use axum::body::Body;
use policast::catalogue::Pool;
use policast::domain::media::MediaState;
use tower::ServiceExt;

use crate::app::{App, request};
use crate::auth::routes;
use crate::world::World;

/// Whoever waits for a second connection waits for itself, and is told so after this.
const ONE: Pool = Pool { connections: 1, acquire_timeout: Duration::from_secs(5) };

const DRAFT: &str = r#"{"account": "agency", "topic": "health", "title": "A clip", "language": "en"}"#;

/// A video that everybody sees.
async fn published(app: &App) -> String {
    let id = app.draft().await;
    let path = format!("/api/v1/videos/{id}/publish?without_media=true");
    let reply = app.ask(request("POST", &path, &[], ""), Some(&app.publisher)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    id
}

async fn add(app: &App, path: &str, json: &str) -> String {
    let headers = [("content-type", "application/json")];
    let reply = app.ask(request("POST", path, &headers, json.to_owned()), Some(&app.operator)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.json()["id"].as_str().expect("an id").to_owned()
}

async fn upload(app: &App) -> String {
    let headers = [("tus-resumable", "1.0.0"), ("upload-length", "4")];
    let metadata = ("upload-metadata", "account YWdlbmN5,topic aGVhbHRo,title QQ==,language ZW4=");
    let headers: Vec<_> = headers.into_iter().chain([metadata]).collect();
    let reply = app.ask(request("POST", "/api/v1/uploads", &headers, ""), Some(&app.editor)).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.header("location").rsplit('/').next().expect("an id").to_owned()
}

/// The path with something in each place that is there and may be touched.
pub async fn somewhere(app: &App, path: &str) -> String {
    let id = if path.contains("/broadcasts/") {
        add(app, "/api/v1/broadcasts", DRAFT).await
    } else if path.contains("/uploads/") {
        upload(app).await
    } else if path.contains("/keys/") {
        add(app, "/api/v1/keys", r#"{"role": "admin", "label": "a machine"}"#).await
    } else {
        published(app).await
    };
    path.replace("{id}", &id)
        .replace("{video}", &id)
        .replace("{target}", &id)
        .replace("{handle}", "agency")
        .replace("{slug}", "health")
        .replace("{revision}", "1")
        .replace("{rung}", "720p")
        .replace("{file}", "poster.jpg")
}

/// What gets furthest with a route.
pub fn body(method: &str, path: &str) -> &'static str {
    match (method, path) {
        ("post", "/api/v1/videos" | "/api/v1/broadcasts") => DRAFT,
        ("patch", _) if path.ends_with("/uploads/{id}") => "abcd",
        ("patch", "/api/v1/broadcasts/{id}") => r#"{"grace_seconds": 5}"#,
        ("patch", "/api/v1/videos/{id}") => r#"{"title": "Another"}"#,
        ("patch", _) => r#"{"name": "Another"}"#,
        ("post", _) if path.ends_with("/withdraw") => r#"{"reason": "a mistake"}"#,
        ("post", _) if path.ends_with("/keys") => r#"{"role": "editor", "label": "a machine"}"#,
        ("post", _) if path.ends_with("/parts") => r#"{"numbers": [1]}"#,
        ("post", _) if path.ends_with("/rollback") => r#"{"revision": 1}"#,
        ("post", "/api/v1/admin/reprocess") => r#"{"all": true}"#,
        ("post", "/api/v1/accounts") => {
            r#"{"handle": "another", "name": "Another", "sector": "health", "level": "central", "region": ""}"#
        }
        ("post", "/api/v1/topics") => r#"{"slug": "health/food", "name": "Food"}"#,
        ("put", _) => "not a video",
        _ => "{}",
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_route_answers_over_a_pool_of_one() {
    for app in App::both_pooled(ONE).await {
        for (method, path) in routes().into_keys() {
            let kind = match method.as_str() {
                "patch" if path.contains("/uploads/") => "application/offset+octet-stream",
                "put" => "video/mp4",
                _ => "application/json",
            };
            let headers = [
                ("authorization", format!("Bearer {}", app.operator)),
                ("content-type", kind.to_owned()),
                ("tus-resumable", "1.0.0".to_owned()),
                ("upload-offset", "0".to_owned()),
                ("upload-length", "4".to_owned()),
            ];
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            let asked = somewhere(&app, &path).await;
            let request = request(&method.to_uppercase(), &asked, &headers, Body::from(body(&method, &path)));
            // Events go on for long: the answer's head says enough.
            let answer = app.router.clone().oneshot(request).await.expect("an answer");
            assert!(answer.status().as_u16() < 500, "{method} {path}: {}", answer.status());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_page_answers_sixteen_at_once_over_a_pool_of_one() {
    for app in App::both_pooled(ONE).await {
        for _ in 0..24 {
            published(&app).await;
        }
        let id = published(&app).await;
        for path in ["/".to_owned(), "/?q=clip".to_owned(), format!("/watch/{id}"), format!("/embed/{id}")] {
            let asked = (0..16).map(|_| app.get(&path, None));
            for reply in futures::future::join_all(asked).await {
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clip_becomes_ready_over_a_pool_of_one() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/media-fixtures/short.mp4");
    for mut world in World::both_pooled(ONE).await {
        world.work();
        let id = world.upload(std::fs::read(path).expect("a fixture").into()).await;
        assert_eq!(world.settled(id).await.media_state, MediaState::Ready);
        world.rest().await;
    }
}
