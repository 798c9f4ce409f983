//! What one node's verbs do is known on the other nodes at once. Nothing here waits for a poll: there is none.

use policast::domain::VideoId;
use policast::publishing::{Changes, Publishing};
use sqlx::Executor;
use tokio::sync::broadcast::Receiver;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

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
    here.publishing.publish(world.operator, id).await.expect("published");
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
