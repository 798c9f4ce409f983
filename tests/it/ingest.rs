//! A broadcast under way, on both engines: where a successor goes on, and what `fsck` expects of its recording.

use std::time::Duration;

use bytes::Bytes;
use policast::catalogue::broadcast;
use policast::domain::broadcast::{BroadcastState, Health};
use policast::domain::key::Secret;
use policast::domain::media::{Fraction, Segment};
use policast::domain::{Clock, Timestamp};
use policast::publishing::{Error, Fsck, Ingest, LiveForm, LiveRung, NewPack, Publishing, Seam};
use policast::storage::Key;

use crate::world::World;

/// Whoever has the channel is lost at once.
const LOST: Duration = Duration::ZERO;
/// Whoever has it keeps it through a test.
const LEASE: Duration = Duration::from_mins(10);
const HOURS: Duration = Duration::from_hours(5);
const GONE: (&str, &str) = ("encoder_stopped", "it stopped");

/// Says that so many segments are kept, and the encoder is gone.
async fn leave(publishing: &Publishing, ingest: &Ingest, kept: u32) {
    let mut tx = publishing.db.begin().await.unwrap();
    broadcast::advance(tx.conn(), ingest.tenure, (kept, i64::from(kept) * 180_000)).await.unwrap();
    tx.commit().await.unwrap();
    publishing.leave_ingest(ingest, GONE).await.unwrap();
}

#[tokio::test]
async fn an_encoder_that_is_not_let_in_is_in_the_log_of_its_broadcast_once() {
    for world in World::both().await {
        let publishing = &world.publishing;
        let (announced, key) = world.announce(false).await;
        for why in ["taken", "taken", "over", "taken"] {
            assert_eq!(publishing.note_refused(&key, why).await.unwrap(), Some(announced.id));
        }
        assert_eq!(publishing.note_refused(&Secret::new("wrong"), "taken").await.unwrap(), None);
        let mut read = publishing.db.read().await.unwrap();
        let log = broadcast::list_log(read.conn(), announced.id, 9).await.unwrap();
        let told: Vec<_> = log.iter().map(|line| (line.code.as_str(), line.message.as_str())).collect();
        assert_eq!(told, ["taken", "over", "taken"].map(|why| ("encoder_refused", why)));
    }
}

#[tokio::test]
async fn a_successor_goes_on_after_all_that_players_may_know() {
    for world in World::both().await {
        let publishing = &world.publishing;
        let (_, key) = world.announce(true).await;
        let first = publishing.begin_ingest(&key, "one", LOST).await.unwrap();
        assert_eq!(first.next(), 0);
        // Two may have begun before it is heard of for the first time, and whenever it was heard of last.
        let second = publishing.begin_ingest(&key, "two", LOST).await.unwrap();
        assert_eq!((second.kept().0, second.next()), (0, 2));
        let going = (&Health::default(), 0, 10);
        publishing.keep_ingest((&key, second.tenure), LOST, going).await.unwrap();
        let third = publishing.begin_ingest(&key, "three", LOST).await.unwrap();
        assert_eq!((third.kept().0, third.next()), (0, 12));
        let stale = publishing.keep_ingest((&key, second.tenure), LOST, (&Health::default(), 0, 90)).await;
        assert!(matches!(stale, Err(Error::ChannelLost)), "{stale:?}");

        // Whoever leaves has kept all that it told.
        leave(publishing, &third, 14).await;
        let fourth = publishing.begin_ingest(&key, "four", LOST).await.unwrap();
        assert_eq!((fourth.kept().0, fourth.next()), (14, 14));

        leave(publishing, &fourth, 15).await;
        let slate = publishing.begin_slate(&fourth).await.unwrap().expect("a slate");
        publishing.keep_slate(slate.tenure, (3, 20)).await.unwrap();
        let fifth = publishing.begin_ingest(&key, "five", LOST).await.unwrap();
        assert_eq!((slate.next(), fifth.next()), (15, 22));
        let stale = publishing.keep_slate(slate.tenure, (0, 90)).await;
        assert!(matches!(stale, Err(Error::ChannelLost)), "{stale:?}");

        // A slate that was never heard of may have shown something, too.
        leave(publishing, &fifth, 22).await;
        publishing.begin_slate(&fifth).await.unwrap().expect("a slate");
        assert_eq!(publishing.begin_ingest(&key, "six", LOST).await.unwrap().next(), 24);
    }
}

/// A node over the same database whose clock is hours ahead.
fn ahead(publishing: &Publishing) -> Publishing {
    Publishing { clock: Clock::fixed(Clock::System.now().plus(HOURS)), ..publishing.clone() }
}

#[tokio::test]
async fn a_node_whose_clock_is_hours_ahead_takes_and_ends_no_other_nodes_broadcast() {
    for world in World::both().await {
        let (here, ahead) = (&world.publishing, ahead(&world.publishing));
        let (announced, key) = world.announce(false).await;
        let ingest = here.begin_ingest(&key, "here", LEASE).await.unwrap();
        ahead.lapse_broadcasts(Duration::MAX, |_| false).await.unwrap();
        let taken = ahead.begin_ingest(&key, "ahead", LEASE).await;
        assert!(matches!(taken, Err(Error::ChannelTaken)), "{taken:?}");
        let found = ahead.end_broadcast(world.operator, announced.id).await.unwrap();
        assert_eq!(found.state, BroadcastState::Live, "its owner closes what is open first");
        let over = here.keep_ingest((&key, ingest.tenure), LEASE, (&Health::default(), 0, 0)).await;
        assert!(matches!(over, Err(Error::BroadcastOver)), "{over:?}");
    }
}

#[tokio::test]
async fn a_round_that_the_database_kept_waiting_judges_no_owner_and_no_node_itself() {
    for world in World::both().await {
        let publishing = &world.publishing;
        let (announced, key) = world.announce(true).await;
        publishing.begin_ingest(&key, "one", LOST).await.unwrap();
        let (live, interrupted) = (BroadcastState::Live, BroadcastState::Interrupted);
        for (patience, sends, expected) in
            [(Duration::ZERO, false, live), (Duration::MAX, true, live), (Duration::MAX, false, interrupted)]
        {
            publishing.lapse_broadcasts(patience, |_| sends).await.unwrap();
            let mut read = publishing.db.read().await.unwrap();
            let found = broadcast::find(read.conn(), announced.id).await.unwrap().unwrap();
            assert_eq!(found.state, expected);
        }
    }
}

#[tokio::test]
async fn a_node_whose_clock_is_hours_ahead_waits_for_an_encoder_as_long_as_others_do() {
    for world in World::both().await {
        let (here, ahead) = (&world.publishing, ahead(&world.publishing));
        let (announced, key) = world.announce(true).await;
        let ingest = here.begin_ingest(&key, "here", LEASE).await.unwrap();
        leave(here, &ingest, 3).await;
        let slate = ahead.begin_slate(&ingest).await.unwrap().expect("a slate");
        ahead.keep_slate(slate.tenure, (0, 5)).await.unwrap();
        ahead.lapse_broadcasts(Duration::MAX, |_| false).await.unwrap();
        let found =
            broadcast::find(here.db.read().await.unwrap().conn(), announced.id).await.unwrap().unwrap();
        assert_eq!(found.state, BroadcastState::Interrupted);

        // What such a node writes is no later than what others write, nor good for longer.
        let ingest = ahead.begin_ingest(&key, "ahead", LOST).await.unwrap();
        ahead.keep_ingest((&key, ingest.tenure), LOST, (&Health::default(), 0, 5)).await.unwrap();
        assert!(here.begin_ingest(&key, "here", LEASE).await.is_ok());
    }
}

#[tokio::test]
async fn fsck_expects_every_initialisation_segment_of_a_recording() {
    for world in World::both().await {
        let publishing = &world.publishing;
        let (_, key) = world.announce(true).await;
        let ingest = publishing.begin_ingest(&key, "one", LOST).await.unwrap();
        let rate = Fraction { num: 25, den: 1 };
        let (picture, sound) =
            (LiveForm::Video { width: 640, height: 360, frame_rate: rate }, LiveForm::Audio { channels: 2 });
        let kept = [("360p", picture, 0, 71), ("audio", sound, 0, 72), ("360p", picture, 1, 73)];
        let mut inits = Vec::new();
        for (name, form, segment, init) in kept {
            inits.push(keep(publishing, &ingest, (name, form), (segment, init)).await.unwrap());
        }
        let check = Fsck { rehash: true, repair: false, grace: Duration::ZERO };
        assert_eq!(publishing.fsck(&check).await.unwrap(), []);
        for init in inits {
            publishing.storage.delete(&init).await.unwrap();
            let found = publishing.fsck(&check).await.unwrap();
            let told: Vec<_> =
                found.iter().map(|finding| (finding.kind.as_str(), finding.key.as_str())).collect();
            assert_eq!(told, [("missing_object", init.as_str())]);
            publishing.storage.put(&init, Bytes::from_static(b"init")).await.unwrap();
        }
    }
}

/// Keeps a segment with its initialisation segment, which is returned.
pub async fn keep(
    publishing: &Publishing,
    ingest: &Ingest,
    (name, form): (&str, LiveForm),
    (first_segment, init): (u32, u32),
) -> Result<Key, Error> {
    let (id, epoch) = (ingest.recording(), ingest.epoch());
    let folder = publishing.folder(id).await?;
    let key = Key::init_of(folder, name, init);
    let bytes = Bytes::from_static(b"segment");
    let size_bytes = bytes.len() as u64;
    publishing.storage.put(&key, Bytes::from_static(b"init")).await?;
    publishing.storage.put(&Key::pack(folder, name, first_segment, epoch), bytes).await?;
    let position = u32::from(name == "audio");
    let rung = LiveRung { name: name.to_owned(), position, codecs: String::new(), form };
    publishing.add_live_rung(ingest.tenure, id, &rung).await?;
    let start = i64::from(first_segment) * 180_000;
    let segments = vec![Segment { start, duration: 180_000, size_bytes, key_bytes: 0 }];
    let new = NewPack { rung: name.to_owned(), first_segment, size_bytes, segments, nonce: folder.nonce };
    let seam = Seam { epoch, init, discontinuity: false, shown_at: Timestamp(start) };
    let next = (name != "audio").then_some((first_segment + 1, start + 180_000));
    publishing.add_live_pack(ingest.tenure, id, (new, seam), next).await?;
    Ok(key)
}
