//! Whether what plays sounds like its source and lasts as long: FFmpeg decodes both, and they are held against each other.

use std::path::Path;

use crate::tool;

/// Samples a second that are compared, all channels in one.
const RATE: usize = 8000;
/// Samples of one step of an envelope: 10 ms.
const STEP: usize = RATE / 100;
/// Steps in which the presence of sound is judged: a tenth of a second.
const WINDOW: usize = 10;
/// How far apart the two are looked for, in steps.
const REACH: usize = 50;
/// Sound further off than this many steps is out of step with the lips (ITU-R BT.1359 allows 45 ms to be early).
const LIPS: usize = 5;
/// Quieter sound than this share of full scale needs not be heard.
const AUDIBLE: f64 = 3e-3;
/// And quieter sound than this is none.
const SILENCE: f64 = 3e-4;
/// Lengths may differ by this many seconds.
const LENGTH: f64 = 0.25;

/// What is wrong with the sound or the length of what plays, in words; empty where nothing is.
pub async fn compare(source: &Path, hls: &str) -> Vec<String> {
    let source = source.to_string_lossy().into_owned();
    let mut tracks = Vec::new();
    while let Some(track) = decode(&source, tracks.len()).await {
        tracks.push(track);
    }
    let (pictures, played) = (end_of_pictures(&source).await, length(hls).await);
    // Whichever track plays: another one may go on for longer.
    let mut ends: Vec<f64> = tracks.iter().map(|track| pictures.max(seconds(track.len(), RATE))).collect();
    if ends.is_empty() {
        ends.push(pictures);
    }
    let mut wrong = Vec::new();
    if ends.iter().all(|end| (end - played).abs() > LENGTH) {
        wrong.push(format!("lasts {played:.2} s, the source {:.2} s", ends[0]));
    }
    wrong.extend(sound(&tracks, &decode(hls, 0).await.unwrap_or_default()));
    wrong
}

/// When the last picture ends, as far as FFmpeg can decode it.
async fn end_of_pictures(input: &str) -> f64 {
    let mut ffmpeg = tool::program("ffmpeg");
    ffmpeg.args(["-v", "quiet", "-progress", "pipe:1", "-i", input, "-map", "0:V:0", "-f", "null", "-"]);
    let told = tool::run(ffmpeg).await;
    let text = String::from_utf8_lossy(&told.stdout).into_owned();
    let last = text.lines().rev().find_map(|line| line.strip_prefix("out_time_us="));
    last.and_then(|micros| micros.parse::<f64>().ok()).unwrap_or(0.0) / 1e6
}

/// How long the first rendition is by its playlist, which is what players show (RFC 8216 4.3.2.1).
async fn length(master: &str) -> f64 {
    let text = fetch(master).await;
    let Some(first) = text.lines().find(|line| !line.is_empty() && !line.starts_with('#')) else {
        return 0.0;
    };
    let folder =
        master.split('?').next().and_then(|path| path.rsplit_once('/')).map_or("", |(folder, _)| folder);
    let playlist = fetch(&format!("{folder}/{first}")).await;
    let lasts = playlist
        .lines()
        .filter_map(|line| line.strip_prefix("#EXTINF:")?.split(',').next()?.parse::<f64>().ok());
    lasts.sum()
}

async fn fetch(url: &str) -> String {
    let mut curl = tool::program("curl");
    curl.args(["-s", url]);
    String::from_utf8_lossy(&tool::run(curl).await.stdout).into_owned()
}

/// What is wrong with the sound that plays, be it of any track or of all together, as tracks of one channel may be.
fn sound(tracks: &[Vec<f32>], played: &[f32]) -> Option<String> {
    let audible = |samples: &&Vec<f32>| levels(samples).iter().any(|level| *level > AUDIBLE);
    let all = sum(tracks);
    let complaints: Vec<Option<String>> =
        tracks.iter().chain([&all]).filter(audible).map(|track| difference(track, played)).collect();
    let fits = complaints.iter().any(Option::is_none);
    complaints.into_iter().next().flatten().filter(|_| !fits)
}

/// A sound track as samples from the container's beginning on; `None` where there is no such track.
async fn decode(input: &str, track: usize) -> Option<Vec<f32>> {
    let timed = format!("aresample={RATE}:async=1:min_hard_comp=0.03:first_pts=0");
    let timed = decode_by(input, track, &timed).await;
    let plain = decode_by(input, track, &format!("aresample={RATE}")).await;
    // Times that can't be meant make FFmpeg drop what it decoded.
    let samples = if timed.len() < plain.len() / 2 { plain } else { timed };
    (!samples.is_empty()).then_some(samples)
}

async fn decode_by(input: &str, track: usize, filter: &str) -> Vec<f32> {
    let mut ffmpeg = tool::program("ffmpeg");
    ffmpeg.args(["-v", "quiet", "-i", input, "-map", &format!("0:a:{track}"), "-af", filter]);
    ffmpeg.args(["-ac", "1", "-f", "f32le", "-"]);
    let decoded = tool::run(ffmpeg).await;
    let number = |bytes: &[u8]| bytes.try_into().map(f32::from_le_bytes).unwrap_or_default();
    decoded.stdout.chunks_exact(4).map(number).collect()
}

fn sum(tracks: &[Vec<f32>]) -> Vec<f32> {
    let longest = tracks.iter().map(Vec::len).max().unwrap_or(0);
    let mut all = vec![0.0; longest];
    for track in tracks {
        all.iter_mut().zip(track).for_each(|(to, from)| *to += from);
    }
    all
}

/// How the sound that plays differs from the source's.
fn difference(source: &[f32], played: &[f32]) -> Option<String> {
    let (from, to) = (levels(source), levels(played));
    if !to.iter().any(|level| *level > SILENCE) {
        return Some("there is no sound".to_owned());
    }
    missing(&from, &to).or_else(|| shifted(&envelope(source), &envelope(played)))
}

/// A moment in which the source has sound and what plays has none, or the other way about.
fn missing(from: &[f64], to: &[f64]) -> Option<String> {
    let loudest = from.iter().copied().fold(0.0, f64::max);
    let mut gains: Vec<f64> = from
        .iter()
        .zip(to)
        .filter(|(from, _)| **from > AUDIBLE.max(loudest / 30.0))
        .map(|(from, to)| to / from)
        .collect();
    gains.sort_by(f64::total_cmp);
    let gain = gains.get(gains.len() / 2).copied().unwrap_or(1.0);
    // A neighbour's level will do: the two may be a little apart, and a limiter takes its time.
    let near = |levels: &[f64], at: usize, pick: fn(f64, f64) -> f64, start: f64| {
        let around = &levels[at.saturating_sub(1).min(levels.len())..(at + 2).min(levels.len())];
        around.iter().copied().fold(start, pick)
    };
    for (at, level) in from.iter().enumerate() {
        let least = near(from, at, f64::min, f64::MAX).min(*level);
        if least > AUDIBLE.max(loudest / 30.0) && near(to, at, f64::max, 0.0) < least * gain / 10.0 {
            return Some(format!("no sound after {:.2} s", seconds(at * WINDOW, 100)));
        }
    }
    for at in 0..to.len() {
        let most = near(from, at, f64::max, 0.0);
        if near(to, at, f64::min, f64::MAX) > (loudest * gain / 10.0).max(most * gain * 10.0) {
            return Some(format!("sound after {:.2} s that the source has not", seconds(at * WINDOW, 100)));
        }
    }
    None
}

#[expect(clippy::cast_precision_loss, reason = "samples of a short film")]
fn seconds(samples: usize, rate: usize) -> f64 {
    samples as f64 / rate as f64
}

/// The two are out of step, in the first half or in the second.
fn shifted(from: &[f64], to: &[f64]) -> Option<String> {
    let length = from.len().min(to.len());
    let half = if length > 16 * REACH { length / 2 } else { length };
    let parts = [(0, half), (length - half, length)];
    parts.into_iter().find_map(|(begin, end)| {
        let lags = (0..=2 * REACH).map(|lag| (alike(&from[begin..end], &to[begin..end], lag), lag));
        let (best, lag) = lags.max_by(|one, other| one.0.total_cmp(&other.0))?;
        let level = alike(&from[begin..end], &to[begin..end], REACH);
        let off = lag.abs_diff(REACH);
        let told = if lag > REACH { "late" } else { "early" };
        if best < 0.5 && varies(&from[begin..end]) {
            return Some(format!("it is other sound ({best:.2} alike)"));
        }
        (off > LIPS && best > 0.7 && best > level + 0.05).then(|| format!("the sound is {off}0 ms {told}"))
    })
}

/// The correlation of two envelopes, the second one moved back by `lag - REACH` steps.
fn alike(from: &[f64], to: &[f64], lag: usize) -> f64 {
    let (from, to) = if lag > REACH {
        (from, to.get(lag - REACH..).unwrap_or_default())
    } else {
        (from.get(REACH - lag..).unwrap_or_default(), to)
    };
    let pairs: Vec<(f64, f64)> = from.iter().copied().zip(to.iter().copied()).collect();
    #[expect(clippy::cast_precision_loss, reason = "steps of a short film")]
    let count = pairs.len().max(1) as f64;
    let mean = |pick: fn(&(f64, f64)) -> f64| pairs.iter().map(pick).sum::<f64>() / count;
    let (one, other) = (mean(|pair| pair.0), mean(|pair| pair.1));
    let (mut common, mut first, mut second) = (0.0, 0.0, 0.0);
    for (from, to) in &pairs {
        common += (from - one) * (to - other);
        first += (from - one).powi(2);
        second += (to - other).powi(2);
    }
    let power = (first * second).sqrt();
    if power > 0.0 { common / power } else { 0.0 }
}

/// There is enough up and down in it to tell one moment from another.
fn varies(envelope: &[f64]) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "steps of a short film")]
    let count = envelope.len().max(1) as f64;
    let mean = envelope.iter().sum::<f64>() / count;
    let spread = envelope.iter().map(|level| (level - mean).powi(2)).sum::<f64>() / count;
    count > 200.0 && spread.sqrt() > 0.3 * mean
}

/// The level of each window.
fn levels(samples: &[f32]) -> Vec<f64> {
    chunked(samples, STEP * WINDOW)
}

fn envelope(samples: &[f32]) -> Vec<f64> {
    chunked(samples, STEP)
}

fn chunked(samples: &[f32], size: usize) -> Vec<f64> {
    let power = |chunk: &[f32]| chunk.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
    #[expect(clippy::cast_precision_loss, reason = "a tenth of a second of samples")]
    let level = |chunk: &[f32]| (power(chunk) / size as f64).sqrt();
    samples.chunks(size).map(level).collect()
}
