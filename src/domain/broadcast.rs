//! Broadcasts: their states, their limits, and what is said of the stream that comes in.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::words::words;

/// How long a broadcast waits for an encoder that dropped, unless it says otherwise.
pub const DEFAULT_GRACE: Duration = Duration::from_mins(1);
/// Beyond this nobody waits any more.
pub const MAX_GRACE: Duration = Duration::from_mins(30);
/// A window shorter than this would leave nothing to seek back to.
pub const MIN_DVR: Duration = Duration::from_secs(30);

words! {
    /// How far a broadcast is.
    BroadcastState {
        /// Announced; its start lies ahead.
        Scheduled = "scheduled",
        /// Its start has come, and no encoder has.
        Waiting = "waiting",
        Live = "live",
        /// The encoder dropped, and may come back within the grace time.
        Interrupted = "interrupted",
        /// Over; the recording is at the same address.
        Ended = "ended",
    }
}

impl BroadcastState {
    /// The state at a moment: a scheduled broadcast that is due and has no encoder yet is waiting.
    pub fn at(self, starts_at: Option<Timestamp>, now: Timestamp) -> Self {
        match self {
            Self::Scheduled if starts_at.is_none_or(|at| at <= now) => Self::Waiting,
            state => state,
        }
    }
}

/// How well a stream comes in, measured over the last seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[schema(as = StreamHealth)]
pub struct Health {
    /// Bits a second, pictures and sound together.
    pub bitrate: u64,
    /// Pictures a second.
    pub frame_rate: f64,
    /// Milliseconds between the last two keyframes; null before the second one.
    pub keyframe_interval_ms: Option<u64>,
    /// How much later than at its best media comes, in milliseconds: what the way or the encoder is behind.
    pub drift_ms: i64,
    /// Pictures the encoder left out, by its own times.
    pub dropped_frames: u64,
    /// RFC 6381.
    pub codecs: String,
    /// The same of the sound; empty before any has come.
    #[serde(default)]
    pub audio_codecs: String,
    /// Bits a second of the sound alone.
    #[serde(default)]
    pub audio_bitrate: u64,
    /// How long the sound has been digital silence or missing, in milliseconds.
    #[serde(default)]
    pub silent_ms: u64,
    /// Tracks that came beside the first picture and the first sound, and are left out.
    #[serde(default)]
    pub left_out: Vec<String>,
    pub width: u32,
    pub height: u32,
    /// Codes of what could be better, each with its sentence on the pages.
    pub advice: Vec<Advice>,
}

words! {
    /// What an agency can do about its stream.
    AdviceCode {
        KeyframesTooFar = "keyframes_too_far",
        SlowerThanRealTime = "slower_than_real_time",
        FramesDropped = "frames_dropped",
        NoSound = "no_sound",
        SoundSilent = "sound_silent",
        NoPictures = "no_pictures",
        TrackLeftOut = "track_left_out",
        FormatUnusual = "format_unusual",
        BitrateHigh = "bitrate_high",
    }
}

/// One piece of advice in words.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Advice {
    pub code: AdviceCode,
    /// Such as `keyframe every 10.0 s; set 2 s`.
    pub message: String,
}

/// Farther apart than this, viewers wait longer for their first picture.
const KEYFRAMES_APART: u64 = 4_000;
/// Lagging more than this, viewers stall.
const LAG_MS: i64 = 2_000;
/// Nobody who speaks pauses for longer.
const SILENT_MS: u64 = 10_000;
/// Beyond this most residents' lines are too slow.
const HIGH_BITRATE: u64 = 12_000_000;

impl Health {
    /// What could be better; `sound` tells that some has come.
    pub fn advise(&self, sound: bool) -> Vec<Advice> {
        let mut advice = Vec::new();
        let mut say = |code, message| advice.push(Advice { code, message });
        if let Some(apart) = self.keyframe_interval_ms.filter(|apart| *apart > KEYFRAMES_APART) {
            let text = format!("keyframe every {}.{} s; set 2 s", apart / 1000, apart % 1000 / 100);
            say(AdviceCode::KeyframesTooFar, text);
        }
        if self.drift_ms > LAG_MS {
            let lag = self.drift_ms;
            let text = format!(
                "the stream lags {}.{} s behind real time; lower the bitrate or the encoder's preset",
                lag / 1000,
                lag % 1000 / 100
            );
            say(AdviceCode::SlowerThanRealTime, text);
        }
        if self.dropped_frames > 0 {
            let text = format!("{} frames were dropped; lower the bitrate", self.dropped_frames);
            say(AdviceCode::FramesDropped, text);
        }
        if !sound {
            say(AdviceCode::NoSound, "no sound arrives; check the audio source".to_owned());
        } else if self.silent_ms >= SILENT_MS {
            let text = format!("silence for {} s; check the microphone and the mixer", self.silent_ms / 1000);
            say(AdviceCode::SoundSilent, text);
        }
        if sound && self.frame_rate == 0.0 {
            let text = "no pictures arrive; viewers see a still one that says so";
            say(AdviceCode::NoPictures, text.to_owned());
        }
        for track in &self.left_out {
            say(
                AdviceCode::TrackLeftOut,
                format!("{track} is left out; one picture and one sound are taken"),
            );
        }
        if let Some(format) = unusual_format(&self.codecs) {
            let text = format!(
                "pictures have {format}, which many browsers can't show; set 4:2:0 with 8 bits (NV12)"
            );
            say(AdviceCode::FormatUnusual, text);
        }
        if self.bitrate > HIGH_BITRATE {
            let text = format!("{} Mbit/s; 6 Mbit/s are enough for 1080p", self.bitrate / 1_000_000);
            say(AdviceCode::BitrateHigh, text);
        }
        advice
    }
}

/// What most players can't decode in pictures of this codec (RFC 6381; ITU-T H.264 A.2, H.265 A.3, AV1-ISOBMFF 5).
fn unusual_format(codecs: &str) -> Option<&'static str> {
    let (kind, rest) = codecs.split_once('.')?;
    match (kind, rest.to_ascii_lowercase().as_str()) {
        ("avc1" | "avc3", profile) if profile.starts_with("6e") => Some("10 bits"),
        ("avc1" | "avc3", profile) if profile.starts_with("7a") => Some("4:2:2"),
        ("avc1" | "avc3", profile) if profile.starts_with("f4") || profile.starts_with("2c") => Some("4:4:4"),
        ("hvc1" | "hev1", profile) => match profile.trim_start_matches(['a', 'b', 'c']).split('.').next()? {
            "1" | "3" => None,
            "2" => Some("10 bits"),
            _ => Some("4:2:2, 4:4:4 or more than 10 bits"),
        },
        ("av01", profile) if profile.starts_with("1.") => Some("4:4:4"),
        ("av01", profile) if profile.starts_with("2.") => Some("4:2:2 or 12 bits"),
        ("av01", profile) if profile.ends_with(".10") => Some("10 bits"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_that_few_players_decode_are_advised_against() {
        let of = |codecs: &str| {
            let health = Health { codecs: codecs.to_owned(), frame_rate: 25.0, ..Health::default() };
            health.advise(true).pop().map(|advice| (advice.code, advice.message))
        };
        for (codecs, format) in [
            ("avc1.6e001f", "10 bits"),
            ("avc1.7A1029", "4:2:2"),
            ("avc1.f4001f", "4:4:4"),
            ("hvc1.2.4.L93.B0", "10 bits"),
            ("hvc1.4.10.L93.9E.8", "4:2:2, 4:4:4 or more than 10 bits"),
            ("av01.1.04M.08", "4:4:4"),
            ("av01.0.04M.10", "10 bits"),
        ] {
            let message = format!(
                "pictures have {format}, which many browsers can't show; set 4:2:0 with 8 bits (NV12)"
            );
            assert_eq!(of(codecs), Some((AdviceCode::FormatUnusual, message)), "{codecs}");
        }
        for codecs in ["", "avc1.64001f", "avc1.42c01e", "hvc1.1.6.L93.90", "av01.0.04M.08"] {
            assert_eq!(of(codecs), None, "{codecs}");
        }
    }

    #[test]
    fn silence_and_tracks_that_are_left_out_are_said() {
        let left_out = vec!["a second track of sound".to_owned()];
        let health = Health { silent_ms: 12_345, left_out, frame_rate: 25.0, ..Health::default() };
        let told: Vec<String> = health.advise(true).into_iter().map(|advice| advice.message).collect();
        assert_eq!(
            told,
            [
                "silence for 12 s; check the microphone and the mixer",
                "a second track of sound is left out; one picture and one sound are taken",
            ]
        );
        assert_eq!(health.advise(false)[0].code, AdviceCode::NoSound);
    }

    #[test]
    fn advice_names_what_is_and_what_to_set() {
        let health = Health { keyframe_interval_ms: Some(10_000), frame_rate: 25.0, ..Health::default() };
        let advice = health.advise(true);
        assert_eq!(advice.len(), 1);
        assert_eq!(advice[0].message, "keyframe every 10.0 s; set 2 s");
    }

    #[test]
    fn a_good_stream_needs_no_advice() {
        let health = Health {
            keyframe_interval_ms: Some(2_000),
            bitrate: 4_000_000,
            frame_rate: 25.0,
            ..Health::default()
        };
        assert!(health.advise(true).is_empty());
    }
}
