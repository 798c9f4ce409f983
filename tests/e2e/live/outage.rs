//! The bucket or the database is taken away from a broadcast that is live: who watches goes on, and nothing is lost.

use tokio::process::Child;

use super::viewer::Viewer;
use super::{Broadcast, Clip, wait_for_the_end};
use crate::kill::agrees;
use crate::outage::{with_bucket, with_database};
use crate::server::Server;

#[tokio::test]
async fn without_its_bucket_a_broadcast_goes_on_and_is_recorded_once_it_is_back() {
    let (server, line) = with_bucket().await;
    let mut show = Live::begin(&server).await;
    line.cut();
    show.viewer.goes_on().await;
    line.mend();
    show.ends_whole().await;
    server.stop().await;
}

#[tokio::test]
async fn without_its_database_a_broadcast_goes_on_beyond_its_lease_and_is_recorded_once_it_is_back() {
    let (server, mut postgres) = with_database().await;
    let mut show = Live::begin(&server).await;
    postgres.stop();
    show.viewer.goes_on().await;
    postgres.start().await;
    show.ends_whole().await;
    server.stop().await;
}

#[tokio::test]
async fn a_broadcast_goes_on_while_its_database_hangs_and_is_recorded_once_it_answers() {
    let (server, mut postgres) = with_database().await;
    let mut show = Live::begin(&server).await;
    postgres.hang();
    show.viewer.goes_on().await;
    postgres.wake();
    show.ends_whole().await;
    server.stop().await;
}

/// A broadcast that somebody watches.
struct Live<'a> {
    broadcast: Broadcast<'a>,
    clip: Clip,
    encoder: Child,
    viewer: Viewer,
}

impl<'a> Live<'a> {
    async fn begin(server: &'a Server) -> Self {
        let clip = Clip::make(server.home(), "640x360", 30, true).await;
        let broadcast = Broadcast::announce(server, 60).await;
        let encoder = clip.begin(&broadcast.url);
        let viewer = Viewer::sit(&broadcast).await;
        Self { broadcast, clip, encoder, viewer }
    }

    /// The viewer goes on once more, the encoder sends the rest, and the recording holds all of it.
    async fn ends_whole(mut self) {
        self.viewer.goes_on().await;
        self.viewer.leave().await;
        assert!(self.encoder.wait().await.expect("ffmpeg").success());
        self.broadcast.wait_for("interrupted").await;
        self.broadcast.end().await;
        wait_for_the_end(&self.broadcast).await;
        assert_eq!(self.broadcast.recorded().await, (self.clip.pictures, self.clip.sounds));
        assert_eq!(self.broadcast.log().await, ["encoder_came", "encoder_stopped", "ended"]);
        agrees(self.broadcast.server).await;
    }
}
