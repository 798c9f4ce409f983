//! How well a stream comes in: counts what arrives and turns it into health and advice.

use std::time::Duration;

use tokio::time::Instant;

use super::frame::{Media, TICKS_PER_SECOND, VideoFrame};
use crate::domain::broadcast::Health;

/// Rates are measured over this; shorter, a keyframe would look like a surge.
const SPAN: Duration = Duration::from_secs(5);

/// Before the second keyframe it is not told how long it takes, unless it takes longer than this.
const FIRST_KEYFRAMES_APART_MS: u64 = 4_000;

/// Counts one encoder's stream.
#[derive(Debug)]
pub struct Meter {
    since: Instant,
    bytes: u64,
    sound_bytes: u64,
    frames: u32,
    /// When there was last something to hear.
    heard: Instant,
    /// Arrival and media time of the picture that came soonest; drift is measured against it.
    origin: Option<(Instant, i64)>,
    last: Option<i64>,
    last_key: Option<i64>,
    sound: bool,
    health: Health,
}

impl Meter {
    /// Begins to count.
    pub fn new() -> Self {
        Self {
            since: Instant::now(),
            bytes: 0,
            sound_bytes: 0,
            frames: 0,
            heard: Instant::now(),
            origin: None,
            last: None,
            last_key: None,
            sound: false,
            health: Health::default(),
        }
    }

    /// Counts what came at this moment.
    pub fn count(&mut self, media: &Media, now: Instant) {
        match media {
            Media::Video(frame) => self.count_picture(frame, now),
            Media::Audio(frame) => {
                self.sound = true;
                self.bytes += frame.data.len() as u64;
                self.sound_bytes += frame.data.len() as u64;
                if !is_silence(&frame.data) {
                    self.heard = now;
                }
            }
            Media::LeftOut(track) => self.health.left_out.push((*track).to_owned()),
            _ => {}
        }
    }

    fn count_picture(&mut self, frame: &VideoFrame, now: Instant) {
        self.bytes += frame.data.len() as u64;
        self.frames += 1;
        let (began, first) = *self.origin.get_or_insert((now, frame.dts_ticks));
        let lasted = i64::try_from((now - began).as_millis()).unwrap_or(i64::MAX);
        let told = (frame.dts_ticks - first) * 1000 / TICKS_PER_SECOND;
        match self.last {
            // A jump of the encoder's clock says nothing of the line.
            Some(last) if (frame.dts_ticks - last).abs() > TICKS_PER_SECOND * 3 => {
                self.origin = Some((now, frame.dts_ticks));
            }
            // The first ones often come late, from an encoder that is still getting under way.
            _ if lasted < told => {
                self.origin = Some((now, frame.dts_ticks));
                self.health.drift_ms = 0;
            }
            _ => self.health.drift_ms = lasted - told,
        }
        self.last = Some(frame.dts_ticks);
        if frame.key {
            if let Some(before) = self.last_key {
                let apart = (frame.dts_ticks - before).max(0) * 1000 / TICKS_PER_SECOND;
                self.health.keyframe_interval_ms = u64::try_from(apart).ok();
            }
            self.last_key = Some(frame.dts_ticks);
        } else if let Some(key) = self.last_key {
            // The next one is later than that already: nobody has to wait for it to be told.
            let waited = u64::try_from((frame.dts_ticks - key) * 1000 / TICKS_PER_SECOND).unwrap_or(0);
            let known = self.health.keyframe_interval_ms.unwrap_or(0);
            if waited > known.max(FIRST_KEYFRAMES_APART_MS) {
                self.health.keyframe_interval_ms = Some(waited);
            }
        }
    }

    /// The picture's size and codec, as they are known now.
    pub fn describe(&mut self, codecs: &str, (width, height): (u32, u32)) {
        codecs.clone_into(&mut self.health.codecs);
        (self.health.width, self.health.height) = (width, height);
    }

    /// The sound's codec.
    pub fn describe_sound(&mut self, codecs: &str) {
        codecs.clone_into(&mut self.health.audio_codecs);
    }

    /// Pictures that the encoder's own times say are missing.
    pub fn set_dropped(&mut self, frames: u64) {
        self.health.dropped_frames = frames;
    }

    /// The health as of now.
    pub fn read(&mut self, now: Instant) -> Health {
        let lasted = now - self.since;
        if lasted >= SPAN || self.health.bitrate == 0 {
            let seconds = lasted.as_secs_f64().max(0.001);
            #[expect(
                clippy::cast_precision_loss,
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a positive rate for people"
            )]
            let rate = |bytes: u64| (bytes as f64 * 8.0 / seconds) as u64;
            (self.health.bitrate, self.health.audio_bitrate) = (rate(self.bytes), rate(self.sound_bytes));
            self.health.frame_rate = (f64::from(self.frames) / seconds * 10.0).round() / 10.0;
            (self.since, self.bytes, self.sound_bytes, self.frames) = (now, 0, 0, 0);
        }
        self.health.silent_ms = u64::try_from((now - self.heard).as_millis()).unwrap_or(u64::MAX);
        self.health.advice = self.health.advise(self.sound);
        self.health.clone()
    }
}

/// A frame of AAC in which nothing is to be heard: no scale factor bands in any of its channels, or one, as some encoders
/// write it (ISO/IEC 14496-3 4.4.2.1, 4.4.2.7).
fn is_silence(frame: &[u8]) -> bool {
    if frame.len() < 4 {
        return false;
    }
    let bits = frame.iter().take(8).fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let bits = bits << (8 * 8_usize.saturating_sub(frame.len()));
    let read = |from: u32, count: u32| bits << from >> (64 - count);
    // The element's kind and tag; then pairs of channels say whether they share a window.
    let at = match (read(0, 3), read(7, 1)) {
        // A channel alone: global gain.
        (0, _) => 7 + 8,
        (1, 1) => 8,
        (1, _) => 8 + 8,
        _ => return false,
    };
    let is_short = read(at + 1, 2) == 2;
    let bands = if is_short { read(at + 4, 4) } else { read(at + 4, 6) };
    bands <= 1
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    #[test]
    fn silence_of_encoders_is_known_and_sound_is_none() {
        // FFmpeg's and FDK's, of two channels and of one.
        for silence in [
            &[0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c][..],
            &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80],
            &[0x01, 0x40, 0x20, 0x07],
        ] {
            assert!(is_silence(silence), "{silence:x?}");
        }
        for sound in
            [&[0x21, 0x1a, 0x4f, 0xfe, 0xa0, 0x11, 0x9a][..], &[0x00, 0xf4, 0x34, 0x20], &[], &[0xff; 9]]
        {
            assert!(!is_silence(sound), "{sound:x?}");
        }
    }

    use super::*;
    use crate::domain::broadcast::AdviceCode;

    #[tokio::test(start_paused = true)]
    async fn a_stream_drifts_from_where_it_was_soonest() {
        let mut meter = Meter::new();
        let began = Instant::now();
        // The first picture is held up for 400 ms, the last for 100 ms.
        for (frame, late_ms) in [(0, 400), (1, 0), (2, 0), (3, 100)] {
            let dts_ticks = frame * TICKS_PER_SECOND;
            let data = Bytes::from_static(b"picture");
            let at = began + Duration::from_millis(u64::try_from(frame * 1000 + late_ms).unwrap_or(0));
            meter.count(&Media::Video(VideoFrame { dts_ticks, cts_ticks: 0, key: frame == 0, data }), at);
        }
        assert_eq!(meter.read(began + Duration::from_secs(4)).drift_ms, 100);
    }

    #[tokio::test(start_paused = true)]
    async fn a_keyframe_that_does_not_come_is_advised_against_before_it_does() {
        let mut meter = Meter::new();
        let began = Instant::now();
        for frame in 0..6_i64 {
            let (dts_ticks, data) = (frame * TICKS_PER_SECOND, Bytes::from_static(b"picture"));
            let at = began + Duration::from_secs(u64::try_from(frame).unwrap_or(0));
            meter.count(&Media::Video(VideoFrame { dts_ticks, cts_ticks: 0, key: frame == 0, data }), at);
        }
        let health = meter.read(began + Duration::from_secs(6));
        let codes: Vec<AdviceCode> = health.advice.iter().map(|advice| advice.code).collect();
        assert_eq!(codes, [AdviceCode::KeyframesTooFar, AdviceCode::NoSound]);
        assert_eq!(health.keyframe_interval_ms, Some(5_000));
    }

    #[tokio::test(start_paused = true)]
    async fn keyframes_ten_seconds_apart_are_advised_against() {
        let mut meter = Meter::new();
        let began = Instant::now();
        for frame in 0..500_i64 {
            let dts_ticks = frame * TICKS_PER_SECOND / 25;
            let key = frame % 250 == 0;
            let frame = VideoFrame { dts_ticks, cts_ticks: 0, key, data: Bytes::from_static(&[0; 5000]) };
            let at = began + Duration::from_millis(u64::try_from(dts_ticks).unwrap_or(0) / 90);
            meter.count(&Media::Video(frame), at);
        }
        let health = meter.read(began + Duration::from_secs(20));
        assert_eq!(health.keyframe_interval_ms, Some(10_000));
        assert_eq!((health.drift_ms, health.frame_rate), (0, 25.0));
        assert_eq!(health.bitrate, 500 * 5000 * 8 / 20);
        let codes: Vec<AdviceCode> = health.advice.iter().map(|advice| advice.code).collect();
        assert_eq!(codes, [AdviceCode::KeyframesTooFar, AdviceCode::NoSound]);
    }
}
