//! What a viewer gets, in a real browser.

use serde_json::json;

use crate::server::Server;
use crate::tool::{fixture, node, succeed};

#[tokio::test]
async fn chromium_plays_the_watch_page_to_its_end() {
    let server = Server::start().await;
    server.api.agency().await;
    let video = server.api.video("Cleaner air by 2030").await.id;
    let (status, body) = server.api.put_source(&video, &fixture("explainer.mp4")).await;
    assert!(status.is_success(), "{status} {body}");
    server.api.wait_until_ready(&video).await;
    server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
    let mut watch = node("watch.mjs");
    watch.arg(format!("{}/watch/{video}", server.api.base));
    succeed(watch).await;
    server.stop().await;
}
