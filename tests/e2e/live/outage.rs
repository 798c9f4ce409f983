//! The bucket or the database is taken away from a broadcast that is live: who watches goes on, and nothing is lost.

use tokio::process::Child;

use super::viewer::Viewer;
use super::{Broadcast, Clip, wait_for_the_end};
use crate::kill::agrees;
use crate::outage::with_bucket;
use crate::postgres::Postgres;
use crate::server::Server;

#[tokio::test]
async fn without_its_bucket_a_broadcast_goes_on_and_is_recorded_once_it_is_back() {
    let (server, line) = with_bucket().await;
    let (broadcast, clip) =
        (Broadcast::announce(&server, 60).await, Clip::make(server.home(), "640x360", 30, true).await);
    let encoder = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&broadcast).await;
    line.cut();
    viewer.goes_on().await;
    line.mend();
    ends_whole(&broadcast, &clip, encoder, viewer).await;
    server.stop().await;
}

#[tokio::test]
async fn without_its_database_a_broadcast_goes_on_beyond_its_lease_and_is_recorded_once_it_is_back() {
    goes_on_without_its_database(Postgres::stop, async |postgres| postgres.start().await).await;
}

#[tokio::test]
async fn a_broadcast_goes_on_while_its_database_hangs_and_is_recorded_once_it_answers() {
    goes_on_without_its_database(Postgres::hang, async |postgres| postgres.wake()).await;
}

async fn goes_on_without_its_database(
    take_away: fn(&mut Postgres),
    bring_back: impl AsyncFnOnce(&mut Postgres),
) {
    let mut postgres = Postgres::own().await;
    let settings = [("POLICAST_DATABASE_URL", &*postgres.database().await), ("POLICAST_LIVE_LEASE", "2s")];
    let server = Server::start_with(&settings).await;
    server.api.agency().await;
    let clip = Clip::make(server.home(), "640x360", 30, true).await;
    let broadcast = Broadcast::announce(&server, 60).await;
    let encoder = clip.begin(&broadcast.url);
    let mut viewer = Viewer::sit(&broadcast).await;
    take_away(&mut postgres);
    viewer.goes_on().await;
    bring_back(&mut postgres).await;
    ends_whole(&broadcast, &clip, encoder, viewer).await;
    assert_eq!(broadcast.log().await, ["encoder_came", "encoder_stopped", "ended"]);
    server.stop().await;
}

/// The viewer goes on once more, the encoder sends the rest, and the recording holds all of it.
async fn ends_whole(broadcast: &Broadcast<'_>, clip: &Clip, mut encoder: Child, mut viewer: Viewer) {
    viewer.goes_on().await;
    viewer.leave().await;
    assert!(encoder.wait().await.expect("ffmpeg").success());
    broadcast.wait_for("interrupted").await;
    broadcast.end().await;
    wait_for_the_end(broadcast).await;
    assert_eq!(broadcast.recorded().await, (clip.pictures, clip.sounds));
    agrees(broadcast.server).await;
}
