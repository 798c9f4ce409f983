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
        }
        if self.bitrate > HIGH_BITRATE {
            let text = format!("{} Mbit/s; 6 Mbit/s are enough for 1080p", self.bitrate / 1_000_000);
            say(AdviceCode::BitrateHigh, text);
        }
        advice
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_names_what_is_and_what_to_set() {
        let health = Health { keyframe_interval_ms: Some(10_000), ..Health::default() };
        let advice = health.advise(true);
        assert_eq!(advice.len(), 1);
        assert_eq!(advice[0].message, "keyframe every 10.0 s; set 2 s");
    }

    #[test]
    fn a_good_stream_needs_no_advice() {
        let health = Health { keyframe_interval_ms: Some(2_000), bitrate: 4_000_000, ..Health::default() };
        assert!(health.advise(true).is_empty());
    }
}
