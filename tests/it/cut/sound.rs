//! Sound that is late, missing, early or out of step.

use std::collections::HashSet;

use policast::live::cut::{Cutter, End, Settings, Track};
use policast::live::frame::Media;

use super::flv::MS;
use super::judge::{check_rules, check_times, only, stored, worst_offset};
use super::stage::Broadcast;
use super::usual::*;

#[test]
fn sound_that_starts_late_is_silent_until_then() {
    let media = kept(usual(), |media| !is_audio(media) || time_ms(media) > 3_000 || time_ms(media) == 0);
    let broadcast = check_in_step(&media, &usual().media);
    let ends = broadcast.ends(Track::Audio);
    assert_eq!((ends[0].number, ends.len()), (0, 5));
}

#[test]
fn sound_that_is_announced_late_and_as_usual_breaks_nothing() {
    let mut media = kept(usual(), |media| !is_audio(media) || time_ms(media) > 3_000);
    let config = usual().media.iter().find(|media| matches!(media, Media::AudioConfig(_))).unwrap();
    let first = media.iter().position(is_audio).unwrap();
    media.insert(first, config.clone());
    let broadcast = check_in_step(&media, &usual().media);
    assert!(broadcast.ends.iter().all(|end| !end.discontinuity));
}

#[test]
fn a_stream_without_sound_is_silent() {
    let media = kept(usual(), |media| !matches!(media, Media::Audio(_) | Media::AudioConfig(_)));
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    assert_eq!((broadcast.ends(Track::Video).len(), broadcast.ends(Track::Audio).len()), (5, 5));
    check_times(&only(&broadcast, Track::Audio));
}

#[test]
fn sound_before_the_first_keyframe_is_heard_while_that_picture_stands() {
    // Pictures come from the keyframe at 4 s on.
    let is_key =
        |media: &&Media| matches!(media, Media::Video(frame) if frame.key && frame.dts_ticks > 3_500 * MS);
    let key = usual().media.iter().find(is_key).map_or(0, time_ms);
    let media = kept(usual(), |media| !matches!(media, Media::Video(_)) || time_ms(media) >= key);
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let (video, audio) = (only(&broadcast, Track::Video), only(&broadcast, Track::Audio));
    check_times(&video);
    check_times(&audio);
    let first = media.iter().find(|media| matches!(media, Media::Audio(_))).map_or(0, time_ms) * MS;
    let mut sent: Vec<_> = media
        .iter()
        .filter_map(|media| match media {
            Media::Video(frame) => Some(frame.dts_ticks + i64::from(frame.cts_ticks) - first),
            _ => None,
        })
        .collect();
    sent.sort_unstable();
    let mut shown: Vec<_> = video.iter().map(|packet| packet.pts).collect();
    shown.sort_unstable();
    // The first picture comes with the first word, all others when they are due.
    assert_eq!((shown[0], shown.len()), (0, sent.len()));
    assert!(
        sent[0] > 3_500 * MS
            && sent[1..].iter().zip(&shown[1..]).all(|(sent, shown)| (sent - shown).abs() <= 2 * MS)
    );
    let heard = media.iter().filter(|media| matches!(media, Media::Audio(_))).count();
    assert!(audio[0].pts < 25 * MS && audio.len() + 2 >= heard, "{} of {heard} frames", audio.len());
    let known =
        audio.iter().filter(|packet| usual().hashes.values().any(|hash| *hash == packet.hash)).count();
    assert!(known + 2 >= heard, "{known} of {heard} frames are those that were sent");
}

#[test]
fn sound_that_pauses_is_replaced_by_silence() {
    let is_gone = |media: &Media| is_audio(media) && (3_000..6_500).contains(&time_ms(media));
    let media = kept(usual(), |media| !is_gone(media));
    let broadcast = check_in_step(&media, &usual().media);
    assert_eq!(broadcast.ends(Track::Audio).len(), 5);
}

#[test]
fn sound_that_ends_early_is_silent_to_the_end() {
    let media = kept(usual(), |media| !is_audio(media) || time_ms(media) < 3_000);
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let (video, audio) = (broadcast.ends(Track::Video), broadcast.ends(Track::Audio));
    assert_eq!(audio.len(), video.len());
    let end = |end: &End| end.segment.start + end.segment.duration;
    assert!((end(audio[4]) - end(video[4])).abs() < 25 * MS);
    check_times(&only(&broadcast, Track::Audio));
}

#[test]
fn sound_that_runs_too_fast_or_too_slow_stays_in_step() {
    for percent in [99, 101] {
        let media = retimed(usual(), |_, media| {
            if let Media::Audio(frame) = media {
                frame.pts_ticks = frame.pts_ticks * percent / 100;
            }
        });
        let broadcast = Broadcast::cut(&media);
        check_rules(&broadcast);
        let audio = only(&broadcast, Track::Audio);
        let worst = worst_offset(usual(), &media, &audio);
        assert!(worst <= 28 * MS, "{} ms at {percent} %", worst / MS);
    }
}

#[test]
fn jitter_in_the_times_of_sound_is_not_heard() {
    let media = retimed(usual(), |index, media| {
        if is_audio(media) {
            move_by(media, i64::try_from(index * 37 % 61).unwrap() - 30);
        }
    });
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let audio = only(&broadcast, Track::Audio);
    // All of it, nothing in between.
    assert!(worst_offset(usual(), &usual().media, &audio) <= 35 * MS);
    assert!(audio.windows(2).all(|pair| (pair[1].pts - pair[0].pts - 1920).abs() <= 1));
    let sent = usual().media.iter().filter(|media| matches!(media, Media::Audio(_))).count();
    assert!(sent - audio.len() <= 5);
}

#[test]
fn while_pictures_stall_sound_goes_on() {
    let mut cutter = Cutter::new(Settings::default());
    let mut broadcast = Broadcast::default();
    let is_gone =
        |media: &Media| matches!(media, Media::Video(_)) && (3_000..7_950).contains(&time_ms(media));
    let media = kept(usual(), |media| !is_gone(media));
    let back =
        media.iter().position(|media| matches!(media, Media::Video(_)) && time_ms(media) > 7_000).unwrap();
    broadcast.push(&mut cutter, &media[..back]).unwrap();
    let heard = broadcast.parts(Track::Audio).last().map(|part| part.start + part.duration).unwrap();
    assert!(heard > 6_400 * MS, "sound has come to {} ms", heard / MS);
    broadcast.push(&mut cutter, &media[back..]).unwrap();
    broadcast.finish(&mut cutter);
    let audio = only(&broadcast, Track::Audio);
    assert!(worst_offset(usual(), &usual().media, &audio) <= IN_STEP);
    assert!(worst_offset(usual(), &usual().media, &stored(&broadcast)) <= MS);
    // The numbers of both tracks are still the same, as are their breaks.
    let numbers = |track| broadcast.ends(track).iter().map(|end| end.number).collect::<Vec<_>>();
    assert_eq!(numbers(Track::Audio), numbers(Track::Video));
}

#[test]
fn sound_sent_well_ahead_of_the_first_keyframe_is_heard() {
    let is_ahead = |media: &Media| !matches!(media, Media::Video(_)) && time_ms(media) < 1_500;
    let media = [kept(usual(), is_ahead), kept(usual(), |media| !is_ahead(media))].concat();
    let broadcast = check_in_step(&media, &usual().media);
    let sent: HashSet<_> = usual().hashes.values().collect();
    let heard = only(&broadcast, Track::Audio);
    let known = heard.iter().filter(|packet| sent.contains(&packet.hash)).count();
    let all = media.iter().filter(|media| matches!(media, Media::Audio(_))).count();
    assert!(known + 4 >= all, "{known} of {all} frames");
}
