//! The talk before and beside the frames: commands, replies, pings, codecs refused, and the ways to end.

use std::time::Duration;

use bytes::Bytes;
use policast::live::frame::{Media, VideoConfig};
use policast::live::rtmp::{Error, Limits, accept};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::encoder::*;

#[tokio::test]
async fn an_encoder_that_waits_for_no_reply_is_heard_out() {
    let bytes = [configs(), whole(9, 40, &picture(true, &[9; 300])), whole(8, 50, &sound(&[1; 20]))].concat();
    let outcome = publish(&bytes).await;
    outcome.end.as_ref().unwrap();
    assert_eq!(outcome.media.len(), 4);
    assert_eq!(outcome.media[0], Media::VideoConfig(VideoConfig::Avc(Bytes::from_static(&AVCC))));
    assert_eq!(outcome.media[1], Media::AudioConfig(Bytes::from_static(&ASC)));
    assert_eq!(pictures(&outcome.media), [(40, 300)]);
    assert_eq!(sounds(&outcome.media), [50]);
    for word in ["fourCcList", "onFCPublish", "NetStream.Publish.Start", "NetConnection.Connect.Success"] {
        assert!(outcome.heard(word), "{word}");
    }
}

#[tokio::test]
async fn the_request_tells_app_key_address_and_encoder() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(&opening()).await.unwrap();
    let request = accept(ours, &Limits::default()).await.unwrap();
    assert_eq!((request.app.as_str(), request.key.as_str()), ("live", "KEY?a=b"));
    assert_eq!(request.tc_url, "rtmp://host/live");
    assert_eq!(request.encoder.as_deref(), Some("FMLE/3.0 (compatible; FMSc/1.0)"));
}

#[tokio::test]
async fn bytes_may_come_one_by_one() {
    let bytes = [opening(), configs(), whole(9, 40, &picture(true, &[9; 300])), goodbye()].concat();
    let outcome = feed(&bytes, 1).await;
    outcome.end.unwrap();
    assert_eq!(pictures(&outcome.media), [(40, 300)]);
}

#[tokio::test]
async fn amf3_commands_and_empty_messages_are_taken() {
    let unpublish = [vec![0], text("FCUnpublish"), number(6.0), vec![5]].concat();
    let bytes = [
        configs(),
        whole(9, 0, &[]),
        whole(8, 0, &[]),
        whole(8, 0, &[0xAF]),
        whole(9, 0, &[0x17, 1]),
        whole(99, 0, &[1, 2, 3]),
        whole(9, 40, &picture(true, &[9; 3])),
        whole(17, 40, &unpublish),
        whole(9, 80, &picture(true, &[9; 3])),
    ]
    .concat();
    let outcome = publish(&bytes).await;
    outcome.end.as_ref().unwrap();
    assert_eq!(pictures(&outcome.media), [(40, 3)]);
    assert!(outcome.heard("NetStream.Unpublish.Success"));
}

#[tokio::test]
async fn pings_are_answered_and_bytes_acknowledged() {
    let window = whole(5, 0, &2000u32.to_be_bytes());
    let ping = whole(4, 0, &[0, 6, 1, 2, 3, 4]);
    let frames = [configs(), whole(9, 40, &picture(true, &[9; 3000]))].concat();
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(&opening()).await.unwrap();
    let mut publisher = accept(ours, &Limits::default()).await.unwrap().permit().await.unwrap();
    theirs.write_all(&[window, ping, frames, goodbye()].concat()).await.unwrap();
    theirs.shutdown().await.unwrap();
    while publisher.next().await.unwrap().is_some() {}
    drop(publisher);
    let mut replies = Vec::new();
    theirs.read_to_end(&mut replies).await.unwrap();
    let holds = |bytes: &[u8]| replies.windows(bytes.len()).any(|window| window == bytes);
    assert!(holds(&[0, 0, 6, 4, 0, 0, 0, 0, 0, 7, 1, 2, 3, 4]));
    assert!(holds(&[0, 0, 4, 3, 0, 0, 0, 0, 0, 0]));
}

#[tokio::test]
async fn a_codec_we_cannot_take_is_named_to_us_and_to_the_encoder() {
    for (bytes, sentence) in [
        (whole(9, 0, &[0x14, 1, 2, 3]), "video codec is VP6, expected H.264, H.265 or AV1"),
        (whole(9, 0, b"\x90vp09config"), "video codec is vp09, expected H.264, H.265 or AV1"),
        (whole(8, 0, &[0x2F, 1, 2, 3]), "audio codec is MP3, expected AAC"),
        (whole(8, 0, b"\x90Opusconfig"), "audio codec is Opus, expected AAC"),
    ] {
        let outcome = publish(&bytes).await;
        assert!(outcome.heard(&sentence[1..]), "{sentence}");
        assert_eq!(outcome.error(), sentence);
    }
}

#[tokio::test]
async fn a_connection_closed_without_a_word_is_no_orderly_end() {
    let frame = whole(9, 40, &picture(true, &[9; 300]));
    for length in 1..=frame.len() {
        let outcome = feed(&[&opening(), &configs(), &frame[..length]].concat(), usize::MAX).await;
        assert!(outcome.end.unwrap_err().is_goodbye(), "{length}");
    }
    publish(&frame).await.end.unwrap();
}

#[tokio::test]
async fn a_connection_closed_before_publishing_is_a_goodbye() {
    let all = opening();
    for length in (0..all.len()).step_by(37) {
        let outcome = feed(&all[..length], usize::MAX).await;
        assert!(outcome.end.unwrap_err().is_goodbye(), "{length}");
    }
}

#[tokio::test]
async fn other_protocols_are_told_apart() {
    assert_eq!(feed(b"GET / HTTP/1.1", usize::MAX).await.error(), "protocol version is 71, expected 3");
    let play = [opening()[..3073].to_vec(), command("play", 1.0, &[vec![5], text("KEY")])].concat();
    let outcome = feed(&play, usize::MAX).await;
    assert!(outcome.heard("NetStream.Play.Failed"));
    assert_eq!(outcome.error(), "command is play, expected publish");
}

fn asked(name: &str) -> Vec<u8> {
    match name {
        "connect" => command(name, 1.0, &[object(&[("app", text("live"))])]),
        "publish" => command(name, 5.0, &[vec![5], text("KEY"), text("live")]),
        "releaseStream" | "FCPublish" => command(name, 2.0, &[vec![5], text("KEY")]),
        _ => command(name, 4.0, &[vec![5]]),
    }
}

#[tokio::test]
async fn commands_before_publish_may_come_in_any_order_twice_or_not_at_all() {
    for order in [
        "connect publish",
        "connect createStream publish",
        "connect FCPublish releaseStream createStream publish",
        "connect createStream FCPublish releaseStream publish",
        "releaseStream FCPublish connect createStream publish",
        "connect createStream _checkbw createStream releaseStream releaseStream FCPublish FCPublish publish",
        "connect connect getStreamLength FCSubscribe FCUnpublish createStream publish",
    ] {
        let commands = order.split(' ').flat_map(asked).collect();
        let frame = whole(9, 40, &picture(true, &[9; 3]));
        let bytes = [handshake(), commands, configs(), frame, goodbye()].concat();
        let outcome = feed(&bytes, usize::MAX).await;
        assert!(outcome.heard("NetStream.Publish.Start"), "{order}");
        assert_eq!(pictures(&outcome.media), [(40, 3)], "{order}");
        outcome.end.unwrap();
    }
}

#[tokio::test]
async fn to_publish_without_connecting_is_refused() {
    let bytes = [handshake(), asked("createStream"), asked("publish")].concat();
    assert_eq!(feed(&bytes, usize::MAX).await.error(), "command is publish, expected connect");
}

#[tokio::test]
async fn to_publish_twice_is_answered_and_the_stream_goes_on() {
    let frames = |time| whole(9, time, &picture(true, &[9; 3]));
    let outcome = publish(&[configs(), frames(40), asked("publish"), frames(80)].concat()).await;
    assert!(outcome.heard("This connection publishes already."));
    assert_eq!(pictures(&outcome.media), [(40, 3), (80, 3)]);
}

#[tokio::test]
async fn an_encoder_that_neither_acknowledges_nor_reads_what_we_do_is_heard_out() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 16);
    let frames = (0..200).flat_map(|index| whole(9, index * 40, &picture(true, &vec![9; 20_000])));
    let bytes =
        [opening(), whole(5, 0, &2000u32.to_be_bytes()), configs(), frames.collect(), goodbye()].concat();
    let sending = async {
        theirs.write_all(&bytes).await.unwrap();
        theirs.shutdown().await.unwrap();
    };
    let receiving = async {
        let mut publisher = accept(ours, &Limits::default()).await?.permit().await?;
        let mut media = Vec::new();
        while let Some(next) = publisher.next().await? {
            media.push(next);
        }
        Ok::<_, Error>(media)
    };
    let (media, ()) = tokio::join!(receiving, sending);
    assert_eq!(pictures(&media.unwrap()).len(), 200);
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_is_silent_for_ten_seconds_is_waited_for_again_and_again() {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(&[opening(), configs()].concat()).await.unwrap();
    let mut publisher = accept(ours, &Limits::default()).await.unwrap().permit().await.unwrap();
    let mut media = Vec::new();
    let sending = async {
        for (index, silence) in [3, 5, 10, 10, 10].into_iter().enumerate() {
            tokio::time::sleep(Duration::from_secs(silence)).await;
            let time = u32::try_from(index).unwrap() * 40;
            theirs.write_all(&whole(9, time, &picture(true, &[9; 3]))).await.unwrap();
        }
        theirs.write_all(&goodbye()).await.unwrap();
        theirs.shutdown().await.unwrap();
    };
    let receiving = async {
        while let Some(next) = publisher.next().await.unwrap() {
            media.push(next);
        }
    };
    tokio::join!(sending, receiving);
    assert_eq!(pictures(&media).len(), 5);
}

/// What a caller gets that asks again every tenth of a second, as a session does that has other things to look after;
/// the encoder keeps its connection open.
async fn asked_again_and_again(bytes: &[u8]) -> (Result<Vec<Media>, Error>, Vec<u8>) {
    let (ours, mut theirs) = tokio::io::duplex(1 << 20);
    theirs.write_all(&[&opening(), bytes].concat()).await.unwrap();
    let mut publisher = accept(ours, &Limits::default()).await.unwrap().permit().await.unwrap();
    let mut beat = tokio::time::interval(Duration::from_millis(100));
    let (mut media, mut beats) = (Vec::new(), 0);
    let end = loop {
        tokio::select! {
            next = publisher.next() => match next {
                Ok(Some(next)) => media.push(next),
                Ok(None) => break Ok(media),
                Err(error) => break Err(error),
            },
            _ = beat.tick() => beats += 1,
        }
        assert!(beats < 100, "it never comes to an end");
    };
    drop(publisher);
    let mut replies = Vec::new();
    theirs.read_to_end(&mut replies).await.unwrap();
    (end, replies)
}

#[tokio::test(start_paused = true)]
async fn an_encoder_that_stops_and_keeps_its_connection_is_known_to_have_stopped() {
    let again = command("publish", 7.0, &[vec![5], text("KEY"), text("live")]);
    let bytes = [configs(), whole(9, 0, &picture(true, &[9; 3])), goodbye(), again].concat();
    let (media, replies) = asked_again_and_again(&bytes).await;
    assert_eq!(media.unwrap().len(), 3);
    let heard = String::from_utf8_lossy(&replies).into_owned();
    assert!(heard.contains("connect again to publish"), "{heard}");
}

#[tokio::test(start_paused = true)]
async fn a_codec_we_cannot_take_ends_the_stream_however_often_its_caller_looks_elsewhere() {
    let bytes = [configs(), whole(9, 0, &[0x22, 0, 0, 0]), whole(9, 40, &picture(true, &[9; 3]))].concat();
    let (media, _) = asked_again_and_again(&bytes).await;
    assert!(matches!(media, Err(Error::Codec { .. })), "{media:?}");
}
