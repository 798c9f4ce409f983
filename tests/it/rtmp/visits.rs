//! Visits of an encoder with a key, from the door to the recording.

use std::time::Duration;

use policast::domain::broadcast::{BroadcastState, Health};
use policast::domain::key::Secret;
use policast::live::frame::Media;
use policast::live::rtmp::Limits;
use policast::publishing::Tenure;

use super::door::{Door, send, until};
use crate::clip;
use crate::cut::judge::decoded;
use crate::cut::usual::{HOUR_MS, kept, move_by, other, pictures, retimed, usual};

/// How many a decoder finds in a file, with nothing wrong in it.
fn frames(bytes: &[u8]) -> usize {
    let (_folder, file) = clip::place("recorded.mp4");
    std::fs::write(&file, bytes).unwrap();
    decoded(&file)
}

#[tokio::test]
async fn a_stream_key_may_carry_a_query_and_slashes() {
    let door = Door::open(Limits::default()).await;
    for key in [format!("{}?bandwidthtest=true", door.key), format!("/{}/", door.key)] {
        let mut target = door.push(&key).await.unwrap();
        send(&mut target, &usual().media).await;
        target.finish().await.unwrap();
        assert_eq!(door.left().await[..2], ["encoder_stopped", "encoder_came"]);
    }
    assert_eq!(door.row().await.next_segment, 10);
    door.close().await;
}

#[tokio::test]
async fn an_encoder_that_is_silent_past_its_lease_goes_on_where_it_was() {
    let door = Door::open(Limits::default()).await;
    let mut target = door.push(&door.key).await.unwrap();
    let (before, after) = usual().media.split_at(usual().media.len() / 2);
    send(&mut target, before).await;
    until(async || (door.row().await.next_segment > 0).then_some(())).await;
    // Lapsed at once, as often as the session still renews in between.
    let row = door.row().await;
    let (key, tenure) = (Secret::new(door.key.clone()), Tenure { id: row.id, epoch: row.epoch });
    until(async || {
        let going = (&Health::default(), 0, 0);
        door.publishing.keep_ingest((&key, tenure), Duration::ZERO, going).await.unwrap();
        door.publishing.lapse_broadcasts(Duration::MAX, |_| false).await.unwrap();
        (door.row().await.state == BroadcastState::Interrupted).then_some(())
    })
    .await;
    send(&mut target, after).await;
    target.finish().await.unwrap();
    let log = until(async || Some(door.log().await).filter(|log| log[0] == "encoder_stopped")).await;
    assert_eq!(log, ["encoder_stopped", "owner_lost", "encoder_came"]);
    let row = door.row().await;
    assert_eq!((row.epoch, row.next_segment), (1, 5));
    door.close().await;
}

#[tokio::test]
async fn an_encoder_silent_on_its_open_connection_is_said_to_be_and_comes_back_on_it() {
    let door = Door::open_with(Limits::default(), Duration::from_secs(2)).await;
    let mut target = door.push(&door.key).await.unwrap();
    // Configurations come once; what comes after the silence begins with a keyframe.
    let at = usual()
        .media
        .iter()
        .position(|media| matches!(media, Media::Video(frame) if frame.key && frame.dts_ticks > 4 * 90_000));
    let (before, after) = usual().media.split_at(at.unwrap());
    send(&mut target, before).await;
    until(async || (door.row().await.state == BroadcastState::Interrupted).then_some(())).await;
    assert_eq!(door.log().await, ["encoder_silent", "encoder_came"]);
    // Another may come meanwhile, and does not.
    let silent = Duration::from_secs(100);
    door.publishing.clock.advance(silent);
    send(&mut target, after).await;
    target.finish().await.unwrap();
    let log = until(async || Some(door.log().await).filter(|log| log[0] == "encoder_stopped")).await;
    assert_eq!(log, ["encoder_stopped", "encoder_came", "encoder_silent", "encoder_came"]);
    let row = door.row().await;
    let id = (row.video_id, u32::try_from(row.revision.unwrap()).unwrap());
    let packs = door.publishing.find_recorded(id).await.unwrap().packs;
    for rung in ["108p", "audio"] {
        let of = |epoch| packs.iter().filter(move |pack| pack.rung == rung && pack.attempt == epoch);
        let (first, second) = (of(1).next_back().unwrap(), of(2).next().unwrap());
        assert!(second.discontinuity && !first.discontinuity, "{rung}");
        let apart = second.shown_at.unwrap().0 - first.shown_at.unwrap().0;
        assert!(apart > 90_000, "after a silence of 100 s {rung} is told to be {apart} ms later");
    }
    let sent = pictures(&usual().media);
    let recorded = door.recorded().await.into_iter().filter(|((rung, _), _)| rung == "108p");
    let kept: usize = recorded.map(|(_, bytes)| frames(&bytes)).sum();
    assert_eq!(kept, sent);
    door.close().await;
}

#[tokio::test]
async fn a_second_encoder_with_the_same_key_hears_that_another_is_sending() {
    let door = Door::open(Limits::default()).await;
    let mut target = door.push(&door.key).await.unwrap();
    let refused = door.push(&door.key).await.map(drop).unwrap_err().to_string();
    assert!(refused.ends_with("Another encoder is sending to this broadcast; stop it first."), "{refused}");
    send(&mut target, &usual().media).await;
    target.finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_refused", "encoder_came"]);
    door.close().await;
}

#[tokio::test]
async fn a_stream_that_jumps_repeats_itself_and_changes_is_recorded_frame_for_frame() {
    let door = Door::open(Limits::default()).await;
    let mut target = door.push(&door.key).await.unwrap();
    let configs = kept(usual(), |media| matches!(media, Media::VideoConfig(_) | Media::AudioConfig(_)));
    let jumping = retimed(usual(), |index, media| move_by(media, if index > 200 { HOUR_MS } else { 0 }));
    let changed = retimed(other(), |_, media| move_by(media, HOUR_MS + 10_000));
    let (before, after) = jumping.split_at(300);
    for media in [before, &configs, after, &changed] {
        send(&mut target, media).await;
    }
    target.finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    let (mut shown, mut files) = (0, 0);
    for ((rung, _), bytes) in door.recorded().await {
        let found = frames(&bytes);
        files += 1;
        shown += if rung == "audio" { 0 } else { found };
    }
    assert_eq!((shown, files), (pictures(&jumping) + pictures(&changed), 4));
    door.close().await;
}
