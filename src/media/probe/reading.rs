//! One pass over the packets: counts every stream, and decodes until enough is known.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use ffmpeg_next::format::context::Input;
use ffmpeg_next::format::stream::Stream;
use ffmpeg_next::{Packet, Rational, codec, media};

use super::clock::to_ticks;
use super::idr::Framing;
use super::look::{Pictures, Sound};
use super::programmes::Programmes;
use super::track::Track;
use crate::domain::media::{Discontinuity, Ticks};
use crate::media::wire::Emit;
use crate::media::{Error, input, raw};

/// Streams of each kind that are tried at most; a source with more is looked at in part.
const MAX_PICTURES: usize = 4;
const MAX_SOUNDS: usize = 16;
/// How much is read for sound that is late where the whole is not to be read.
const LOOK_BYTES: u64 = 64 << 20;
/// Broken packets in a row after which the rest is taken for lost.
const MAX_BROKEN: u32 = 10_000;
/// A sign of life each so many packets.
const PROGRESS_PACKETS: u64 = 256;

/// What one pass found, by stream index.
pub(super) struct Reading {
    pub tracks: BTreeMap<usize, Track>,
    pub pictures: BTreeMap<usize, Pictures>,
    pub sounds: BTreeMap<usize, Sound>,
    /// The pass went on to the end of the source.
    pub whole: bool,
    /// Streams of real pictures, decodable or not.
    pub videos: Vec<usize>,
    pub audios: Vec<usize>,
    /// How H.264 streams frame their NAL units.
    pub framings: BTreeMap<usize, Framing>,
    pub discontinuities: Vec<Discontinuity>,
    pub wrong_stamps: Vec<u64>,
    bases: BTreeMap<usize, Rational>,
    programmes: Programmes,
    /// Bytes of the file, and of the packets read.
    size: u64,
    read: u64,
}

impl Reading {
    /// Reads a source of `size` bytes once: to its end where `whole`, otherwise until pictures and sound have been
    /// decoded.
    pub fn of(input: &mut Input, (size, whole): (u64, bool), emit: &Emit) -> Result<Self, Error> {
        let mut reading = Self::blank(input, size);
        reading.whole = each_packet(input, emit, |packet| {
            reading.take(packet);
            if whole || !reading.is_enough() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        reading.pictures.values_mut().for_each(Pictures::finish);
        reading.sounds.values_mut().for_each(Sound::finish);
        Ok(reading)
    }

    /// Nothing read yet; the input gives the streams looked at only.
    fn blank(input: &mut Input, size: u64) -> Self {
        let mut reading = Self {
            tracks: BTreeMap::new(),
            pictures: BTreeMap::new(),
            sounds: BTreeMap::new(),
            whole: false,
            videos: Vec::new(),
            audios: Vec::new(),
            framings: BTreeMap::new(),
            discontinuities: Vec::new(),
            wrong_stamps: Vec::new(),
            bases: BTreeMap::new(),
            programmes: Programmes::of(input),
            size,
            read: 0,
        };
        for stream in input.streams() {
            reading.meet(&stream);
        }
        let kept: Vec<usize> = reading.bases.keys().copied().collect();
        raw::keep_only(input, &kept);
        reading
    }

    /// Puts all times on one clock, on which pictures of the stream `leading` follow each other.
    pub fn settle(&mut self, leading: usize) {
        for (index, track) in &mut self.tracks {
            if let Some(epochs) = self.programmes.epochs(*index) {
                track.settle(&epochs.offsets(leading));
            }
        }
        if let Some(epochs) = self.programmes.epochs(leading) {
            self.discontinuities = epochs.discontinuities(leading);
            self.wrong_stamps = epochs.wrong_stamps();
        }
    }

    fn meet(&mut self, stream: &Stream<'_>) {
        let (index, parameters) = (stream.index(), stream.parameters());
        match parameters.medium() {
            media::Type::Video if !input::is_attached_picture(stream) => {
                self.videos.push(index);
                if parameters.id() == codec::Id::H264 {
                    self.framings.insert(index, Framing::of(raw::extradata(stream)));
                }
                if self.pictures.len() < MAX_PICTURES
                    && let Ok(pictures) = Pictures::of(stream, self.framings.get(&index).copied())
                {
                    self.pictures.insert(index, pictures);
                }
            }
            media::Type::Audio => {
                self.audios.push(index);
                if self.sounds.len() < MAX_SOUNDS
                    && let Ok(sound) = Sound::of(stream)
                {
                    self.sounds.insert(index, sound);
                }
            }
            _ => return,
        }
        self.bases.insert(index, stream.time_base());
        self.tracks.insert(index, Track::of(raw::extradata(stream)));
    }

    fn take(&mut self, packet: &Packet) {
        let index = packet.stream();
        self.read += packet.size() as u64;
        let (Some(track), Some(base)) = (self.tracks.get_mut(&index), self.bases.get(&index)) else { return };
        let Some(epochs) = self.programmes.epochs_mut(index) else { return };
        let nal = self.framings.get(&index).copied();
        let epoch = track.count(packet, (*base, nal), epochs).unwrap_or(0);
        if let Some(pictures) = self.pictures.get_mut(&index) {
            #[expect(clippy::cast_precision_loss, reason = "a part of the file")]
            pictures.feed(packet, epoch, self.read as f64 / self.size.max(1) as f64);
        }
        if let Some(sound) = self.sounds.get_mut(&index) {
            sound.feed(packet, epoch);
        }
    }

    fn is_enough(&self) -> bool {
        let known = self.pictures.values().any(Pictures::is_done)
            && self.sounds.values().all(|sound| sound.heard.is_some());
        known || self.tracks.values().map(|track| track.bytes).sum::<u64>() > LOOK_BYTES
    }
}

/// Reads on until `each` has enough; true where the source ended first.
pub(super) fn each_packet(
    input: &mut Input,
    emit: &Emit,
    mut each: impl FnMut(&Packet) -> ControlFlow<()>,
) -> Result<bool, Error> {
    let (mut packet, mut broken, mut packets) = (Packet::empty(), 0, 0_u64);
    loop {
        match packet.read(input) {
            Ok(()) => broken = 0,
            Err(error) if broken < MAX_BROKEN && is_passing(error) => {
                broken += 1;
                continue;
            }
            Err(_) => return Ok(true),
        }
        packets += 1;
        if packets % PROGRESS_PACKETS == 1 {
            emit.progress(time(input, &packet))?;
        }
        if each(&packet).is_break() {
            return Ok(false);
        }
    }
}

fn time(input: &Input, packet: &Packet) -> Ticks {
    let time = packet.pts().or(packet.dts()).unwrap_or(0);
    input.stream(packet.stream()).map_or(0, |stream| to_ticks(time, stream.time_base()))
}

/// The demuxer can go on after this.
fn is_passing(error: ffmpeg_next::Error) -> bool {
    use ffmpeg_next::{Error, ffi};
    matches!(error, Error::InvalidData | Error::Other { errno: ffi::EAGAIN })
}
