//! Sound that begins before pictures: none of it is lost, and the first picture stands until they begin.

use std::process::Command;

use super::{Through, assert_at, flashing, through};
use crate::media::proof::Clip;

const CODED: &str = "-c:v libx264 -preset ultrafast -g 50 -bf 2 -pix_fmt yuv420p -c:a aac";

/// The clip again, with its pictures so much later than its sound.
fn later(clip: &Clip, seconds: &str, name: &str) -> Clip {
    let folder = tempfile::tempdir().expect("a folder");
    let path = clip.path.to_str().expect("text");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-i", path, "-itsoffset", seconds, "-i", path])
        .args(["-map", "1:v", "-map", "0:a", "-c", "copy"])
        .arg(folder.path().join(name))
        .status();
    assert!(made.expect("ffmpeg").success());
    Clip::in_folder(folder, name)
}

fn assert_each_rung(made: &Through, wanted: &[f64]) {
    for flashes in made.flashes() {
        assert_at("flashes", &flashes, wanted);
    }
}

#[test]
fn speech_before_the_first_picture_is_heard_in_every_container() {
    let base = flashing("base.mp4", (9, 9), CODED);
    for name in ["late.mp4", "late.mkv", "late.ts", "late.mov", "late.flv", "late.mpg"] {
        let clip = if name == "late.mpg" {
            let mpeg = flashing("base.mpg", (9, 9), "-c:v mpeg2video -b:v 1M -c:a mp2");
            later(&mpeg, "6", name)
        } else {
            later(&base, "6", name)
        };
        let made = through(&clip.path);
        assert!((made.seconds() - 15.0).abs() < 0.1, "{name}: {} s", made.seconds());
        assert_at(name, &made.beeps(), &[1.0, 3.0, 5.0, 7.0]);
        assert_each_rung(&made, &[7.0, 9.0, 11.0, 13.0]);
        assert!(made.probe.warnings.is_empty(), "{name}: {:?}", made.probe.warnings);
        made.judge();
    }
}

#[test]
fn a_passed_through_rung_holds_the_first_picture_as_the_others_do() {
    let made = through(&later(&flashing("base.mp4", (9, 9), CODED), "1.5", "late.mp4").path);
    assert!(made.is_passed_through(), "{:?}", made.probe.keyframes);
    made.judge();
    assert_at("beeps", &made.beeps(), &[1.0, 3.0, 5.0, 7.0]);
    assert_each_rung(&made, &[2.5, 4.5, 6.5, 8.5]);
}

#[test]
fn of_two_microphones_the_one_that_is_on_first_is_the_beginning() {
    let base = flashing("base.mp4", (9, 9), CODED);
    let folder = tempfile::tempdir().expect("a folder");
    let path = base.path.to_str().expect("text");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-itsoffset", "3", "-i", path, "-itsoffset", "2", "-i", path, "-i", path])
        .args(["-map", "0:v", "-map", "1:a", "-map", "2:a", "-c", "copy"])
        .arg(folder.path().join("two.mkv"))
        .status();
    assert!(made.expect("ffmpeg").success());
    let made = through(&Clip::in_folder(folder, "two.mkv").path);
    assert_at("beeps", &made.beeps(), &[1.0, 3.0, 5.0, 7.0, 9.0]);
    assert_each_rung(&made, &[4.0, 6.0, 8.0, 10.0]);
}

#[test]
fn pictures_of_a_container_that_tells_decoding_times_only_begin_with_the_first() {
    for coding in [CODED.replace("-c:a aac", "-c:a libmp3lame"), "-c:v mpeg4 -bf 2 -c:a mp2".to_owned()] {
        let made = through(&flashing("base.avi", (6, 6), &coding).path);
        assert_at("beeps", &made.beeps(), &[1.0, 3.0, 5.0]);
        assert_each_rung(&made, &[1.0, 3.0, 5.0]);
        let pictures = crate::media::proof::probe(&made.file("360p"), &["-show_packets"]);
        assert!(pictures["packets"].as_array().expect("packets").len() >= 148, "{coding}");
    }
}

#[test]
fn pictures_before_the_first_sound_are_followed_by_it_as_before() {
    let base = flashing("base.mp4", (9, 9), CODED);
    let made = through(&later(&base, "-2", "early.mkv").path);
    assert_at("beeps", &made.beeps(), &[3.0, 5.0, 7.0, 9.0]);
    assert_each_rung(&made, &[1.0, 3.0, 5.0, 7.0]);
}

#[test]
fn a_capture_begun_in_mid_group_is_heard_from_its_first_sound_on() {
    for (name, coding, group) in [
        (
            "whole.ts",
            "-c:v libx264 -preset ultrafast -g 100 -keyint_min 100 -bf 2 -pix_fmt yuv420p -c:a aac",
            4.0,
        ),
        ("whole.ts", "-c:v mpeg2video -b:v 1M -g 100 -sc_threshold 1000000000 -bf 2 -c:a mp2", 4.0),
    ] {
        let clip = flashing(name, (11, 11), coding);
        let bytes = std::fs::read(&clip.path).expect("a clip");
        // Somewhere in the first group.
        let cut = bytes.len() / 11 * 2 / 188 * 188;
        let first = first_sound(&clip, &bytes[cut..]);
        let made = through(&clip.replaced(&bytes[cut..]).path);
        let sounds: Vec<f64> =
            [3.0, 5.0, 7.0, 9.0].into_iter().map(|at| at - first).filter(|at| *at > 0.0).collect();
        assert_at(coding, &made.beeps(), &sounds);
        let whole = |at: &f64| at + first >= group;
        assert_each_rung(&made, &sounds.into_iter().filter(whole).collect::<Vec<_>>());
    }
}

/// How much later the first sound of the cut clip is than that of the whole one.
fn first_sound(whole: &Clip, cut: &[u8]) -> f64 {
    let first = |path: &std::path::Path| {
        let mut ffprobe = Command::new("ffprobe");
        ffprobe.args(["-v", "quiet", "-select_streams", "a", "-read_intervals", "%+#1"]);
        ffprobe.args(["-show_entries", "packet=pts_time", "-of", "default=nw=1:nk=1"]).arg(path);
        let told = String::from_utf8(ffprobe.output().expect("ffprobe").stdout).expect("text");
        told.lines().next().and_then(|at| at.trim().parse::<f64>().ok()).expect("a time")
    };
    let path = whole.beside("cut.ts", cut);
    first(&path) - first(&whole.path)
}

#[test]
fn a_damaged_beginning_costs_its_pictures_and_not_its_sound() {
    let clip = flashing("whole.mkv", (9, 9), CODED);
    let told = crate::media::proof::probe(&clip.path, &["-select_streams", "v", "-show_packets"]);
    let mut bytes = std::fs::read(&clip.path).expect("a clip");
    for packet in told["packets"].as_array().expect("packets").iter().take(30) {
        let number =
            |name: &str| packet[name].as_str().and_then(|text| text.parse::<usize>().ok()).expect("a number");
        // Behind the block's own header.
        let (from, size) = (number("pos") + 16, number("size"));
        bytes[from..from + size.saturating_sub(24)].fill(0);
    }
    let made = through(&clip.replaced(&bytes).path);
    assert_at("beeps", &made.beeps(), &[1.0, 3.0, 5.0, 7.0]);
    assert_each_rung(&made, &[3.0, 5.0, 7.0]);
}
