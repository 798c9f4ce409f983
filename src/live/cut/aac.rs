//! AAC: what an `AudioSpecificConfig` says, and frames of silence to put where sound is missing.

use bytes::Bytes;

use super::error::Error;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// ISO/IEC 14496-3 table 1.18.
const SAMPLE_RATES: [u32; 13] =
    [96_000, 88_200, 64_000, 48_000, 44_100, 32_000, 24_000, 22_050, 16_000, 12_000, 11_025, 8_000, 7_350];
/// Index that says that the rate itself follows.
const EXPLICIT_RATE: u32 = 15;
const LC: u8 = 2;
const SBR: u8 = 5;
const PS: u8 = 29;

/// One AAC-LC frame of silence for each channel configuration from 1 to 6, at any sample rate.
const SILENCE: [&[u8]; 6] = [
    &[0x00, 0xc8, 0x00, 0x80, 0x23, 0x80],
    &[0x21, 0x00, 0x49, 0x90, 0x02, 0x19, 0x00, 0x23, 0x80],
    &[0x00, 0xc8, 0x00, 0x80, 0x20, 0x84, 0x01, 0x26, 0x40, 0x08, 0x64, 0x00, 0x8e],
    &[
        0x00, 0xc8, 0x00, 0x80, 0x20, 0x84, 0x01, 0x26, 0x40, 0x08, 0x64, 0x00, 0x80, 0x2c, 0x80, 0x08, 0x02,
        0x38,
    ],
    &[
        0x00, 0xc8, 0x00, 0x80, 0x20, 0x84, 0x01, 0x26, 0x40, 0x08, 0x64, 0x00, 0x82, 0x30, 0x04, 0x99, 0x00,
        0x21, 0x90, 0x02, 0x38,
    ],
    &[
        0x00, 0xc8, 0x00, 0x80, 0x20, 0x84, 0x01, 0x26, 0x40, 0x08, 0x64, 0x00, 0x82, 0x30, 0x04, 0x99, 0x00,
        0x21, 0x90, 0x02, 0x00, 0xb2, 0x00, 0x20, 0x08, 0xe0,
    ],
];

/// What FFmpeg and OBS send, to the byte: AAC-LC, 48 kHz, stereo, and that there is no SBR.
const USUAL: &[u8] = &[0x11, 0x90, 0x56, 0xe5, 0x00];

/// An audio configuration that has been understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sound {
    pub config: Bytes,
    pub object_type: u8,
    /// Of the core coder, before SBR doubles it.
    pub sample_rate: u32,
    channel_config: u8,
    /// Samples in a frame of the core coder.
    pub frame_samples: i64,
}

impl Sound {
    /// What silence is coded by where an encoder sends no sound at all.
    pub fn usual() -> Result<Self, Error> {
        Self::read(Bytes::from_static(USUAL))
    }

    /// Understands an `AudioSpecificConfig` (ISO/IEC 14496-3 1.6.2.1).
    pub fn read(config: Bytes) -> Result<Self, Error> {
        let short = || Error::Config {
            codec: "AAC",
            size_bytes: config.len(),
            reason: "it ends too early".to_owned(),
        };
        let mut bits = Bits { bytes: &config, at: 0 };
        let object_type = bits.object_type().ok_or_else(short)?;
        let sample_rate = bits.sample_rate().ok_or_else(short)?;
        let channel_config = bits.small(4).ok_or_else(short)?;
        if ![LC, SBR, PS].contains(&object_type) {
            return Err(Error::AudioType(object_type));
        }
        if object_type != LC {
            bits.sample_rate().and_then(|_| bits.object_type()).ok_or_else(short)?;
        }
        if !(1..=6).contains(&channel_config) {
            return Err(Error::AudioChannels(channel_config));
        }
        if !(7_350..=96_000).contains(&sample_rate) {
            return Err(Error::AudioRate(sample_rate));
        }
        let frame_samples = if bits.take(1).ok_or_else(short)? == 1 { 960 } else { 1024 };
        Ok(Self { config, object_type, sample_rate, channel_config, frame_samples })
    }

    pub fn codecs(&self) -> String {
        format!("mp4a.40.{}", self.object_type)
    }

    /// Channels heard; parametric stereo makes two out of one.
    pub fn channels(&self) -> u16 {
        if self.object_type == PS { 2 } else { u16::from(self.channel_config) }
    }

    /// A time in samples, rounded up.
    pub fn samples_to(&self, time: Ticks) -> i64 {
        -(-time * i64::from(self.sample_rate)).div_euclid(TICKS_PER_SECOND)
    }

    /// One frame of silence.
    pub fn silence(&self) -> Bytes {
        let index = usize::from(self.channel_config.saturating_sub(1));
        Bytes::from_static(SILENCE[index.min(SILENCE.len() - 1)])
    }
}

struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Bits<'_> {
    fn take(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |value, _| {
            let byte = self.bytes.get(self.at / 8)?;
            let bit = byte >> (7 - self.at % 8) & 1;
            self.at += 1;
            Some(value << 1 | u32::from(bit))
        })
    }

    fn small(&mut self, count: usize) -> Option<u8> {
        self.take(count).and_then(|value| u8::try_from(value).ok())
    }

    fn object_type(&mut self) -> Option<u8> {
        match self.small(5)? {
            31 => Some(32 + self.small(6)?),
            plain => Some(plain),
        }
    }

    fn sample_rate(&mut self) -> Option<u32> {
        match self.take(4)? {
            EXPLICIT_RATE => self.take(24),
            index => Some(SAMPLE_RATES.get(index as usize).copied().unwrap_or(0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> Result<Sound, Error> {
        Sound::read(Bytes::copy_from_slice(bytes))
    }

    #[test]
    fn stereo_at_48_khz_is_read() {
        let sound = read(&[0x11, 0x90]).unwrap();
        assert_eq!((sound.sample_rate, sound.channels(), sound.frame_samples), (48_000, 2, 1024));
        assert_eq!(sound.codecs(), "mp4a.40.2");
    }

    #[test]
    fn a_frame_of_he_aac_is_counted_at_the_rate_of_its_core() {
        let sound = read(&[0x2b, 0x11, 0x88, 0x00]).unwrap();
        assert_eq!((sound.object_type, sound.sample_rate, sound.channels()), (5, 24_000, 2));
    }

    #[test]
    fn a_configuration_nobody_could_play_is_refused() {
        assert_eq!(
            read(&[0x11]).unwrap_err().to_string(),
            "AAC configuration of 1 bytes can't be read: it ends too early"
        );
        assert_eq!(
            read(&[0x11, 0xb8]).unwrap_err().to_string(),
            "audio channel configuration is 7, expected 1 to 6"
        );
        assert_eq!(
            read(&[0x09, 0x90]).unwrap_err().to_string(),
            "audio object type is 1, expected 2 (AAC-LC), 5 or 29 (HE-AAC)"
        );
        assert_eq!(
            read(&[0x17, 0x10]).unwrap_err().to_string(),
            "audio sample rate is 0 Hz, expected 7350 to 96000"
        );
    }
}
