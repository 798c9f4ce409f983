//! How loud the sound is (EBU R 128), and what brings it to the loudness wanted.

use ffmpeg_next::frame;

/// Below this there is nothing to bring up (the absolute gate of ITU-R BS.1770).
const SILENT_LUFS: f64 = -69.9;
/// Sound too short to be measured isn't silent where it has a peak above this, in dB below full scale.
const SILENT_PEAK_DB: f64 = -60.0;
/// More gain than this would raise nothing but noise.
const MAX_GAIN_DB: f64 = 30.0;
/// Peaks stay under this, in dB below full scale (EBU R 128 asks for −1 after coding; AAC adds up to half a dB).
const CEILING_DB: f64 = -1.5;
/// A sample peak hides a true peak of up to this much more.
const HIDDEN_PEAK_DB: f64 = 3.0;

/// The filter that measures, with what it measured on each frame's metadata.
///
/// A single channel is heard from both speakers, which adds 3 dB to what the meter would say of one of them.
pub(super) fn meter(channels: u16) -> String {
    let dual = if channels == 1 { ":dualmono=true" } else { "" };
    format!(",ebur128=metadata=1:peak=sample:framelog=verbose{dual}")
}

/// What was measured so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Loudness {
    pub integrated_lufs: f64,
    pub peak_db: f64,
}

impl Loudness {
    /// Nothing heard yet.
    pub fn silent() -> Self {
        Self { integrated_lufs: -70.0, peak_db: -120.0 }
    }

    /// There is nothing to hear in all of it.
    pub fn is_silent(self) -> bool {
        self.integrated_lufs <= SILENT_LUFS && self.peak_db <= SILENT_PEAK_DB
    }

    /// Takes the meter's word on a frame.
    pub fn hear(&mut self, block: &frame::Audio) {
        let metadata = block.metadata();
        let read = |key: &str| metadata.get(key).and_then(|value| value.parse::<f64>().ok());
        if let Some(integrated) = read("lavfi.r128.I").filter(|value| value.is_finite()) {
            self.integrated_lufs = integrated;
        }
        for key in ["lavfi.r128.sample_peaks_ch0", "lavfi.r128.sample_peaks_ch1"] {
            // The meter tells peaks as a share of full scale.
            let peak = read(key).filter(|value| *value > 0.0).map_or(-120.0, |value| 20.0 * value.log10());
            self.peak_db = self.peak_db.max(peak);
        }
    }

    /// The filters that bring it to `wanted` LUFS: a gain, and a limiter where a peak would come too high.
    pub fn correction(self, wanted: f64) -> String {
        if self.integrated_lufs <= SILENT_LUFS {
            return String::new();
        }
        let gain = (wanted - self.integrated_lufs).clamp(-60.0, MAX_GAIN_DB);
        let volume = format!(",volume={gain:.2}dB:precision=float");
        if self.peak_db + HIDDEN_PEAK_DB + gain <= CEILING_DB {
            return volume;
        }
        // Four times the rate, so that peaks between samples are seen.
        let limit = 10_f64.powf(CEILING_DB / 20.0);
        format!(
            "{volume},aresample=192000,alimiter=limit={limit:.4}:level=0:attack=5:release=50:latency=1,aresample=48000"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn correction(integrated_lufs: f64, peak_db: f64) -> String {
        Loudness { integrated_lufs, peak_db }.correction(-16.0)
    }

    #[test]
    fn silence_is_left_alone() {
        assert_eq!(Loudness::silent().correction(-16.0), "");
    }

    #[test]
    fn quiet_sound_with_room_above_is_only_turned_up() {
        assert_eq!(correction(-23.0, -15.0), ",volume=7.00dB:precision=float");
        assert_eq!(correction(-60.0, -50.0), ",volume=30.00dB:precision=float");
    }

    #[test]
    fn peaks_that_would_come_too_high_are_limited() {
        insta::assert_snapshot!(correction(-23.0, -3.0), @",volume=7.00dB:precision=float,aresample=192000,alimiter=limit=0.8414:level=0:attack=5:release=50:latency=1,aresample=48000");
    }
}
