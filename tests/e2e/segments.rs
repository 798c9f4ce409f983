//! What every player relies on, measured at the segments themselves: keyframes, seams, durations, bandwidths.

use std::fs;
use std::path::Path;

use crate::clip::heavy_seconds;
use crate::playlist::{Fetched, Packet, Track, fetch, read};
use crate::server::Server;
use crate::tool::fixture;

const MILLISECOND: f64 = 0.001;
/// ffprobe prints microseconds.
const ROUNDING: f64 = 0.000_002;

/// The video rungs, and the audio renditions, of one clip.
struct Stream {
    rungs: Vec<Track>,
    sounds: Vec<Track>,
}

async fn stream(server: &Server, clip: &Path) -> Stream {
    let video = server.api.video(&clip.display().to_string()).await.id;
    let (status, body) = server.api.put_source(&video, clip).await;
    assert!(status.is_success(), "{status} {body}");
    let ready = server.api.wait_until_ready(&video).await;
    let master = read(ready["media"]["hls"].as_str().expect("an address")).await;
    let (mut rungs, mut sounds) = (Vec::new(), Vec::new());
    for media in master.variants.into_iter().filter(|variant| !variant.iframe_only) {
        rungs.push(fetch(&server.api, media, server.home()).await);
    }
    for media in master.renditions {
        sounds.push(fetch(&server.api, media, server.home()).await);
    }
    Stream { rungs, sounds }
}

async fn check(clip: &str) {
    let server = Server::start().await;
    server.api.agency().await;
    check_on(&server, &fixture(clip)).await;
    server.stop().await;
}

async fn check_on(server: &Server, clip: &Path) -> Stream {
    let stream = stream(server, clip).await;
    assert!(!stream.rungs.is_empty(), "{} has no rungs", clip.display());
    keeps_its_promises(&stream);
    stream
}

fn keeps_its_promises(Stream { rungs, sounds }: &Stream) {
    for rung in rungs {
        every_segment_starts_with_a_keyframe(rung);
        boundaries_are_those_of(rung, &rungs[0]);
        bandwidths_are_true(rung, sounds);
    }
    for track in rungs.iter().chain(sounds) {
        assert!(track.media.ended, "{} has no end", track.name);
        durations_are_true(track);
        nothing_is_missing_or_doubled(track);
    }
    for (rung, sound) in rungs.iter().flat_map(|rung| sounds.iter().map(move |sound| (rung, sound))) {
        they_start_and_end_together(rung, sound);
    }
}

fn every_segment_starts_with_a_keyframe(rung: &Track) {
    for (number, segment) in rung.segments.iter().enumerate() {
        let first = &segment.packets[0];
        assert!(first.is_key, "{} segment {number} starts with {first:?}", rung.name);
        assert!(
            first.start <= segment.start(),
            "{} segment {number} shows something before its keyframe",
            rung.name
        );
    }
}

fn boundaries_are_those_of(rung: &Track, first: &Track) {
    assert_eq!(rung.segments.len(), first.segments.len(), "{} and {}", rung.name, first.name);
    for (number, (own, other)) in rung.segments.iter().zip(&first.segments).enumerate() {
        let apart = (own.start() - other.start()).abs();
        assert!(apart <= ROUNDING, "{} and {} begin segment {number} {apart} s apart", rung.name, first.name);
    }
}

fn durations_are_true(track: &Track) {
    for (number, segment) in track.segments.iter().enumerate() {
        let end = track.segments.get(number + 1).map_or(segment.end(), Fetched::start);
        let apart = (end - segment.start() - segment.extinf).abs();
        let (name, told) = (&track.name, segment.extinf);
        assert!(apart <= MILLISECOND, "{name} segment {number}: EXTINF is {told}, off by {apart} s");
        assert!(
            told <= track.media.target_duration + 0.5,
            "{name} segment {number} is longer than its target"
        );
    }
}

/// No gap and no overlap between any two packets in order of presentation, the seams among them.
fn nothing_is_missing_or_doubled(track: &Track) {
    let mut packets: Vec<_> = track.segments.iter().flat_map(|segment| &segment.packets).collect();
    packets.sort_by(|one, other| one.start.total_cmp(&other.start));
    for pair in packets.windows(2) {
        let apart = (pair[0].start + pair[0].duration - pair[1].start).abs();
        assert!(apart <= MILLISECOND, "{}: {:?} is followed by {:?}", track.name, pair[0], pair[1]);
        assert!(pair[0].duration >= MILLISECOND, "{}: {:?} is there twice", track.name, pair[0]);
    }
    keeps_its_rate(track, &packets);
}

/// Where nearly all pictures follow at one rate, all of them do: a lost or doubled one at a seam would stand out.
fn keeps_its_rate(track: &Track, packets: &[&Packet]) {
    let mut durations: Vec<f64> = packets.iter().map(|packet| packet.duration).collect();
    durations.sort_by(f64::total_cmp);
    let usual = durations[durations.len() / 2];
    let (last, others) = packets.split_last().expect("packets");
    let odd: Vec<_> = others.iter().filter(|packet| (packet.duration - usual).abs() > MILLISECOND).collect();
    if odd.len() * 10 < packets.len() {
        assert!(
            odd.is_empty(),
            "{}: not at the rate of the others, {usual} s: {odd:?} (last: {last:?})",
            track.name
        );
    }
}

fn they_start_and_end_together(rung: &Track, sound: &Track) {
    let ends = |track: &Track| {
        let (first, last) = (track.segments.first(), track.segments.last());
        [first.map_or(0.0, Fetched::start), last.map_or(0.0, Fetched::end)]
    };
    for (picture, heard) in ends(rung).into_iter().zip(ends(sound)) {
        let apart = (picture - heard).abs();
        assert!(apart <= 0.020 + ROUNDING, "{} is at {picture}, {} at {heard}", rung.name, sound.name);
    }
}

/// RFC 8216bis 4.4.6.2: the sum of the peaks of a playable combination, and of the averages.
fn bandwidths_are_true(rung: &Track, sounds: &[Track]) {
    let with_loudest = |rate: fn(&Track) -> f64| rate(rung) + sounds.iter().map(rate).fold(0.0, f64::max);
    let (peak, average) = (with_loudest(peak), with_loudest(average));
    let told = rung.media.bandwidth;
    assert!((told / peak - 1.0).abs() < 0.01, "{}: BANDWIDTH is {told}, the peak {peak}", rung.name);
    let told =
        rung.media.average_bandwidth.unwrap_or_else(|| panic!("{} has no AVERAGE-BANDWIDTH", rung.name));
    assert!((told / average - 1.0).abs() < 0.01, "{}: AVERAGE-BANDWIDTH is {told}, not {average}", rung.name);
}

/// The largest bit rate of any contiguous set of segments that lasts 0.5 to 1.5 target durations.
fn peak(track: &Track) -> f64 {
    let target = track.media.target_duration;
    let mut peak = 0.0_f64;
    for from in 0..track.segments.len() {
        let (mut bits, mut seconds) = (0.0, 0.0);
        for segment in &track.segments[from..] {
            bits += bits_of(segment);
            seconds += segment.extinf;
            if (0.5 * target..=1.5 * target).contains(&seconds) {
                peak = peak.max(bits / seconds);
            }
        }
    }
    if peak > 0.0 { peak } else { average(track) }
}

fn average(track: &Track) -> f64 {
    let seconds: f64 = track.segments.iter().map(|segment| segment.extinf).sum();
    track.segments.iter().map(bits_of).sum::<f64>() / seconds
}

#[expect(clippy::cast_precision_loss, reason = "a segment has far fewer bits than a float counts exactly")]
fn bits_of(segment: &Fetched) -> f64 {
    segment.size_bytes as f64 * 8.0
}

#[tokio::test]
async fn the_explainer_keeps_every_promise_of_a_stream() {
    check("explainer.mp4").await;
}

#[tokio::test]
async fn a_source_of_variable_frame_rate_keeps_every_promise_of_a_stream() {
    check("vfr.mp4").await;
}

#[tokio::test]
async fn a_source_turned_by_its_matrix_keeps_every_promise_of_a_stream() {
    check("portrait.mp4").await;
}

#[tokio::test]
async fn a_source_of_another_codec_keeps_every_promise_of_a_stream() {
    check("hevc.mp4").await;
}

#[tokio::test]
async fn a_silent_source_keeps_every_promise_of_a_stream() {
    check("no-audio.mp4").await;
}

/// Too large to be read whole for nothing, and no jump to its end is a short one: keyframes are 10 s apart, the seconds
/// heavy. The sound ends after the pictures.
#[tokio::test]
async fn sources_whose_end_only_their_last_packets_tell_end_together_in_sound_and_picture() {
    let server = Server::start().await;
    server.api.agency().await;
    for container in ["ts", "mkv"] {
        let clip = heavy_seconds(server.home(), container).await;
        assert!(fs::metadata(&clip).expect("a clip").len() > 64 << 20, "it would be read whole");
        let stream = check_on(&server, &clip).await;
        let end = stream.rungs[0].segments.last().map_or(0.0, Fetched::end);
        assert!((end - 11.4).abs() < 0.1, "{container} ends at {end}");
    }
    server.stop().await;
}

/// The checks themselves, on streams that are wrong in one way each.
mod checked {
    use super::{Stream, Track, keeps_its_promises};
    use crate::playlist::{Fetched, Media, Packet};

    /// Three segments of 2 s at 25 packets a second.
    fn track(name: &str, size_bytes: u64) -> Track {
        let segment = |number: u32| Fetched {
            extinf: 2.0,
            size_bytes,
            packets: (0..50).map(|n| packet(f64::from(number) * 2.0 + f64::from(n) * 0.04, n == 0)).collect(),
        };
        let media = Media {
            url: String::new(),
            ended: true,
            target_duration: 2.0,
            segments: Vec::new(),
            bandwidth: 44_000.0,
            average_bandwidth: Some(44_000.0),
            iframe_only: false,
        };
        Track { name: name.to_owned(), media, segments: (0..3).map(segment).collect(), whole: Vec::new() }
    }

    fn packet(start: f64, is_key: bool) -> Packet {
        Packet { start, duration: 0.04, is_key }
    }

    fn stream() -> Stream {
        Stream {
            rungs: vec![track("high", 10_000), track("low", 10_000)],
            sounds: vec![track("sound", 1_000)],
        }
    }

    fn is_refused(spoil: impl FnOnce(&mut Stream)) -> bool {
        let mut stream = stream();
        spoil(&mut stream);
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| keeps_its_promises(&stream))).is_err()
    }

    #[test]
    fn a_good_stream_passes() {
        keeps_its_promises(&stream());
    }

    #[test]
    fn every_broken_promise_is_found() {
        assert!(is_refused(|stream| stream.rungs[1].segments[1].packets[0].is_key = false), "keyframe");
        assert!(is_refused(|stream| stream.rungs[0].segments[1].extinf = 2.002), "EXTINF");
        assert!(is_refused(|stream| stream.rungs[0].media.bandwidth = 43_000.0), "BANDWIDTH");
        assert!(
            is_refused(|stream| stream.rungs[0].media.average_bandwidth = Some(50_000.0)),
            "AVERAGE-BANDWIDTH"
        );
        assert!(is_refused(|stream| stream.sounds[0].media.ended = false), "ENDLIST");
        assert!(is_refused(|stream| stream.sounds[0].segments[1].packets.truncate(45)), "a gap");
        assert!(is_refused(|stream| stream.rungs[1].segments.truncate(2)), "a segment");
        assert!(is_refused(|stream| stream.rungs[0].segments[2].packets.push(packet(6.0, false))), "the end");
    }
}
