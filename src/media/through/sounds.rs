//! Sound whose times are a little off, or can't be meant at all.

use super::{BEEPS, FLASHES, assert_at, assert_near, decoded, flashing, through};
use crate::media::proof::Clip;

/// Writes another rate into the header of an AVI's sound (`dwRate` of its `strh`), by which its packets are counted.
fn with_rate(clip: Clip, change: impl Fn(u32) -> u32) -> Clip {
    let mut bytes = std::fs::read(&clip.path).expect("a clip");
    let at = bytes.windows(4).position(|window| window == b"auds").expect("a header of sound") + 24;
    let rate = u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"));
    bytes[at..at + 4].copy_from_slice(&change(rate).to_le_bytes());
    clip.replaced(&bytes)
}

#[test]
fn sound_whose_times_can_t_be_meant_follows_its_own_samples() {
    let pictures = "-c:v mpeg4 -qscale:v 4 -g 25";
    for sound in ["-c:a libmp3lame", "-c:a mp2", "-c:a pcm_s16le"] {
        for wrong in [|rate| rate * 100, |rate| rate * 3] {
            let clip = flashing("wrong.avi", (6, 6), &format!("{pictures} {sound}"));
            let made = through(&with_rate(clip, wrong).path);
            assert_at(sound, &made.beeps(), &[1.0, 3.0, 5.0]);
            assert_eq!(made.probe.warnings, [], "{sound}");
            assert!((made.seconds() - 6.0).abs() < 0.1, "{sound}: {} s", made.seconds());
        }
    }
}

#[test]
fn a_gap_too_small_to_be_one_is_made_up_before_anyone_sees_it() {
    for gap in ["0.083", "0.06"] {
        let folder = tempfile::tempdir().expect("a folder");
        let later = format!("'PTS+gte(T,2)*{gap}/TB'");
        let made = std::process::Command::new("ffmpeg")
            .args([
                "-v", "error", "-y", "-f", "lavfi", "-t", "9", "-i", FLASHES, "-f", "lavfi", "-t", "9", "-i",
                BEEPS,
            ])
            .args([
                "-vf",
                &format!("setpts={later}"),
                "-af",
                &format!("asetpts={later}"),
                "-fps_mode",
                "passthrough",
            ])
            .args(["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "mp2", "-muxdelay", "0"])
            .arg(folder.path().join("gap.ts"))
            .status();
        assert!(made.expect("ffmpeg").success());
        let made = through(&Clip::in_folder(folder, "gap.ts").path);
        let gap: f64 = gap.parse().expect("a number");
        let wanted = [1.0, 3.0 + gap, 5.0 + gap, 7.0 + gap];
        assert_near("flashes", &made.flashes()[0], (&wanted, 0.025));
        assert_near("beeps", &made.beeps(), (&wanted, 0.025));
    }
}

#[test]
fn a_recording_of_others_with_a_header_of_nonsense_is_heard() {
    let folder = std::env::var_os("POLICAST_CORPUS").map_or_else(
        || std::path::PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/corpus")),
        std::path::PathBuf::from,
    );
    let path = folder.join("09-legacy/androidx__sample-with-large-length.avi");
    if !path.is_file() {
        eprintln!("{} is not there: skipped", path.display());
        return;
    }
    let made = through(&path);
    assert_eq!(made.probe.warnings, []);
    let samples = decoded(&made.file("audio"), "-vn -ac 1 -ar 8000 -f u8");
    let heard =
        samples.chunks(400).filter(|block| block.iter().any(|sample| sample.abs_diff(128) > 6)).count();
    assert!(heard > 36, "{heard} twentieths of two seconds");
}
