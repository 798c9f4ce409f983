//! The instance's own secrets: one to a purpose, replaced without a restart; links to drafts, called back.

use axum::Router;
use axum::body::Body;
use policast::domain::Clock;
use policast::domain::secret::{Keys, Purpose};
use policast::http::{App as State, router};
use policast::live::{Live, NodePass};
use policast::publishing::Secrets;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::app::{App, PUBLIC, http_settings, live_settings, request};

/// One node more over the same database, with what it has read of the secrets.
async fn node(app: &App) -> (Secrets, Router) {
    let publishing = &app.world.publishing;
    let secrets = publishing.open_secrets().await.expect("secrets");
    let pulls = (TaskTracker::new(), CancellationToken::new());
    let mut settings = live_settings();
    settings.keys = secrets.nodes.clone();
    let live = Live::new(publishing.clone(), settings, pulls);
    let mut settings = http_settings();
    settings.token_keys = secrets.playback.clone();
    let state = State::new(publishing.clone(), live, settings, TaskTracker::new());
    (secrets, router(state, Router::new()))
}

async fn status(router: &Router, path: &str) -> u16 {
    let asked = request("GET", path, &[], Body::empty());
    let answer = tower::ServiceExt::oneshot(router.clone(), asked).await.expect("an answer");
    answer.status().as_u16()
}

/// The address of a draft that a member is given.
async fn link(app: &App, router: &Router, id: &str) -> String {
    let key = format!("Bearer {}", app.editor);
    let asked = request("GET", &format!("/api/v1/videos/{id}"), &[("authorization", &key)], Body::empty());
    let answer = tower::ServiceExt::oneshot(router.clone(), asked).await.expect("an answer");
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.expect("a body");
    let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let watch = json["watch"].as_str().expect("an address");
    let token = watch.split_once("?token=").expect("a token").1;
    format!("{PUBLIC}/api/v1/videos/{id}?token={token}")
}

fn secret_of(keys: &Keys) -> Vec<u8> {
    keys.signing(Clock::System.now())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_purpose_has_a_secret_of_its_own_which_all_nodes_share() {
    for app in App::both().await {
        let ((one, _), (other, _)) = (node(&app).await, node(&app).await);
        assert_eq!(secret_of(&one.playback), secret_of(&other.playback));
        assert_eq!(secret_of(&one.nodes), secret_of(&other.nodes));
        assert_ne!(secret_of(&one.playback), secret_of(&one.nodes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_before_a_rotation_is_good_until_it_expires() {
    for app in App::both().await {
        let (secrets, router) = node(&app).await;
        let id = app.draft().await;
        let before = link(&app, &router, &id).await;
        let pass = NodePass::new(secrets.nodes.clone(), Clock::System);
        let shown = pass.issue();
        for purpose in Purpose::ALL {
            app.world.publishing.rotate_secret(*purpose, false).await.expect("rotated");
        }
        app.world.publishing.read_secrets(&secrets).await.expect("read");
        assert_eq!(status(&router, &before).await, 200);
        assert!(pass.check(&shown));
        let (_, newcomer) = node(&app).await;
        assert_eq!(status(&newcomer, &before).await, 200);
        assert_eq!(status(&router, &link(&app, &newcomer, &id).await).await, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotation_at_once_leaves_nothing_of_the_old_secret_on_a_running_node() {
    for app in App::both().await {
        let (secrets, router) = node(&app).await;
        let id = app.draft().await;
        let before = link(&app, &router, &id).await;
        let pass = NodePass::new(secrets.nodes.clone(), Clock::System);
        let shown = pass.issue();
        app.world.publishing.rotate_secret(Purpose::Playback, true).await.expect("rotated");
        app.world.publishing.read_secrets(&secrets).await.expect("read");
        assert_eq!(status(&router, &before).await, 403);
        assert!(pass.check(&shown), "another purpose's is untouched");
        assert_eq!(status(&router, &link(&app, &router, &id).await).await, 200);
        app.world.publishing.rotate_secret(Purpose::Nodes, true).await.expect("rotated");
        app.world.publishing.read_secrets(&secrets).await.expect("read");
        assert!(!pass.check(&shown) && pass.check(&pass.issue()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_with_one_secret_for_all_gets_one_for_each_and_honours_the_old_one_meanwhile() {
    for app in App::both().await {
        let publishing = &app.world.publishing;
        let mut tx = publishing.db.begin().await.expect("a transaction");
        let shared = "the secret of an earlier release";
        policast::catalogue::setting::insert(tx.conn(), "token_secret", shared).await.expect("kept");
        tx.commit().await.expect("committed");
        let (secrets, _) = node(&app).await;
        for keys in [&secrets.playback, &secrets.nodes] {
            assert_eq!(secret_of(keys), shared.as_bytes(), "nodes of that release know no other");
            let later = Clock::System.now().plus(std::time::Duration::from_hours(2));
            assert_ne!(keys.signing(later), shared.as_bytes());
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_link_that_was_called_back_is_refused_on_every_node() {
    for app in App::both().await {
        let ((_, one), (_, other)) = (node(&app).await, node(&app).await);
        let id = app.draft().await;
        let before = link(&app, &one, &id).await;
        let played = before.replace("/api/v1/videos/", "/play/").replace("?token", "/master.m3u8?token");
        for router in [&one, &other] {
            assert_eq!(status(router, &before).await, 200);
            assert_eq!(status(router, &played).await, 404, "let in; there is no media yet");
        }
        let path = format!("/api/v1/videos/{id}/preview");
        assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&app.editor)).await.status, 204);
        for router in [&one, &other] {
            assert_eq!(status(router, &before).await, 403);
            // What a node knows of a video is a second old at most.
            while status(router, &played).await != 403 {
                tokio::task::yield_now().await;
            }
            assert_eq!(status(router, &link(&app, router, &id).await).await, 200, "the next one is good");
        }
        let stranger = crate::app::stranger(&app).await;
        assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&stranger)).await.status, 404);
    }
}
