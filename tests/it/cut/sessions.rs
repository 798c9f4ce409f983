//! How a session begins, breaks and is gone on with.

use policast::live::cut::{Cutter, Position, Settings, Track};
use policast::live::frame::{Media, VideoFrame};

use super::flv::MS;
use super::judge::{check_keyframes, check_rules, check_times, only, played};
use super::stage::Broadcast;
use super::usual::*;

#[test]
fn a_stream_joined_in_mid_group_starts_at_its_first_keyframe() {
    let media = kept(usual(), |media| time_ms(media) == 0 || time_ms(media) > 1_000);
    let media: Vec<_> = media
        .into_iter()
        .filter(|media| !matches!(media, Media::Video(VideoFrame { dts_ticks: 0, .. })))
        .collect();
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let video = only(&broadcast, Track::Video);
    check_keyframes(&broadcast, &video);
    assert_eq!(video.iter().map(|packet| packet.pts).min(), Some(0));
    assert_eq!(video.len(), 200);
}

#[test]
fn a_damaged_frame_is_left_out() {
    let mut count = 0;
    let media = retimed(usual(), |_, media| {
        if let Media::Video(frame) = media {
            count += 1;
            if count % 50 == 49 {
                frame.data = frame.data.slice(..frame.data.len() - 1);
            }
        }
    });
    let mut cutter = Cutter::new(Settings::default());
    let mut broadcast = Broadcast::default();
    broadcast.push(&mut cutter, &media).unwrap();
    broadcast.finish(&mut cutter);
    assert_eq!(cutter.damaged(), 5);
    check_rules(&broadcast);
}

#[test]
fn without_a_keyframe_the_stream_goes_on_in_segments_of_the_promised_length() {
    let mut cutter = Cutter::new(Settings::default());
    let mut broadcast = Broadcast::default();
    let media = retimed(usual(), |_, media| {
        if let Media::Video(frame) = media {
            frame.key &= frame.dts_ticks < 3_000 * MS;
        }
    });
    broadcast.push(&mut cutter, &media).unwrap();
    broadcast.finish(&mut cutter);
    check_rules(&broadcast);
    // Keyframes at 0 and 2 s; the next one is waited for as long as 4 s, rounded, let it be, less a frame of sound.
    assert_eq!(cutter.target(), Some(4));
    let starts: Vec<_> = broadcast.starts(Track::Video).iter().map(|start| start / (100 * MS)).collect();
    assert_eq!(starts, [0, 20, 63]);
    let keyed: Vec<_> = broadcast.ends(Track::Video).iter().map(|end| end.segment.key_bytes > 0).collect();
    assert_eq!(keyed, [true, true, false]);
    assert_eq!(only(&broadcast, Track::Video).len(), pictures(&media));
}

#[test]
fn an_encoder_that_comes_back_goes_on_after_a_discontinuity() {
    let mut broadcast = Broadcast::default();
    let mut position = Position::default();
    for (session, stream) in [usual(), other(), usual()].into_iter().enumerate() {
        let settings = Settings::default();
        let mut cutter =
            if session == 0 { Cutter::new(settings) } else { Cutter::resume(settings, position) };
        broadcast.push(&mut cutter, &stream.media).unwrap();
        broadcast.finish(&mut cutter);
        assert!(cutter.position().time > position.time);
        position = cutter.position();
    }
    assert_eq!(position.segment, 15);
    for track in [Track::Video, Track::Audio] {
        // What the first encoder said, the third says again: by the same name.
        let [first, second, third] = broadcast.inits(track)[..] else { panic!("{}", broadcast.inits.len()) };
        assert_eq!((third.number, &third.bytes), (first.number, &first.bytes));
        assert_ne!((second.number, &second.bytes), (first.number, &first.bytes));
        for init in [first, second] {
            check_times(&played(&broadcast, init));
        }
    }
    let breaks =
        |track| broadcast.ends(track).into_iter().filter(|end| end.discontinuity).map(|end| end.number);
    assert_eq!(breaks(Track::Video).collect::<Vec<_>>(), [5, 10]);
    assert_eq!(breaks(Track::Audio).collect::<Vec<_>>(), [5, 10]);
    for track in [Track::Video, Track::Audio] {
        let ends = broadcast.ends(track);
        assert!(ends.windows(2).all(|pair| {
            let gap = pair[1].segment.start - pair[0].segment.start - pair[0].segment.duration;
            pair[1].number == pair[0].number + 1 && (-1..=50 * MS).contains(&gap)
        }));
    }
}

#[test]
fn a_stream_cut_off_among_b_frames_lasts_until_its_last_picture_was_shown() {
    let is_video = |media: &&Media| matches!(media, Media::Video(_));
    for count in 60..66 {
        let last = usual().media.iter().filter(is_video).nth(count).map_or(0, time_ms);
        let media = kept(usual(), |media| time_ms(media) <= last);
        let broadcast = Broadcast::cut(&media);
        check_rules(&broadcast);
        let shown = media.iter().filter_map(|media| match media {
            Media::Video(frame) => Some(frame.dts_ticks + i64::from(frame.cts_ticks)),
            _ => None,
        });
        let first = shown.clone().min().expect("a picture");
        let latest = shown.max().expect("a picture");
        let end = broadcast.ends(Track::Video).last().expect("a segment").segment;
        let over = end.start + end.duration - (latest - first);
        assert!((39 * MS..=41 * MS).contains(&over), "{count}: {} ms", over / MS);
    }
}

#[test]
fn a_session_without_a_keyframe_leaves_the_position_as_it_was() {
    let from = Position { segment: 7, time: 990_000 };
    let mut cutter = Cutter::resume(Settings::default(), from);
    let mut broadcast = Broadcast::default();
    let media = kept(usual(), |media| !matches!(media, Media::Video(frame) if frame.key));
    broadcast.push(&mut cutter, &media).unwrap();
    broadcast.finish(&mut cutter);
    assert_eq!(cutter.position(), from);
    assert!(broadcast.inits.is_empty() && broadcast.parts.is_empty());
}
