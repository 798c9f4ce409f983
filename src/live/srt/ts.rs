//! MPEG-TS (ISO/IEC 13818-1): the first program's first video and first audio stream.

use std::collections::VecDeque;

use mpeg2ts_reader::demultiplex::{
    Demultiplex, DemuxContext, FilterChangeset, FilterRequest, NullPacketFilter,
};
use mpeg2ts_reader::packet::{Packet, Pid};
use mpeg2ts_reader::{StreamType, packet_filter_switch, pes};

use super::Error;
use super::adts::Audio;
use super::annexb::{Codec, Video};
use super::pes::{Assembly, Clock, Unit, opening};
use super::psi::{Kind, Tables};
use crate::live::frame::{Media, SECOND_PICTURE, SECOND_SOUND};

/// Bytes of a transport stream in, media out. Whatever is no transport stream is skipped.
pub struct Demux {
    context: Context,
    reader: Demultiplex<Context>,
    carry: Vec<u8>,
}

packet_filter_switch! {
    Filter<Context> {
        Tables: Tables,
        Track: pes::PesPacketFilter<Context, Track>,
        Null: NullPacketFilter<Context>,
    }
}

/// Where a filter's bytes go.
#[derive(Clone, Copy)]
pub enum Track {
    Video,
    Audio,
}

/// What the filters share.
pub struct Context {
    changes: FilterChangeset<Filter>,
    table: Option<Pid>,
    tracks: Vec<Pid>,
    clock: Clock,
    video: Video,
    audio: Audio,
    frame: Assembly,
    out: VecDeque<Media>,
    /// Kinds of tracks that were told to be left out.
    left_out: Vec<&'static str>,
    fault: Option<Error>,
}

impl Default for Demux {
    fn default() -> Self {
        let mut context = Context {
            changes: FilterChangeset::default(),
            table: None,
            tracks: Vec::new(),
            clock: Clock::default(),
            video: Video::default(),
            audio: Audio::default(),
            frame: Assembly::default(),
            out: VecDeque::new(),
            left_out: Vec::new(),
            fault: None,
        };
        let reader = Demultiplex::new(&mut context);
        Demux { context, reader, carry: Vec::new() }
    }
}

impl Demux {
    /// Takes the next bytes, in pieces of any size.
    pub fn push(&mut self, data: &[u8]) {
        self.carry.extend_from_slice(data);
        let mut at = 0;
        while let Some(packet) = self.carry.get(at..at + Packet::SIZE) {
            let next = self.carry.get(at + Packet::SIZE);
            if Packet::is_sync_byte(packet[0]) && next.is_none_or(|byte| Packet::is_sync_byte(*byte)) {
                self.reader.push(&mut self.context, packet);
                at += Packet::SIZE;
            } else {
                at += 1;
            }
        }
        self.carry.drain(..at);
    }

    /// Bytes are missing here; the frames they belong to are dropped.
    pub fn gap(&mut self) {
        self.carry.clear();
        self.context.frame.take();
        self.context.audio.gap();
    }

    /// Nothing comes any more: the last frame is whole.
    pub fn finish(&mut self) {
        let last = self.context.frame.take();
        self.context.frame_is_whole(last);
    }

    /// Whether `pop` has something to say.
    pub fn has_news(&self) -> bool {
        !self.context.out.is_empty() || self.context.fault.is_some()
    }

    /// The next item; none until more bytes came.
    pub fn pop(&mut self) -> Result<Option<Media>, Error> {
        match self.context.out.pop_front() {
            Some(media) => Ok(Some(media)),
            None => self.context.fault.take().map_or(Ok(None), Err),
        }
    }
}

impl DemuxContext for Context {
    type F = Filter;

    fn filter_changeset(&mut self) -> &mut FilterChangeset<Filter> {
        &mut self.changes
    }

    /// Asked for each new PID; tables bring the others.
    fn construct(&mut self, request: FilterRequest<'_, '_>) -> Filter {
        match request {
            FilterRequest::ByPid(Pid::PAT) => Filter::Tables(Tables::new(Kind::Programs)),
            _ => Filter::Null(NullPacketFilter::default()),
        }
    }
}

impl Context {
    /// Where the first program's streams are told.
    pub fn program(&mut self, table: Option<Pid>) {
        if self.table != table {
            self.table.iter().for_each(|old| self.changes.remove(*old));
            self.table = table;
            if let Some(new) = table.filter(|pid| *pid != Pid::PAT) {
                self.changes.insert(new, Filter::Tables(Tables::new(Kind::Streams)));
            }
        }
    }

    /// Takes the first video and the first audio of these.
    pub fn streams(&mut self, streams: &[(Pid, StreamType)]) {
        self.tracks.drain(..).for_each(|old| self.changes.remove(old));
        let video = streams.iter().find_map(|(pid, found)| Some((*pid, codec(*found)?)));
        if let Some((pid, codec)) = video {
            self.video.begin(codec);
            self.track(pid, Track::Video);
        }
        let audio = streams.iter().find(|(_, found)| *found == StreamType::ADTS);
        if let Some((pid, _)) = audio {
            self.track(*pid, Track::Audio);
        }
        let count = |is: fn(StreamType) -> bool| streams.iter().filter(|(_, found)| is(*found)).count();
        let foreign_to =
            |track| streams.iter().any(|(_, found)| foreign(*found).is_some_and(|one| one.0 == track));
        let sounds = count(|found| found == StreamType::ADTS);
        let pictures = count(|found| codec(found).is_some());
        self.leave_out(SECOND_SOUND, sounds > 1 || sounds == 1 && foreign_to("audio"));
        self.leave_out(SECOND_PICTURE, pictures > 1 || pictures == 1 && foreign_to("video"));
        for (_, found) in streams {
            let missing = |track| if track == "video" { video.is_none() } else { audio.is_none() };
            if let Some((track, expected)) = foreign(*found).filter(|(track, _)| missing(*track)) {
                self.fault = Some(Error::Codec { track, found: found.0, expected });
            }
        }
    }

    fn leave_out(&mut self, track: &'static str, comes: bool) {
        if comes && !self.left_out.contains(&track) {
            self.left_out.push(track);
            self.out.push_back(Media::LeftOut(track));
        }
    }

    fn track(&mut self, pid: Pid, track: Track) {
        if pid != Pid::PAT && self.table != Some(pid) {
            self.tracks.push(pid);
            self.changes.insert(pid, Filter::Track(pes::PesPacketFilter::new(track)));
        }
    }

    fn frame_is_whole(&mut self, frame: Option<Unit>) {
        if let Some(frame) = frame {
            self.video.unit(&frame, &mut self.out);
        }
    }
}

impl pes::ElementaryStreamConsumer<Context> for Track {
    fn start_stream(&mut self, _: &mut Context) {}

    fn begin_packet(&mut self, context: &mut Context, header: pes::PesHeader<'_>) {
        let Some((time, payload)) = opening(&header, &mut context.clock) else { return };
        match (&self, time) {
            (Track::Audio, time) => context.audio.begin(time),
            (Track::Video, Some(time)) => {
                let before = context.frame.begin(time);
                context.frame_is_whole(before);
            }
            // Goes on with the frame before it (2.4.3.7).
            (Track::Video, None) => {}
        }
        self.continue_packet(context, payload);
    }

    fn continue_packet(&mut self, context: &mut Context, data: &[u8]) {
        match self {
            Track::Audio => context.audio.push(data, &mut context.out),
            Track::Video => context.frame.extend(data),
        }
    }

    /// A frame may go on in the next packet, so only the next frame ends it.
    fn end_packet(&mut self, _: &mut Context) {}

    fn continuity_error(&mut self, context: &mut Context) {
        match self {
            Track::Audio => context.audio.gap(),
            Track::Video => drop(context.frame.take()),
        }
    }
}

fn codec(stream_type: StreamType) -> Option<Codec> {
    match stream_type {
        StreamType::H264 => Some(Codec::Avc),
        StreamType::H265 => Some(Codec::Hevc),
        _ => None,
    }
}

/// Pictures and sound that are not taken; an encoder left at its defaults sends them.
fn foreign(stream_type: StreamType) -> Option<(&'static str, &'static str)> {
    match stream_type.0 {
        0x01 | 0x02 | 0x10 | 0x21 | 0x33 | 0x42 | 0xd1 | 0xd2 | 0xea => {
            Some(("video", "0x1b (H.264) or 0x24 (HEVC)"))
        }
        0x03 | 0x04 | 0x11 | 0x1c | 0x81 | 0x82 | 0x87 => Some(("audio", "0x0f (AAC in ADTS)")),
        _ => None,
    }
}
