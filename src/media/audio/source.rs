//! One track of the source's sound, decoded and laid out without gaps from time 0 on.

use ffmpeg_next::format::context::Input;
use ffmpeg_next::{Packet, decoder, frame};

use super::place::{Placer, samples};
use crate::domain::media::Ticks;
use crate::domain::{Refusal, RefusalCode};
use crate::media::clock::Clock;
use crate::media::error::Error;
use crate::media::libav;
use crate::media::task::Audio;
use crate::media::{input, raw};

/// Broken packets in a row after which the rest is given up.
const MAX_BROKEN: usize = 2000;
/// Silence comes in blocks of this many samples, so that an hour of it needs no memory.
const SILENCE: u64 = 4096;

/// Reads and decodes one audio stream.
pub(super) struct Sound {
    input: Input,
    stream: usize,
    clock: Clock,
    decoder: decoder::Audio,
    placer: Placer,
    /// Nothing is wanted after this, not even silence.
    end: Ticks,
    /// Samples of silence that go before `held`.
    silence: u64,
    held: Option<frame::Audio>,
    ended: bool,
}

impl Sound {
    /// Opens the decoder; refuses a codec that can't be decoded.
    pub fn open(mut input: Input, stream: u32, task: &Audio) -> Result<Self, Error> {
        let (stream, video) = (stream as usize, &task.video);
        raw::keep_only(&mut input, &[stream]);
        let Some(found) = input.stream(stream) else {
            return Err(Error::Protocol(format!("stream {stream} is not in the source")));
        };
        let clock = Clock::of(video, (stream, found.time_base()));
        let Ok(decoder) = input::audio_decoder(&found) else { return Err(undecodable()) };
        let (placer, end) = (Placer::new(), task.end);
        Ok(Self { input, stream, clock, decoder, placer, end, silence: 0, held: None, ended: false })
    }

    /// The block of samples that follows; `None` where the source ends.
    pub fn next(&mut self) -> Option<frame::Audio> {
        loop {
            if let Some(held) = self.held.as_ref().filter(|_| self.silence > 0) {
                let count = self.silence.min(SILENCE);
                self.silence -= count;
                return Some(libav::silence_like(held, usize::try_from(count).unwrap_or(0)));
            }
            if let Some(block) = self.held.take() {
                return Some(block);
            }
            let block = self.decode()?;
            self.lay(block);
        }
    }

    fn decode(&mut self) -> Option<frame::Audio> {
        let mut block = frame::Audio::empty();
        loop {
            while self.decoder.receive_frame(&mut block).is_ok() {
                if block.samples() > 0 && block.rate() > 0 {
                    return Some(block);
                }
            }
            if self.ended {
                return None;
            }
            // A packet that can't be decoded is a gap, and filled like one.
            let _ = if let Some(packet) = self.packet() {
                self.decoder.send_packet(&packet)
            } else {
                self.ended = true;
                self.decoder.send_eof()
            };
        }
    }

    fn lay(&mut self, mut block: frame::Audio) {
        libav::settle_layout(&mut block);
        // A time after the end can't be meant, and would silence all that follows.
        let at = block.timestamp().map(|stamp| self.clock.time(stamp)).filter(|at| *at <= self.end);
        let wanted = (self.end - self.placer.position()).max(0);
        let place = self.placer.place(at, block.samples(), block.rate());
        if place.skip >= block.samples() {
            return;
        }
        self.silence = place.silence.min(samples(wanted.unsigned_abs(), block.rate()).saturating_add(1));
        self.held = Some(if place.skip > 0 { libav::without_start(&block, place.skip) } else { block });
    }

    fn packet(&mut self) -> Option<Packet> {
        let mut broken = 0;
        while broken < MAX_BROKEN {
            let mut packet = Packet::empty();
            match packet.read(&mut self.input) {
                Ok(()) if packet.stream() == self.stream && packet.size() > 0 => {
                    self.clock.mend(&mut packet);
                    return Some(packet);
                }
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => broken += 1,
                Err(_) => return None,
            }
        }
        None
    }
}

/// The sound can't be used.
pub(super) fn undecodable() -> Error {
    let message = "The sound of this video could not be decoded.";
    Error::Refused(Refusal::new(RefusalCode::AudioUndecodable, message))
}
