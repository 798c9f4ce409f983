//! AAC in ADTS (ISO/IEC 13818-7 6.2) to raw frames and an `AudioSpecificConfig`.

use std::collections::VecDeque;

use bytes::{Buf, Bytes, BytesMut};

use super::pes::Time;
use crate::live::frame::{AudioFrame, Media, TICKS_PER_SECOND};

const RATES: [i64; 13] =
    [96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350];
const SAMPLES: i64 = 1024;
const HEADER: usize = 7;

/// The audio stream so far.
#[derive(Debug, Default)]
pub struct Audio {
    buffer: BytesMut,
    /// A time that came with a packet, for the first frame that begins this far into the buffer or later.
    stamp: Option<(usize, i64)>,
    anchor: Option<Anchor>,
    config: Option<[u8; 2]>,
}

/// Times between two stamps are counted in samples, so 44.1 kHz doesn't drift.
#[derive(Debug, Clone, Copy)]
struct Anchor {
    pts: i64,
    frames: i64,
}

/// What a frame's header says.
struct Frame {
    header: usize,
    length: usize,
    rate: i64,
    config: [u8; 2],
    usable: bool,
}

impl Audio {
    pub fn begin(&mut self, time: Option<Time>) {
        if let Some(time) = time {
            self.stamp = Some((self.buffer.len(), time.pts));
        }
    }

    pub fn push(&mut self, data: &[u8], out: &mut VecDeque<Media>) {
        self.buffer.extend_from_slice(data);
        while let Some(frame) = self.next_frame() {
            let mut data = self.buffer.split_to(frame.length);
            let pts = self.time(&frame);
            data.advance(frame.header);
            self.stamp = self.stamp.map(|(at, pts)| (at.saturating_sub(frame.length), pts));
            if let (Some(pts), true) = (pts, frame.usable) {
                self.emit(frame.config, AudioFrame { pts_ticks: pts, data: data.freeze() }, out);
            }
        }
    }

    /// Bytes are missing; the next frame begins with the next packet that has a time.
    pub fn gap(&mut self) {
        self.buffer.clear();
        self.stamp = None;
        self.anchor = None;
    }

    fn emit(&mut self, config: [u8; 2], frame: AudioFrame, out: &mut VecDeque<Media>) {
        if self.config != Some(config) {
            self.config = Some(config);
            out.push_back(Media::AudioConfig(Bytes::copy_from_slice(&config)));
        }
        out.push_back(Media::Audio(frame));
    }

    /// The header of the frame at the front, once all of the frame is there.
    fn next_frame(&mut self) -> Option<Frame> {
        while self.buffer.len() >= HEADER {
            if let Some(frame) = Frame::read(&self.buffer) {
                return (self.buffer.len() >= frame.length).then_some(frame);
            }
            self.buffer.advance(1);
            self.stamp = self.stamp.map(|(at, pts)| (at.saturating_sub(1), pts));
        }
        None
    }

    fn time(&mut self, frame: &Frame) -> Option<i64> {
        if let Some((_, pts)) = self.stamp.take_if(|(at, _)| *at == 0) {
            self.anchor = Some(Anchor { pts, frames: 0 });
        }
        let anchor = self.anchor.as_mut()?;
        let pts = anchor.pts.wrapping_add(anchor.frames * SAMPLES * TICKS_PER_SECOND / frame.rate);
        anchor.frames += 1;
        Some(pts)
    }
}

impl Frame {
    fn read(bytes: &[u8]) -> Option<Self> {
        let [0xff, b1, b2, b3, b4, b5, b6, ..] = bytes else { return None };
        if b1 & 0xf6 != 0xf0 {
            return None;
        }
        let (profile, index, channels) = (b2 >> 6, b2 >> 2 & 15, (b2 & 1) << 2 | b3 >> 6);
        let rate = *RATES.get(usize::from(index))?;
        let header = if b1 & 1 == 1 { HEADER } else { HEADER + 2 };
        let length = usize::from(b3 & 3) << 11 | usize::from(*b4) << 3 | usize::from(b5 >> 5);
        let object = profile + 1;
        let config = [object << 3 | index >> 1, index << 7 | channels << 3];
        // Channels described inside the frame, or several blocks behind one header, need more than a
        // header's look.
        let usable = channels != 0 && b6.trailing_zeros() >= 2;
        (length > header).then_some(Frame { header, length, rate, config, usable })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 48 kHz, stereo, AAC-LC.
    fn adts(payload: &[u8]) -> Vec<u8> {
        let length = payload.len() + HEADER;
        let [high, low] = u16::try_from(length).unwrap().to_be_bytes();
        let mut frame = vec![0xff, 0xf1, 0x4c, 0x80 | high >> 3, high << 5 | low >> 3, low << 5 | 0x1f, 0xfc];
        frame.extend_from_slice(payload);
        frame
    }

    fn at(pts: i64) -> Time {
        Time { pts, dts: pts }
    }

    fn times(out: &VecDeque<Media>) -> Vec<i64> {
        out.iter()
            .filter_map(|media| if let Media::Audio(frame) = media { Some(frame.pts_ticks) } else { None })
            .collect()
    }

    #[test]
    fn frames_come_out_raw_behind_their_config() {
        let (mut audio, mut out) = (Audio::default(), VecDeque::new());
        audio.begin(Some(at(9000)));
        audio.push(&[adts(b"one"), adts(b"three")].concat(), &mut out);
        assert_eq!(out[0], Media::AudioConfig(Bytes::from_static(&[0x11, 0x90])));
        assert_eq!(out[1], Media::Audio(AudioFrame { pts_ticks: 9000, data: Bytes::from_static(b"one") }));
        assert_eq!(
            out[2],
            Media::Audio(AudioFrame { pts_ticks: 9000 + 1920, data: Bytes::from_static(b"three") })
        );
    }

    #[test]
    fn a_frame_across_two_packets_keeps_the_time_of_the_first() {
        let (mut audio, mut out) = (Audio::default(), VecDeque::new());
        let bytes = [adts(b"aaaa"), adts(b"bbbb"), adts(b"cccc")].concat();
        audio.begin(Some(at(0)));
        audio.push(&bytes[..15], &mut out);
        audio.begin(Some(at(5000)));
        audio.push(&bytes[15..], &mut out);
        assert_eq!(times(&out), [0, 1920, 5000]);
    }

    #[test]
    fn noise_between_frames_is_skipped() {
        let (mut audio, mut out) = (Audio::default(), VecDeque::new());
        audio.begin(Some(at(0)));
        audio.push(
            &[b"\xff\x00noise\xff".to_vec(), adts(b"one"), b"\xff\xff".to_vec(), adts(b"two")].concat(),
            &mut out,
        );
        assert_eq!(times(&out), [0, 1920]);
    }

    #[test]
    fn after_a_gap_nothing_comes_without_a_time() {
        let (mut audio, mut out) = (Audio::default(), VecDeque::new());
        audio.begin(Some(at(0)));
        audio.push(&adts(b"one")[..8], &mut out);
        audio.gap();
        audio.push(&adts(b"two"), &mut out);
        audio.begin(Some(at(7000)));
        audio.push(&adts(b"three"), &mut out);
        assert_eq!(times(&out), [7000]);
    }
}
