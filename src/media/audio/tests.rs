//! The audio task judged by FFmpeg: where the sound lies, how loud it is, where it is cut.

use crate::domain::RefusalCode;
use crate::domain::media::{AudioRung, TICKS_PER_SECOND as S, Ticks};
use crate::media::audio;
use crate::media::proof::{Clip, Track, clip, ear, loudness, seen, true_peak, video};
use crate::media::task::{Audio, Outcome, Source};

fn task(clip: &Clip, starts: &[Ticks], end: Ticks) -> Audio {
    Audio {
        source: Source { size_bytes: 0 },
        stream: 1,
        video: video(&clip.path),
        rung: AudioRung { name: "audio".to_owned(), channels: 2, bitrate: 128_000, loudness_lufs: -16.0 },
        starts: starts.to_vec(),
        end,
    }
}

fn run(clip: &Clip, task: &Audio) -> (Track, Outcome) {
    let (emit, heard) = ear();
    let input = ffmpeg_next::format::input(&clip.path).expect("opened");
    let outcome = audio::run(task, input, &emit).expect("run");
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
