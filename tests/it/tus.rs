//! Resumable uploads as tus 1.0 clients send them.

use axum::body::Body;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use sha1::Digest;

use crate::app::{App, PUBLIC, Reply, request};

const VERSION: (&str, &str) = ("tus-resumable", "1.0.0");
const BYTES: (&str, &str) = ("content-type", "application/offset+octet-stream");

fn metadata(pairs: &[(&str, &str)]) -> String {
    let pair = |(name, value): &(&str, &str)| format!("{name} {}", BASE64_STANDARD.encode(value));
    pairs.iter().map(pair).collect::<Vec<_>>().join(",")
}

fn described() -> String {
    metadata(&[
        ("filename", "政策 \"../\".mp4"),
        ("topic", "health"),
        ("title", "A clip"),
        ("language", "en"),
    ])
}

async fn announce(app: &App, headers: &[(&str, &str)]) -> Reply {
    let headers: Vec<_> = headers.iter().copied().chain([VERSION]).collect();
    app.ask(request("POST", "/api/v1/uploads", &headers, ""), Some(&app.editor)).await
}

async fn begin(app: &App, length: usize) -> String {
    let reply =
        announce(app, &[("upload-length", &length.to_string()), ("upload-metadata", &described())]).await;
    assert_eq!(reply.status, 201, "{reply:?}");
    reply.header("location").to_owned()
}

async fn send(app: &App, url: &str, offset: usize, bytes: impl Into<Body>) -> Reply {
    send_with(app, url, &[("upload-offset", &offset.to_string())], bytes).await
}

async fn send_with(app: &App, url: &str, headers: &[(&str, &str)], bytes: impl Into<Body>) -> Reply {
    let headers: Vec<_> = headers.iter().copied().chain([VERSION, BYTES]).collect();
    app.ask(request("PATCH", url, &headers, bytes), Some(&app.editor)).await
}

async fn head(app: &App, url: &str) -> Reply {
    app.ask(request("HEAD", url, &[VERSION], ""), Some(&app.editor)).await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_server_says_what_it_can_do() {
    let app = App::small().await;
    let reply = app.ask(request("OPTIONS", "/api/v1/uploads", &[], ""), None).await;
    assert_eq!((reply.status, reply.header("tus-version")), (204, "1.0.0"));
    assert_eq!(
        reply.header("tus-extension"),
        "creation,creation-with-upload,creation-defer-length,expiration,termination,checksum,concatenation"
    );
    assert_eq!(reply.header("tus-checksum-algorithm"), "sha1,sha256,md5");
    let browser = [
        ("origin", "https://a.example"),
        ("access-control-request-method", "PATCH"),
        ("access-control-request-headers", "authorization,upload-offset"),
    ];
    let reply = app.ask(request("OPTIONS", "/api/v1/uploads", &browser, ""), None).await;
    assert_eq!(reply.header("access-control-allow-origin"), "*");
    assert!(reply.header("access-control-allow-headers").contains("upload-offset"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_goes_on_where_it_stopped_and_ends_as_a_source() {
    for app in App::both().await {
        let url = begin(&app, 11).await;
        assert!(url.starts_with(PUBLIC), "{url}");
        let reply = send(&app, &url, 0, "hello ").await;
        assert_eq!((reply.status, reply.header("upload-offset")), (204, "6"));
        assert!(reply.header("upload-expires").ends_with("GMT"), "{reply:?}");
        let seen = head(&app, &url).await;
        assert_eq!((seen.header("upload-offset"), seen.header("upload-length")), ("6", "11"));
        assert_eq!(seen.header("cache-control"), "no-store");
        assert!(!seen.header("upload-metadata").is_empty());
        assert_eq!(send(&app, &url, 3, "lo world").await.problem(), (409, "wrong_offset".to_owned()));
        assert_eq!(send(&app, &url, 6, "world").await.header("upload-offset"), "11");
        let upload = app.get(&url, Some(&app.editor)).await.json();
        assert_eq!(upload["state"], "finished");
        let video = format!("/api/v1/videos/{}", upload["video"].as_str().expect("a video"));
        let source = app.get(&video, Some(&app.editor)).await.json()["source"].clone();
        assert_eq!(source["filename"], "政策 \"../\".mp4");
        assert_eq!(source["sha256"], "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9");
        assert_eq!(head(&app, &url).await.header("upload-offset"), "11");
        assert_eq!(send(&app, &url, 11, "!").await.problem(), (409, "upload_finished".to_owned()));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_before_a_broken_connection_is_kept() {
    for app in App::both().await {
        let url = begin(&app, 11).await;
        let broken =
            futures::stream::iter([Ok(Bytes::from("hello ")), Err(std::io::Error::other("line is dead"))]);
        assert_eq!(
            send(&app, &url, 0, Body::from_stream(broken)).await.problem(),
            (400, "body_broken".to_owned())
        );
        assert_eq!(head(&app, &url).await.header("upload-offset"), "6");
        let silent = futures::StreamExt::chain(
            futures::stream::iter([Ok::<_, std::io::Error>(Bytes::from("wo"))]),
            futures::stream::pending(),
        );
        assert_eq!(
            send(&app, &url, 6, Body::from_stream(silent)).await.problem(),
            (408, "body_idle".to_owned())
        );
        assert_eq!(send(&app, &url, 8, "rld").await.header("upload-offset"), "11");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_do_not_match_their_checksum_do_not_count() {
    for app in App::both().await {
        let url = begin(&app, 11).await;
        let digest = |bytes: &str| format!("sha1 {}", BASE64_STANDARD.encode(sha1::Sha1::digest(bytes)));
        let wrong = [("upload-offset", "0"), ("upload-checksum", &*digest("other"))];
        assert_eq!(
            send_with(&app, &url, &wrong, "hello world").await.problem(),
            (460, "checksum_mismatch".to_owned())
        );
        assert_eq!(head(&app, &url).await.header("upload-offset"), "0");
        let unknown = [("upload-offset", "0"), ("upload-checksum", "crc32 AAAA")];
        assert_eq!(
            send_with(&app, &url, &unknown, "x").await.problem(),
            (400, "upload_checksum_invalid".to_owned())
        );
        let right = [("upload-offset", "0"), ("upload-checksum", &*digest("hello world"))];
        assert_eq!(send_with(&app, &url, &right, "hello world").await.status, 204);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_length_may_come_later() {
    for app in App::both().await {
        let reply = announce(&app, &[("upload-defer-length", "1"), ("upload-metadata", &described())]).await;
        let url = reply.header("location").to_owned();
        assert_eq!(head(&app, &url).await.header("upload-defer-length"), "1");
        assert_eq!(send(&app, &url, 0, "hello world").await.status, 204);
        let last = [("upload-offset", "11"), ("upload-length", "11")];
        let reply = send_with(&app, &url, &last, "").await;
        assert_eq!((reply.status, reply.header("upload-offset")), (204, "11"), "{reply:?}");
        assert_eq!(app.get(&url, Some(&app.editor)).await.json()["state"], "finished");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_may_come_with_the_announcement() {
    for app in App::both().await {
        let headers = [("upload-length", "5"), ("upload-metadata", &*described()), VERSION, BYTES];
        let reply = app.ask(request("POST", "/api/v1/uploads", &headers, "hello"), Some(&app.editor)).await;
        assert_eq!((reply.status, reply.header("upload-offset")), (201, "5"), "{reply:?}");
        let video = format!("/api/v1/videos/{}", reply.header("policast-video"));
        assert_eq!(app.get(&video, Some(&app.editor)).await.json()["media"]["state"], "processing");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn partial_uploads_are_put_together() {
    for mut app in App::both().await {
        let mut urls = Vec::new();
        for bytes in ["hello ", "world"] {
            // tuspy sends an empty header where it has no metadata.
            let length = bytes.len().to_string();
            let headers =
                [("upload-concat", "partial"), ("upload-length", &*length), ("upload-metadata", "")];
            let url = announce(&app, &headers).await.header("location").to_owned();
            assert_eq!(send(&app, &url, 0, bytes).await.status, 204);
            assert_eq!(head(&app, &url).await.header("upload-concat"), "partial");
            urls.push(url);
        }
        let concat = format!("final;{}", urls.join(" "));
        let reply = announce(&app, &[("upload-concat", &concat), ("upload-metadata", &described())]).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        let url = reply.header("location").to_owned();
        let seen = head(&app, &url).await;
        assert_eq!((seen.header("upload-offset"), seen.header("upload-length")), ("11", "11"));
        assert_eq!(send(&app, &url, 11, "!").await.problem().0, 409);
        app.world.work();
        let video = reply.header("policast-video").parse().expect("an id");
        app.world.settled(video).await;
        let seen = app.get(&format!("/api/v1/videos/{video}"), Some(&app.editor)).await.json();
        assert_eq!(
            seen["source"]["sha256"],
            "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9"
        );
        assert_eq!(seen["media"]["error"]["code"], "not_media", "{seen}");
        app.world.rest().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_is_given_up_is_gone() {
    for app in App::both().await {
        let url = begin(&app, 11).await;
        send(&app, &url, 0, "hello ").await;
        assert_eq!(app.ask(request("DELETE", &url, &[VERSION], ""), Some(&app.editor)).await.status, 204);
        assert_eq!(head(&app, &url).await.status, 410);
        assert_eq!(send(&app, &url, 6, "world").await.problem(), (410, "upload_gone".to_owned()));
        assert_eq!(app.world.objects().await, Vec::<String>::new());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_post_may_stand_for_what_does_not_get_through() {
    let app = App::small().await;
    let url = begin(&app, 5).await;
    let headers = [VERSION, BYTES, ("x-http-method-override", "PATCH"), ("upload-offset", "0")];
    let reply = app.ask(request("POST", &url, &headers, "hello"), Some(&app.editor)).await;
    assert_eq!((reply.status, reply.header("upload-offset")), (204, "5"), "{reply:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_request_is_told() {
    let app = App::small().await;
    let url = begin(&app, 5).await;
    let reply = app.ask(request("HEAD", &url, &[], ""), Some(&app.editor)).await;
    assert_eq!((reply.status, reply.header("tus-version")), (412, "1.0.0"));
    let json = [VERSION, ("content-type", "application/json"), ("upload-offset", "0")];
    assert_eq!(app.ask(request("PATCH", &url, &json, "hello"), Some(&app.editor)).await.problem().0, 415);
    let reply = send_with(&app, &url, &[], "hello").await;
    assert_eq!(reply.problem(), (400, "upload_offset_invalid".to_owned()));
    let long = [("upload-offset", "0"), ("content-length", "6")];
    assert_eq!(send_with(&app, &url, &long, "hello!").await.problem(), (413, "past_length".to_owned()));
    assert_eq!(send(&app, &url, 0, Body::from("hello!")).await.problem(), (413, "past_length".to_owned()));

    let said = |pairs: &[(&str, &str)]| metadata(pairs);
    let unknown = said(&[("video", "0197a0f0-0000-7000-8000-000000000001")]);
    for (metadata, told) in [
        (said(&[("filename", "a.mp4")]), (422, "language_missing")),
        (said(&[("language", "en"), ("topic", "nothing"), ("title", "x")]), (422, "unknown_topic")),
        (said(&[("video", "x")]), (422, "video_invalid")),
        (unknown, (404, "video_not_found")),
        ("filename !!!".to_owned(), (400, "upload_metadata_invalid")),
    ] {
        let reply = announce(&app, &[("upload-length", "5"), ("upload-metadata", &metadata)]).await;
        assert_eq!(reply.problem(), (told.0, told.1.to_owned()), "{metadata}");
    }
    let huge = [("upload-length", "99999999999999"), ("upload-metadata", &*described())];
    assert_eq!(announce(&app, &huge).await.problem(), (413, "too_large".to_owned()));
}
