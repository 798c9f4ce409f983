//! How long a source is: as long as what is played of it, whatever its container promises.

use std::fs::File;
use std::io::{Seek, SeekFrom, Write};
use std::path::PathBuf;

use policast::domain::RefusalCode;
use policast::domain::media::Probe;
use policast::media::probe;
use policast::media::task::{Limits, Outcome};
use policast::media::wire::Emit;

use crate::clip::{self, PLAIN, make};

fn probed(source: &[u8], padding: u32) -> Probe {
    let mut file = tempfile::tempfile().expect("a temporary file");
    file.write_all(source).expect("written");
    file.set_len(source.len() as u64 + u64::from(padding)).expect("grown");
    file.seek(SeekFrom::Start(0)).expect("sought");
    run(file)
}

fn run(file: File) -> Probe {
    match probe::run(&Limits::default(), file, &Emit::new(|_, _| Ok(()))) {
        Ok(Outcome::Probed { probe }) => *probe,
        other => panic!("{other:?}"),
    }
}

/// An MP4 as it is, and with an empty box behind it that makes it too large to be read whole.
fn both_ways(movie: &[u8]) -> [Probe; 2] {
    let padding: u32 = 80 << 20;
    let large = [movie, &padding.to_be_bytes(), b"free"].concat();
    [probed(movie, 0), probed(&large, padding - 8)]
}

fn codes(probe: &Probe) -> Vec<RefusalCode> {
    probe.warnings.iter().map(|warning| warning.code).collect()
}

fn assert_long(what: &str, probe: &Probe, seconds: f64) {
    #[expect(clippy::cast_precision_loss, reason = "a test's few seconds")]
    let found = probe.duration as f64 / 90_000.0;
    assert!((found - seconds).abs() < 0.1, "{what}: {found} s, wanted {seconds}");
    assert_eq!(codes(probe), [], "{what}");
}

/// A file beside which another is made.
fn beside(name: &str, bytes: &[u8], arguments: &str, made: &str) -> Vec<u8> {
    let (folder, path) = clip::place(name);
    std::fs::write(&path, bytes).expect("written");
    let bytes = make(&arguments.replace("{}", path.to_str().expect("text")), made);
    drop(folder);
    bytes
}

/// Writes over the duration in every box of this type, whose fields are of 32 bits.
fn with_durations(movie: &[u8], name: [u8; 4], at: usize, duration: u32) -> Vec<u8> {
    let mut changed = movie.to_vec();
    let places: Vec<usize> =
        movie.windows(4).enumerate().filter(|(_, window)| *window == name).map(|(place, _)| place).collect();
    assert!(!places.is_empty());
    for place in places {
        changed[place + at..place + at + 4].copy_from_slice(&duration.to_be_bytes());
    }
    changed
}

#[test]
fn a_start_later_than_zero_is_not_counted_twice() {
    let plain = make(PLAIN, "clip.mp4");
    let late = beside("clip.mp4", &plain, "-itsoffset 5 -i {} -c copy", "late.mp4");
    for probe in both_ways(&late) {
        assert_long("both late", &probe, 2.0);
    }
    let pictures = "-i {} -itsoffset 5 -i {} -map 1:v -map 0:a -c copy";
    for probe in both_ways(&beside("clip.mp4", &plain, pictures, "late.mp4")) {
        assert_long("pictures late", &probe, 7.0);
    }
    let sound = "-i {} -itsoffset 5 -i {} -map 0:v -map 1:a -c copy";
    for probe in both_ways(&beside("clip.mp4", &plain, sound, "late.mp4")) {
        assert_long("sound late", &probe, 7.0);
    }
}

#[test]
fn a_clock_that_begins_far_from_zero_makes_nothing_longer_and_loses_nothing() {
    for name in ["clip.mkv", "clip.ts", "clip.flv", "clip.mov"] {
        assert_long(name, &probed(&make(&format!("{PLAIN} -output_ts_offset 100"), name), 0), 2.0);
    }
}

#[test]
fn a_duration_of_all_ones_is_none() {
    let plain = make(&format!("{PLAIN} -video_track_timescale 1000000"), "clip.mp4");
    let mut unknown = with_durations(&plain, *b"mdhd", 20, u32::MAX);
    unknown = with_durations(&unknown, *b"tkhd", 24, u32::MAX);
    unknown = with_durations(&unknown, *b"mvhd", 20, u32::MAX);
    for probe in both_ways(&unknown) {
        assert_long("all ones", &probe, 2.0);
    }
    let fragmented =
        make(&format!("{PLAIN} -movflags +frag_keyframe+empty_moov+default_base_moof"), "clip.mp4");
    let mut unknown = with_durations(&fragmented, *b"mdhd", 20, u32::MAX);
    unknown = with_durations(&unknown, *b"mvhd", 20, u32::MAX);
    assert_long("fragmented", &probed(&unknown, 0), 2.0);
}

#[test]
fn a_header_that_promises_more_than_an_index_has_is_not_believed() {
    let plain = make(PLAIN, "clip.mp4");
    let longer = with_durations(&plain, *b"mvhd", 20, 60_000);
    for probe in both_ways(&longer) {
        assert_long("a movie's own", &probe, 2.0);
    }
}

#[test]
fn subtitles_and_sound_that_are_not_played_make_nothing_longer() {
    let plain = make(PLAIN, "clip.mp4");
    let words = b"1\n00:00:00,000 --> 00:00:01,000\none\n\n2\n00:00:50,000 --> 00:01:00,000\ntwo\n";
    let (folder, path) = clip::place("words.srt");
    std::fs::write(&path, words).expect("written");
    let words = path.display();
    let tone = "-f lavfi -i sine=d=30";
    for (name, arguments) in [
        ("words.mkv", format!("-i {{}} -i {words} -map 0 -map 1 -c copy -c:s srt")),
        ("words.mp4", format!("-i {{}} -i {words} -map 0 -map 1 -c copy -c:s mov_text")),
        (
            "tone.mkv",
            format!("-i {{}} {tone} -map 0 -map 1 -c:v copy -c:a aac -ac 2 -disposition:a:1 comment"),
        ),
        (
            "tone.mp4",
            format!("-i {{}} {tone} -map 0 -map 1 -c:v copy -c:a aac -ac 2 -disposition:a:1 comment"),
        ),
    ] {
        let made = beside("clip.mp4", &plain, &arguments, name);
        let probes = if name.ends_with("mp4") { both_ways(&made).to_vec() } else { vec![probed(&made, 0)] };
        for probe in probes {
            assert_long(name, &probe, 2.0);
        }
    }
    drop(folder);
}

#[test]
fn the_last_picture_lasts_as_long_as_its_track_says_and_no_longer() {
    let still = "-f lavfi -i color=s=64x64:r=1:d=3 -c:v libx264 -pix_fmt yuv420p";
    for probe in both_ways(&make(still, "still.mp4")) {
        assert_long("three pictures of a second", &probe, 3.0);
    }
}

#[test]
fn a_file_that_is_cut_is_still_told_so() {
    let long = PLAIN.replace("d=2", "d=8");
    for (name, more, keep) in [
        ("clip.mp4", "-movflags +faststart", 6),
        ("clip.mp4", "-movflags +frag_keyframe+default_base_moof", 5),
        ("clip.mkv", "", 5),
        ("clip.flv", "", 5),
        ("clip.avi", "", 5),
    ] {
        let whole = make(&format!("{long} {more}"), name);
        let probe = probed(&whole[..whole.len() * keep / 10], 0);
        assert_eq!(codes(&probe), [RefusalCode::Truncated], "{name} {more}");
    }
}

#[test]
fn whole_files_of_others_are_not_called_cut() {
    let folder = std::env::var_os("POLICAST_CORPUS").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus")),
        PathBuf::from,
    );
    for (name, seconds) in [
        ("16-fragmented-mp4/androidx__sample_fragmented.mp4", 1.068),
        ("16-fragmented-mp4/androidx__sample_partially_fragmented.mp4", 1.156),
        ("20-corrupt-truncated/androidx__sample_mdat_too_long.mp4", 1.089),
    ] {
        let Ok(file) = File::open(folder.join(name)) else {
            eprintln!("{name} is not there: skipped");
            continue;
        };
        assert_long(name, &run(file), seconds);
    }
}
