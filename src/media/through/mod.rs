//! For tests: a source through probe, plan, every chunk and its sound, in process; and when it flashes and beeps.

mod clocks;
mod leads;
mod sounds;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use super::ladder::{self, LadderSettings};
use super::proof::{Clip, Heard, ear, judge};
use super::task::{Audio, Chunk, Limits, Outcome, Source};
use super::wire::Emit;
use super::{audio, encode, probe, timeline};
use crate::domain::media::{Coding, Ladder, Probe, TICKS_PER_SECOND, Timeline};

/// Black with a flash, and silence with a beep, for 0.12 s from the first second on and then each two seconds.
pub const FLASHES: &str =
    "color=black:s=640x360:r=25,drawbox=c=white:t=fill:enable='between(mod(t,2),1,1.119)'";
pub const BEEPS: &str = "sine=1000:r=48000,volume='if(between(mod(t,2),1,1.12),1,0)':eval=frame";

/// A clip of flashes and beeps that lasts so many seconds, coded as told.
pub fn flashing(name: &str, (pictures, sound): (u32, u32), coding: &str) -> Clip {
    let folder = tempfile::tempdir().expect("a folder");
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-t", &pictures.to_string(), "-i", FLASHES])
        .args(["-f", "lavfi", "-t", &sound.to_string(), "-i", BEEPS])
        .args(coding.split_whitespace())
        .arg(folder.path().join(name))
        .status();
    assert!(made.expect("ffmpeg").success(), "{coding}");
    Clip::in_folder(folder, name)
}

/// What became of a source.
pub struct Through {
    pub probe: Probe,
    pub ladder: Ladder,
    pub heard: Heard,
    folder: tempfile::TempDir,
}

/// Probes, plans and encodes a file.
pub fn through(path: &Path) -> Through {
    let settings = LadderSettings { preset: "ultrafast".to_owned(), ..LadderSettings::default() };
    let silent = Emit::new(|_, _| Ok(()));
    let source = || File::open(path).expect("a source");
    let probe = match probe::run(&Limits::default(), source(), &silent).expect("a probe") {
        Outcome::Probed { probe } => *probe,
        other => panic!("{other:?}"),
    };
    let ladder = ladder::plan(&probe, &settings);
    let timeline = timeline::plan(&probe, &ladder);
    let (emit, heard) = ear();
    for (at, first) in timeline.chunks.iter().enumerate() {
        let end = timeline.chunks.get(at + 1).copied().unwrap_or(u32::MAX);
        let task = chunk(&probe, &ladder, &timeline, (*first, end));
        encode::run(&task, source(), &emit).expect("encoded");
    }
    if let (Some(stream), Some(rung)) = (&probe.audio, &ladder.audio) {
        let task = Audio {
            source: Source { size_bytes: 0 },
            choices: stream.choices(),
            video: probe.video.clone(),
            rung: rung.clone(),
            starts: timeline.starts.clone(),
            end: timeline.end,
        };
        let outcome = audio::run(&task, source(), &emit).expect("run");
        assert!(matches!(outcome, Outcome::Encoded { .. }), "{outcome:?}");
    }
    drop(emit);
    let heard = Arc::into_inner(heard).expect("the only one").into_inner().expect("unpoisoned");
    assert_eq!(heard.failed, Vec::<String>::new());
    Through { probe, ladder, heard, folder: tempfile::tempdir().expect("a folder") }
}

fn chunk(probe: &Probe, ladder: &Ladder, timeline: &Timeline, (first, end): (u32, u32)) -> Chunk {
    let segments = u32::try_from(timeline.starts.len()).expect("few");
    let end = end.min(segments);
    Chunk {
        source: Source { size_bytes: 0 },
        video: probe.video.clone(),
        seekable: probe.seekable,
        first_segment: first,
        starts: timeline.starts[first as usize..end as usize].to_vec(),
        end: timeline.starts.get(end as usize).copied().unwrap_or(timeline.end),
        last: end == segments,
        rungs: ladder.rungs.clone(),
    }
}

impl Through {
    /// How long it is, in seconds.
    pub fn seconds(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a test's few seconds")]
        let seconds = self.probe.duration as f64 / TICKS_PER_SECOND as f64;
        seconds
    }

    /// When pictures turn white, by rung, to a fiftieth of a second.
    pub fn flashes(&self) -> Vec<Vec<f64>> {
        let rungs = self.ladder.rungs.iter().map(|rung| flashes(&self.file(&rung.name)));
        rungs.collect()
    }

    /// When sound begins, to a two hundredth of a second.
    pub fn beeps(&self) -> Vec<f64> {
        beeps(&self.file("audio"))
    }

    /// Every rung is whole: its segments begin with keyframes where they say, at 0 and then without a gap, and decode.
    pub fn judge(&self) {
        let beside = Clip::in_folder(tempfile::tempdir().expect("a folder"), "none");
        for rung in &self.ladder.rungs {
            let track = &self.heard.tracks[&rung.name];
            judge(&beside, &rung.name, track);
            assert_eq!(track.edges()[0], 0, "{}", rung.name);
        }
    }

    /// A rung is the source's own pictures.
    pub fn is_passed_through(&self) -> bool {
        self.ladder.rungs.iter().any(|rung| rung.coding == Coding::Copy)
    }

    fn file(&self, rung: &str) -> PathBuf {
        let path = self.folder.path().join(format!("{rung}.mp4"));
        std::fs::write(&path, self.heard.tracks[rung].whole()).expect("written");
        path
    }
}

/// When pictures turn white.
pub fn flashes(path: &Path) -> Vec<f64> {
    let bright = decoded(path, "-an -vf fps=50:start_time=0,scale=1:1:flags=area,format=gray -f rawvideo");
    onsets(bright.iter().map(|level| *level > 110), 50.0, 1)
}

/// When sound begins after a tenth of a second of silence.
pub fn beeps(path: &Path) -> Vec<f64> {
    let samples = decoded(path, "-vn -af aresample=async=0 -ac 1 -ar 8000 -f u8");
    let loud = samples.chunks(40).map(|block| block.iter().any(|sample| sample.abs_diff(128) > 6));
    onsets(loud, 200.0, 20)
}

fn decoded(path: &Path, arguments: &str) -> Vec<u8> {
    let mut ffmpeg = Command::new("ffmpeg");
    ffmpeg.args(["-v", "error", "-i"]).arg(path).args(arguments.split_whitespace()).arg("-");
    ffmpeg.output().expect("ffmpeg").stdout
}

/// Where something begins that was not there for `apart` steps before.
fn onsets(steps: impl Iterator<Item = bool>, rate: f64, apart: u32) -> Vec<f64> {
    let (mut found, mut absent) = (Vec::new(), apart);
    for (at, there) in (0_u32..).zip(steps) {
        if there && absent >= apart {
            found.push(f64::from(at) / rate);
        }
        absent = if there { 0 } else { absent + 1 };
    }
    found
}

/// The moments are these, give or take a twentieth of a second.
pub fn assert_at(what: &str, found: &[f64], wanted: &[f64]) {
    assert_near(what, found, (wanted, 0.05));
}

/// The moments are these, give or take so much.
pub fn assert_near(what: &str, found: &[f64], (wanted, within): (&[f64], f64)) {
    let near = found.len() == wanted.len()
        && found.iter().zip(wanted).all(|(found, wanted)| (found - wanted).abs() <= within);
    assert!(near, "{what}: {found:?}, wanted {wanted:?}");
}
