//! Videos, accounts and topics through the API.

use serde_json::json;

use crate::app::{App, PUBLIC, request};

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_says_where_its_bytes_may_go() {
    for app in App::both().await {
        let draft =
            json!({"topic": "health", "title": {"en": "Air", "zh-Hans": "空气"}, "language": "zh-Hans"});
        let reply = app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let video = reply.json();
        let id = video["id"].as_str().expect("an id");
        assert_eq!(reply.header("location"), format!("{PUBLIC}/api/v1/videos/{id}"));
        assert_eq!(video["upload"]["tus"], format!("{PUBLIC}/api/v1/uploads"));
        assert_eq!(video["upload"]["put"], format!("{PUBLIC}/api/v1/videos/{id}/source"));
        assert!(video["upload"]["parts"].as_str().is_some_and(|url| url.ends_with("/parts")));
        assert_eq!((&video["account"], &video["state"]), (&json!("agency"), &json!("draft")));
        assert_eq!(video["title"]["zh-Hans"], "空气");
        assert_eq!((&video["media"]["state"], &video["media"]["hls"]), (&json!("waiting"), &json!(null)));
        let found = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
        assert!(found.get("upload").is_none(), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_draft_has_a_code_of_its_own() {
    let app = App::small().await;
    let good = json!({"account": "agency", "topic": "health", "title": "A clip", "language": "en"});
    for (field, value, code) in [
        ("account", json!("nobody"), "unknown_account"),
        ("account", json!("No Handle"), "account_invalid"),
        ("topic", json!("nothing"), "unknown_topic"),
        ("title", json!("x".repeat(201)), "title_too_long"),
        ("title", json!("  "), "title_empty"),
        ("title", json!("a\u{0}b"), "title_invalid"),
        ("title", json!("\u{202e}4pm.exe"), "title_invalid"),
        ("title", in_languages(21), "title_too_many_languages"),
        ("description", in_languages(21), "description_too_many_languages"),
        ("description", json!("a\u{2067}b"), "description_invalid"),
        ("title", json!(7), "title_invalid"),
        ("language", json!("not a tag"), "language_invalid"),
        ("description", json!("x".repeat(10_001)), "description_too_long"),
        ("source_url", json!("https://x.example/a.mp4"), "field_unknown"),
        ("colour", json!("red"), "field_unknown"),
    ] {
        let mut draft = good.clone();
        draft[field] = value;
        let reply = app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await;
        assert_eq!(reply.problem(), (422, code.to_owned()), "{field}");
    }
    let missing = json!({"account": "agency", "topic": "health", "language": "en"});
    let reply = app.send("POST", "/api/v1/videos", Some(&app.editor), missing).await;
    assert_eq!(reply.problem(), (422, "title_missing".to_owned()));
}

/// A text in so many languages.
fn in_languages(count: u8) -> serde_json::Value {
    let tag = |n: u8| format!("x{}", char::from(b'a' + n));
    (0..count).map(|n| (tag(n), json!("A text"))).collect::<serde_json::Map<_, _>>().into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_that_turns_its_neighbours_around_is_refused_wherever_it_is_given() {
    let app = App::small().await;
    let (id, turning) = (app.draft().await, "Air \u{202e}rialc\u{202c}");
    let video = format!("/api/v1/videos/{id}");
    app.send("POST", &format!("{video}/publish?without_media=true"), Some(&app.operator), json!({})).await;
    let live = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en"});
    let broadcast = app.send("POST", "/api/v1/broadcasts", Some(&app.operator), live.clone()).await.json();
    let targets = format!("/api/v1/broadcasts/{}/targets", broadcast["id"].as_str().expect("an id"));
    let target = json!({"name": "", "url": "rtmp://live.example.org/a", "stream_key": "k"});
    let account =
        json!({"handle": "new", "name": "New", "sector": "health", "level": "central", "region": ""});
    let topic = json!({"slug": "new", "name": "New"});
    let key = json!({"role": "editor", "label": ""});
    for (method, path, body, field) in [
        ("PATCH", video.as_str(), json!({}), "title"),
        ("PATCH", &video, json!({}), "description"),
        ("PATCH", &video, json!({}), "poster_alt"),
        ("POST", &format!("{video}/withdraw"), json!({}), "reason"),
        ("POST", "/api/v1/broadcasts", live, "title"),
        ("POST", &targets, target, "name"),
        ("POST", "/api/v1/accounts", account.clone(), "name"),
        ("POST", "/api/v1/accounts", account.clone(), "sector"),
        ("POST", "/api/v1/accounts", account, "region"),
        ("PATCH", "/api/v1/accounts/agency", json!({}), "name"),
        ("POST", "/api/v1/topics", topic, "name"),
        ("PATCH", "/api/v1/topics/health", json!({}), "name"),
        ("POST", "/api/v1/accounts/agency/keys", key, "label"),
    ] {
        let mut body = body;
        body[field] = json!(turning);
        let reply = app.send(method, path, Some(&app.operator), body).await;
        assert_eq!(reply.problem(), (422, format!("{field}_invalid")), "{method} {path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_in_twenty_languages_at_most() {
    let app = App::small().await;
    let video = format!("/api/v1/videos/{}", app.draft().await);
    let patch = async |body| app.send("PATCH", &video, Some(&app.editor), body).await;
    assert_eq!(patch(json!({"title": in_languages(20)})).await.status, 200);
    let more = patch(json!({"title": "One more", "language": "en"})).await;
    assert_eq!(more.problem(), (422, "title_too_many_languages".to_owned()), "laid over those there are");
    let name = json!({"name": in_languages(21)});
    let reply = app.send("PATCH", "/api/v1/topics/health", Some(&app.operator), name).await;
    assert_eq!(reply.problem(), (422, "name_too_many_languages".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_page_shows_no_description() {
    for app in App::both().await {
        let id = app.draft().await;
        let path = format!("/api/v1/videos/{id}");
        let words = json!({"description": "The plan in full"});
        assert_eq!(app.send("PATCH", &path, Some(&app.editor), words).await.status, 200);
        app.send("POST", &format!("{path}/publish?without_media=true"), Some(&app.publisher), json!({}))
            .await;
        let watch = format!("/watch/{id}");
        assert!(app.get(&watch, None).await.text().contains("The plan in full"));
        let reason = json!({"reason": "It was wrong"});
        app.send("POST", &format!("{path}/withdraw"), Some(&app.publisher), reason).await;
        for seen in [&watch, &format!("/embed/{id}"), &path, "/", "/api/v1/videos"] {
            let page = app.get(seen, None).await;
            assert_eq!(page.status, 200, "{seen}");
            assert!(!page.text().contains("The plan"), "{seen}: {}", page.text());
        }
        assert!(app.get(&watch, None).await.text().contains("It was wrong"));
        assert!(app.get(&path, Some(&app.editor)).await.text().contains("The plan in full"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_seen_by_everybody_only_while_it_is_published() {
    for app in App::both().await {
        let id = app.draft().await;
        let path = format!("/api/v1/videos/{id}");
        let listed = async |key| app.get("/api/v1/videos?account=agency", key).await.json()["items"].clone();
        assert_eq!(listed(None).await, json!([]));
        assert_eq!(listed(Some(app.editor.as_str())).await.as_array().map(Vec::len), Some(1));
        let refused = app
            .send("POST", &format!("{path}/publish?without_media=true"), Some(&app.editor), json!({}))
            .await;
        assert_eq!(refused.problem(), (403, "role_too_low".to_owned()));
        let early = json!({"reason": "too early"});
        let reply = app.send("POST", &format!("{path}/withdraw"), Some(&app.publisher), early).await;
        assert_eq!(reply.problem(), (409, "wrong_state".to_owned()));

        let published = app
            .send("POST", &format!("{path}/publish?without_media=true"), Some(&app.publisher), json!({}))
            .await;
        assert_eq!((published.status, &published.json()["state"]), (200, &json!("published")));
        assert_eq!(app.get(&path, None).await.status, 200);
        assert_eq!(listed(None).await.as_array().map(Vec::len), Some(1));

        let reason = json!({"reason": "The figures were wrong."});
        let reply = app.send("POST", &format!("{path}/withdraw"), Some(&app.publisher), reason).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let stub = app.get(&path, None).await.json();
        assert_eq!(stub["withdrawn_reason"]["en"], "The figures were wrong.");
        assert_eq!((&stub["media"], &stub["source"]), (&json!(null), &json!(null)));
        assert_eq!(listed(None).await, json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_editor_does_not_touch_what_is_public() {
    let app = App::small().await;
    let path = format!("/api/v1/videos/{}", app.draft().await);
    let change = json!({"title": "Better"});
    assert_eq!(app.send("PATCH", &path, Some(&app.editor), change.clone()).await.status, 200);
    app.send("POST", &format!("{path}/publish?without_media=true"), Some(&app.publisher), json!({})).await;
    assert_eq!(app.send("PATCH", &path, Some(&app.editor), change.clone()).await.problem().0, 403);
    assert_eq!(app.send("PATCH", &path, Some(&app.publisher), change).await.status, 200);
    assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&app.editor)).await.problem().0, 403);
    assert_eq!(app.ask(request("DELETE", &path, &[], ""), Some(&app.publisher)).await.status, 204);
    assert_eq!(app.get(&path, None).await.problem(), (404, "video_not_found".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_goes_on_where_its_page_ended() {
    for app in App::both().await {
        let mut made = [app.draft().await, app.draft().await, app.draft().await];
        made.reverse();
        let first = app.get("/api/v1/videos?limit=2", Some(&app.editor)).await.json();
        let next = first["next"].as_str().expect("there is more");
        let rest = app.get(&format!("/api/v1/videos?limit=2&cursor={next}"), Some(&app.editor)).await.json();
        assert_eq!(rest["next"], json!(null));
        let items = first["items"].as_array().into_iter().chain(rest["items"].as_array()).flatten();
        let ids: Vec<&str> = items.filter_map(|item| item["id"].as_str()).collect();
        assert_eq!(ids, made);
        assert_eq!(
            app.get("/api/v1/videos?limit=0", None).await.problem(),
            (422, "limit_invalid".to_owned())
        );
        assert_eq!(
            app.get("/api/v1/videos?state=gone", None).await.problem(),
            (400, "query_invalid".to_owned())
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn chinese_is_found_by_any_of_its_words() {
    for app in App::both().await {
        let draft = json!({"topic": "health", "title": "沈阳空气质量", "language": "zh-Hans"});
        app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await;
        app.draft().await;
        let found = app.get("/api/v1/videos?q=%E7%A9%BA%E6%B0%94", Some(&app.editor)).await.json();
        assert_eq!(found["items"].as_array().map(Vec::len), Some(1), "{found}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_is_listed_under_its_topic_and_those_above() {
    for app in App::both().await {
        for slug in ["health/air", "health-care"] {
            let topic = json!({"slug": slug, "name": {"en": "A topic"}});
            assert_eq!(app.send("POST", "/api/v1/topics", Some(&app.operator), topic).await.status, 201);
        }
        let path = format!("/api/v1/videos/{}", app.draft().await);
        for (topic, listed) in [("health/air", [1, 1, 0]), ("health-care", [0, 0, 1]), ("health", [1, 0, 0])]
        {
            let change = json!({"topic": topic});
            assert_eq!(app.send("PATCH", &path, Some(&app.editor), change).await.status, 200);
            for (under, count) in ["health", "health/air", "health-care"].into_iter().zip(listed) {
                let list = format!("/api/v1/videos?topic={under}");
                let found = app.get(&list, Some(&app.editor)).await.json();
                assert_eq!(found["items"].as_array().map(Vec::len), Some(count), "{topic}: {list}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn one_plain_put_makes_a_source() {
    for app in App::both().await {
        let path = format!("/api/v1/videos/{}", app.draft().await);
        let name = "attachment; filename*=UTF-8''%E7%A9%BA%20%F0%9F%8E%AC.mp4";
        let digest = "sha-256=:LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=:";
        let headers = [("content-disposition", name), ("repr-digest", digest), ("content-length", "5")];
        let put = request("PUT", &format!("{path}/source"), &headers, "hello");
        let reply = app.ask(put, Some(&app.editor)).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let video = reply.json();
        assert_eq!(video["media"]["state"], "processing");
        assert_eq!(video["source"]["filename"], "空 🎬.mp4");
        assert_eq!(
            video["source"]["sha256"],
            "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"
        );
        let chunked = request("PUT", &format!("{path}/source"), &[], "hello");
        assert_eq!(app.ask(chunked, Some(&app.editor)).await.status, 200, "without a declared length");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_put_that_is_too_large_or_not_what_it_says_leaves_nothing() {
    for app in App::both().await {
        let path = format!("/api/v1/videos/{}/source", app.draft().await);
        let limit = json!({"max_video_bytes": 4});
        let reply = app.send("PATCH", "/api/v1/accounts/agency", Some(&app.operator), limit).await;
        assert_eq!(reply.status, 200, "{reply:?}");
        let reply =
            app.ask(request("PUT", &path, &[("content-length", "5")], "hello"), Some(&app.editor)).await;
        assert_eq!(reply.problem(), (413, "too_large".to_owned()));
        assert_eq!(reply.header("connection"), "close");
        let wrong = [("content-md5", "1B2M2Y8AsgTpgAmY7PhCfg=="), ("content-length", "3")];
        let reply = app.ask(request("PUT", &path, &wrong, "abc"), Some(&app.editor)).await;
        assert_eq!(reply.problem(), (400, "checksum_mismatch".to_owned()));
        let none = json!({"max_video_bytes": null, "quota_bytes": 3});
        app.send("PATCH", "/api/v1/accounts/agency", Some(&app.operator), none).await;
        let reply =
            app.ask(request("PUT", &path, &[("content-length", "5")], "hello"), Some(&app.editor)).await;
        assert_eq!(reply.problem(), (413, "quota_exceeded".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_request_under_one_key_happens_once() {
    for app in App::both().await {
        let headers = [("content-type", "application/json"), ("idempotency-key", "draft-1")];
        let draft = json!({"account": "agency", "topic": "health", "title": "Once", "language": "en"});
        let post = || request("POST", "/api/v1/videos", &headers, draft.to_string());
        let first = app.ask(post(), Some(&app.editor)).await;
        let again = app.ask(post(), Some(&app.editor)).await;
        assert_eq!((first.status, again.status), (201, 201), "{again:?}");
        assert_eq!(again.header("idempotent-replayed"), "true");
        assert_eq!(first.header("location"), again.header("location"));
        assert_eq!(first.json(), again.json());
        let other = request("POST", "/api/v1/videos", &headers, draft.to_string().replace("Once", "Twice"));
        assert_eq!(
            app.ask(other, Some(&app.editor)).await.problem(),
            (422, "idempotency_key_reused".to_owned())
        );
        let listed = app.get("/api/v1/videos", Some(&app.editor)).await.json();
        assert_eq!(listed["items"].as_array().map(Vec::len), Some(1));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_request_may_be_sent_again_and_a_secret_is_shown_once() {
    let app = App::small().await;
    let headers = [("content-type", "application/json"), ("idempotency-key", "key-1")];
    let ask = |body: &'static str| request("POST", "/api/v1/accounts/agency/keys", &headers, body);
    assert_eq!(app.ask(ask(r#"{"role": "king"}"#), Some(&app.admin)).await.problem().0, 422);
    let first = app.ask(ask(r#"{"role": "editor"}"#), Some(&app.admin)).await;
    assert!(first.json()["secret"].as_str().is_some_and(|secret| secret.starts_with("pk_")));
    let again = app.ask(ask(r#"{"role": "editor"}"#), Some(&app.admin)).await;
    assert_eq!(again.json()["id"], first.json()["id"]);
    assert_eq!((&again.json()["secret"], &again.json()["code"]), (&json!(null), &json!("secret_shown_once")));
}

#[tokio::test(flavor = "multi_thread")]
async fn accounts_and_topics_have_names_by_language() {
    for app in App::both().await {
        let account = json!({"handle": "shenyang", "name": {"en": "Shenyang", "zh-Hans": "沈阳"}, "sector": "environment",
            "level": "municipal", "region": "Shenyang", "parent": "agency", "quota_bytes": 1000});
        let made = app.send("POST", "/api/v1/accounts", Some(&app.operator), account.clone()).await;
        assert_eq!((made.status, &made.json()["parent"]), (201, &json!("agency")), "{made:?}");
        let twice = app.send("POST", "/api/v1/accounts", Some(&app.operator), account).await;
        assert_eq!(twice.problem(), (409, "handle_taken".to_owned()));
        let seen = app.get("/api/v1/accounts/shenyang", None).await.json();
        assert_eq!((&seen["name"]["zh-Hans"], &seen["limits"]), (&json!("沈阳"), &json!(null)));
        let seen = app.get("/api/v1/accounts/shenyang", Some(&app.operator)).await.json();
        assert_eq!(seen["limits"]["quota_bytes"], 1000);
        let cycle = json!({"parent": "shenyang"});
        let reply = app.send("PATCH", "/api/v1/accounts/agency", Some(&app.operator), cycle).await;
        assert_eq!(reply.problem(), (422, "parent_invalid".to_owned()));

        let topic = json!({"slug": "environment/air", "name": "Air"});
        let made = app.send("POST", "/api/v1/topics", Some(&app.operator), topic).await;
        assert_eq!(made.header("location"), format!("{PUBLIC}/api/v1/topics/environment/air"));
        assert_eq!(app.get("/api/v1/topics/environment/air", None).await.json()["name"]["en"], "Air");
        let below = app.get("/api/v1/topics?under=environment", None).await.json();
        assert_eq!(below["items"].as_array().map(Vec::len), Some(2), "{below}");
    }
}
