//! Configurations that come late, again, in band, or change in mid-stream.

use bytes::Bytes;
use policast::live::cut::{Cutter, Error, Settings, Track};
use policast::live::frame::{Media, VideoConfig, VideoFrame};

use super::flv::MS;
use super::judge::{check_rules, check_times, only, played, worst_offset};
use super::stage::{Broadcast, Stream};
use super::usual::*;

/// The usual stream, and from this time on what `is_taken` of the other one.
fn spliced(is_taken: impl Fn(&Media) -> bool, from_ms: i64) -> Vec<Media> {
    let mut media = kept(usual(), |media| !is_taken(media) || time_ms(media) < from_ms);
    let tail = other().media.iter().filter(|media| is_taken(media));
    let tail =
        tail.filter(|media| !matches!(media, Media::Video(_) | Media::Audio(_)) || time_ms(media) >= from_ms);
    for new in tail {
        let time = if time_ms(new) == 0 { from_ms } else { time_ms(new) };
        let is_later = |old: &Media| time_ms(old) > time;
        let place = media.iter().position(is_later).unwrap_or(media.len());
        media.insert(place, new.clone());
    }
    media
}

#[test]
fn new_pictures_in_mid_stream_begin_a_segment_after_a_discontinuity_in_both_tracks() {
    let media = spliced(|media| matches!(media, Media::Video(_) | Media::VideoConfig(_)), 4_000);
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let [old, new] = broadcast.inits(Track::Video)[..] else { panic!("{:?}", broadcast.inits.len()) };
    assert_eq!(played(&broadcast, old).len(), 100);
    assert_eq!(played(&broadcast, new).len(), 150);
    assert_eq!(broadcast.inits(Track::Audio).len(), 1);
    let breaks = broadcast.ends.iter().filter(|end| end.discontinuity);
    let breaks: Vec<_> = breaks.map(|end| (end.track, end.number)).collect();
    assert_eq!(breaks.len(), 2, "{breaks:?}");
    assert!(breaks.contains(&(Track::Video, 2)) && breaks.contains(&(Track::Audio, 2)));
}

/// Every frame of the other stream's sound that was sent is there, and all of the broadcast's pictures; the numbers of
/// the segments after a discontinuity.
fn heard_whole(media: &[Media]) -> Vec<(Track, u32)> {
    let broadcast = Broadcast::cut(media);
    let inits = broadcast.inits(Track::Audio);
    let [old, new] = inits[..] else { panic!("{}", inits.len()) };
    assert_ne!(old.number, new.number);
    check_times(&played(&broadcast, old));
    let found = played(&broadcast, new);
    check_times(&found);
    let frames = media.iter().filter_map(|media| match media {
        Media::Audio(frame) => other().hashes.get(&frame.data),
        _ => None,
    });
    let lost: Vec<_> = frames.filter(|hash| found.iter().all(|packet| packet.hash != **hash)).collect();
    assert!(lost.is_empty(), "{} frames are lost", lost.len());
    let worst = worst_offset(other(), media, &found);
    assert!(worst <= IN_STEP, "sound is {} ms off", worst / MS);
    assert_eq!(broadcast.inits(Track::Video).len(), 1);
    assert_eq!(only(&broadcast, Track::Video).len(), pictures(media));
    let breaks = broadcast.ends.iter().filter(|end| end.discontinuity);
    breaks.map(|end| (end.track, end.number)).collect()
}

#[test]
fn new_sound_around_a_keyframe_is_heard_whole_after_a_discontinuity_in_both_tracks() {
    for (from_ms, segment) in [(3_900, 2), (4_000, 3), (4_100, 3)] {
        let mut breaks = heard_whole(&spliced(is_audio, from_ms));
        breaks.sort_by_key(|(track, _)| *track == Track::Audio);
        assert_eq!(breaks, [(Track::Video, segment), (Track::Audio, segment)], "from {from_ms} ms on");
    }
}

#[test]
fn new_sound_between_keyframes_begins_the_next_segment_early() {
    let media = spliced(is_audio, 4_700);
    let mut breaks = heard_whole(&media);
    breaks.sort_by_key(|(track, _)| *track == Track::Audio);
    assert_eq!(breaks, [(Track::Video, 3), (Track::Audio, 3)]);
    let broadcast = Broadcast::cut(&media);
    let starts = [Track::Video, Track::Audio].map(|track| broadcast.starts(track)[3] / MS);
    assert_eq!(starts[0], 6_000);
    assert!((4_600..4_800).contains(&starts[1]), "{starts:?}");
}

#[test]
fn sound_that_changes_twice_before_a_keyframe_is_heard_and_both_tracks_break_alike() {
    let once = spliced(is_audio, 4_300);
    let at = once.iter().position(|media| time_ms(media) >= 4_900).unwrap();
    let back = usual().media.iter().filter(|media| is_audio(media));
    let back = back.filter(|media| matches!(media, Media::AudioConfig(_)) || time_ms(media) >= 4_900);
    let early = once[..at].iter();
    let late = once[at..].iter().filter(|media| !is_audio(media)).chain(back);
    let mut late: Vec<_> = late.cloned().collect();
    late.sort_by_key(|media| if time_ms(media) == 0 { 4_900 } else { time_ms(media) });
    let broadcast = Broadcast::cut(&early.cloned().chain(late).collect::<Vec<_>>());
    assert_eq!(broadcast.inits(Track::Audio).len(), 3);
    let breaks = |track| {
        let ends = broadcast.ends(track).into_iter().filter(|end| end.discontinuity);
        ends.map(|end| end.number).collect::<Vec<_>>()
    };
    assert_eq!(breaks(Track::Video), [3, 4]);
    assert_eq!(breaks(Track::Audio), [3, 4]);
    assert_eq!(only(&broadcast, Track::Video).len(), 250);
}

/// The parameter sets of an `avcC`, each behind its length.
fn parameter_sets(media: &[Media]) -> Vec<u8> {
    let config = media.iter().find_map(|media| match media {
        Media::VideoConfig(VideoConfig::Avc(config)) => Some(config),
        _ => None,
    });
    let mut rest = &config.unwrap()[5..];
    let mut sets = Vec::new();
    for mask in [0x1f, 0xff] {
        let count = rest[0] & mask;
        rest = &rest[1..];
        for _ in 0..count {
            let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            sets.extend([&[0, 0], &rest[..2 + size]].concat());
            rest = &rest[2 + size..];
        }
    }
    sets
}

fn in_band(stream: &Stream) -> Vec<Media> {
    let sets = parameter_sets(&stream.media);
    let media = stream.media.iter().filter(|media| !matches!(media, Media::VideoConfig(_)));
    let with_sets = |media: &Media| match media {
        Media::Video(frame) if frame.key => {
            let data = Bytes::from([sets.as_slice(), &frame.data].concat());
            Media::Video(VideoFrame { data, ..frame.clone() })
        }
        media => media.clone(),
    };
    media.map(with_sets).collect()
}

#[test]
fn parameter_sets_that_come_only_in_band_are_found() {
    let broadcast = Broadcast::cut(&in_band(usual()));
    check_rules(&broadcast);
    let video = only(&broadcast, Track::Video);
    check_times(&video);
    assert_eq!(video.len(), 250);
    assert_eq!(broadcast.inits[0].codecs, Broadcast::cut(&usual().media).inits[0].codecs);
}

#[test]
fn pictures_that_change_in_band_only_begin_a_segment_after_a_discontinuity() {
    let early = in_band(usual()).into_iter().filter(|media| time_ms(media) < 4_000 && !is_audio(media));
    let late = in_band(other()).into_iter().filter(|media| time_ms(media) >= 4_000 && !is_audio(media));
    let broadcast = Broadcast::cut(&early.chain(late).collect::<Vec<_>>());
    check_rules(&broadcast);
    let [old, new] = broadcast.inits(Track::Video)[..] else { panic!("{}", broadcast.inits.len()) };
    assert_eq!((played(&broadcast, old).len(), played(&broadcast, new).len()), (100, 150));
}

#[test]
fn a_configuration_sent_again_changes_nothing() {
    let configs = kept(usual(), |media| matches!(media, Media::VideoConfig(_) | Media::AudioConfig(_)));
    let mut media = usual().media.clone();
    media.splice(300..300, configs);
    let broadcast = check_in_step(&media, &usual().media);
    assert_eq!(broadcast.inits.len(), 2);
}

#[test]
fn a_configuration_that_says_nothing_is_refused_and_the_stream_goes_on() {
    let mut cutter = Cutter::new(Settings::default());
    let mut broadcast = Broadcast::default();
    let (early, late) = usual().media.split_at(300);
    broadcast.push(&mut cutter, early).unwrap();
    for bytes in ["", "\x01", "\x01\x64\x00\x1f\x7f\x61\x00\x00\x01\x00\x00", "abcdefghijkl"] {
        for config in [VideoConfig::Avc, VideoConfig::Hevc, VideoConfig::Av1] {
            let config = Media::VideoConfig(config(Bytes::from_static(bytes.as_bytes())));
            assert!(matches!(cutter.push(config), Err(Error::Config { .. })));
        }
    }
    assert!(cutter.push(Media::AudioConfig(Bytes::new())).is_err());
    broadcast.push(&mut cutter, late).unwrap();
    broadcast.finish(&mut cutter);
    check_rules(&broadcast);
    assert_eq!(only(&broadcast, Track::Video).len(), 250);
}
