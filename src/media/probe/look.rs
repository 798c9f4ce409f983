//! Decoding just enough to know that pictures and sound really come out, and what they are like.

use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Packet, Rational, codec, decoder, frame};

use super::clock::fraction;
use super::idr::Framing;
use super::picture::sane_aspect;
use super::shape::Look;
use super::signature;
use crate::media::error::Error;
use crate::media::{input, libav, raw};

/// Pictures looked at where the first ones are fine.
const ENOUGH: u32 = 8;
/// Pictures waited for a clean one, such as after a recording that starts in mid-group.
const PATIENCE: u32 = 240;
/// So many packets refused for each picture that comes leave nothing worth playing.
const HOPELESS: u32 = 9;
/// Keyframes looked at over the whole of a file, as evenly as they come.
pub(super) const SAMPLES: u32 = 16;
/// Those that announce a change are looked at beyond that, up to so many in all.
const MAX_SAMPLES: usize = 64;

/// A picture and when it is shown.
#[derive(Debug, Clone, Copy)]
pub(super) struct Picture {
    /// Presentation time in the stream's time base, on the clock of the last packet put in.
    pub pts: i64,
    pub epoch: usize,
    pub look: Look,
}

/// The pictures of one stream, as far as they were looked at.
pub(super) struct Pictures {
    decoder: decoder::Video,
    codec: codec::Id,
    framing: Option<Framing>,
    /// The shape of a pixel by the container, which goes before what pictures say.
    aspect: Rational,
    first: Option<Picture>,
    /// The first one the decoder has no doubt about.
    clean: Option<Picture>,
    seen: u32,
    refused: u32,
    epoch: usize,
    /// Pictures that look unlike the one before.
    samples: Vec<Picture>,
    /// The part of the file after which the next keyframe is looked at.
    next_sample: f64,
    signature: Option<Vec<u8>>,
    /// Parameter sets that came on the way, not yet known to the decoder.
    renewed: Option<Vec<u8>>,
    frame: frame::Video,
}

impl Pictures {
    pub fn of(stream: &Stream<'_>, framing: Option<Framing>) -> Result<Self, Error> {
        Ok(Self {
            decoder: input::video_decoder(stream, 1)?,
            codec: stream.parameters().id(),
            framing,
            aspect: raw::container_aspect(stream),
            first: None,
            clean: None,
            seen: 0,
            refused: 0,
            epoch: 0,
            samples: Vec::new(),
            next_sample: 0.0,
            signature: None,
            renewed: None,
            frame: frame::Video::empty(),
        })
    }

    /// The first picture worth showing; `None` where none came out, or as good as none.
    pub fn start(&self) -> Option<&Picture> {
        self.clean.as_ref().or(self.first.as_ref()).filter(|_| !self.is_hopeless())
    }

    /// The decoder refuses nearly all there is.
    fn is_hopeless(&self) -> bool {
        self.seen < ENOUGH && self.refused >= HOPELESS && self.refused > self.seen * HOPELESS
    }

    /// The decoder doubts every picture it gave.
    pub fn is_unmarked(&self) -> bool {
        self.clean.is_none()
    }

    pub fn is_done(&self) -> bool {
        self.seen >= if self.clean.is_some() { ENOUGH } else { PATIENCE }
    }

    /// Where the pictures change their look, as far as they were looked at; the first at least.
    pub fn samples(&self) -> &[Picture] {
        &self.samples
    }

    /// Decodes one packet, read after `part` of the file: the first ones, and then a keyframe now and again. What the
    /// decoder dislikes is no reason to stop.
    pub fn feed(&mut self, packet: &Packet, epoch: usize, part: f64) {
        self.epoch = epoch;
        let renews = libav::new_parameters(packet).map(<[u8]>::to_vec);
        let changes = renews.is_some() || self.changes(packet);
        if !self.is_done() {
            self.refused +=
                u32::from(self.decoder.send_packet(packet) == Err(ffmpeg_next::Error::InvalidData));
            self.take();
            return;
        }
        self.renewed = renews.or(self.renewed.take());
        let due = part >= self.next_sample || changes;
        if packet.is_key() && due && self.samples.len() < MAX_SAMPLES {
            self.next_sample = part + 1.0 / f64::from(SAMPLES);
            self.look_at(packet);
        }
    }

    /// Decodes a keyframe alone.
    pub fn look_at(&mut self, packet: &Packet) {
        let mut packet = packet.clone();
        if let Some(renewed) = self.renewed.take()
            && libav::new_parameters(&packet).is_none()
        {
            libav::set_new_parameters(&mut packet, &renewed);
        }
        self.decoder.flush();
        let _ = self.decoder.send_packet(&packet);
        let _ = self.decoder.send_eof();
        while self.decoder.receive_frame(&mut self.frame).is_ok() {
            self.note(self.picture());
        }
        self.decoder.flush();
    }

    /// Takes out what the decoder still holds back.
    pub fn finish(&mut self) {
        if !self.is_done() {
            let _ = self.decoder.send_eof();
            self.take();
        }
    }

    fn changes(&mut self, packet: &Packet) -> bool {
        let bytes = packet.data().filter(|_| packet.is_key());
        let Some(signature) = bytes.and_then(|bytes| signature::of(self.codec, self.framing, bytes)) else {
            return false;
        };
        let changes = self.signature.as_deref().is_some_and(|known| known != signature);
        self.signature = Some(signature.to_vec());
        changes
    }

    fn take(&mut self) {
        loop {
            match self.decoder.receive_frame(&mut self.frame) {
                Ok(()) => {}
                Err(ffmpeg_next::Error::InvalidData) => {
                    self.refused += 1;
                    continue;
                }
                Err(_) => return,
            }
            self.seen += 1;
            let picture = self.picture();
            self.note(picture);
            if self.clean.is_none() {
                if !self.frame.is_corrupt() {
                    self.clean = Some(picture);
                }
                self.first.get_or_insert(picture);
            }
        }
    }

    fn note(&mut self, picture: Picture) {
        if self.samples.last().is_none_or(|last| last.look != picture.look) {
            self.samples.push(picture);
        }
    }

    fn picture(&self) -> Picture {
        let frame = &self.frame;
        let aspect = if self.aspect.0 > 0 { self.aspect } else { frame.aspect_ratio() };
        let look = Look {
            width: frame.width(),
            height: frame.height(),
            aspect: sane_aspect(fraction(aspect)),
            format: frame.format(),
            space: frame.color_space(),
            range: frame.color_range(),
            transfer: frame.color_transfer_characteristic(),
            interlaced: frame.is_interlaced(),
        };
        Picture { pts: frame.timestamp().unwrap_or(0), epoch: self.epoch, look }
    }
}

/// The sound of one stream, as far as it was listened to.
pub(super) struct Sound {
    decoder: decoder::Audio,
    pub heard: Option<Heard>,
    epoch: usize,
    frame: frame::Audio,
}

/// What the first decoded sound is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Heard {
    /// Presentation time in the stream's time base, priming left out, on the clock of the last packet put in; `None`
    /// where the source doesn't say.
    pub pts: Option<i64>,
    pub epoch: usize,
    pub rate: u32,
    pub channels: u16,
}

impl Sound {
    pub fn of(stream: &Stream<'_>) -> Result<Self, Error> {
        Ok(Self {
            decoder: input::audio_decoder(stream)?,
            heard: None,
            epoch: 0,
            frame: frame::Audio::empty(),
        })
    }

    pub fn feed(&mut self, packet: &Packet, epoch: usize) {
        if self.heard.is_none() {
            self.epoch = epoch;
            let _ = self.decoder.send_packet(packet);
            self.take();
        }
    }

    pub fn finish(&mut self) {
        if self.heard.is_none() {
            let _ = self.decoder.send_eof();
            self.take();
        }
    }

    fn take(&mut self) {
        while self.heard.is_none() && self.decoder.receive_frame(&mut self.frame).is_ok() {
            let (rate, channels) = (self.frame.rate(), self.frame.channels());
            if self.frame.samples() > 0 && rate > 0 && channels > 0 {
                self.heard = Some(Heard { pts: self.frame.timestamp(), epoch: self.epoch, rate, channels });
            }
        }
    }
}
