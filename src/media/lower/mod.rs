//! Lower rungs of a broadcast: its pictures come one by one as they were sent, and go out again smaller.

mod encoding;
mod scaling;
mod still;

use std::sync::mpsc::Receiver;

use ffmpeg_next::codec::packet::Flags;
use ffmpeg_next::{Packet, codec, decoder, frame};

use self::scaling::Scaling;
pub(super) use self::still::run as slate;
use super::error::Error;
use super::input;
use super::task::{Codec, Coded, Event, Lower, Outcome};
use super::wire::{self, Emit, Frame};
use crate::domain::media::Ticks;

/// One more than that costs a picture of delay and gains little: scaling and encoding wait for each other.
const DECODER_THREADS: usize = 2;

/// Takes pictures until there are no more.
pub(super) fn run(task: &Lower, pictures: &Receiver<Frame>, emit: &Emit) -> Result<Outcome, Error> {
    let mut pass = Pass {
        decoder: input::bare_decoder(id(task.codec), &task.config, DECODER_THREADS)?,
        scaling: Scaling::new(&task.rungs, emit),
        last: Ticks::MIN,
    };
    loop {
        emit.send(&Event::Next)?;
        // The parent is gone: then so are we.
        let Ok((header, body)) = pictures.recv() else { break };
        match wire::parse::<Option<Coded>>(&header)? {
            Some(coded) => pass.take(coded, &body)?,
            None => break,
        }
    }
    pass.finish()?;
    Ok(Outcome::Encoded { ended_at: pass.last.max(0) })
}

fn id(codec: Codec) -> codec::Id {
    match codec {
        Codec::H264 => codec::Id::H264,
        Codec::Hevc => codec::Id::HEVC,
        Codec::Av1 => codec::Id::AV1,
    }
}

struct Pass<'a> {
    decoder: decoder::Video,
    scaling: Scaling<'a>,
    /// When the last picture was shown.
    last: Ticks,
}

impl Pass<'_> {
    fn take(&mut self, coded: Coded, data: &[u8]) -> Result<(), Error> {
        if coded.begins {
            self.scaling.begin_at(coded.shown);
        }
        let mut packet = Packet::copy(data);
        packet.set_pts(Some(coded.shown));
        packet.set_dts(Some(coded.decoded));
        packet.set_flags(if coded.key { Flags::KEY } else { Flags::empty() });
        // A packet that can't be decoded costs its pictures only.
        let _ = self.decoder.send_packet(&packet);
        self.receive()
    }

    fn finish(&mut self) -> Result<(), Error> {
        // A decoder that can't end has no more pictures.
        let _ = self.decoder.send_eof();
        self.receive()?;
        self.scaling.finish()
    }

    fn receive(&mut self) -> Result<(), Error> {
        let mut picture = frame::Video::empty();
        loop {
            match self.decoder.receive_frame(&mut picture) {
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => continue,
                Err(_) => return Ok(()),
            }
            let mut decoded = std::mem::replace(&mut picture, frame::Video::empty());
            // A decoder that learns late how far pictures are reordered gives the first ones in disorder.
            if let Some(at) = decoded.timestamp().filter(|at| *at > self.last) {
                self.last = at;
                self.scaling.show(at, &mut decoded)?;
            }
        }
    }
}

#[cfg(test)]
mod tests;
