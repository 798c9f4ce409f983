//! Encoders that are not let in hear why.

use super::{Broadcast, Clip};
use crate::server::Server;
use crate::tool::run;

#[tokio::test]
async fn an_encoder_that_is_not_let_in_is_told_why() {
    let server = Server::start().await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "320x180", 4, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let wrong = broadcast.url.replace(&broadcast.key, &format!("live_{}", "0".repeat(32)));
    refused(&clip, &wrong, "The stream key is wrong or was revoked; copy it again from the broadcast.").await;

    let mut encoder = clip.begin(&broadcast.url);
    broadcast.wait_for("live").await;
    refused(&clip, &broadcast.url, "Another encoder is sending to this broadcast; stop it first.").await;
    assert!(encoder.wait().await.expect("ffmpeg").success(), "the first is not disturbed");
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    refused(&clip, &broadcast.url, "The broadcast is over; announce another one.").await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    let refusals = broadcast.log().await.into_iter().filter(|code| code == "encoder_refused").count();
    assert_eq!(refusals, 2, "taken and over are in the log of the broadcast");
    let log = server.log();
    for sentence in ["The stream key is wrong", "Another encoder is sending", "The broadcast is over"] {
        let told = log.lines().find(|line| line.contains(sentence)).expect("it is told in the log");
        assert!(told.contains("INFO") && told.contains("key=") && told.contains("peer="), "{told}");
    }
    assert!(!log.contains(&broadcast.key), "the key is in the log");
    server.stop().await;
}

async fn refused(clip: &Clip, url: &str, sentence: &str) {
    let output = run(clip.push(url)).await;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains(sentence), "{said}");
}
