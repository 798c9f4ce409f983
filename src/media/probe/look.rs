//! Decoding just enough to know that pictures and sound really come out, and what they are like.

use ffmpeg_next::format::Pixel;
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Packet, decoder, ffi, frame};

use crate::media::error::Error;
use crate::media::{input, raw};

/// Pictures looked at where the first ones are fine.
const ENOUGH: u32 = 8;
/// Pictures waited for a clean one, such as after a recording that starts in mid-group.
const PATIENCE: u32 = 240;

/// What one decoded picture is like.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    /// Presentation time in the stream's time base, on the clock of the last packet put in.
    pub pts: i64,
    pub epoch: usize,
    pub width: u32,
    pub height: u32,
    pub format: Pixel,
    pub hdr: bool,
}

/// The pictures of one stream, as far as they were looked at.
pub(super) struct Pictures {
    decoder: decoder::Video,
    first: Option<Picture>,
    /// The first one the decoder has no doubt about.
    clean: Option<Picture>,
    seen: u32,
    epoch: usize,
    pub interlaced: bool,
    frame: frame::Video,
}

impl Pictures {
    pub fn of(stream: &Stream<'_>) -> Result<Self, Error> {
        let decoder = input::video_decoder(stream, 1)?;
        Ok(Self {
            decoder,
            first: None,
            clean: None,
            seen: 0,
            epoch: 0,
            interlaced: false,
            frame: frame::Video::empty(),
        })
    }

    /// The first picture worth showing; `None` where none came out.
    pub fn start(&self) -> Option<&Picture> {
        self.clean.as_ref().or(self.first.as_ref())
    }

    pub fn is_done(&self) -> bool {
        self.seen >= if self.clean.is_some() { ENOUGH } else { PATIENCE }
    }

    /// Decodes one packet; what the decoder dislikes is no reason to stop.
    pub fn feed(&mut self, packet: &Packet, epoch: usize) {
        if !self.is_done() {
            self.epoch = epoch;
            let _ = self.decoder.send_packet(packet);
            self.take();
        }
    }

    /// Takes out what the decoder still holds back.
    pub fn finish(&mut self) {
        if !self.is_done() {
            let _ = self.decoder.send_eof();
            self.take();
        }
    }

    fn take(&mut self) {
        while self.decoder.receive_frame(&mut self.frame).is_ok() {
            self.seen += 1;
            self.interlaced |= self.frame.is_interlaced();
            if self.clean.is_none() {
                let picture = picture(&self.frame, self.epoch);
                if !self.frame.is_corrupt() {
                    self.clean = Some(picture.clone());
                }
                self.first.get_or_insert(picture);
            }
        }
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

fn picture(frame: &frame::Video, epoch: usize) -> Picture {
    use ffi::AVColorTransferCharacteristic::{AVCOL_TRC_ARIB_STD_B67, AVCOL_TRC_SMPTE2084};
    Picture {
        pts: frame.timestamp().unwrap_or(0),
        epoch,
        width: frame.width(),
        height: frame.height(),
        format: frame.format(),
        hdr: matches!(raw::transfer(frame), AVCOL_TRC_SMPTE2084 | AVCOL_TRC_ARIB_STD_B67),
    }
}
