//! What one node's verbs do is known on the other nodes at once. Nothing here waits for a poll: there is none.

use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use futures::{StreamExt, stream};
use policast::domain::VideoId;
use policast::domain::key::Role;
use policast::http::{App as State, Settings, router};
use policast::live::Live;
use policast::publishing::{Changes, KeyDraft, Publishing};
use sqlx::Executor;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::app::{App, http_settings, live_settings, request};
use crate::world::{World, draft};

/// Another node over the same database, which tells and hears.
struct Node {
    publishing: Publishing,
    heard: Receiver<Option<VideoId>>,
    stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Node {
    async fn beside(world: &World) -> Self {
        let publishing = Publishing { changes: Changes::default(), ..world.publishing.clone() };
        let heard = publishing.changes.follow();
        let stop = CancellationToken::new();
        let (node, stopped) = (publishing.clone(), stop.clone());
        let running = tokio::spawn(async move { node.changes.run(&node.db, &stopped).await });
        let mut node = Self { publishing, heard, stop, running };
        assert_eq!(node.hear().await, None, "whoever begins to listen may have missed anything");
        node
    }

    async fn hear(&mut self) -> Option<VideoId> {
        self.heard.recv().await.expect("news")
    }
}

#[tokio::test]
async fn a_change_on_one_node_is_heard_on_another_and_never_twice_at_home() {
    let world = World::large().await;
    let (mut here, mut there) = (Node::beside(&world).await, Node::beside(&world).await);
    let id = here.publishing.draft_video(world.operator, draft()).await.expect("a draft").id;
    here.publishing.publish_without_media(world.operator, id).await.expect("published");
    assert_eq!(there.hear().await, Some(id));
    there.publishing.withdraw(world.operator, id, crate::world::english("Wrong")).await.expect("withdrawn");
    assert_eq!((here.hear().await, here.hear().await), (Some(id), Some(id)), "its own and the other's");
    assert_eq!(there.hear().await, Some(id), "its own");
    assert!(here.heard.try_recv().is_err(), "its own came back");
}

#[tokio::test]
async fn work_on_one_node_wakes_a_worker_on_another() {
    let world = World::large().await;
    let (here, there) = (Node::beside(&world).await, Node::beside(&world).await);
    there.publishing.changes.work().await;
    here.publishing.changes.tell_work();
    there.publishing.changes.work().await;
}

#[tokio::test]
async fn whoever_lost_its_connection_listens_again_and_looks() {
    let world = World::large().await;
    let (here, mut there) = (Node::beside(&world).await, Node::beside(&world).await);
    let policast::catalogue::Db::Pg(pool) = &world.publishing.db else { panic!("not PostgreSQL") };
    let kill = "select pg_terminate_backend(pid) from pg_stat_activity
        where datname = current_database() and application_name = 'policast listener'";
    let killed = pool.execute(kill).await.expect("an answer").rows_affected();
    assert_eq!(killed, 2);
    assert_eq!(there.hear().await, None, "anything may have happened meanwhile");
    let id = VideoId::new();
    here.publishing.changes.tell(id);
    assert_eq!(there.hear().await, Some(id));
}

#[tokio::test]
async fn what_was_told_before_the_end_still_goes_out() {
    let world = World::large().await;
    let (here, mut there) = (Node::beside(&world).await, Node::beside(&world).await);
    let id = VideoId::new();
    here.publishing.changes.tell(id);
    here.stop.cancel();
    here.running.await.expect("an orderly end");
    assert_eq!(there.hear().await, Some(id));
}

#[tokio::test]
async fn one_wake_up_wakes_one_and_is_kept_for_whoever_comes() {
    let changes = Changes::default();
    changes.tell_work();
    changes.work().await;
    let waiting = [changes.work(), changes.work()].map(Box::pin);
    changes.tell_work();
    let [one, other] = waiting;
    let ((), other) = futures::future::select(one, other).await.factor_first();
    assert!(futures::FutureExt::now_or_never(other).is_none(), "two were woken");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_revoked_at_one_node_ends_events_and_uploads_at_another() {
    let [_, app] = App::both().await;
    let (here, there) = (Node::beside(&app.world).await, Node::beside(&app.world).await);
    let live =
        Live::new(there.publishing.clone(), live_settings(), (TaskTracker::new(), CancellationToken::new()));
    // Longer than any wait below: silence alone ends no upload.
    let settings = Settings { body_idle_timeout: Duration::from_mins(10), ..http_settings() };
    let state = State::new(there.publishing.clone(), live, settings, TaskTracker::new());
    let router = router(state, axum::Router::new());
    let id = app.draft().await;
    let draft =
        KeyDraft { account: Some(app.world.agency().await), role: Role::Editor, label: String::new() };
    let (key, secret) = here.publishing.issue_key(draft).await.expect("a key");
    let shown = format!("Bearer {}", secret.reveal());
    let headers = [("authorization", shown.as_str())];
    let asked = request("GET", &format!("/api/v1/videos/{id}/events"), &headers, "");
    let events = router.clone().oneshot(asked).await.expect("an answer");
    assert_eq!(events.status(), 200);
    let mut events = events.into_body().into_data_stream();
    events.next().await.expect("an event").expect("bytes");
    let (taken, is_taken) = tokio::sync::oneshot::channel();
    let begun = stream::once(async { Ok::<_, std::io::Error>(Bytes::from_static(b"some bytes")) });
    let waits = stream::once(async move {
        taken.send(()).expect("somebody waits");
        std::future::pending().await
    });
    let body = Body::from_stream(begun.chain(waits));
    let put = request("PUT", &format!("/api/v1/videos/{id}/source"), &headers, body);
    let put = tokio::spawn(router.oneshot(put));
    is_taken.await.expect("its bytes are asked for");
    here.publishing.revoke_key(key.id).await.expect("revoked");
    let ended = async {
        while events.next().await.is_some() {}
        put.await.expect("no panic").expect("an answer").status()
    };
    let status = tokio::time::timeout(Duration::from_secs(9), ended).await.expect("both end within seconds");
    assert_eq!(status, 401);
}
