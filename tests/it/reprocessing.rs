//! Reprocessing by selection: a page costs the same wherever it is, and whatever interrupts it, nothing is done twice.

use policast::catalogue::Db;
use policast::catalogue::revision::{self, Selection};
use policast::domain::media::MediaState;
use policast::domain::{Timestamp, VideoId};
use sqlx::{AssertSqlSafe, Executor};

use crate::bulk::Bulk;
use crate::lists::{cheap, filled, many};
use crate::world::World;

const PAGE: u32 = 20;
/// Of them ten are drafts without a source.
const VIDEOS: i64 = 600;
const SOURCES: i64 = 590;

fn selections() -> Vec<(&'static str, Selection)> {
    let none = Selection::default;
    vec![
        ("all", none()),
        ("an account", Selection { account: "account-1".parse().ok(), ..none() }),
        ("a topic", Selection { topic: "health".parse().ok(), ..none() }),
        ("a rare topic", Selection { topic: "rare".parse().ok(), ..none() }),
        ("failed", Selection { state: Some(MediaState::Failed), ..none() }),
        ("newer ones that wait", Selection { state: Some(MediaState::Waiting), ..none() }),
        ("what is missing", Selection { missing_only: true, ..none() }),
        ("older rules, which none has", Selection { ladder_before: Some(0), ..none() }),
        ("later than all", Selection { since: Some(Timestamp(1)), ..none() }),
    ]
}

#[tokio::test]
async fn a_page_of_a_reprocessing_reads_no_more_than_itself_wherever_it_is() {
    for (db, _folder) in filled(many).await {
        for (name, selection) in selections() {
            let middle: VideoId = "01970000-0000-7000-8000-000000009000".parse().expect("an id");
            // A plan that is made for any values comes after some for these.
            for after in [None, Some(middle), None, Some(middle), None, Some(middle), None] {
                let page = cheap(&db, name, async |conn| {
                    revision::select(conn, &selection, after, PAGE).await.expect("a page")
                })
                .await;
                assert!(page.videos.iter().all(|video| Some(video.id) > after), "{}: {name}", db.engine());
            }
        }
    }
}

async fn execute(db: &Db, statement: String) {
    match db {
        Db::Sqlite { write, .. } => write.execute(AssertSqlSafe(statement)).await.map(drop).expect("changed"),
        Db::Pg(pool) => pool.execute(AssertSqlSafe(statement)).await.map(drop).expect("changed"),
    }
}

async fn count(db: &Db, of: &str) -> i64 {
    let statement = AssertSqlSafe(format!("select count(*) from {of}"));
    match db {
        Db::Sqlite { read, .. } => sqlx::query_scalar(statement).fetch_one(read).await.expect("a count"),
        Db::Pg(pool) => sqlx::query_scalar(statement).fetch_one(pool).await.expect("a count"),
    }
}

async fn worlds() -> [World; 2] {
    let both = World::both().await;
    for world in &both {
        let db = &world.publishing.db;
        for statement in Bulk::new(db, VIDEOS).statements() {
            execute(db, statement.replace("when 1 then 'health'", "when 1 then 'health/all'")).await;
        }
        execute(db, "delete from job".to_owned()).await;
    }
    both
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_counts_every_video_once_and_says_how_far_it_is() {
    for world in worlds().await {
        let pages = std::sync::Mutex::new(Vec::new());
        let tell = |estimate: &policast::publishing::Estimate| {
            pages.lock().expect("no panic").push(estimate.videos);
        };
        let all = world.publishing.estimate(&Selection::default(), tell).await.expect("an estimate");
        assert_eq!(all.videos, SOURCES.unsigned_abs(), "{}", world.publishing.db.engine());
        let pages = pages.into_inner().expect("no panic");
        assert!(pages.len() > 2 && pages.is_sorted(), "{pages:?}");
        for (selection, condition) in [
            (
                Selection { missing_only: true, ..Selection::default() },
                "media_state in ('degraded', 'failed')",
            ),
            (Selection { state: Some(MediaState::Failed), ..Selection::default() }, "media_state = 'failed'"),
            (
                Selection { account: "account-2".parse().ok(), ..Selection::default() },
                "account_id = '01970000-0000-7000-8000-000000000002' and state <> 'draft'",
            ),
            (
                Selection { topic: "environment".parse().ok(), ..Selection::default() },
                "state <> 'draft' and topic_id in (select id from topic where slug like 'environment%')",
            ),
        ] {
            let expected = count(&world.publishing.db, &format!("video where {condition}")).await;
            let estimate = world.publishing.estimate(&selection, |_| ()).await.expect("an estimate");
            assert_eq!(estimate.videos, expected.unsigned_abs(), "{condition}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reprocessing_that_was_cut_off_goes_on_and_does_nothing_twice() {
    for world in worlds().await {
        let publishing = world.publishing.clone();
        let first = tokio::spawn(async move { publishing.reprocess(&Selection::default()).await.map(drop) });
        let db = &world.publishing.db;
        while count(db, "revision where number = 2").await < 250 {
            tokio::task::yield_now().await;
        }
        first.abort();
        drop(first.await);
        // As if they had been made at once: done, and no longer under way.
        execute(db, "update revision set state = 'ready', finished_at = 1 where number = 2".to_owned()).await;
        execute(db, "update job set state = 'done'".to_owned()).await;
        let rest = world.publishing.reprocess(&Selection::default()).await.expect("begun");
        assert!(rest.resumed, "{}", db.engine());
        assert_eq!(count(db, "revision where number = 2").await, SOURCES, "{}", db.engine());
        assert_eq!(count(db, "revision where number > 2").await, 0, "{}", db.engine());
        let again = world.publishing.estimate(&Selection::default(), |_| ()).await.expect("an estimate");
        assert!(again.videos < SOURCES.unsigned_abs(), "what is under way is left out");
    }
}
