//! What RFC 8216bis wants of playlists, held against every playlist that is told while constructed streams run.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use super::cut::{Begin, Cutter, Event, Lower, Position, Settings, Shape, Track, Turn};
use super::frame::{AudioFrame, Media, VideoConfig, VideoFrame};
use super::playlist::{View, media};
use super::window::{AUDIO, Closed, Form, Init, News, Part, Window};
use crate::domain::Timestamp;
use crate::domain::media::{Fraction, TICKS_PER_SECOND, Ticks};

const MS: Ticks = TICKS_PER_SECOND / 1000;
const SPS: &[u8] = &[
    0x67, 0x64, 0x00, 0x1f, 0xac, 0xd9, 0x40, 0x50, 0x05, 0xbb, 0x01, 0x6a, 0x02, 0x02, 0x02, 0x80, 0x00,
    0x00, 0x03, 0x00, 0x80, 0x00, 0x00, 0x1e, 0x07, 0x8c, 0x18, 0xcb,
];
const PPS: &[u8] = &[0x68, 0xeb, 0xe3, 0xcb, 0x22, 0xc0];
const AAC_48000: &[u8] = &[0x11, 0x90];
/// One more frame of sound of 48 kHz than this is later than it.
const FRAME_MS: i64 = 21;

/// A picture of a constructed stream, in the order of decoding: when it is decoded, and whether it is a keyframe.
type Picture = (i64, bool);

/// A broadcast's window as the session makes it, and what has been told of it.
struct Told {
    window: Window,
    target: u32,
    lower: Option<Lower>,
    opening: Option<Begin>,
    /// What stays as it was first told: the promises, and how long each part and segment lasts.
    lines: HashMap<String, String>,
}

impl Told {
    fn new(with_lower: bool) -> Self {
        let lower = with_lower.then(|| Lower::new(Settings::default()));
        Self {
            window: Window::new(1, 0, Some(30_000 * MS)),
            target: 4,
            lower,
            opening: None,
            lines: HashMap::new(),
        }
    }

    /// One session of an encoder, up to its end.
    fn run(&mut self, stream: &[Media], from: Position) -> Position {
        let mut cutter = match from.segment {
            0 => Cutter::new(Settings::default()),
            _ => Cutter::resume(Settings::default(), from),
        };
        if from.segment > 0 {
            cutter.keep_target(self.target);
        }
        for media in stream {
            cutter.push(media.clone()).expect("the stream goes on");
            self.hear(&mut cutter);
        }
        cutter.finish().expect("the end");
        self.hear(&mut cutter);
        if let Some(mut lower) = self.lower.take() {
            let end = self.window.tracks[0].closed.back().map(|last| last.closed.segment);
            lower.finish(end.map_or(0, |end| end.start + end.duration)).expect("the end");
            while let Some(event) = lower.poll() {
                self.tell("360p", 1, event);
            }
            self.lower = Some(lower);
        }
        cutter.position()
    }

    fn hear(&mut self, cutter: &mut Cutter) {
        while let Some(event) = cutter.poll() {
            if let Some(target) = cutter.target().filter(|_| matches!(event, Event::End(_))) {
                self.target = target;
            }
            let mut lower = self.lower.take();
            if let Some(lower) = &mut lower {
                self.encode(lower, &event);
            }
            let (rung, position) = match &event {
                Event::Init(init) if init.track == Track::Audio => (AUDIO, 99),
                Event::Part(part) if part.track == Track::Audio => (AUDIO, 99),
                Event::End(end) if end.track == Track::Audio => (AUDIO, 99),
                _ => ("720p", 0),
            };
            self.tell(rung, position, event);
            while let Some(event) = lower.as_mut().and_then(Lower::poll) {
                self.tell("360p", 1, event);
            }
            self.lower = lower;
        }
    }

    /// As the runner and an encoder without delay do it.
    fn encode(&mut self, lower: &mut Lower, event: &Event) {
        let turn = |begin: Begin, shown| {
            let Begin { segment, start, discontinuity, .. } = begin;
            Turn { segment, start, discontinuity, shown }
        };
        match event {
            Event::Begin(begin) if begin.track == Track::Video => {
                if let Some(empty) = self.opening.replace(*begin) {
                    lower.turn(turn(empty, None));
                }
            }
            Event::End(end) if end.track == Track::Video => {
                if let Some(empty) = self.opening.take_if(|begin| begin.segment == end.number) {
                    lower.turn(turn(empty, None));
                }
            }
            Event::Picture(picture) => {
                let opening = self.opening.take();
                let slice: &[u8] = if opening.is_some() { &[0x65, 0x88, 0x84] } else { &[0x41, 0x9a, 0x24] };
                if let Some(begin) = opening {
                    lower.turn(turn(begin, Some(picture.shown)));
                }
                let units = if opening.is_some() { vec![SPS, PPS, slice] } else { vec![slice] };
                let data = units.into_iter().flat_map(|unit| [&[0, 0, 0, 1], unit].concat()).collect();
                lower.push(picture.shown, data).expect("taken");
            }
            _ => {}
        }
    }

    fn tell(&mut self, rung: &str, position: u32, event: Event) {
        let rung = rung.to_owned();
        let news = match event {
            Event::Init(init) => {
                let rate = Fraction { num: 30, den: 1 };
                let form = match init.shape {
                    Shape::Video { width, height, .. } => Form::Video { width, height, frame_rate: rate },
                    Shape::Audio { channels, .. } => Form::Audio { channels },
                };
                News::Init(Init { rung, position, number: init.number, codecs: init.codecs, form })
            }
            Event::Part(part) => News::Part { rung, segment: part.segment, part: Part::from(&part) },
            Event::End(end) => News::Closed {
                rung,
                closed: Closed {
                    number: end.number,
                    epoch: 1,
                    segment: end.segment,
                    init: end.init,
                    discontinuity: end.discontinuity,
                    shown_at: Timestamp(end.segment.start / MS),
                    gap: false,
                },
            },
            Event::Begin(_) | Event::Picture(_) => return,
        };
        self.window.apply(&news);
        let (News::Init(Init { rung, .. }) | News::Part { rung, .. } | News::Closed { rung, .. }) = news
        else {
            return;
        };
        if self.window.is_playable() {
            self.check(&rung);
        }
    }

    fn check(&mut self, rung: &str) {
        let view = View { rung, skip: false, target: self.target, query: "" };
        let text = media(&self.window, view).expect("a rung");
        let promised = |tag: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(tag)).expect("a promise");
            line.to_owned()
        };
        let target: f64 = promised("#EXT-X-TARGETDURATION:").parse().expect("a number");
        let part_target: f64 = promised("#EXT-X-PART-INF:PART-TARGET=").parse().expect("a number");
        for tag in ["#EXT-X-TARGETDURATION:", "#EXT-X-SERVER-CONTROL:", "#EXT-X-PART-INF:"] {
            self.stays(&format!("{rung} {tag}"), &promised(tag));
        }
        let (mut parts, mut lasted) = (Vec::<(f64, bool)>::new(), None);
        for line in text.lines() {
            if let Some(part) = line.strip_prefix("#EXT-X-PART:DURATION=") {
                let (duration, rest) = part.split_once(",URI=").expect("a part");
                self.stays(&format!("{rung} {rest}"), duration);
                let duration: f64 = duration.parse().expect("a number");
                assert!(duration > 0.0 && duration <= part_target, "a part of {duration} s\n{text}");
                parts.push((duration, rest.contains("INDEPENDENT")));
            } else if let Some(duration) = line.strip_prefix("#EXTINF:") {
                let duration: f64 = duration.trim_end_matches(',').parse().expect("a number");
                assert!(duration.round() <= target, "a segment of {duration} s\n{text}");
                check_parts(&std::mem::take(&mut parts), Some(duration), part_target);
                lasted = Some(duration.to_string());
            } else if let Some(lasted) = lasted.take() {
                self.stays(&format!("{rung} {line}"), &lasted);
            }
        }
        check_parts(&parts, None, part_target);
    }

    fn stays(&mut self, of: &str, told: &str) {
        let first = self.lines.entry(of.to_owned()).or_insert_with(|| told.to_owned());
        assert_eq!(*first, told, "{of} changed");
    }
}

/// Parts of one segment: but for the last they are long enough (RFC 8216bis 4.4.4.9), and all together they are it.
fn check_parts(parts: &[(f64, bool)], segment: Option<f64>, target: f64) {
    let before_last = parts.iter().rev().skip(1);
    for (duration, independent) in before_last {
        assert!(*duration >= target * 0.85 || *independent, "a part of {duration} s in {parts:?}");
    }
    let sum: f64 = parts.iter().map(|(duration, _)| duration).sum();
    if let Some(segment) = segment.filter(|_| !parts.is_empty()) {
        assert!((segment - sum).abs() < 0.001, "{sum} s of parts in {segment} s: {parts:?}");
    }
}

/// A stream of these pictures, shown `delay_ms` after they are decoded, and of sound for as long as `sound` says.
fn stream(pictures: &[Picture], delay_ms: i64, sound: std::ops::Range<i64>) -> Vec<Media> {
    let mut record = vec![1, SPS[1], SPS[2], SPS[3], 0xff, 0xe1, 0, u8::try_from(SPS.len()).expect("short")];
    record.extend_from_slice(SPS);
    record.extend_from_slice(&[1, 0, u8::try_from(PPS.len()).expect("short")]);
    record.extend_from_slice(PPS);
    record.extend_from_slice(&[0xfd, 0xf8, 0xf8, 0]);
    let mut media = vec![Media::VideoConfig(VideoConfig::Avc(record.into()))];
    if !sound.is_empty() {
        media.push(Media::AudioConfig(Bytes::from_static(AAC_48000)));
    }
    let mut frames: VecDeque<i64> = (sound.start * MS..sound.end * MS).step_by(1920).collect();
    for (at, key) in pictures {
        while let Some(heard) = frames.pop_front_if(|heard| *heard <= at * MS) {
            media
                .push(Media::Audio(AudioFrame { pts_ticks: heard, data: Bytes::from_static(&[0x21, 0x10]) }));
        }
        let cts_ticks = i32::try_from(delay_ms * MS).expect("short");
        let data = Bytes::from_static(&[0, 0, 0, 3, 0x41, 0x9a, 0x24]);
        media.push(Media::Video(VideoFrame { dts_ticks: at * MS, cts_ticks, key: *key, data }));
    }
    let rest = frames.into_iter();
    media.extend(
        rest.map(|pts_ticks| Media::Audio(AudioFrame { pts_ticks, data: Bytes::from_static(&[0x21, 0x10]) })),
    );
    media
}

/// Pictures `step_ms` apart for so long; those at `keys` are keyframes.
fn steady(step_ms: i64, until_ms: i64, is_key: impl Fn(i64) -> bool) -> Vec<Picture> {
    (0..until_ms).step_by(usize::try_from(step_ms).expect("positive")).map(|at| (at, is_key(at))).collect()
}

/// Runs the stream by itself; gives what was told and how many segments of pictures begin without a keyframe.
fn judge(pictures: &[Picture], sound: std::ops::Range<i64>) -> (Told, usize) {
    let mut told = Told::new(true);
    told.run(&stream(pictures, 0, sound), Position::default());
    let closed = told.window.tracks[0].closed.iter();
    let unkeyed = closed.filter(|listed| listed.closed.segment.key_bytes == 0).count();
    let sent = pictures.last().map_or(0, |(at, _)| *at);
    let end = told.window.tracks[0].closed.back().map_or(0, |last| last.closed.segment.start);
    assert!(end + 13_000 * MS > sent * MS, "the stream came to an end at {} ms of {sent}", end / MS);
    (told, unkeyed)
}

#[test]
fn an_encoder_that_drops_pictures_or_freezes_keeps_to_the_part_target() {
    for (from, to) in [(5_000, 5_600), (5_000, 6_200), (3_990, 7_100), (4_100, 4_500), (6_000, 15_000)] {
        let pictures: Vec<_> = steady(40, 24_000, |at| at % 2_000 == 0)
            .into_iter()
            .filter(|(at, _)| !(from..to).contains(at))
            .collect();
        judge(&pictures, 0..24_000);
        judge(&pictures, 0..0);
    }
}

#[test]
fn a_few_pictures_a_second_keep_to_the_part_target() {
    for step in [170, 200, 240, 250, 333, 340, 360, 500, 700, 1_000, 1_430, 2_000, 2_500, 3_000] {
        for keys in [1, 2, 5, 1_000] {
            let pictures = steady(step, 40_000, |at| at / step % keys == 0);
            judge(&pictures, 0..40_000);
        }
    }
}

#[test]
fn keyframes_that_come_farther_apart_later_change_no_promise() {
    let pictures =
        steady(40, 60_000, |at| at <= 6_000 && at % 2_000 == 0 || at > 6_000 && (at - 6_000) % 8_320 == 0);
    let (told, unkeyed) = judge(&pictures, 0..60_000);
    assert_eq!(told.target, 4);
    // Each of the pauses is two segments, of which the second has no keyframe; three or four are within the window.
    assert!((3..=4).contains(&unkeyed), "{unkeyed} segments begin without a keyframe");
}

#[test]
fn keyframes_16_s_apart_or_none_at_all_end_no_stream() {
    for apart in [8_333, 10_000, 16_666, 1_000_000] {
        let pictures = steady(66, 70_000, |at| at % apart < 66);
        let (told, _) = judge(&pictures, 0..70_000);
        assert_eq!(
            told.target,
            if apart < 12_000 { u32::try_from(apart).unwrap_or(0).div_ceil(1_000) } else { 12 }
        );
    }
}

#[test]
fn keyframes_a_little_off_are_waited_for() {
    for apart in [2_000, 4_000, 4_240] {
        let pictures = steady(20, 60_000, |at| (at + at / apart * 7 % 5 * 20) % apart < 20);
        let (_, unkeyed) = judge(&pictures, 0..60_000);
        assert_eq!(unkeyed, 0, "keyframes {apart} ms apart");
    }
}

#[test]
fn sound_that_goes_on_without_pictures_goes_on_in_segments() {
    let pictures: Vec<_> = steady(40, 50_000, |at| at % 2_000 == 0)
        .into_iter()
        .filter(|(at, _)| !(9_000..40_000).contains(at))
        .collect();
    let (told, _) = judge(&pictures, 0..50_000);
    assert!(told.window.tracks[0].open > 12);
    // The pictures never come back.
    let pictures = steady(40, 9_000, |at| at % 2_000 == 0);
    let (told, _) = judge(&pictures, 0..40_000);
    let last = told.window.track(AUDIO).and_then(|track| track.closed.back()).expect("sound").closed.segment;
    assert!((last.start + last.duration - 40_000 * MS).abs() < 2 * FRAME_MS * MS, "{last:?}");
}

#[test]
fn an_encoder_that_comes_back_with_other_keyframes_keeps_the_promise() {
    let mut told = Told::new(false);
    let first = steady(40, 9_000, |at| at % 2_000 == 0);
    let from = told.run(&stream(&first, 0, 0..9_000), Position::default());
    let second = steady(40, 40_000, |at| at % 10_000 == 0);
    told.run(&stream(&second, 80, 0..40_000), from);
    assert_eq!(told.target, 4);
}

#[test]
fn sound_from_before_the_only_picture_keeps_the_promise() {
    for before in [1, 1_000, 4_200, 5_000, 6_000, 9_000] {
        for end in [0, 40, 4_400] {
            let mut told = Told::new(true);
            let short = stream(&[(0, true)], 0, -before..end);
            let from = told.run(&short, Position::default());
            told.run(&short, from);
            // The promise is another one.
            let mut told = Told::new(true);
            let from = told.run(&stream(&[(0, true)], 0, 0..40), Position::default());
            told.run(&short, from);
        }
    }
}

fn any_pictures() -> impl Strategy<Value = Vec<Picture>> {
    let steps =
        prop::sample::select(vec![17_i64, 33, 40, 40, 40, 66, 120, 250, 400, 700, 1_200, 2_900, 7_000]);
    let runs = prop::collection::vec((steps, 1_usize..120, 1_usize..400), 1..8);
    runs.prop_map(|runs| {
        let (mut at, mut pictures) = (0, Vec::new());
        for (step, count, keys) in runs {
            // A pause or two, not minutes of them.
            let count = if step > 1_000 { count.min(3) } else { count };
            for picture in 0..count {
                pictures.push((at, pictures.is_empty() || picture % keys == keys / 2));
                at += step;
            }
        }
        pictures
    })
}

#[test]
fn whatever_comes_keeps_to_the_rules() {
    // Each is a whole broadcast: a twentieth of what the properties of a parser get.
    let cases = ProptestConfig::default().cases / 20;
    let mut runner = TestRunner::new(ProptestConfig { cases, ..ProptestConfig::default() });
    let broadcasts = (any_pictures(), 0..4_u8, 0..3_i64);
    let checked = runner.run(&broadcasts, |(pictures, sound, delay)| {
        let end = pictures.last().map_or(0, |(at, _)| *at);
        let sound = match sound {
            0 => 0..0,
            1 => 0..end,
            2 => 0..end + 6_000,
            _ => -5_000..end,
        };
        let mut told = Told::new(delay == 0);
        let from = told.run(&stream(&pictures, delay * 40, sound.clone()), Position::default());
        told.run(&stream(&pictures, delay * 40, sound), from);
        Ok(())
    });
    checked.expect("the rules are kept");
}
