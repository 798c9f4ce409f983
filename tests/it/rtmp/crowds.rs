//! What attackers do to the door: crowds, silence, noise and guessing, while an encoder with a key gets through.

use std::time::Duration;

use policast::live;
use policast::live::rtmp::Limits;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Handle;

use super::door::{BAD, Door, PATIENCE, send, until};
use super::encoder::{command, handshake, header, opening, opening_with, text};
use crate::cut::usual::usual;

/// Bad keys an address may show in a minute.
const BAD_KEYS: u64 = 20;

#[tokio::test]
async fn a_thousand_connections_opened_and_closed_leave_no_task() {
    let hour = Duration::from_hours(1);
    let door = Door::open(Limits { handshake: hour, publish: hour, ..Limits::default() }).await;
    let alive = || Handle::current().metrics().num_alive_tasks();
    let before = alive();
    // All but the command that names a key, which is asked of the database.
    let opening =
        [handshake(), command("connect", 1.0, &[]), command("createStream", 4.0, &[text("x")])].concat();
    let mut sockets = Vec::new();
    for index in 0..1000 {
        let mut socket = door.connect(BAD).await;
        socket.write_all(&opening[..index * 7 % opening.len()]).await.unwrap();
        sockets.push(socket);
        if sockets.len() == 100 {
            until(async || (alive() >= sockets.len()).then_some(())).await;
            sockets.clear();
        }
    }
    until(async || (alive() <= before).then_some(())).await;
    door.push(&door.key).await.unwrap().finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    door.close().await;
}

#[tokio::test]
async fn connections_that_say_nothing_or_too_little_are_closed_by_us() {
    let short = Duration::from_millis(200);
    let limits = Limits { handshake: short, publish: short, linger: short, ..Limits::default() };
    let door = Door::open(limits).await;
    let opening = opening();
    for at_once in [0, 1, 3072, 3073, 3200] {
        let mut sockets = Vec::new();
        for _ in 0..50 {
            let mut socket = door.connect(BAD).await;
            socket.write_all(&opening[..at_once]).await.unwrap();
            sockets.push(socket);
        }
        for mut socket in sockets {
            let mut replies = Vec::new();
            let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut replies));
            let _ = ended.await.expect("an end comes without our doing");
        }
    }
    door.close().await;
}

#[tokio::test]
async fn one_address_can_not_take_every_seat() {
    let hour = Duration::from_hours(1);
    let door = Door::open(Limits { handshake: hour, ..Limits::default() }).await;
    let mut sockets = Vec::new();
    for _ in 0..live::guests::Limits::default().per_address {
        sockets.push(door.connect(BAD).await);
    }
    let mut one_more = door.connect(BAD).await;
    let mut byte = [0];
    let ended = tokio::time::timeout(PATIENCE, one_more.read(&mut byte));
    assert!(!matches!(ended.await.expect("an end comes without our doing"), Ok(1..)));
    door.push(&door.key).await.unwrap().finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    drop(sockets);
    door.close().await;
}

#[tokio::test]
async fn noise_at_the_door_ends_each_connection_and_nothing_else() {
    let door = Door::open(Limits::default()).await;
    let greeting = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    let tls = [0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3];
    let garbage = [&handshake()[..], &[0xFF; 4000]].concat();
    let huge = [&handshake()[..], &header(3, 0, 0xFF_FFFF, 20)].concat();
    for noise in [&greeting[..], &tls, &garbage, &huge] {
        let mut socket = door.connect(BAD).await;
        let _ = socket.write_all(noise).await;
        let mut replies = Vec::new();
        let ended = tokio::time::timeout(PATIENCE, socket.read_to_end(&mut replies));
        let _ = ended.await.expect("an end comes without our doing");
    }
    let mut target = door.push(&door.key).await.unwrap();
    send(&mut target, &usual().media).await;
    target.finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    door.close().await;
}

#[tokio::test]
async fn ten_thousand_bad_keys_from_one_address_are_cut_off_while_another_stream_goes_on() {
    let door = Door::open(Limits::default()).await;
    let mut target = door.push(&door.key).await.unwrap();
    let mut media = usual().media.chunks(20);
    let (begun, opening) = (tokio::time::Instant::now(), opening());
    let mut answered = 0;
    for attempt in 0..10_000 {
        answered += u64::from(door.shows_bad_key(&opening).await);
        if attempt % 200 == 0 {
            send(&mut target, media.next().unwrap_or_default()).await;
        }
    }
    // A wrong key counts for a minute, of which a slow machine may need more than one.
    let minutes = begun.elapsed().as_secs() / 60 + 1;
    assert!((BAD_KEYS..=BAD_KEYS * minutes).contains(&answered), "{answered} answers in {minutes} minutes");
    for rest in media {
        send(&mut target, rest).await;
    }
    target.finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    assert_eq!(door.row().await.next_segment, 5);
    door.close().await;
}

#[tokio::test]
async fn one_encoder_with_a_wrong_key_does_not_shut_out_who_shares_its_address() {
    let door = Door::open(Limits::default()).await;
    let mut answered = 0;
    for _ in 0..2 * BAD_KEYS {
        answered += u64::from(door.shows_bad_key(&opening()).await);
    }
    assert!((BAD_KEYS..2 * BAD_KEYS).contains(&answered), "{answered} answers");
    assert!(door.shows_bad_key(&opening_with("another")).await, "another encoder's mistake is told");
    door.push_from(BAD, &door.key).await.unwrap().finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    door.close().await;
}

#[tokio::test]
async fn an_address_that_guesses_gets_no_more_answers_and_a_good_key_from_it_is_let_in() {
    let door = Door::open(Limits::default()).await;
    let mut answered = 0;
    for guess in 0..2 * BAD_KEYS {
        answered += u64::from(door.shows_bad_key(&opening_with(&format!("live_{guess}"))).await);
    }
    assert!((BAD_KEYS..2 * BAD_KEYS).contains(&answered), "{answered} answers");
    door.push_from(BAD, &door.key).await.unwrap().finish().await.unwrap();
    assert_eq!(door.left().await, ["encoder_stopped", "encoder_came"]);
    door.close().await;
}
