//! What attackers do to one connection: each ends within its limits of time and memory.

use std::time::Duration;

use policast::live::rtmp::{Error, Limits, accept};
use tokio::io::{AsyncWrite, AsyncWriteExt};

use super::encoder::*;

#[tokio::test(start_paused = true)]
async fn each_step_has_its_deadline() {
    let opening = opening();
    let first_media = [&opening[..], &configs()].concat();
    for (bytes, error) in [
        (&opening[..1000], "no handshake within 5s"),
        (&opening[..3200], "no publish command within 10s"),
        (&opening[..], "no media within 15s"),
        (&first_media[..], "no media within 30s"),
    ] {
        let (ours, mut theirs) = tokio::io::duplex(1 << 20);
        theirs.write_all(bytes).await.unwrap();
        let limits = Limits::default();
        let receiving = async {
            let mut publisher = accept(ours, &limits).await?.permit().await?;
            while publisher.next().await?.is_some() {}
            Ok::<_, Error>(())
        };
        assert_eq!(receiving.await.unwrap_err().to_string(), error);
    }
}

#[tokio::test(start_paused = true)]
async fn trickling_bytes_and_pings_do_not_stretch_the_deadline() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(&opening()).await.unwrap();
    let mut publisher = accept(ours, &Limits::default()).await.unwrap().permit().await.unwrap();
    let trickle = async {
        loop {
            let ping = whole(4, 0, &[0, 6, 1, 2, 3, 4]);
            if theirs.write_all(&ping).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_secs(7)).await;
        }
    };
    let end = tokio::select! {
        end = async {
            loop {
                tokio::select! {
                    end = publisher.next() => return end,
                    () = tokio::time::sleep(Duration::from_secs(1)) => {}
                }
            }
        } => end,
        () = trickle => panic!("encoder gave up"),
    };
    assert!(matches!(end, Err(Error::TimedOut { what: "media", .. })));
}

#[tokio::test]
async fn garbage_and_mutations_end_in_an_error_or_in_peace() {
    let clean =
        [opening(), configs(), whole(9, 40, &picture(true, &[9; 300])), whole(22, 50, &[8; 90])].concat();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let limits = Limits { linger: Duration::from_millis(1), ..Limits::default() };
    for _ in 0..3000 {
        let mut bytes = clean.clone();
        for _ in 0..=random(6) {
            let at = 3073 + random(bytes.len() - 3073);
            bytes[at] = u8::try_from(random(256)).unwrap();
        }
        bytes.truncate(3073 + random(bytes.len() - 3072));
        let outcome = feed_within(&bytes, usize::MAX, &limits).await;
        assert!(outcome.media.len() < 100);
    }
}

#[tokio::test]
async fn a_thousand_connections_closed_at_once_leave_no_task() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let tasks = tokio_util::task::TaskTracker::new();
    for index in 0..1000 {
        let mut socket = tokio::net::TcpStream::connect(address).await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        let limits = Limits { handshake: Duration::MAX, ..Limits::default() };
        tasks.spawn(async move {
            assert!(accept(accepted, &limits).await.is_err_and(|error| error.is_goodbye()));
        });
        socket.write_all(&handshake()[..index % 2000]).await.unwrap();
    }
    tasks.close();
    tasks.wait().await;
}

/// One byte each 100 ms after what comes at once, until nobody wants more.
async fn drip(mut to: impl AsyncWrite + Unpin, bytes: &[u8], at_once: usize) {
    let _ = to.write_all(&bytes[..at_once]).await;
    for byte in &bytes[at_once..] {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if to.write_all(&[*byte]).await.is_err() {
            return;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_handshake_and_commands_that_drip_in_end_at_their_deadlines() {
    for (at_once, error) in [(0, "no handshake within 5s"), (3073, "no publish command within 10s")] {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        let limits = Limits::default();
        let bytes = opening();
        let (accepted, ()) = tokio::join!(accept(ours, &limits), drip(theirs, &bytes, at_once));
        assert_eq!(accepted.map(drop).unwrap_err().to_string(), error);
    }
}

/// Writes the same again and again while somebody takes it; gives how much was taken.
async fn flood(mut to: impl AsyncWrite + Unpin, opening: &[u8], again: &[u8]) -> usize {
    let mut taken = 0;
    if to.write_all(opening).await.is_ok() {
        while to.write_all(again).await.is_ok() {
            taken += again.len();
        }
    }
    taken
}

/// What one connection may hold: two reads and the pipe between.
const HELD: usize = 2 * (32 << 10) + PIPE;
const PIPE: usize = 4096;

#[tokio::test(start_paused = true)]
async fn questions_from_one_who_reads_no_answer_are_taken_no_more_once_buffers_are_full() {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let ping = whole(4, 0, &[0, 6, 1, 2, 3, 4]);
    let receiving = async { accept(ours, &Limits::default()).await?.permit().await?.next().await };
    let opening = opening();
    let (end, taken) = tokio::join!(receiving, flood(theirs, &opening, &ping));
    assert_eq!(end.unwrap_err().to_string(), "no media within 15s");
    assert!(taken <= HELD, "{taken} bytes of pings");
}

#[tokio::test(start_paused = true)]
async fn commands_from_one_who_reads_no_answer_are_taken_no_more_once_buffers_are_full() {
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let asked = [command("connect", 1.0, &[]), command("createStream", 4.0, &[vec![5]])].concat();
    let limits = Limits::default();
    let handshake = handshake();
    let (end, taken) = tokio::join!(accept(ours, &limits), flood(theirs, &handshake, &asked));
    assert_eq!(end.map(drop).unwrap_err().to_string(), "no publish command within 10s");
    assert!(taken <= HELD, "{taken} bytes of commands");
}

#[tokio::test]
async fn unfinished_messages_are_held_up_to_the_limit_together_and_no_further() {
    let limits = Limits { message_bytes: 1 << 20, ..Limits::default() };
    let size = whole(1, 0, &0x1_0000_u32.to_be_bytes());
    // Messages of 1 MB each, of which only the first chunk comes.
    let half = |lane: u8| [header(lane, 0, 1 << 20, 9), vec![0; 1 << 16]].concat();
    let bytes = [opening(), size, (10..40).flat_map(half).collect()].concat();
    let (ours, mut theirs) = tokio::io::duplex(PIPE);
    let receiving = async { accept(ours, &limits).await?.permit().await?.next().await };
    let sending = async {
        let mut taken = 0;
        for piece in bytes.chunks(PIPE) {
            if theirs.write_all(piece).await.is_err() {
                break;
            }
            taken += piece.len();
        }
        taken
    };
    let (end, taken) = tokio::join!(receiving, sending);
    assert!(matches!(end, Err(Error::TooMuchInProgress { most: 0x10_0000, .. })), "{end:?}");
    assert!(taken <= limits.message_bytes + HELD, "{taken} bytes");
}
