//! The audio task judged by FFmpeg: where the sound lies, how loud it is, where it is cut.

use std::fs::File;
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use crate::domain::RefusalCode;
use crate::domain::media::{AudioRung, TICKS_PER_SECOND as S, Ticks};
use crate::media::proof::{Clip, Track, clip, ear, loudness, samples, seen, tone, true_peak, video};
use crate::media::task::{Audio, Limits, Outcome, Source};
use crate::media::{Error, audio, probe};

fn task(clip: &Clip, starts: &[Ticks], end: Ticks) -> Audio {
    Audio {
        source: Source { size_bytes: 0 },
        choices: vec![vec![1]],
        video: video(&clip.path),
        rung: AudioRung { name: "audio".to_owned(), channels: 2, bitrate: 128_000, loudness_lufs: -16.0 },
        starts: starts.to_vec(),
        end,
    }
}

fn run(clip: &Clip, task: &Audio) -> (Track, Outcome) {
    let (emit, heard) = ear();
    let source = File::open(&clip.path).expect("opened");
    let outcome = audio::run(task, source, &emit).expect("run");
    let track = heard.lock().expect("unpoisoned").tracks.remove("audio").unwrap_or_default();
    (track, outcome)
}

fn judge(clip: &Clip, track: &Track, end: Ticks) {
    let (packets, played) = seen(clip, "audio", track);
    assert_eq!(track.codecs, "mp4a.40.2");
    for (at, packet) in packets.iter().enumerate() {
        assert_eq!(packet.pts, i64::try_from(at).expect("few") * 1920);
    }
    let edges = track.edges();
    assert_eq!(Some(&played), edges.last());
    assert!((played - end).abs() <= 1920, "ends at {played}, planned {end}");
    assert!(edges.iter().all(|edge| edge % 1920 == 0));
    let told = track.segments.values().map(|(segment, _)| segment.duration).sum::<Ticks>();
    assert_eq!(told, played);
}

/// The task as it follows from the probe.
fn probed(clip: &Clip, end: Ticks) -> Audio {
    let source = File::open(&clip.path).expect("opened");
    let Outcome::Probed { probe } = probe::run(&Limits::default(), source, &ear().0).expect("probed") else {
        panic!("not probed")
    };
    let stream = probe.audio.expect("sound");
    let mut task = task(clip, &[0], end);
    task.rung.channels = stream.channels.min(2);
    task.choices = stream.choices();
    task.video = probe.video;
    task
}

/// The track encoded as it follows from the probe, in a file.
fn heard(clip: &Clip, end: Ticks) -> PathBuf {
    let (track, _) = run(clip, &probed(clip, end));
    judge(clip, &track, end);
    clip.beside("audio.mp4", &track.whole())
}

/// A tone is in a channel from the first second to the last.
fn sounds(path: &Path, channel: u16, hertz: f64) -> bool {
    let samples = samples(path, channel);
    let level = |second: &[f32]| tone(second, hertz) > -45.0;
    samples.len() >= 48_000 && samples.chunks_exact(48_000).all(level)
}

const PICTURE: &str = "-f lavfi -i color=s=64x64:r=10:d=9";

#[test]
fn sound_is_cut_at_the_frames_nearest_the_pictures_boundaries() {
    let clip = clip("a.mp4", &format!("{PICTURE} -f lavfi -i sine=440:d=9:r=44100 -c:a aac"));
    let (track, outcome) = run(&clip, &task(&clip, &[0, 4 * S, 8 * S], 9 * S));
    assert!(matches!(outcome, Outcome::Encoded { ended_at } if (ended_at - 9 * S).abs() <= 1920));
    judge(&clip, &track, 9 * S);
    for (edge, planned) in track.edges().iter().zip([0, 4 * S, 8 * S]) {
        assert!((edge - planned).abs() <= 960);
    }
}

#[test]
fn quiet_sound_in_six_channels_comes_out_at_the_loudness_wanted_in_two() {
    let six = "-f lavfi -i anoisesrc=d=9:a=0.05:c=pink -filter_complex [1]pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0[a] -map 0:v -map [a] -c:a ac3";
    let clip = clip("a.mkv", &format!("{PICTURE} {six}"));
    let (track, _) = run(&clip, &task(&clip, &[0, 4 * S], 9 * S));
    judge(&clip, &track, 9 * S);
    let lufs = loudness(&clip.beside("audio.mp4", &track.whole()));
    assert!((lufs + 16.0).abs() < 1.0, "{lufs} LUFS");
}

#[test]
fn peaks_are_held_under_full_scale() {
    let clicks = "-f lavfi -i aevalsrc=0.02*sin(2764*t)+gt(mod(t\\,1)\\,0.999)*0.9*sin(9000*t):d=9:s=48000 -c:a pcm_s16le";
    let clip = clip("a.mkv", &format!("{PICTURE} {clicks}"));
    let (track, _) = run(&clip, &task(&clip, &[0], 9 * S));
    judge(&clip, &track, 9 * S);
    let path = clip.beside("audio.mp4", &track.whole());
    assert!(true_peak(&path) < 0.0, "{} dBTP", true_peak(&path));
}

#[test]
fn silence_and_sound_that_ends_early_are_padded_to_the_end() {
    let clip = clip("a.mkv", &format!("{PICTURE} -f lavfi -i anullsrc=d=2 -c:a flac"));
    let (track, _) = run(&clip, &task(&clip, &[0, 4 * S, 8 * S], 9 * S));
    judge(&clip, &track, 9 * S);
    assert_eq!(track.segments.len(), 3);
}

#[test]
fn sound_that_cannot_be_decoded_is_refused() {
    let good = clip("a.mkv", &format!("{PICTURE} -f lavfi -i sine=440:d=1 -c:a flac"));
    let bad =
        clip("b.mkv", &format!("{PICTURE} -f lavfi -i sine=440:d=1 -c:a flac -bsf:a noise=amount=1:drop=0"));
    let (track, outcome) = run(&bad, &task(&good, &[0], S));
    match outcome {
        Outcome::Refused { refusal } => assert_eq!(refusal.code, RefusalCode::AudioUndecodable),
        other => panic!("{other:?} with {} segments", track.segments.len()),
    }
}

const TONE: &str = "-f lavfi -i sine=440:d=9:r=48000 -ac 2";

#[test]
fn sound_whose_track_cannot_be_sought_is_whole_in_the_second_reading() {
    for (name, codecs) in [
        ("a.avi", "-c:v mpeg4 -c:a mp2"),
        ("b.avi", "-c:v mpeg4 -c:a pcm_s16le"),
        ("a.webm", "-c:v libvpx -deadline realtime -c:a libvorbis -live 1"),
        ("a.mkv", "-c:v mpeg4 -c:a flac -live 1"),
        ("a.flv", "-c:v flv -ar 44100 -c:a aac -flvflags no_duration_filesize"),
        ("a.asf", "-c:v mpeg4 -c:a wmav2"),
    ] {
        let clip = clip(name, &format!("{PICTURE} {TONE} {codecs}"));
        let bytes = without_keyframes(std::fs::read(&clip.path).expect("read"));
        let clip = clip.replaced(&bytes);
        assert!(sounds(&heard(&clip, 9 * S), 0, 440.0), "{name}");
    }
}

/// An AVI's index that calls no packet of sound a keyframe; anything else stays as it is.
fn without_keyframes(mut bytes: Vec<u8>) -> Vec<u8> {
    let Some(index) = bytes.windows(4).rposition(|name| name == b"idx1") else { return bytes };
    for entry in bytes[index + 8..].chunks_exact_mut(16).filter(|entry| entry.starts_with(b"01wb")) {
        entry[4..8].fill(0);
    }
    bytes
}

/// Two files of one length: the first until the beginning is read again, then the second.
struct Changing {
    files: [Cursor<Vec<u8>>; 2],
    begun: usize,
    at: u64,
}

impl Read for Changing {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.begun += usize::from(self.at == 0);
        let file = &mut self.files[self.begun.saturating_sub(1).min(1)];
        file.set_position(self.at);
        file.read(buffer)
    }
}

impl Seek for Changing {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.at = self.files[0].seek(to)?;
        Ok(self.at)
    }
}

#[test]
fn a_second_reading_that_hears_something_else_is_no_result() {
    let good = clip("a.mkv", &format!("{PICTURE} {TONE} -c:a pcm_s16le"));
    let mute = clip("b.mkv", &format!("{PICTURE} -f lavfi -i anullsrc=d=9:r=48000 -ac 2 -c:a pcm_s16le"));
    let files = [&good, &mute].map(|clip| Cursor::new(std::fs::read(&clip.path).expect("read")));
    let source = Changing { files, begun: 0, at: 0 };
    let outcome = audio::run(&task(&good, &[0], 9 * S), source, &ear().0);
    assert!(matches!(outcome, Err(Error::OtherSound { second: 0 })), "{outcome:?}");
}

#[test]
fn one_channel_two_and_six_come_out_equally_loud() {
    let noise = "-f lavfi -i anoisesrc=d=9:a=0.1:c=pink:s=7:r=48000";
    for channels in [
        "-ac 1",
        "-af pan=stereo|c0=c0|c1=c0",
        "-af pan=5.1|c2=c0",
        "-af pan=5.1|c0=c0|c1=c0|c2=c0|c3=c0|c4=c0|c5=c0",
    ] {
        let clip = clip("a.mkv", &format!("{PICTURE} {noise} {channels} -c:a flac"));
        let lufs = loudness(&heard(&clip, 9 * S));
        // The coder takes up to half a decibel off noise.
        assert!((lufs + 16.0).abs() < 0.8, "{channels}: {lufs} LUFS");
    }
}

const TONES: &str = "-f lavfi -i sine=440:d=4:r=48000 -f lavfi -i sine=880:d=4:r=48000";
const TWO: &str = "-map 0:v -map 1:a -map 2:a -t 4 -ac 1";

#[test]
fn two_tracks_of_one_channel_are_both_heard() {
    let picture = "-f lavfi -i testsrc2=s=320x240:r=25:d=4";
    for (name, codecs) in [
        ("xdcam.mxf", "-c:v mpeg2video -b:v 8M -c:a pcm_s24le"),
        ("fcp.mov", "-c:v libx264 -preset ultrafast -c:a pcm_s16le"),
        ("phone.mp4", "-c:v libx264 -preset ultrafast -c:a aac"),
        ("mics.mkv", "-c:v libx264 -preset ultrafast -c:a aac"),
        ("mics.ts", "-c:v libx264 -preset ultrafast -c:a aac"),
        ("mics.avi", "-c:v mpeg4 -c:a pcm_s16le"),
    ] {
        let clip = clip(name, &format!("{picture} {TONES} {TWO} {codecs}"));
        let path = heard(&clip, 4 * S);
        for hertz in [440.0, 880.0] {
            assert!(sounds(&path, 0, hertz) || sounds(&path, 1, hertz), "{name}: {hertz} Hz");
        }
    }
}

#[test]
fn tracks_for_the_left_and_the_right_speaker_stay_there() {
    let labels = "-filter_complex [1]pan=FL|c0=c0[l];[2]pan=FR|c0=c0[r] -map 0:v -map [r] -map [l] -t 4";
    let clip = clip("a.mov", &format!("{PICTURE} {TONES} {labels} -c:a pcm_s16le"));
    let path = heard(&clip, 4 * S);
    assert!(sounds(&path, 0, 440.0) && !sounds(&path, 0, 880.0));
    assert!(sounds(&path, 1, 880.0) && !sounds(&path, 1, 440.0));
}

#[test]
fn left_and_right_of_one_recording_are_stereo() {
    let picture = "-f lavfi -i testsrc2=s=320x240:r=25:d=4";
    let wide = "-filter_complex [1]volume=3[x];[1][2]amix[l];[x][2]amix[r] -map 0:v -map [l] -map [r] -t 4";
    let clip = clip("a.mxf", &format!("{picture} {TONES} {wide} -ac 1 -c:v mpeg2video -c:a pcm_s16le"));
    let path = heard(&clip, 4 * S);
    let level = |channel, hertz| tone(&samples(&path, channel), hertz);
    assert!(level(1, 440.0) - level(1, 880.0) > level(0, 440.0) - level(0, 880.0) + 3.0);
}

#[test]
fn a_silent_track_never_wins() {
    let silence = "-f lavfi -i anullsrc=d=4:r=48000:cl=mono -f lavfi -i sine=880:d=4:r=48000";
    for (name, channels) in [("a.mp4", "-ac 1"), ("b.mp4", "-ac 2"), ("c.mkv", "-ac:a:0 2 -ac:a:1 1")] {
        let maps = "-map 0:v -map 1:a -map 2:a -t 4";
        let clip = clip(name, &format!("{PICTURE} {silence} {maps} {channels} -c:a aac"));
        let path = heard(&clip, 4 * S);
        assert!(sounds(&path, 0, 880.0) && sounds(&path, 1, 880.0), "{name}");
    }
}

#[test]
fn a_track_in_another_language_or_beside_the_sound_is_not_laid_over_it() {
    for (name, tags) in [
        (
            "a.mkv",
            "-metadata:s:a:0 language=fra -metadata:s:a:1 language=eng -disposition:a:0 0 -disposition:a:1 default",
        ),
        ("b.mkv", "-disposition:a:0 comment -disposition:a:1 default"),
        ("c.mkv", "-metadata:s:a:0 title=Audio_Description -disposition:a:0 0 -disposition:a:1 default"),
    ] {
        let clip = clip(name, &format!("{PICTURE} {TONES} {TWO} -c:a aac {tags}"));
        let path = heard(&clip, 4 * S);
        assert!(sounds(&path, 0, 880.0) && !sounds(&path, 0, 440.0), "{name}");
    }
}

#[test]
fn the_sound_of_another_programme_is_not_heard() {
    let two = "-map 0:v -map 1:a -map 2:a -program program_num=1:st=0:st=2 -program program_num=2:st=1";
    let clip = clip("a.ts", &format!("{PICTURE} {TONES} {two} -t 4 -ac 1 -c:v mpeg2video -c:a mp2"));
    let path = heard(&clip, 4 * S);
    assert!(sounds(&path, 0, 880.0) && !sounds(&path, 0, 440.0));
}
