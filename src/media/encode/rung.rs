//! One rung's encoder on a thread of its own: pictures in, finished segments out.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use ffmpeg_next::util::picture;
use ffmpeg_next::{Dictionary, Packet, Rational, codec, encoder, format, frame, threading};

use crate::domain::media::{Coding, Rung, Ticks};
use crate::media::error::Error;
use crate::media::grid::Grid;
use crate::media::libav::{self, TICK};
use crate::media::mux::{Muxer, Track};
use crate::media::wire::Emit;

/// Pictures that may wait for an encoder: enough to keep it busy, few enough to bound memory.
const WAITING: usize = 3;

/// What an encoder is sent.
pub(super) enum Parcel {
    Picture(frame::Video),
    /// The last picture lasts until then.
    End(Ticks),
}

/// The way to a rung's encoder; closed once the encoder has given up.
pub(super) struct Feed(Option<SyncSender<Parcel>>);

impl Feed {
    /// Sends, and waits where the encoder is behind.
    pub fn send(&mut self, parcel: Parcel) {
        if self.0.as_ref().is_some_and(|way| way.send(parcel).is_err()) {
            self.0 = None;
        }
    }

    /// The encoder is still there.
    pub fn is_open(&self) -> bool {
        self.0.is_some()
    }
}

/// A bounded way to an encoder.
pub(super) fn channel() -> (Feed, Receiver<Parcel>) {
    let (sender, receiver) = sync_channel(WAITING);
    (Feed(Some(sender)), receiver)
}

/// What an encoder thread needs to know.
pub(super) struct Worker<'a> {
    pub rung: &'a Rung,
    pub grid: Grid,
    pub emit: Emit,
    pub threads: usize,
}

impl Worker<'_> {
    /// Encodes until the feed ends.
    pub fn run(self, inbox: Receiver<Parcel>) -> Result<(), Error> {
        let mut encoding = self.open()?;
        for parcel in inbox {
            match parcel {
                Parcel::Picture(picture) => encoding.picture(picture)?,
                Parcel::End(end) => return encoding.end(end),
            }
        }
        Ok(())
    }

    fn open(self) -> Result<Encoding, Error> {
        let threads = threading::Config { kind: threading::Type::Frame, count: self.threads, safe: true };
        let mut context = x264(self.rung, threads)?;
        context.set_flags(codec::Flags::GLOBAL_HEADER | codec::Flags::CLOSED_GOP);
        let encoder = context.open_with(options(self.rung)).map_err(Error::libav("open the encoder"))?;
        let parameters = libav::parameters(&encoder)?;
        let muxer = Muxer::open(&parameters, Track::video(self.rung), (&self.emit, &self.rung.name))?;
        Ok(Encoding { encoder, muxer, grid: self.grid, sent: None, filling: None, packets: Vec::new() })
    }
}

struct Encoding {
    encoder: encoder::video::Encoder,
    muxer: Muxer,
    grid: Grid,
    /// The segment of the last picture sent.
    sent: Option<u32>,
    /// The segment of the packets kept.
    filling: Option<u32>,
    packets: Vec<Packet>,
}

impl Encoding {
    fn picture(&mut self, mut picture: frame::Video) -> Result<(), Error> {
        let segment = self.grid.index(picture.pts().unwrap_or(0));
        let begins = self.sent.replace(segment) != Some(segment);
        picture.set_kind(if begins { picture::Type::I } else { picture::Type::None });
        self.encoder.send_frame(&picture).map_err(Error::libav("encode a picture"))?;
        self.drain()
    }

    fn end(mut self, end: Ticks) -> Result<(), Error> {
        if self.sent.is_none() {
            return Ok(());
        }
        self.encoder.send_eof().map_err(Error::libav("end the encoder"))?;
        self.drain()?;
        self.close(end)
    }

    fn drain(&mut self) -> Result<(), Error> {
        let mut packet = Packet::empty();
        while self.encoder.receive_packet(&mut packet).is_ok() {
            let at = packet.pts().unwrap_or(0);
            let segment = self.grid.index(at);
            if packet.is_key() && self.filling != Some(segment) {
                self.close(at)?;
                self.filling = Some(segment);
            }
            self.packets.push(std::mem::replace(&mut packet, Packet::empty()));
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

/// An encoder whose pictures come out as they go in, as fast as they come, with the parameter sets before each IDR.
pub(in crate::media) fn open_live(
    rung: &Rung,
    threads: usize,
    pixel_aspect: Rational,
) -> Result<encoder::video::Encoder, Error> {
    let threads = threading::Config { kind: threading::Type::Slice, count: threads, safe: true };
    let mut context = x264(rung, threads)?;
    context.set_flags(codec::Flags::CLOSED_GOP);
    context.set_aspect_ratio(pixel_aspect);
    let mut options = options(rung);
    options.set("tune", "zerolatency");
    context.open_with(options).map_err(Error::libav("open the encoder"))
}

fn x264(rung: &Rung, threads: threading::Config) -> Result<encoder::video::Video, Error> {
    let doing = || Error::libav("open the encoder");
    let Coding::H264 { max_bitrate, buffer_bits, .. } = &rung.coding else {
        return Err(doing()(ffmpeg_next::Error::EncoderNotFound));
    };
    let Some(x264) = encoder::find_by_name("libx264") else {
        return Err(doing()(ffmpeg_next::Error::EncoderNotFound));
    };
    let mut context = codec::Context::new_with_codec(x264);
    context.set_threading(threads);
    libav::tag_bt709(&mut context);
    libav::set_rate_buffer(&mut context, *buffer_bits);
    let mut video = context.encoder().video().map_err(doing())?;
    video.set_width(rung.width);
    video.set_height(rung.height);
    video.set_format(format::Pixel::YUV420P);
    video.set_time_base(TICK);
    video.set_frame_rate(Some(rate(rung)));
    video.set_gop(9999);
    video.set_max_bit_rate(usize::try_from(*max_bitrate).unwrap_or(usize::MAX));
    Ok(video)
}

fn options(rung: &Rung) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    if let Coding::H264 { crf, preset, .. } = &rung.coding {
        options.set("preset", preset);
        options.set("crf", &crf.to_string());
    }
    for (name, value) in [("forced-idr", "1"), ("sc_threshold", "0"), ("a53cc", "0")] {
        options.set(name, value);
    }
    options
}

fn rate(rung: &Rung) -> Rational {
    let part = |value: u32| i32::try_from(value).unwrap_or(i32::MAX).max(1);
    Rational(part(rung.frame_rate.num), part(rung.frame_rate.den))
}
