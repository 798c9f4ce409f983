//! Chunks as encoders cut them: interleaved, given up, with long times and sizes that change.

use policast::live::rtmp::Limits;

use super::encoder::*;

#[tokio::test]
async fn interleaved_chunks_belong_to_their_messages() {
    let (video, audio) = (picture(true, &[9; 300]), sound(&[1; 200]));
    let bytes = [
        configs(),
        header(6, 40, video.len(), 9),
        video[..128].to_vec(),
        header(4, 40, audio.len(), 8),
        audio[..128].to_vec(),
        vec![0xC6],
        video[128..256].to_vec(),
        vec![0xC4],
        audio[128..].to_vec(),
        vec![0xC6],
        video[256..].to_vec(),
    ]
    .concat();
    let outcome = publish(&bytes).await;
    outcome.end.unwrap();
    assert_eq!((pictures(&outcome.media), sounds(&outcome.media)), (vec![(40, 300)], vec![40]));
}

#[tokio::test]
async fn a_bare_header_repeats_the_difference() {
    let frame = sound(&[1; 20]);
    let second = [&[0x84, 0, 0, 23], &frame[..]].concat();
    let repeated = [&[0xC4], &frame[..]].concat();
    let bytes = [configs(), whole(8, 100, &frame), second, repeated.clone(), repeated].concat();
    assert_eq!(sounds(&publish(&bytes).await.media), [100, 123, 146, 169]);
}

#[tokio::test]
async fn long_times_may_be_repeated_in_each_chunk_or_not() {
    let time = 0x0123_4567;
    let frame = picture(true, &[9; 300]);
    let repeated = cut(9, time, &frame, 128);
    let mut bare = header(6, time + 40, frame.len(), 9);
    bare.extend([&frame[..128], &[0xC6], &frame[128..256], &[0xC6], &frame[256..]].concat());
    let bytes = [configs(), repeated, bare, whole(9, time + 80, &frame)].concat();
    let outcome = publish(&bytes).await;
    outcome.end.unwrap();
    let time = i64::from(time);
    assert_eq!(pictures(&outcome.media), [(time, 300), (time + 40, 300), (time + 80, 300)]);
}

#[tokio::test]
async fn a_given_up_message_leaves_no_trace() {
    let frame = picture(true, &[9; 300]);
    let half = [header(6, 40, frame.len(), 9), frame[..128].to_vec()].concat();
    let abort = [header(2, 0, 4, 2), vec![0, 0, 0, 6]].concat();
    let bytes = [configs(), half.clone(), abort, whole(9, 80, &frame), half, whole(9, 120, &frame)].concat();
    let outcome = publish(&bytes).await;
    outcome.end.unwrap();
    assert_eq!(pictures(&outcome.media), [(80, 300), (120, 300)]);
}

#[tokio::test]
async fn chunk_sizes_change_on_the_way() {
    let size = |bytes: u32| whole(1, 0, &bytes.to_be_bytes());
    let frame = picture(true, &[9; 300]);
    let bytes =
        [configs(), size(0x7FFF_FFFF), cut(9, 40, &frame, 1 << 20), size(1), cut(9, 80, &frame, 1)].concat();
    assert_eq!(pictures(&publish(&bytes).await.media), [(40, 300), (80, 300)]);
    assert_eq!(publish(&size(0)).await.error(), "chunk size is 0, at least 1");
}

#[tokio::test]
async fn a_message_past_the_limit_is_refused_at_its_header() {
    let outcome = publish(&header(6, 0, 9_000_000, 9)).await;
    assert_eq!(outcome.error(), "message is 9000000 bytes, at most 8388608");
    let before = [handshake(), header(6, 0, 70_000, 9)].concat();
    assert_eq!(feed(&before, usize::MAX).await.error(), "message is 70000 bytes, at most 65536");
}

#[tokio::test]
async fn chunk_streams_and_unfinished_messages_are_limited() {
    let many: Vec<u8> = (2..63).flat_map(|lane| header(lane, 0, 0, 99)).collect();
    let more: Vec<u8> = (0..9).flat_map(|lane| [&[0, lane], &header(0, 0, 0, 99)[1..]].concat()).collect();
    let outcome = publish(&[many, more].concat()).await;
    assert_eq!(outcome.error(), "chunk streams are 65, at most 64");

    let limits = Limits { message_bytes: 1000, ..Limits::default() };
    let half = |lane: u8| [header(lane, 0, 200, 9), vec![0; 128]].concat();
    let bytes = [opening(), (10..20).flat_map(half).collect()].concat();
    let outcome = feed_within(&bytes, usize::MAX, &limits).await;
    assert_eq!(outcome.error(), "messages in progress are 1024 bytes together, at most 1000");
}

#[tokio::test]
async fn a_bare_header_after_a_long_time_carries_the_time_of_its_message() {
    let (time, frame) = (0x0123_4567_u32, sound(&[1; 20]));
    let bare = |time: u32| [&[0xC4], &time.to_be_bytes()[..], &frame].concat();
    let bytes = [configs(), whole(8, time, &frame), bare(time + 23), bare(time + 46)].concat();
    let time = i64::from(time);
    assert_eq!(sounds(&publish(&bytes).await.media), [time, time + 23, time + 46]);
}

#[tokio::test]
async fn differences_past_24_bits_are_added_and_repeated() {
    let frame = sound(&[1; 20]);
    let difference = 0x0100_0000_u32.to_be_bytes();
    let second = [&[0x84, 0xFF, 0xFF, 0xFF], &difference[..], &frame].concat();
    let repeated = [&[0xC4], &difference[..], &frame].concat();
    let bytes = [configs(), whole(8, 100, &frame), second, repeated].concat();
    assert_eq!(sounds(&publish(&bytes).await.media), [100, 16_777_316, 33_554_532]);
}

#[tokio::test]
async fn sizes_of_messages_may_change_with_the_short_header() {
    let long = sound(&[1; 200]);
    let short = [&[0x44, 0, 0, 23, 0, 0, 4, 8], &sound(&[1; 2])[..]].concat();
    let bytes = [configs(), cut(8, 100, &long, 128), short].concat();
    let outcome = publish(&bytes).await;
    outcome.end.unwrap();
    assert_eq!(sounds(&outcome.media), [100, 123]);
}
