//! Playback of a real clip, through every address a player follows.

use serde_json::json;

use crate::app::{App, PUBLIC, request};

pub async fn ready(app: &mut App) -> String {
    let path = format!("{}/media-fixtures/short.mp4", env!("CARGO_MANIFEST_DIR"));
    let clip = std::fs::read(path).expect("a fixture");
    app.world.work();
    let id = app.world.upload(clip.into()).await;
    app.world.settled(id).await;
    id.to_string()
}

/// The addresses a playlist names, as players resolve them.
pub fn addresses(base: &str, playlist: &str) -> Vec<String> {
    let folder =
        base.split('?').next().and_then(|path| path.rsplit_once('/')).expect("a folder").0.to_owned();
    let attribute = |line: &str| Some(line.split_once("URI=\"")?.1.split_once('"')?.0.to_owned());
    let plain = |line: &str| (!line.starts_with('#') && !line.is_empty()).then(|| line.to_owned());
    let found = playlist.lines().filter_map(|line| plain(line).or_else(|| attribute(line)));
    found.map(|relative| format!("{folder}/{relative}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_draft_plays_only_with_its_token_which_goes_to_every_address() {
    for mut app in App::both().await {
        let id = ready(&mut app).await;
        let video = app.get(&format!("/api/v1/videos/{id}"), Some(&app.editor)).await.json();
        let hls = video["media"]["hls"].as_str().expect("an address").to_owned();
        assert!(hls.starts_with(&format!("{PUBLIC}/play/{id}/master.m3u8?token=")), "{hls}");
        let bare = format!("/play/{id}/master.m3u8");
        assert_eq!(app.get(&bare, None).await.problem(), (404, "video_not_found".to_owned()));
        let forged = format!("{bare}?token=a.b.c");
        assert_eq!(app.get(&forged, None).await.problem(), (403, "token_invalid".to_owned()));

        let hls = hls.strip_prefix(PUBLIC).expect("ours");
        let master = app.get(hls, None).await;
        assert_eq!((master.status, master.header("content-type")), (200, "application/vnd.apple.mpegurl"));
        let mut media = 0;
        for playlist in addresses(hls, &master.text()) {
            assert!(playlist.contains("?token="), "{playlist}");
            let reply = app.get(&playlist, None).await;
            assert_eq!(reply.status, 200, "{playlist}: {reply:?}");
            for address in addresses(&playlist, &reply.text()) {
                assert!(address.contains("?token="), "{address}");
                let reply = app.get(&address, None).await;
                assert_eq!(reply.status, 200, "{address}");
                assert_eq!(reply.header("cache-control"), "private, no-store");
                let stripped = address.split('?').next().expect("a path");
                assert_eq!(app.get(stripped, None).await.status, 404, "{stripped} without its token");
                media += 1;
            }
        }
        assert!(media > 4, "{media} pieces of media");
        for still in [&video["media"]["poster"]["url"], &video["media"]["storyboard"]] {
            let still = still.as_str().expect("an address").strip_prefix(PUBLIC).expect("ours");
            assert_eq!(app.get(still, None).await.status, 200, "{still}");
        }
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn public_media_is_served_by_range_and_kept_by_caches() {
    for mut app in App::both().await {
        let id = ready(&mut app).await;
        app.send(
            "POST",
            &format!("/api/v1/videos/{id}/publish?without_media=true"),
            Some(&app.publisher),
            json!({}),
        )
        .await;
        let base = format!("/play/{id}/master.m3u8");
        let master = app.get(&base, None).await;
        assert_eq!(master.header("cache-control"), "no-cache");
        assert_eq!(master.header("access-control-allow-origin"), "*");
        assert!(!master.text().contains("token"), "{}", master.text());
        let tag = master.header("etag").to_owned();
        let again = app.ask(request("GET", &base, &[("if-none-match", &tag)], ""), None).await;
        assert_eq!((again.status, again.body.len()), (304, 0));

        let playlist = addresses(&base, &master.text()).remove(0);
        let listed = app.get(&playlist, None).await;
        assert!(listed.text().ends_with("#EXT-X-ENDLIST\n"), "{}", listed.text());
        assert_eq!(listed.header("cache-control"), policast::storage::SHOWN);
        let pack = addresses(&playlist, &listed.text()).into_iter().find(|address| address.contains(".m4s"));
        let pack = pack.expect("a pack");
        let whole = app.get(&pack, None).await;
        assert_eq!((whole.status, whole.header("accept-ranges")), (200, "bytes"));
        let asked = async |headers: &[(&str, &str)]| app.ask(request("GET", &pack, headers, ""), None).await;
        let part = asked(&[("range", "bytes=10-19")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
        assert_eq!(part.header("content-range"), format!("bytes 10-19/{}", whole.body.len()));
        let stale = asked(&[("range", "bytes=10-19"), ("if-range", "\"other\"")]).await;
        assert_eq!(stale.status, 200);
        let outside = asked(&[("range", "bytes=99999999-")]).await;
        assert_eq!(outside.problem(), (416, "range_invalid".to_owned()));
        assert_eq!(outside.header("content-range"), format!("bytes */{}", whole.body.len()));
        let known = asked(&[("if-none-match", whole.header("etag"))]).await;
        assert_eq!(known.status, 304);
        let head = app.ask(request("HEAD", &pack, &[], ""), None).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        assert_eq!(head.header("content-length"), whole.body.len().to_string());
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_withdrawn_video_plays_for_nobody_but_its_account() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    let path = format!("/api/v1/videos/{id}");
    let address = async || {
        let video = app.get(&path, Some(&app.editor)).await.json();
        let hls = video["media"]["hls"].as_str().expect("an address").to_owned();
        hls.strip_prefix(PUBLIC).expect("ours").to_owned()
    };
    let as_draft = address().await;
    app.send("POST", &format!("{path}/publish?without_media=true"), Some(&app.publisher), json!({})).await;
    let reason = json!({"reason": "wrong"});
    app.send("POST", &format!("{path}/withdraw"), Some(&app.publisher), reason).await;
    assert_eq!(app.get(&as_draft, None).await.problem(), (403, "token_invalid".to_owned()));
    assert_eq!(app.get(&format!("/play/{id}/master.m3u8"), None).await.problem().0, 404);
    assert_eq!(app.get(&address().await, None).await.status, 200);
    app.world.rest().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn events_tell_the_video_at_once_and_when_it_changes() {
    let app = App::small().await;
    let id = app.draft().await;
    let path = format!("/api/v1/videos/{id}");
    let asked = request(
        "GET",
        &format!("{path}/events"),
        &[("authorization", &format!("Bearer {}", app.editor))],
        "",
    );
    let response = tower::ServiceExt::oneshot(app.router.clone(), asked).await.expect("an answer");
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let mut stream = response.into_body().into_data_stream();
    let mut next = async || {
        let bytes = futures::StreamExt::next(&mut stream).await.expect("more").expect("bytes");
        String::from_utf8(bytes.to_vec()).expect("text")
    };
    let first = next().await;
    assert!(first.starts_with("event: video\ndata: {") && first.contains("\"waiting\""), "{first}");
    app.ask(request("PUT", &format!("{path}/source"), &[], "hello"), Some(&app.editor)).await;
    let second = next().await;
    assert!(second.contains("\"processing\""), "{second}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_is_told_why_a_video_is_where_it_is() {
    let mut app = App::small().await;
    let id = ready(&mut app).await;
    let why = app.get(&format!("/api/v1/admin/videos/{id}/why"), Some(&app.operator)).await.json();
    assert_eq!(why["media_state"], "ready", "{why}");
    assert!(why["jobs"].as_array().is_some_and(|jobs| jobs.len() >= 3), "{why}");
    let jobs =
        app.get(&format!("/api/v1/admin/jobs?video={id}&state=done"), Some(&app.operator)).await.json();
    assert!(jobs["items"].as_array().is_some_and(|jobs| jobs.len() >= 3), "{jobs}");
    let check = app.send("POST", "/api/v1/admin/fsck", Some(&app.operator), json!({"rehash": true})).await;
    assert_eq!(check.json()["findings"], json!([]));
    app.world.rest().await;
}
