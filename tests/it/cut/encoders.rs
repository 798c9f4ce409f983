//! What FFmpeg's encoders send, at every usual frame rate.

use policast::domain::media::Fraction;
use policast::live::cut::{Shape, Track};
use policast::live::frame::Media;

use super::flv::MS;
use super::judge::{check_keyframes, check_lengths, check_rules, check_times, only, worst_offset};
use super::stage::{Broadcast, Encode, Stream};
use crate::clip;

fn count(stream: &Stream, is_counted: fn(&Media) -> bool) -> usize {
    stream.media.iter().filter(|media| is_counted(media)).count()
}

/// Every picture and every frame of sound comes out once, at its time.
fn check_whole(encode: &Encode) -> Broadcast {
    let stream = encode.run();
    let broadcast = Broadcast::cut(&stream.media);
    check_rules(&broadcast);
    check_lengths(&broadcast);
    let video = only(&broadcast, Track::Video);
    check_times(&video);
    check_keyframes(&broadcast, &video);
    assert_eq!(video.len(), count(&stream, |media| matches!(media, Media::Video(_))));
    assert!(worst_offset(&stream, &stream.media, &video) <= MS);
    let first = video.iter().map(|packet| packet.pts).min().unwrap();
    assert_eq!(first, 0);
    let audio = only(&broadcast, Track::Audio);
    check_times(&audio);
    let sent = count(&stream, |media| matches!(media, Media::Audio(_)));
    // What encoders begin with before the first picture is left out.
    assert!((sent - 4..=sent).contains(&audio.len()), "{} of {sent} frames", audio.len());
    assert!((0..24 * MS).contains(&audio[0].pts), "sound starts at {}", audio[0].pts);
    assert!(worst_offset(&stream, &stream.media, &audio) <= 2 * MS);
    broadcast
}

#[test]
fn every_frame_rate_is_cut_into_parts_of_the_right_length() {
    for rate in ["24", "25", "30000/1001", "30", "50", "60000/1001", "60"] {
        let broadcast = check_whole(&Encode { rate, ..Encode::default() });
        assert_eq!(broadcast.ends(Track::Video).len(), 4, "at {rate}");
        for end in broadcast.ends(Track::Video).iter().rev().skip(1) {
            assert!((end.segment.duration - 180_000).abs() <= 40 * MS, "{end:?} at {rate}");
        }
    }
}

#[test]
fn sound_at_any_rate_and_in_mono_stays_in_step() {
    for (rate, channels) in [("44100", "2"), ("32000", "1"), ("22050", "2"), ("16000", "1"), ("48000", "6")] {
        let audio: &[&str] = &["-ar", rate, "-ac", channels];
        let broadcast = check_whole(&Encode { audio, ..Encode::default() });
        let shape = broadcast.inits(Track::Audio)[0].shape;
        let expected =
            Shape::Audio { sample_rate: rate.parse().unwrap(), channels: channels.parse().unwrap() };
        assert_eq!(shape, expected);
    }
}

#[test]
fn without_b_frames_and_with_many_of_them_the_first_picture_is_shown_at_0() {
    for frames in ["0", "1", "8", "16"] {
        check_whole(&Encode { video: &["-bf", frames, "-b_strategy", "0"], ..Encode::default() });
    }
}

#[test]
fn keyframes_every_half_second_make_segments_of_two_seconds() {
    let broadcast = check_whole(&Encode { key_every: "0.5", ..Encode::default() });
    assert_eq!(broadcast.starts(Track::Video), [0, 180_000, 360_000, 540_000]);
}

#[test]
fn keyframes_every_five_seconds_make_segments_of_five_seconds() {
    let broadcast = check_whole(&Encode { key_every: "5", seconds: 11, ..Encode::default() });
    assert_eq!(broadcast.starts(Track::Video), [0, 450_000, 900_000]);
}

#[test]
fn the_master_playlist_learns_codecs_size_and_frame_rate() {
    let video: &[&str] = &[
        "-profile:v",
        "high",
        "-level",
        "3.1",
        "-colorspace",
        "bt709",
        "-color_primaries",
        "bt709",
        "-color_trc",
        "bt709",
        "-vf",
        "setsar=4/3",
    ];
    let broadcast = check_whole(&Encode { rate: "30000/1001", size: "320x180", video, ..Encode::default() });
    let init = broadcast.inits(Track::Video)[0];
    assert_eq!(init.codecs, "avc1.64001f");
    let frame_rate = Some(Fraction { num: 60_000, den: 2_002 });
    assert_eq!(init.shape, Shape::Video { width: 320, height: 180, frame_rate });
    assert_eq!(broadcast.inits(Track::Audio)[0].codecs, "mp4a.40.2");
    for (name, bytes) in
        [("nclx", b"colrnclx\0\x01\0\x01\0\x01".as_slice()), ("pasp", b"pasp\0\0\0\x04\0\0\0\x03")]
    {
        assert!(init.bytes.windows(bytes.len()).any(|window| window == bytes), "no {name}");
    }
}

#[test]
fn the_key_bytes_of_a_segment_are_enough_for_its_first_picture() {
    let broadcast = check_whole(&Encode::default());
    let init = broadcast.inits(Track::Video)[0];
    for end in broadcast.ends(Track::Video) {
        let part = broadcast.parts(Track::Video).into_iter().find(|part| part.segment == end.number).unwrap();
        let key = &part.bytes[..usize::try_from(end.segment.key_bytes).unwrap()];
        let (_folder, file) = clip::place("key.mp4");
        std::fs::write(&file, [&init.bytes, key].concat()).unwrap();
        let args = ["-frames:v", "1", "-f", "framecrc", "-"];
        let output =
            std::process::Command::new("ffmpeg").args(["-v", "fatal", "-i"]).arg(&file).args(args).output();
        let said = String::from_utf8(output.unwrap().stdout).unwrap();
        assert_eq!(said.lines().filter(|line| !line.starts_with('#')).count(), 1);
    }
}
