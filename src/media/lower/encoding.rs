//! One lower rung's encoder: a picture in, the same picture coded out.

use std::collections::VecDeque;
use std::thread;

use ffmpeg_next::util::picture;
use ffmpeg_next::{Packet, Rational, encoder, frame};

use crate::domain::media::{Rung, Ticks};
use crate::media::encode;
use crate::media::error::Error;
use crate::media::task::Event;
use crate::media::wire::Emit;

/// Slices of a picture that are encoded at once; more cost quality.
const MOST_THREADS: usize = 4;

pub(super) struct Encoding<'a> {
    at: u32,
    rung: &'a Rung,
    emit: &'a Emit,
    /// Opened with the first picture, which tells the shape of its pixels.
    encoder: Option<encoder::video::Encoder>,
    aspect: Rational,
    /// Where IDR pictures are still to come.
    begins: VecDeque<Ticks>,
}

impl<'a> Encoding<'a> {
    /// The encoder of the `at`th rung.
    pub fn new(at: u32, rung: &'a Rung, emit: &'a Emit) -> Self {
        Self { at, rung, emit, encoder: None, aspect: Rational(1, 1), begins: VecDeque::new() }
    }

    /// The shape of the source's pixels, which scaling keeps; heard of until the first picture.
    pub fn set_aspect(&mut self, aspect: Rational) {
        self.aspect = aspect;
    }

    /// The first picture shown then or later is an IDR.
    pub fn begin_at(&mut self, shown: Ticks) {
        self.begins.push_back(shown);
    }

    pub fn encode(&mut self, mut picture: frame::Video) -> Result<(), Error> {
        let shown = picture.pts().unwrap_or(0);
        let begins = due(&mut self.begins, shown);
        picture.set_kind(if begins { picture::Type::I } else { picture::Type::None });
        let encoder = match &mut self.encoder {
            Some(encoder) => encoder,
            none => none.insert(encode::open_live(self.rung, threads(), self.aspect)?),
        };
        encoder.send_frame(&picture).map_err(Error::libav("encode a picture"))?;
        self.drain()
    }

    pub fn finish(&mut self) -> Result<(), Error> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        encoder.send_eof().map_err(Error::libav("end the encoder"))?;
        self.drain()
    }

    fn drain(&mut self) -> Result<(), Error> {
        let Some(encoder) = &mut self.encoder else { return Ok(()) };
        let mut packet = Packet::empty();
        while encoder.receive_packet(&mut packet).is_ok() {
            let event = Event::Picture { rung: self.at, shown: packet.pts().unwrap_or(0) };
            self.emit.send_with(&event, packet.data().unwrap_or_default())?;
        }
        Ok(())
    }
}

/// Whether one of these times has come; those that have are taken away.
fn due(begins: &mut VecDeque<Ticks>, shown: Ticks) -> bool {
    let waiting = begins.len();
    while begins.pop_front_if(|at| *at <= shown).is_some() {}
    begins.len() < waiting
}

fn threads() -> usize {
    thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_whose_keyframe_was_lost_begins_with_the_next_picture() {
        let mut begins = VecDeque::from([0, 180_000, 360_000]);
        let shown = [0, 3000, 183_000, 186_000, 540_000];
        assert_eq!(shown.map(|at| due(&mut begins, at)), [true, false, true, false, true]);
    }
}
