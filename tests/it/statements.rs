//! How many statements an answer takes: as many for a page of twenty-four as for a page of one.

use policast::catalogue::{Db, count_statements};
use sqlx::{AssertSqlSafe, Executor};

use crate::app::App;
use crate::bulk::Bulk;

/// Videos beside the app's own.
const VIDEOS: i64 = 600;
/// The page is counted and read, and described.
const MOST: u64 = 3;
/// The caller's key is looked up besides.
const KEY: u64 = 1;
/// A video is found and let in, described, and shown with its account and each level of its topic.
const MOST_OF_A_VIDEO: u64 = 6;

async fn filled() -> [App; 2] {
    let both = App::both().await;
    for app in &both {
        let db = &app.world.publishing.db;
        for statement in Bulk::new(db, VIDEOS).statements() {
            // The app has a topic of this name already.
            let statement = statement.replace("when 1 then 'health'", "when 1 then 'health/all'");
            let statement = AssertSqlSafe(statement);
            match db {
                Db::Sqlite { write, .. } => write.execute(statement).await.map(drop).expect("filled"),
                Db::Pg(pool) => pool.execute(statement).await.map(drop).expect("filled"),
            }
        }
        // As after the last video was begun anew.
        let reopened = format!("update revision set finished_at = null where video_id > '{}'", number(540));
        match db {
            Db::Sqlite { write, .. } => {
                write.execute(AssertSqlSafe(reopened)).await.map(drop).expect("changed");
            }
            Db::Pg(pool) => pool.execute(AssertSqlSafe(reopened)).await.map(drop).expect("changed"),
        }
    }
    both
}

fn number(i: i64) -> String {
    format!("01970000-0000-7000-8000-{i:012}")
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_and_the_home_page_take_three_statements_however_long_they_are() {
    for app in filled().await {
        for (path, key, items) in [
            ("/", None, 24),
            ("/?q=north", None, 24),
            ("/?topic=environment", None, 24),
            ("/?account=account-2", None, 24),
            ("/?q=north&topic=environment", None, 24),
            ("/api/v1/videos?limit=1", None, 1),
            ("/api/v1/videos?limit=24", None, 24),
            ("/api/v1/videos?limit=100", None, 100),
            ("/api/v1/videos?limit=24&account=account-2", None, 24),
            ("/api/v1/videos?limit=24&q=district4%20north", None, 24),
            ("/api/v1/videos?limit=24&q=north&account=account-2&topic=environment", None, 10),
            ("/api/v1/videos?limit=24", Some(&app.editor), 24),
            ("/api/v1/videos?limit=100&state=ready", Some(&app.operator), 100),
        ] {
            let (reply, statements) = count_statements(app.get(path, key.map(String::as_str))).await;
            assert_eq!(reply.status, 200, "{path}: {reply:?}");
            let found = if path.starts_with("/api") {
                reply.json()["items"].as_array().expect("a list").len()
            } else {
                reply.text().matches("class=\"by\"").count()
            };
            assert!(found >= items, "{path}: {found} items");
            // A topic is shown with each level above it and those below it, an agency with the one above it and those below.
            let narrowed = if path.starts_with("/?") && path.contains("topic=") { 2 } else { 0 };
            let narrowed = narrowed + if path.starts_with("/?account=") { 2 } else { 0 };
            let most = MOST + narrowed + if key.is_some() { KEY } else { 0 };
            assert!(
                statements <= most,
                "{}: {path} takes {statements} statements",
                app.world.publishing.db.engine()
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_takes_as_many_statements_as_it_has_tables() {
    for app in filled().await {
        for i in [300, 550] {
            let id = number(i);
            for path in [format!("/watch/{id}"), format!("/api/v1/videos/{id}")] {
                let (reply, statements) = count_statements(app.get(&path, None)).await;
                assert_eq!(reply.status, 200, "{path}: {reply:?}");
                assert!(statements <= MOST_OF_A_VIDEO, "{path} takes {statements} statements");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_says_of_each_video_what_its_own_answer_says() {
    for app in filled().await {
        let list = app.get("/api/v1/videos?limit=100", Some(&app.operator)).await.json();
        for item in list["items"].as_array().expect("a list").iter().step_by(7) {
            let path = format!("/api/v1/videos/{}", item["id"].as_str().expect("an id"));
            let one = app.get(&path, Some(&app.operator)).await.json();
            assert_eq!(without_tokens(&one), without_tokens(item));
        }
        let ready = app.get(&format!("/api/v1/videos/{}", number(301)), Some(&app.operator)).await.json();
        assert_eq!(ready["media"]["duration_ms"], 60_000, "{ready}");
        assert_eq!(ready["media"]["rungs"][0]["name"], "1080p", "{ready}");
        assert_eq!(ready["media"]["rungs"][0]["bitrate"], 66_666, "{ready}");
        assert_eq!(ready["media"]["width"], 1920, "{ready}");
        assert_eq!(ready["source"]["size_bytes"], 1_000_000, "{ready}");
    }
}

fn without_tokens(json: &serde_json::Value) -> String {
    let text = json.to_string();
    let parts = text.split("?token=").enumerate();
    let kept =
        parts.map(|(i, part)| if i == 0 { part } else { part.split_once('"').map_or("", |(_, rest)| rest) });
    kept.collect()
}
