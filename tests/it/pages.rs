//! The pages for people, as a browser without scripts gets them.

use policast::catalogue::Db;
use policast::domain::site::{Crest, Site, parse_links, parse_texts};
use policast::http::gate::Gate;
use serde_json::json;

use crate::app::{App, PUBLIC, Reply, request};
use crate::play::{addresses, ready};

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

async fn open(app: &App, path: &str, language: &str) -> Reply {
    let headers = [("accept", BROWSER), ("accept-language", language)];
    app.ask(request("GET", path, &headers, ""), None).await
}

async fn publish(app: &App, id: &str) {
    let path = format!("/api/v1/videos/{id}/publish?without_media=true");
    let reply = app.send("POST", &path, Some(&app.publisher), json!({})).await;
    assert_eq!(reply.status, 200, "{reply:?}");
}

/// A published video of these words.
async fn published(app: &App, title: &str, description: &str) -> String {
    let draft = json!({"account": "agency", "topic": "health", "title": title, "description": description,
        "language": "en"});
    let reply = app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    let id = reply.json()["id"].as_str().expect("an id").to_owned();
    publish(app, &id).await;
    id
}

/// The titles of a list, in its order.
fn titles(page: &Reply) -> Vec<String> {
    let text = page.text();
    let found = text.split("<span class=\"title\"").skip(1);
    found
        .map(|rest| {
            rest.split('>').nth(1).and_then(|rest| rest.split('<').next()).expect("a title").to_owned()
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_gets_a_page_where_a_program_gets_a_problem() {
    let app = App::small().await;
    let id = app.draft().await;
    for path in [
        "/nowhere",
        "/assets/nothing.js",
        "/watch/x",
        "/embed/x",
        &format!("/play/{id}/master.m3u8"),
        "/play/x/y",
    ] {
        let page = open(&app, path, "zh-CN").await;
        assert!(page.status == 404 || page.status == 400, "{path}: {page:?}");
        assert_eq!(page.header("content-type"), "text/html; charset=utf-8", "{path}");
        assert!(page.text().contains("<html lang=\"zh-Hans\">") && page.text().contains("<h1>"), "{path}");
        assert!(page.header("content-security-policy").contains("script-src 'self'"), "{path}");
        assert_eq!(page.header("cache-control"), "no-store", "{path}");
        assert!(!page.header("x-request-id").is_empty(), "{path}");
        if !path.starts_with("/watch") && !path.starts_with("/embed") {
            assert_eq!(app.get(path, None).await.problem().0, page.status, "{path}");
        }
    }
    let program = open(&app, "/api/v1/nothing", "en").await;
    assert_eq!(program.problem(), (404, "route_not_found".to_owned()));
    for path in ["/?q=a&q=b", "/?lang=%ff", "/topics?cursor=a&cursor=b"] {
        let page = open(&app, path, "en").await;
        assert!(
            page.status < 500 && page.header("content-type").starts_with("text/html"),
            "{path}: {page:?}"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_address_that_names_no_topic_agency_or_level_is_not_found() {
    let app = App::small().await;
    for path in [
        "/?topic=nothing",
        "/?topic=No%20topic",
        "/?account=nobody",
        "/?account=%25",
        "/agencies?level=royal",
    ] {
        assert_eq!(open(&app, path, "en").await.status, 404, "{path}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_latest_publication_comes_first_whenever_its_video_was_made() {
    for app in App::both().await {
        let mut made = Vec::new();
        for title in ["First", "Second", "Third"] {
            let draft = json!({"account": "agency", "topic": "health", "title": title, "language": "en"});
            let reply = app.send("POST", "/api/v1/videos", Some(&app.editor), draft).await.json();
            made.push(reply["id"].as_str().expect("an id").to_owned());
        }
        for i in [1, 2, 0] {
            publish(&app, &made[i]).await;
            let now = app.world.publishing.clock.now();
            while app.world.publishing.clock.now() == now {
                tokio::task::yield_now().await;
            }
        }
        for path in ["/", "/?topic=health", "/?account=agency"] {
            assert_eq!(titles(&open(&app, path, "en").await), ["First", "Third", "Second"], "{path}");
        }
        let path = format!("/api/v1/videos/{}", made[0]);
        let reason = json!({"reason": "wrong"});
        app.send("POST", &format!("{path}/withdraw"), Some(&app.publisher), reason).await;
        assert_eq!(titles(&open(&app, "/?topic=health", "en").await), ["Third", "Second"]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn signs_alone_find_nothing_and_the_page_says_so() {
    for app in App::both().await {
        published(&app, "Save 50% of heating", "").await;
        for sign in ["%25", "%20%25%20", "_", "%2A", "%27%27", "%F0%9F%9A%80", "%5C"] {
            let page = open(&app, &format!("/?q={sign}"), "en").await;
            assert!(page.text().contains("Nothing found for <q"), "{sign}: {}", page.text());
            let list = app.get(&format!("/api/v1/videos?q={sign}"), None).await.json();
            assert_eq!(list["items"], json!([]), "{sign}");
        }
        assert_eq!(titles(&open(&app, "/?q=50%25", "en").await), ["Save 50% of heating"]);
        assert_eq!(
            titles(&open(&app, "/?q=%20", "en").await),
            ["Save 50% of heating"],
            "nothing was searched for"
        );
        let nothing = open(&app, "/?q=zeppelin&topic=health", "zh").await.text();
        assert!(nothing.contains("没有找到与<q dir=\"auto\">zeppelin</q>相关的视频。"), "{nothing}");
        assert!(nothing.contains("href=\"/?lang=zh-Hans&#38;q=zeppelin\""), "{nothing}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_and_agencies_have_pages_with_the_ways_up_down_and_to_all_of_them() {
    for app in App::both().await {
        for (slug, name) in
            [("health/air", "Clean air"), ("health/air/indoor", "Indoor air"), ("health-care", "Care")]
        {
            let reply = app
                .send("POST", "/api/v1/topics", Some(&app.operator), json!({"slug": slug, "name": name}))
                .await;
            assert_eq!(reply.status, 201, "{reply:?}");
        }
        let below = json!({"handle": "street", "name": {"en": "The street", "zh-Hans": "街道办"}, "sector": "health",
            "level": "community", "region": "River Street", "parent": "agency"});
        assert_eq!(app.send("POST", "/api/v1/accounts", Some(&app.operator), below).await.status, 201);

        let topic = open(&app, "/?topic=health", "en").await.text();
        assert_eq!(topic.matches("<h1").count(), 1, "{topic}");
        assert!(
            topic.contains("topic=health%2Fair\"") && topic.contains("href=\"/topics?lang=en\""),
            "{topic}"
        );
        assert!(
            !topic.contains("indoor") && !topic.contains("health-care"),
            "only what is right below: {topic}"
        );
        let deep = open(&app, "/?topic=health%2Fair%2Findoor", "en").await.text();
        assert!(deep.contains("topic=health\"") && deep.contains("topic=health%2Fair\""), "{deep}");
        assert!(deep.contains("<title>Indoor air · Topics · policast</title>"), "{deep}");
        let all = open(&app, "/topics", "en").await.text();
        assert!(
            all.contains("Indoor air") && all.contains("Care") && all.contains("<h1>Topics</h1>"),
            "{all}"
        );

        let street = open(&app, "/?account=street", "zh").await.text();
        for told in [
            "街道办</h1>",
            "卫生健康",
            "社区",
            "River Street",
            "account=agency",
            "<title>街道办 · 机构 · policast</title>",
        ] {
            assert!(street.contains(told), "{told}: {street}");
        }
        let agency = open(&app, "/?account=agency", "en").await.text();
        assert!(
            agency.contains("account=street") && agency.contains("href=\"/agencies?lang=en\""),
            "{agency}"
        );
        let level = open(&app, "/agencies?level=community", "en").await.text();
        assert!(level.contains("The street") && !level.contains("account=agency"), "{level}");
        assert!(open(&app, "/agencies", "en").await.text().contains("account=agency"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_called_verified_without_evidence() {
    let app = App::small().await;
    let id = published(&app, "A clip", "").await;
    for (path, language) in [("/", "en"), ("/?account=agency", "zh"), (format!("/watch/{id}").as_str(), "en")]
    {
        let page = open(&app, path, language).await.text();
        assert!(!page.to_lowercase().contains("verified") && !page.contains("认证"), "{path}: {page}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_in_a_description_are_links_and_nothing_else_is() {
    let app = App::small().await;
    let words = "Ask at https://example.gov/ask?a=1&b=2. Not javascript://x or <b>.";
    let id = published(&app, "A clip", words).await;
    let page = open(&app, &format!("/watch/{id}"), "en").await.text();
    let link = "<a href=\"https://example.gov/ask?a=1&#38;b=2\" rel=\"nofollow noopener ugc\">https://example.gov/ask?a=1&#38;b=2</a>. Not javascript://x or &#60;b&#62;.</p>";
    assert!(page.contains(link), "{page}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upcoming_broadcast_says_when_it_starts() {
    let app = App::small().await;
    let starts_at = app.world.publishing.clock.now().plus(std::time::Duration::from_hours(20));
    let live = json!({"account": "agency", "topic": "health", "title": "Live", "language": "en",
        "starts_at": starts_at.to_rfc3339()});
    let made = app.send("POST", "/api/v1/broadcasts", Some(&app.editor), live).await.json();
    let path = format!("/api/v1/videos/{}/publish", made["video"].as_str().expect("an id"));
    let reply = app.send("POST", &path, Some(&app.publisher), json!({})).await;
    assert_eq!(reply.status, 200, "what is announced may be published: {reply:?}");
    let page = open(&app, "/", "en").await.text();
    assert!(
        page.contains(&format!("Starts <time datetime=\"{}\" data-told=\"moment\">", starts_at.to_rfc3339())),
        "{page}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_without_media_is_published_on_purpose_only() {
    for mut app in App::both().await {
        let id = app.draft().await;
        let path = format!("/api/v1/videos/{id}/publish");
        let post =
            async |app: &App, path: &str| app.send("POST", path, Some(&app.publisher), json!({})).await;
        let refused = post(&app, &path).await;
        assert_eq!(refused.problem(), (409, "media_missing".to_owned()));
        assert!(
            refused.json()["detail"].as_str().is_some_and(|told| told.contains("no source was uploaded"))
        );
        assert_eq!(
            app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json()["state"],
            "draft"
        );
        assert_eq!(post(&app, &format!("{path}?without_media=false")).await.status, 409);
        assert_eq!(post(&app, &format!("{path}?without_media=true")).await.status, 200);
        assert_eq!(post(&app, &path).await.status, 200, "it is public already");
        let whole = ready(&mut app).await;
        assert_eq!(post(&app, &format!("/api/v1/videos/{whole}/publish")).await.status, 200);
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_holder_of_a_key_is_told_who_he_is() {
    let app = App::small().await;
    let me = async |key: &str| app.get("/api/v1/me", Some(key)).await.json();
    assert_eq!(me(&app.editor).await, json!({"role": "editor", "account": "agency"}));
    assert_eq!(me(&app.operator).await, json!({"role": "admin", "account": null}));
}

/// Every header that an answer depends on.
fn vary(reply: &Reply) -> String {
    let all = reply.headers.get_all("vary").iter();
    all.map(|value| value.to_str().expect("text").to_lowercase()).collect::<Vec<_>>().join(",")
}

#[tokio::test(flavor = "multi_thread")]
async fn text_is_packed_and_neither_media_nor_what_has_a_token_is() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    let draft = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
    let with_token =
        draft["media"]["hls"].as_str().and_then(|hls| hls.strip_prefix(PUBLIC)).expect("ours").to_owned();
    let packed = async |path: &str, headers: &[(&str, &str)]| {
        let headers = [&[("accept-encoding", "br, gzip")], headers].concat();
        app.ask(request("GET", path, &headers, ""), Some(&app.editor)).await
    };
    let master = packed(&with_token, &[]).await;
    assert_eq!((master.status, master.header("content-encoding")), (200, ""), "a token is in it");
    let playlist = addresses(&with_token, &master.text()).remove(0);
    assert_eq!(packed(&playlist, &[]).await.header("content-encoding"), "");
    let watch = format!("/watch/{id}?token={}", with_token.split("token=").nth(1).expect("a token"));
    let page = packed(&watch, &[]).await;
    assert_eq!((page.status, page.header("content-encoding")), (200, ""));

    publish(&app, &id).await;
    let plain = |path: &str| path.split('?').next().expect("a path").to_owned();
    for path in [
        "/".to_owned(),
        "/api/openapi.json".to_owned(),
        format!("/api/v1/videos/{id}"),
        plain(&with_token),
        "/studio".to_owned(),
    ] {
        let whole = app.ask(request("GET", &path, &[], ""), Some(&app.editor)).await;
        assert_eq!(whole.header("content-encoding"), "", "{path}");
        let reply = packed(&path, &[]).await;
        let expected = if whole.body.len() < 860 { "" } else { "gzip" };
        assert_eq!((reply.status, reply.header("content-encoding")), (200, expected), "{path}");
        assert!(vary(&reply).contains("accept-encoding") || expected.is_empty(), "{path}: {reply:?}");
        assert!(reply.body.len() <= whole.body.len(), "{path}");
        if !expected.is_empty() {
            assert_eq!(&reply.body[..2], b"\x1f\x8b", "{path}");
        }
    }
    let again = packed("/", &[("accept-encoding", "gzip;q=0")]).await;
    assert_eq!(again.status, 200);

    let master = packed(&plain(&with_token), &[]).await;
    let tag = master.header("etag").to_owned();
    assert!(
        tag.starts_with(if master.header("content-encoding").is_empty() { "\"" } else { "W/\"" }),
        "{tag}"
    );
    let known = packed(&plain(&with_token), &[("if-none-match", &tag)]).await;
    assert_eq!((known.status, known.body.len()), (304, 0));
    let part = packed(&plain(&with_token), &[("range", "bytes=0-9")]).await;
    assert_eq!((part.status, part.header("content-encoding"), part.body.len()), (206, "", 10));
    let version = packed(&format!("/api/v1/videos/{id}"), &[]).await.header("etag").to_owned();
    assert!(version.starts_with('"'), "the version of what If-Match changes stays a strong one: {version}");

    let listed = app.get(&plain(&playlist), None).await;
    let pack =
        addresses(&plain(&playlist), &listed.text()).into_iter().find(|address| address.contains(".m4s"));
    let media = packed(&pack.expect("a pack"), &[]).await;
    assert_eq!(
        (media.status, media.header("content-encoding"), media.header("accept-ranges")),
        (200, "", "bytes")
    );
    let key = json!({"role": "editor", "label": "x".repeat(299)});
    let post = request(
        "POST",
        "/api/v1/accounts/agency/keys",
        &[("accept-encoding", "gzip"), ("content-type", "application/json")],
        key.to_string(),
    );
    let issued = app.ask(post, Some(&app.admin)).await;
    assert_eq!(
        (issued.status, issued.header("content-encoding")),
        (201, ""),
        "a secret beside what was sent"
    );
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_while_the_database_is_away_reads_a_page_and_programs_a_problem() {
    for app in App::both().await {
        let id = published(&app, "A clip", "").await;
        match &app.world.publishing.db {
            Db::Sqlite { read, .. } => read.close().await,
            Db::Pg(pool) => pool.close().await,
        }
        let watch = format!("/watch/{id}");
        for path in ["/", "/topics", "/agencies", &watch, &format!("/play/{id}/1/360p/none.mp4")] {
            let reply = open(&app, path, "en").await;
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (503, "text/html; charset=utf-8"),
                "{path}"
            );
            assert!(!reply.header("retry-after").is_empty(), "{path}: {reply:?}");
            let page = reply.text();
            assert!(page.contains("Unavailable for a moment") && page.contains("/assets/page-"), "{page}");
        }
        let list = request("GET", "/api/v1/videos", &[("accept", BROWSER)], "");
        assert_eq!(app.ask(list, None).await.problem(), (503, "database_unavailable".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_asks_a_server_that_starts_reads_a_page_in_their_language() {
    let site = Site { name: parse_texts("Riverside").expect("texts"), ..Site::default() };
    let gate = Gate::new(policast::web::closed(&site));
    gate.wait_for("the database");
    let ask = async |path: &str, accept: &str, language: &str| {
        let headers = [("accept", accept), ("accept-language", language)];
        let (parts, body) = gate.clone().answer(request("GET", path, &headers, "")).await.into_parts();
        let body = axum::body::to_bytes(body, usize::MAX).await.expect("a body");
        (parts.status.as_u16(), parts.headers, String::from_utf8_lossy(&body).into_owned())
    };
    for (language, told) in [("en", "Unavailable for a moment"), ("zh", "暂时无法")] {
        let (status, headers, page) = ask("/watch/0197", BROWSER, language).await;
        assert_eq!((status, &headers["retry-after"]), (503, &"5".parse().expect("a value")));
        assert!(
            headers["content-type"].to_str().is_ok_and(|kind| kind.starts_with("text/html")),
            "{headers:?}"
        );
        assert!(page.contains(told) && page.contains("Riverside"), "{page}");
        let style = page.split('"').find(|text| text.starts_with("/assets/page-")).expect("a style sheet");
        assert_eq!(ask(style, "text/css", language).await.0, 200);
    }
    let (status, headers, _) = ask("/api/v1/videos", BROWSER, "en").await;
    assert_eq!((status, headers["content-type"].as_bytes()), (503, b"application/problem+json".as_slice()));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_carry_the_operators_name_crest_colours_footer_and_links() {
    let links =
        r#"[{"name": {"en": "Imprint", "zh-Hans": "版权声明"}, "url": "https://example.org/imprint"}]"#;
    let crest = "<svg xmlns=\"http://www.w3.org/2000/svg\"><script>alert(1)</script></svg>";
    let site = Site {
        name: parse_texts(r#"{"en": "Riverside <Video>", "zh-Hans": "河滨视频"}"#).expect("texts"),
        crest: Some(Crest::new(crest.into(), "image/svg+xml")),
        colour: "#7a1f1f".parse().ok(),
        dark_colour: None,
        footer: parse_texts("Riverside City").expect("texts"),
        links: parse_links(links).expect("links"),
    };
    let app = App::with_site(site).await;
    let id = published(&app, "A clip", "").await;
    for path in
        ["/", "/topics", "/agencies", "/?topic=health", "/studio", &format!("/watch/{id}"), "/nowhere"]
    {
        let page = open(&app, path, "zh").await.text();
        for told in [
            "河滨视频",
            "版权声明",
            "https://example.org/imprint",
            "--accent:#7a1f1f",
            "Riverside City",
            "/site/crest?v=",
        ] {
            assert!(page.contains(told), "{path} lacks {told}: {page}");
        }
        let english = open(&app, path, "en").await.text();
        assert!(english.contains("Riverside &#60;Video&#62;"), "{english}");
        assert!(!english.contains("policast</") && !english.contains("· policast"), "{path}: {english}");
    }
    let docs = open(&app, "/api/docs", "en").await.text();
    for told in [
        "The API · Riverside &#60;Video&#62;",
        "--accent:#7a1f1f",
        "/site/crest?v=",
        "Imprint",
        "Riverside City",
    ] {
        assert!(docs.contains(told), "the document's page lacks {told}");
    }
    let picture = app.get("/site/crest", None).await;
    assert_eq!((picture.status, picture.header("content-type")), (200, "image/svg+xml"));
    assert!(picture.header("content-security-policy").contains("default-src 'none'"), "{picture:?}");
    assert_eq!(App::small().await.get("/site/crest", None).await.problem().0, 404);
}
