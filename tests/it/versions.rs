//! Two who change the same thing at once: neither overwrites the other unseen.

use bytes::Bytes;
use policast::catalogue::revision::{self, Selection};
use policast::catalogue::{Db, key, video};
use policast::domain::key::Role;
use policast::domain::video::VideoState;
use policast::domain::{TextChange, UploadId, VideoId};
use policast::publishing::{Error, VideoChange};
use serde_json::json;
use sqlx::{AssertSqlSafe, Executor, PgPool};

use crate::app::{App, Reply, request};
use crate::world::{World, caller, draft, english};

fn pool(world: &World) -> PgPool {
    match &world.publishing.db {
        Db::Pg(pool) => pool.clone(),
        Db::Sqlite { .. } => panic!("SQLite has one writer at a time"),
    }
}

/// Runs `work` while another transaction has run `statement`, which commits only once `work` waits for it, or has not
/// waited at all.
async fn beside<T: Send + 'static>(
    pool: PgPool,
    statement: String,
    work: impl Future<Output = T> + Send + 'static,
) -> T {
    const WAITING: &str = "select count(*) from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'";
    let mut other = pool.begin().await.expect("a transaction");
    other.execute(AssertSqlSafe(statement)).await.expect("done");
    let work = tokio::spawn(work);
    while !work.is_finished() {
        let waiting: i64 = sqlx::query_scalar(WAITING).fetch_one(&pool).await.expect("an answer");
        if waiting > 0 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    other.commit().await.expect("committed");
    work.await.expect("it ends")
}

async fn found(world: &World, id: VideoId) -> video::Video {
    let mut read = world.publishing.db.read().await.expect("a connection");
    video::find(read.conn(), id).await.expect("an answer").expect("the video")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_beside_a_withdrawal_never_puts_the_video_back() {
    let world = World::large().await;
    let (publishing, operator) = (world.publishing.clone(), world.operator);
    let id = publishing.draft_video(operator, draft()).await.expect("a draft").id;
    publishing.publish_without_media(operator, id).await.expect("published");
    let title = Some(TextChange::Own("Better".to_owned()));
    let change = VideoChange { title, ..VideoChange::default() };
    let withdrawal =
        format!("update video set state = 'withdrawn', withdrawn_reason = '{{}}' where id = '{id}'");
    let changing = async move { publishing.change_video(operator, id, change).await };
    let changed = Box::pin(beside(pool(&world), withdrawal, changing));
    assert_eq!(changed.await.expect("changed").state, VideoState::Withdrawn);
    let after = found(&world, id).await;
    assert_eq!((after.state, after.title.0), (VideoState::Withdrawn, english("Better")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_publication_beside_a_change_keeps_the_words() {
    let world = World::large().await;
    let (publishing, operator) = (world.publishing.clone(), world.operator);
    let id = publishing.draft_video(operator, draft()).await.expect("a draft").id;
    let words = format!(r#"update video set title = '{{"en": "Better"}}' where id = '{id}'"#);
    let publishing = async move { publishing.publish_without_media(operator, id).await };
    let published = Box::pin(beside(pool(&world), words, publishing));
    assert_eq!(published.await.expect("published").title.0, english("Better"));
    assert_eq!(found(&world, id).await.title.0, english("Better"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reprocessing_beside_a_newer_source_does_not_put_the_older_one_back() {
    let world = World::large().await;
    let publishing = world.publishing.clone();
    let id = world.upload(Bytes::from_static(b"the older one")).await;
    let older = found(&world, id).await.upload_id.expect("a source");
    let failed =
        "update revision set state = 'failed', finished_at = 1; update video set media_state = 'failed'";
    pool(&world).execute(AssertSqlSafe(failed.to_owned())).await.expect("nothing is at work");
    let newer = UploadId::new();
    let arrival = format!("update video set upload_id = '{newer}' where id = '{id}'");
    let selection = Selection { video: Some(id), ..Selection::default() };
    let reprocessing = async move { publishing.reprocess(&selection).await };
    beside(pool(&world), arrival, reprocessing).await.expect("gone through");
    assert_eq!(found(&world, id).await.upload_id, Some(newer));
    let mut read = world.publishing.db.read().await.expect("a connection");
    let revisions = revision::list(read.conn(), id).await.expect("revisions");
    let made_of: Vec<_> = revisions.iter().map(|revision| revision.upload_id).collect();
    assert_eq!(made_of, [older], "no other one is begun of it");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_who_began_before_the_publication_is_refused_after_it() {
    let world = World::large().await;
    let publishing = world.publishing.clone();
    let editor = caller(&publishing, Some(world.agency().await), Role::Editor).await;
    let id = publishing.draft_video(editor, draft()).await.expect("a draft").id;
    let publication = format!("update video set state = 'published', published_at = 1 where id = '{id}'");
    let deleted = beside(pool(&world), publication, async move { publishing.delete_video(editor, id).await });
    assert!(matches!(deleted.await, Err(Error::Forbidden(_))));
    assert_eq!(found(&world, id).await.state, VideoState::Published);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_changes_of_an_account_a_topic_or_a_broadcast_are_both_kept() {
    let [_, app] = App::both().await;
    let body = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
    let made = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), body).await.json();
    let broadcast = made["id"].as_str().expect("an id").to_owned();
    let app = std::sync::Arc::new(app);
    for (path, change, statement, kept) in [
        (
            "/api/v1/accounts/agency".to_owned(),
            json!({"sector": "transport"}),
            "update account set region = 'Elsewhere' where handle = 'agency'".to_owned(),
            [("sector", json!("transport")), ("region", json!("Elsewhere"))],
        ),
        (
            "/api/v1/accounts/agency".to_owned(),
            json!({"name": "Plain"}),
            r#"update account set name = '{"zh-Hans": "机构"}' where handle = 'agency'"#.to_owned(),
            [("name", json!({"en": "Plain", "zh-Hans": "机构"})), ("sector", json!("transport"))],
        ),
        (
            "/api/v1/topics/health".to_owned(),
            json!({"name": "Plain"}),
            r#"update topic set name = '{"zh-Hans": "卫生"}' where slug = 'health'"#.to_owned(),
            [("name", json!({"en": "Plain", "zh-Hans": "卫生"})), ("slug", json!("health"))],
        ),
        (
            format!("/api/v1/broadcasts/{broadcast}"),
            json!({"grace_seconds": 7}),
            format!("update broadcast set dvr_ms = 90000 where id = '{broadcast}'"),
            [("grace_seconds", json!(7)), ("dvr_seconds", json!(90))],
        ),
    ] {
        let (asking, at) = (app.clone(), path.clone());
        let patch = async move { asking.send("PATCH", &at, Some(&asking.operator), change).await };
        let reply = beside(pool(&app.world), statement, patch).await;
        assert_eq!(reply.status, 200, "{path}: {reply:?}");
        let after = app.get(&path, Some(&app.operator)).await.json();
        for (field, value) in kept {
            assert_eq!(after[field], value, "{path}: {after}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_operators_who_revoke_each_other_one_stays() {
    let world = World::large().await;
    let publishing = world.publishing.clone();
    let other = caller(&publishing, None, Role::Admin).await.key;
    let revocation = format!("update api_key set revoked_at = 1 where id = '{}'", world.operator.key);
    let revoked = beside(pool(&world), revocation, async move { publishing.revoke_key(other).await }).await;
    assert!(matches!(revoked, Err(Error::LastOperator)), "{revoked:?}");
    let mut read = world.publishing.db.read().await.expect("a connection");
    assert_eq!(key::count_operators(read.conn()).await.expect("a count"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_accounts_are_never_above_each_other() {
    let [_, app] = App::both().await;
    let account =
        json!({"handle": "below", "name": "Below", "sector": "health", "level": "district", "region": ""});
    assert_eq!(app.send("POST", "/api/v1/accounts", Some(&app.operator), account).await.status, 201);
    let app = std::sync::Arc::new(app);
    let ask = |handle: &'static str, parent: &'static str| {
        let app = app.clone();
        async move {
            let path = format!("/api/v1/accounts/{handle}");
            app.send("PATCH", &path, Some(&app.operator), json!({"parent": parent})).await.status
        }
    };
    for _ in 0..10 {
        let (one, two) =
            tokio::join!(tokio::spawn(ask("below", "agency")), tokio::spawn(ask("agency", "below")));
        let mut statuses = [one.expect("an answer"), two.expect("an answer")];
        statuses.sort_unstable();
        assert_eq!(statuses, [200, 422]);
        for handle in ["below", "agency"] {
            let path = format!("/api/v1/accounts/{handle}");
            let freed = app.send("PATCH", &path, Some(&app.operator), json!({"parent": null})).await;
            assert_eq!(freed.status, 200, "{freed:?}");
        }
    }
}

async fn patch(app: &App, path: &str, body: serde_json::Value, version: &str) -> Reply {
    let headers = [("content-type", "application/json"), ("if-match", version)];
    app.ask(request("PATCH", path, &headers, body.to_string()), Some(&app.operator)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_for_a_version_that_is_gone_is_refused() {
    for app in App::both().await {
        let body = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
        let made = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), body).await.json();
        let broadcast = made["id"].as_str().expect("an id");
        for (path, change) in [
            (format!("/api/v1/videos/{}", app.draft().await), json!({"title": "Better"})),
            ("/api/v1/accounts/agency".to_owned(), json!({"sector": "transport"})),
            ("/api/v1/topics/health".to_owned(), json!({"name": "Well-being"})),
            (format!("/api/v1/broadcasts/{broadcast}"), json!({"grace_seconds": 9})),
        ] {
            let seen = app.get(&path, Some(&app.operator)).await;
            let tag = seen.header("etag").to_owned();
            assert_eq!(tag, format!("\"{}\"", seen.json()["version"]), "{path}");
            let changed = patch(&app, &path, change.clone(), &tag).await;
            assert_eq!(changed.status, 200, "{path}: {changed:?}");
            assert_ne!(changed.header("etag"), tag, "{path}");
            let gone = (412, "version_changed".to_owned());
            assert_eq!(patch(&app, &path, change.clone(), &tag).await.problem(), gone, "{path}");
            let weak = format!("W/{}", changed.header("etag"));
            assert_eq!(patch(&app, &path, change.clone(), &weak).await.problem(), gone, "{path}");
            let wrong = patch(&app, &path, change.clone(), "3").await;
            assert_eq!(wrong.problem(), (400, "if_match_invalid".to_owned()), "{path}");
            let either = format!("{tag}, {}", changed.header("etag"));
            assert_eq!(patch(&app, &path, change.clone(), &either).await.status, 200, "{path}");
            assert_eq!(patch(&app, &path, change, "*").await.status, 200, "{path}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_verb_on_a_video_heeds_its_version_and_a_new_source_is_another_one() {
    for app in App::both().await {
        let path = format!("/api/v1/videos/{}", app.draft().await);
        let tag = async || app.get(&path, Some(&app.operator)).await.header("etag").to_owned();
        let drafted = tag().await;
        let put = app.ask(request("PUT", &format!("{path}/source"), &[], "hello"), Some(&app.editor)).await;
        assert_eq!(put.status, 200, "{put:?}");
        let json = "application/json";
        for (method, verb, kind, body, done) in [
            ("POST", "/publish?without_media=true", json, "{}", 200),
            ("POST", "/withdraw", json, r#"{"reason": "Wrong"}"#, 200),
            ("PUT", "/poster", "image/png", "x", 202),
            ("DELETE", "/poster", json, "", 204),
            ("DELETE", "", json, "", 204),
        ] {
            let ask = async |version: &str| {
                let headers = [("content-type", kind), ("if-match", version)];
                app.ask(request(method, &format!("{path}{verb}"), &headers, body), Some(&app.operator)).await
            };
            let stale = ask(&drafted).await;
            assert_eq!(stale.problem(), (412, "version_changed".to_owned()), "{method} {verb}");
            let reply = ask(&tag().await).await;
            assert_eq!(reply.status, done, "{method} {verb}: {reply:?}");
        }
    }
}
