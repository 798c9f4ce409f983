//! Times that encoders get wrong.

use policast::domain::media::Ticks;
use policast::live::cut::Track;
use policast::live::frame::Media;

use super::flv::MS;
use super::judge::{Packet, check_keyframes, check_rules, check_times, only, stored, worst_offset};
use super::stage::Broadcast;
use super::usual::*;

#[test]
fn pictures_decoded_at_the_same_time_as_the_one_before_have_a_duration() {
    let mut last = 0;
    let media = retimed(usual(), |index, media| {
        if let Media::Video(frame) = media {
            let shown = frame.dts_ticks + i64::from(frame.cts_ticks);
            if index % 5 == 0 {
                frame.dts_ticks = last;
                frame.cts_ticks = i32::try_from(shown - last).unwrap();
            }
            last = frame.dts_ticks;
        }
    });
    check_in_step(&media, &usual().media);
}

#[test]
fn a_jump_of_an_hour_forward_or_backward_leaves_no_trace() {
    for jump in [HOUR_MS, -HOUR_MS, 4_000, -1_500] {
        let media = retimed(usual(), |index, media| move_by(media, if index > 200 { jump } else { 0 }));
        check_in_step(&media, &usual().media);
    }
}

#[test]
fn a_jump_that_one_track_makes_before_the_other_leaves_no_trace() {
    for (video, audio) in [(4_000, 4_400), (4_400, 4_000)] {
        let media = retimed(usual(), |_, media| {
            let after = if is_audio(media) { audio } else { video };
            move_by(media, if time_ms(media) >= after { HOUR_MS } else { 0 });
        });
        check_in_step(&media, &usual().media);
    }
}

#[test]
fn one_wild_timestamp_moves_nothing_else() {
    for wild in [150, 151, 152, 153] {
        let media =
            retimed(usual(), |index, media| move_by(media, if index == wild { 77 * HOUR_MS } else { 0 }));
        let broadcast = Broadcast::cut(&media);
        check_rules(&broadcast);
        assert!(worst_offset(usual(), &usual().media, &only(&broadcast, Track::Video)) <= 90 * MS);
        assert!(worst_offset(usual(), &usual().media, &only(&broadcast, Track::Audio)) <= IN_STEP);
    }
}

#[test]
fn tracks_that_count_from_different_times_start_together() {
    let media = retimed(usual(), |_, media| {
        if is_audio(media) {
            move_by(media, 9 * HOUR_MS);
        }
    });
    let broadcast = Broadcast::cut(&media);
    check_rules(&broadcast);
    let audio = only(&broadcast, Track::Audio);
    // Nobody knows better than by when they arrive.
    assert!(worst_offset(usual(), &usual().media, &audio) <= 200 * MS);
}

#[test]
fn pictures_decoded_after_they_are_shown_are_decoded_earlier() {
    for from in [0, 100, 200] {
        let media = retimed(usual(), |index, media| {
            if let Media::Video(frame) = media
                && index >= from
            {
                frame.dts_ticks += 100 * MS;
                frame.cts_ticks -= 9_000;
            }
        });
        let broadcast = Broadcast::cut(&media);
        let video = only(&broadcast, Track::Video);
        check_times(&video);
        check_keyframes(&broadcast, &video);
        assert_eq!(video.len(), pictures(&media));
        // A few pictures are late until the cutter has learned.
        let settled: Vec<_> = video.into_iter().skip(from / 2 + 25).collect();
        assert!(worst_offset_of_some(&settled) <= 2 * MS);
    }
}

fn worst_offset_of_some(packets: &[Packet]) -> Ticks {
    worst_offset(usual(), &usual().media, packets)
}

#[test]
fn a_composition_offset_out_of_the_world_breaks_nothing() {
    let media = retimed(usual(), |index, media| match media {
        Media::Video(frame) if index % 50 == 33 => {
            frame.cts_ticks = if index % 20 == 13 { i32::MAX } else { i32::MIN }
        }
        _ => {}
    });
    let broadcast = Broadcast::cut(&media);
    let video = stored(&broadcast);
    assert!(video.windows(2).all(|pair| pair[1].dts > pair[0].dts && pair[1].pts >= pair[1].dts));
    assert_eq!(video.len(), pictures(&media));
}

#[test]
fn times_that_pass_24_or_32_bits_of_milliseconds_or_begin_below_0_leave_no_trace() {
    for start in [(1 << 24) - 5_000, (1 << 32) - 5_000, -5_000] {
        let media = retimed(usual(), |_, media| move_by(media, start));
        check_in_step(&media, &usual().media);
    }
}

#[test]
fn times_that_begin_again_at_0_in_mid_stream_leave_no_trace() {
    let (mut again, mut at) = (false, 0);
    let media = retimed(usual(), |index, media| {
        if index > 260 && !again {
            (again, at) = (true, time_ms(media));
        }
        move_by(media, if again { -at } else { 0 });
    });
    check_in_step(&media, &usual().media);
}

#[test]
fn an_encoder_that_stops_for_five_or_ten_seconds_goes_on_where_it_was() {
    for pause in [5_000, 10_000] {
        let media = retimed(usual(), |index, media| move_by(media, if index > 200 { pause } else { 0 }));
        check_in_step(&media, &usual().media);
    }
}

#[test]
fn an_encoder_that_stops_for_up_to_three_seconds_stays_in_step() {
    for pause in [500, 1_000, 2_000, 3_000] {
        let media = retimed(usual(), |index, media| move_by(media, if index > 200 { pause } else { 0 }));
        let broadcast = Broadcast::cut(&media);
        let (video, audio) = (only(&broadcast, Track::Video), only(&broadcast, Track::Audio));
        check_times(&video);
        check_times(&audio);
        check_keyframes(&broadcast, &video);
        assert_eq!(video.len(), pictures(&media));
        // The pause is kept or left out, by both tracks alike.
        let is_at = |truth: &[Media]| {
            worst_offset(usual(), truth, &video) <= 2 * MS && worst_offset(usual(), truth, &audio) <= IN_STEP
        };
        assert!(is_at(&media) || is_at(&usual().media), "after {pause} ms");
    }
}
