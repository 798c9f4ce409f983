//! The AAC encoder: an endless row of samples in, segments cut at the frame nearest each planned start out.

use ffmpeg_next::{ChannelLayout, Packet, Rational, codec, encoder, format, frame};

use super::filters::RATE;
use crate::domain::media::{AudioRung, Ticks};
use crate::media::error::Error;
use crate::media::grid::Grid;
use crate::media::libav;
use crate::media::mux::{Muxer, Track};
use crate::media::wire::Emit;

/// Samples in an AAC-LC frame (ISO/IEC 14496-3).
const FRAME: usize = 1024;
/// The same in ticks, at 48 kHz.
pub(super) const FRAME_TICKS: Ticks = 1920;

/// Encodes, cuts and emits.
pub(super) struct Aac {
    encoder: encoder::audio::Encoder,
    muxer: Muxer,
    grid: Grid,
    /// Samples by channel that don't fill a frame yet.
    waiting: Vec<Vec<f32>>,
    /// Frames sent to the encoder.
    sent: i64,
    /// Frames in all.
    most: i64,
    filling: Option<u32>,
    packets: Vec<Packet>,
}

impl Aac {
    /// `most`, how many frames there are.
    pub fn open(rung: &AudioRung, grid: Grid, most: i64, emit: &Emit) -> Result<Self, Error> {
        let encoder = open_encoder(rung)?;
        let muxer = Muxer::open(&libav::parameters(&encoder)?, Track::Aac, (emit, &rung.name))?;
        let waiting = vec![Vec::new(); usize::from(rung.channels.clamp(1, 2))];
        Ok(Self { encoder, muxer, grid, waiting, sent: 0, most, filling: None, packets: Vec::new() })
    }

    /// No more sound is needed.
    pub fn is_full(&self) -> bool {
        self.sent >= self.most
    }

    /// The end of the frames sent so far.
    pub fn position(&self) -> Ticks {
        self.sent * FRAME_TICKS
    }

    /// Samples that follow, 48 kHz planar floats.
    pub fn push(&mut self, block: &frame::Audio) -> Result<(), Error> {
        for (channel, waiting) in self.waiting.iter_mut().enumerate() {
            waiting.extend_from_slice(block.plane::<f32>(channel.min(block.planes().saturating_sub(1))));
        }
        self.encode_whole()
    }

    /// Pads with silence to the end, encodes the rest, and tells where the last frame ends.
    pub fn end(mut self) -> Result<Ticks, Error> {
        while !self.is_full() {
            for waiting in &mut self.waiting {
                waiting.resize(waiting.len().max(FRAME), 0.0);
            }
            self.encode_whole()?;
        }
        self.encoder.send_eof().map_err(Error::libav("end the encoder of sound"))?;
        self.drain()?;
        let end = self.position();
        self.close(end)?;
        Ok(end)
    }

    fn encode_whole(&mut self) -> Result<(), Error> {
        let layout = ChannelLayout::default(i32::try_from(self.waiting.len()).unwrap_or(2));
        while !self.is_full() && self.waiting.iter().all(|waiting| waiting.len() >= FRAME) {
            let mut block =
                frame::Audio::new(format::Sample::F32(format::sample::Type::Planar), FRAME, layout);
            block.set_rate(RATE);
            block.set_pts(Some(self.sent * i64::try_from(FRAME).unwrap_or(0)));
            for (channel, waiting) in self.waiting.iter_mut().enumerate() {
                let row = waiting.drain(..FRAME).map(|sample| if sample.is_finite() { sample } else { 0.0 });
                for (to, from) in block.plane_mut::<f32>(channel).iter_mut().zip(row) {
                    *to = from;
                }
            }
            self.sent += 1;
            self.encoder.send_frame(&block).map_err(Error::libav("encode sound"))?;
            self.drain()?;
        }
        if self.is_full() {
            self.waiting.iter_mut().for_each(Vec::clear);
        }
        Ok(())
    }

    fn drain(&mut self) -> Result<(), Error> {
        let mut packet = Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            let mut packet = std::mem::replace(&mut packet, Packet::empty());
            // Before time 0 there is only the encoder's run-up; an edit list would be needed to hide it.
            let Some(sample) = packet.pts().filter(|pts| *pts >= 0) else { continue };
            let at = sample * 15 / 8;
            if at >= self.sent * FRAME_TICKS {
                continue;
            }
            libav::forget_side_data(&mut packet);
            packet.set_pts(Some(at));
            let segment = self.grid.index(at + FRAME_TICKS / 2);
            if self.filling != Some(segment) {
                self.close(at)?;
                self.filling = Some(segment);
            }
            self.packets.push(packet);
        }
        Ok(())
    }

    fn close(&mut self, end: Ticks) -> Result<(), Error> {
        match self.filling {
            Some(index) if !self.packets.is_empty() => {
                self.muxer.segment(index, std::mem::take(&mut self.packets), end)
            }
            _ => Ok(()),
        }
    }
}

/// How many frames reach nearest to `end`, and into the segment that starts at `last_start`.
pub(super) fn frames_until(end: Ticks, last_start: Ticks) -> i64 {
    let nearest = |at: Ticks| (at + FRAME_TICKS / 2) / FRAME_TICKS;
    nearest(end).max(nearest(last_start) + 1)
}

fn open_encoder(rung: &AudioRung) -> Result<encoder::audio::Encoder, Error> {
    let doing = || Error::libav("open the encoder of sound");
    let Some(aac) = encoder::find_by_name("aac") else {
        return Err(doing()(ffmpeg_next::Error::EncoderNotFound));
    };
    let mut context = codec::Context::new_with_codec(aac);
    context.set_flags(codec::Flags::GLOBAL_HEADER);
    let mut audio = context.encoder().audio().map_err(doing())?;
    audio.set_rate(i32::try_from(RATE).unwrap_or(0));
    audio.set_format(format::Sample::F32(format::sample::Type::Planar));
    audio.set_channel_layout(ChannelLayout::default(i32::from(rung.channels.clamp(1, 2))));
    audio.set_bit_rate(usize::try_from(rung.bitrate).unwrap_or(128_000));
    audio.set_time_base(Rational(1, i32::try_from(RATE).unwrap_or(1)));
    audio.open().map_err(doing())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_reach_nearest_to_the_end_and_into_every_segment() {
        assert_eq!(frames_until(90_000, 0), 47);
        assert_eq!(frames_until(360_100, 360_000), 189);
        assert_eq!(frames_until(0, 0), 1);
    }
}
