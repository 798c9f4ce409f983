//! Sources that are passed through, as a real browser shows them beside the rungs made of them.

use std::path::Path;

use serde_json::{Value, json};

use crate::server::Server;
use crate::tool::{fixture, node, program, succeed};

/// Height and colour of each rung, after each has been played to its end.
async fn shown(server: &Server, source: &Path) -> Vec<(u64, Vec<u64>)> {
    let video = server.api.video("What was meant").await.id;
    let (status, body) = server.api.put_source(&video, source).await;
    assert!(status.is_success(), "{status} {body}");
    server.api.wait_until_ready(&video).await;
    server.api.post(&format!("/api/v1/videos/{video}/publish"), &json!({})).await;
    let mut pictures = node("pictures.mjs");
    pictures.arg(format!("{}/watch/{video}", server.api.base));
    let said: Vec<Value> = serde_json::from_str(&succeed(pictures).await).expect("what pictures.mjs prints");
    let number = |value: &Value| value.as_u64().expect("a number");
    let colour = |rung: &Value| rung["colour"].as_array().expect("a colour").iter().map(number).collect();
    said.iter().map(|rung| (number(&rung["height"]), colour(rung))).collect()
}

#[tokio::test]
async fn every_rung_of_a_source_without_colour_tags_has_the_same_colours() {
    let server = Server::start().await;
    server.api.agency().await;
    // Pure green at three quarters, coded by BT.601 as nearly all of this size is.
    let green = "color=0x00bf00:s=640x360:r=25:d=3,format=gbrp,scale=out_color_matrix=bt601:out_range=tv,format=yuv420p";
    let path = server.home().join("green.mp4");
    let mut ffmpeg = program("ffmpeg");
    ffmpeg.args(["-v", "error", "-f", "lavfi", "-i", green]);
    ffmpeg.args(["-c:v", "libx264", "-preset", "veryfast", "-g", "50", "-qp", "12"]).arg(&path);
    succeed(ffmpeg).await;
    let rungs = shown(&server, &path).await;
    assert_eq!(rungs.iter().map(|(height, _)| *height).collect::<Vec<_>>(), [240, 360]);
    for (height, colour) in rungs {
        let near = colour.iter().zip([0, 0xbf, 0]).all(|(seen, meant)| seen.abs_diff(meant) <= 6);
        assert!(near, "{height}p is {colour:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn a_clip_that_was_cut_off_plays_to_its_end_in_every_rung() {
    let server = Server::start().await;
    server.api.agency().await;
    assert!(!shown(&server, &fixture("truncated.mp4")).await.is_empty());
    server.stop().await;
}
