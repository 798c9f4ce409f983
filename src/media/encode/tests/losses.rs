//! Sources with new parameter sets, without clean keyframes, damaged or cut: what comes out, and what is told.

use std::fs::File;
use std::path::Path;

use super::{RATE, S, X264, judged, two_rungs};
use crate::domain::media::Coding;
use crate::media::encode::Reader;
use crate::media::proof::{Clip, Heard, chunk, clip, encoded, pictures, probe, rung, split, video};
use crate::media::task::Chunk;

/// What pictures are compared in: small enough to leave coding aside, large enough for a smear to be seen.
const SMALL: (usize, usize) = (40, 24);
/// Mean difference of two pictures that show the same, coded twice.
const SAME: u32 = 9;

/// In red, green and blue: rungs keep light and colour by another matrix than some sources.
fn seen(path: &Path) -> Vec<Vec<u8>> {
    pictures(path, SMALL, "rgb24")
}

fn difference(one: &[u8], other: &[u8]) -> u32 {
    let sum: u32 = one.iter().zip(other).map(|(one, other)| u32::from(one.abs_diff(*other))).sum();
    sum / u32::try_from(one.len()).expect("small")
}

/// Every picture of a rung from `from` on is like the source's picture of the same number.
fn assert_alike(clip: &Clip, heard: &Heard, name: &str, from: usize) {
    let made = seen(&clip.beside("made.mp4", &heard.tracks[name].whole()));
    let source = seen(&clip.path);
    assert_eq!(made.len(), source.len() - from);
    for (number, (made, source)) in made.iter().zip(&source[from..]).enumerate() {
        let far = difference(made, source);
        assert!(far < SAME, "picture {} of {name} is {far} from the source's", from + number);
    }
}

/// Overwrites the packets shown from one second to another.
fn spoiled(clip: Clip, (from, to): (f64, f64)) -> Clip {
    let told = probe(&clip.path, &["-select_streams", "v:0", "-show_packets"]);
    let mut bytes = std::fs::read(&clip.path).expect("a clip");
    for packet in told["packets"].as_array().expect("packets") {
        let text = |name: &str| packet[name].as_str().expect("told");
        let number = |name: &str| text(name).parse::<usize>().expect("a number");
        if (from..to).contains(&text("pts_time").parse::<f64>().expect("a time")) {
            bytes[number("pos") + 4..number("pos") + number("size")].fill(0xff);
        }
    }
    clip.replaced(&bytes)
}

fn refreshing(name: &str, seconds: u32) -> Clip {
    let refresh = "intra-refresh=1:keyint=60:scenecut=0:bframes=0";
    clip(name, &format!("-f lavfi -i testsrc2=s=320x180:r=25:d={seconds} {X264} -x264-params {refresh}"))
}

#[test]
fn a_chunk_that_begins_in_the_middle_of_an_intra_refresh_is_begun_further_back() {
    let clip = refreshing("a.mp4", 10);
    let whole = chunk(&clip, &[0, 6 * S], 10 * S, two_rungs());
    let (heard, _) = encoded(&clip, &split(&whole, 1)[1..]);
    assert_alike(&clip, &heard, "180p", 150);
    assert!(heard.damaged.is_empty(), "{:?}", heard.damaged);
}

#[test]
fn parameter_sets_that_change_on_the_way_are_known_after_a_jump() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/two-descriptions.mp4");
    let made = clip("a.mp4", "-f lavfi -i testsrc2=s=160x90:r=25:d=0.1");
    let clip = made.replaced(&std::fs::read(fixture).expect("a fixture"));
    let whole = chunk(&clip, &[0, 2 * S, 4 * S], 8 * S, vec![rung("90p", 160, 90, RATE)]);
    let (heard, _) = encoded(&clip, std::slice::from_ref(&whole));
    assert_alike(&clip, &heard, "90p", 0);
    let (heard, _) = encoded(&clip, &split(&whole, 2)[1..]);
    assert_alike(&clip, &heard, "90p", 100);
    assert!(heard.damaged.is_empty());
}

#[test]
fn a_source_whose_parameter_sets_change_is_not_passed_through() {
    let fixture = Path::new(env!("CARGO_MANIFEST_DIR")).join("media-fixtures/two-descriptions.mp4");
    let made = clip("a.mp4", "-f lavfi -i testsrc2=s=160x90:r=25:d=0.1");
    let clip = made.replaced(&std::fs::read(fixture).expect("a fixture"));
    let mut rungs = vec![rung("90p", 160, 90, RATE)];
    rungs[0].coding = Coding::Copy;
    let whole = chunk(&clip, &[0, 2 * S, 4 * S], 8 * S, rungs);
    for part in [whole.clone(), split(&whole, 2)[1].clone()] {
        let (heard, _) = encoded(&clip, &[part]);
        assert_eq!(heard.failed, ["90p: the source's parameter sets change on the way"]);
    }
}

#[test]
fn a_chunk_in_which_nothing_decodes_is_filled_with_what_was_before_and_told() {
    let made = clip("a.mp4", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {X264} -g 50"));
    let clip = spoiled(made, (4.0, 8.0));
    let whole = chunk(&clip, &[0, 4 * S, 8 * S], 9 * S, two_rungs());
    let [first, rest] = split(&whole, 1);
    let [second, third] = split(&rest, 1);
    let (heard, ended) = encoded(&clip, &[first, second.clone(), third]);
    assert_eq!(ended, 9 * S);
    assert_eq!(heard.damaged, [(4 * S, 8 * S)]);
    assert!(heard.tracks.values().all(|track| track.edges() == [0, 4 * S, 8 * S, 9 * S]));
    let (heard, _) = encoded(&clip, &[second]);
    let held = &seen(&clip.beside("held.mp4", &heard.tracks["180p"].whole()))[0];
    assert!(difference(held, &seen(&clip.path)[99]) < SAME, "it is not the last picture before");
}

#[test]
fn a_source_that_can_t_be_gone_back_in_is_opened_anew() {
    // Nothing in an SWF file leads to a time.
    let clip = clip("a.swf", "-f lavfi -i testsrc2=s=160x90:r=25:d=4 -c:v flv1 -g 25");
    let bytes = File::open(&clip.path).expect("a clip");
    let mut reader = Reader::open(bytes, &video(&clip.path)).expect("opened");
    let first = reader.next().expect("a packet").data().map(<[u8]>::to_vec);
    (0..60).for_each(|_| drop(reader.next()));
    reader.seek(2 * S, true);
    assert_eq!(reader.next().expect("a packet").data().map(<[u8]>::to_vec), first);
}

#[test]
fn damage_in_the_middle_is_told_up_to_the_next_keyframe() {
    let made = clip("a.mp4", &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=6 {X264} -g 50"));
    let clip = spoiled(made, (3.0, 3.2));
    let (heard, _) = encoded(&clip, &[chunk(&clip, &[0, 4 * S], 6 * S, two_rungs())]);
    let [(from, to)] = heard.damaged[..] else { panic!("{:?}", heard.damaged) };
    assert!((from - 3 * S).abs() <= S / 4 && to == 4 * S, "{from} to {to}");
}

#[test]
fn a_whole_source_has_no_damage_to_be_told() {
    for (name, made) in [
        ("b.mp4", format!("{X264} -g 50 -bf 3 -x264-params open-gop=1")),
        ("b.ts", format!("{X264} -g 50 -bf 2")),
        ("b.webm", "-c:v libvpx -b:v 300k -auto-alt-ref 1 -lag-in-frames 16 -g 50".to_owned()),
        ("b9.webm", "-c:v libvpx-vp9 -b:v 300k -cpu-used 8 -deadline realtime -g 50".to_owned()),
        ("b.avi", "-c:v mpeg4 -bf 2 -g 50".to_owned()),
        ("b.mkv", "-c:v libx265 -preset ultrafast -x265-params log-level=none".to_owned()),
        ("b.mpg", "-c:v mpeg2video -bf 2 -g 12".to_owned()),
    ] {
        let clip = clip(name, &format!("-f lavfi -i testsrc2=s=320x180:r=25:d=9 {made}"));
        let whole = chunk(&clip, &[0, 4 * S, 8 * S], 9 * S, two_rungs());
        let (heard, _) = encoded(&clip, &split(&whole, 1));
        assert!(heard.damaged.is_empty(), "{name}: {:?}", heard.damaged);
    }
}

#[test]
fn what_is_passed_through_of_a_file_that_was_cut_decodes_to_its_last_picture() {
    let h264 = format!("{X264} -g 25 -bf 2");
    for (name, container) in [("a.mp4", "-movflags faststart"), ("a.mkv", ""), ("a.flv", ""), ("a.ts", "")] {
        let made = format!("-f lavfi -i testsrc2=s=320x180:r=25:d=6 {h264} {container}");
        for per_mille in [611, 617, 623] {
            let whole = clip(name, &made);
            let mut rungs = two_rungs();
            rungs[0].coding = Coding::Copy;
            let task = chunk(&whole, &[0, 2 * S], 6 * S, rungs);
            let bytes = std::fs::read(&whole.path).expect("a clip");
            let cut = whole.replaced(&bytes[..bytes.len() * per_mille / 1000]);
            check_cut(&cut, &task, name);
        }
    }
}

/// The rung that is passed through is whole, or is not there.
fn check_cut(cut: &Clip, task: &Chunk, name: &str) {
    let mut encoded = encoded(cut, std::slice::from_ref(task));
    if !encoded.0.failed.is_empty() {
        assert_eq!(encoded.0.failed, ["180p: the decoder complains of the source"], "{name}");
        encoded.0.tracks.remove("180p");
    }
    assert_eq!(encoded.0.tracks.len() + encoded.0.failed.len(), task.rungs.len(), "{name}");
    judged(cut, &encoded);
}
