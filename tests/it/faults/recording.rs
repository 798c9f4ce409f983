//! The recording of a broadcast, cut between any two changes: every segment that a row names is in the bucket.

use std::time::Duration;

use policast::catalogue::pack;
use policast::domain::media::Fraction;
use policast::publishing::{Ingest, LiveForm, Publishing};
use policast::storage::Key;

use super::verbs::lapsed;
use super::walk::{walk, work};
use crate::ingest::keep;

const GONE: (&str, &str) = ("encoder_stopped", "it stopped");

/// Reads every segment that the rows of a recording name; how many there are of pictures.
async fn recorded(publishing: &Publishing, ingest: &Ingest) -> usize {
    let id = ingest.recording();
    let folder = publishing.folder(id).await.expect("a folder");
    let mut read = publishing.db.read().await.expect("a connection");
    let packs = pack::list(read.conn(), (id.0, id.1), None).await.expect("packs");
    drop(read);
    for pack in &packs {
        let segment = u32::try_from(pack.first_segment).expect("a number");
        let epoch = u32::try_from(pack.attempt).expect("a number");
        let key = Key::pack(folder, &pack.rung, segment, epoch);
        publishing.storage.read_all(&key).await.expect("a row is there only after its bytes");
    }
    packs.iter().filter(|pack| pack.rung == "360p").count()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_recording_says_it_has_is_there_wherever_its_node_dies() {
    let picture = LiveForm::Video { width: 640, height: 360, frame_rate: Fraction { num: 25, den: 1 } };
    let sound = LiveForm::Audio { channels: 2 };
    walk(
        async |world| {
            let (broadcast, key) = world.announce(true).await;
            let ingest = world.publishing.begin_ingest(&key, "one", Duration::ZERO).await.expect("taken");
            keep(&world.publishing, &ingest, ("audio", sound), (0, 0)).await.expect("kept");
            (broadcast, key, ingest)
        },
        async |world, (_, _, ingest)| {
            keep(&world.publishing, ingest, ("360p", picture), (0, 0)).await.map(drop)
        },
        async |world, (broadcast, key, ingest), well| {
            let publishing = &world.publishing;
            let kept = recorded(publishing, ingest).await;
            assert!(!well || kept == 1, "it was told that it is kept");
            lapsed(publishing).await;
            let next = publishing.begin_ingest(key, "two", Duration::ZERO).await.expect("taken");
            assert_eq!(next.recording(), ingest.recording(), "the recording goes on");
            publishing.leave_ingest(&next, GONE).await.expect("left");
            publishing.end_broadcast(world.operator, broadcast.id).await.expect("ended");
            assert_eq!(recorded(publishing, ingest).await, kept, "what was kept stays");
            publishing.delete_video(world.operator, broadcast.video_id).await.expect("deleted");
            work(world).await;
        },
    )
    .await;
}
