//! MPEG-TS (ISO/IEC 13818-1): the first program's first video and first audio stream.

use std::collections::VecDeque;

use mpeg2ts_reader::{
    StreamType,
    demultiplex::{Demultiplex, DemuxContext, FilterChangeset, FilterRequest, NullPacketFilter},
    packet::{Packet, Pid},
    packet_filter_switch, pes,
};

use super::{
    Error,
    adts::Audio,
    annexb::{Codec, Video},
    media::Media,
    pes::{Assembly, Clock, Unit, opening},
    psi::{Kind, Tables},
};

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
    fault: Option<Error>,
}

impl Demux {
    pub fn new() -> Self {
        let mut context = Context {
            changes: FilterChangeset::default(),
            table: None,
            tracks: Vec::new(),
            clock: Clock::default(),
            video: Video::default(),
            audio: Audio::default(),
            frame: Assembly::default(),
            out: VecDeque::new(),
            fault: None,
        };
        let reader = Demultiplex::new(&mut context);
        Demux { context, reader, carry: Vec::new() }
    }

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

    pub fn has_news(&self) -> bool {
        !self.context.out.is_empty() || self.context.fault.is_some()
    }

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
        for (_, found) in streams {
            let missing = |kind| if kind == "video" { video.is_none() } else { audio.is_none() };
            if let Some((kind, expected)) = foreign(*found).filter(|(kind, _)| missing(*kind)) {
                self.fault = Some(Error::Codec { kind, found: found.0, expected });
            }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// Two seconds of H.264 and AAC, from ffmpeg.
    fn clip(name: &str) -> Vec<u8> {
        clip_from(name, "0")
    }

    fn clip_from(name: &str, start_seconds: &str) -> Vec<u8> {
        let path = std::env::temp_dir().join(format!("policast-ts-{}-{name}.ts", std::process::id()));
        let status = std::process::Command::new("ffmpeg")
            .args(
                "-nostdin -v error -y -f lavfi -i testsrc2=s=160x90:r=25:d=2 -f lavfi -i sine=r=48000:d=2"
                    .split(' '),
            )
            .args(
                "-c:v libx264 -preset veryfast -g 25 -pix_fmt yuv420p -c:a aac -f mpegts -output_ts_offset"
                    .split(' '),
            )
            .arg(start_seconds)
            .arg(&path)
            .status()
            .unwrap();
        assert!(status.success());
        let bytes = std::fs::read(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        bytes
    }

    fn counted(demux: &mut Demux) -> (usize, usize) {
        let (mut video, mut audio) = (0, 0);
        while let Ok(Some(media)) = demux.pop() {
            match media {
                Media::Video(_) => video += 1,
                Media::Audio(_) => audio += 1,
                _ => {}
            }
        }
        (video, audio)
    }

    /// The same numbers each time.
    fn dice(seed: &mut u64, below: usize) -> usize {
        *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(*seed >> 33).unwrap() % below
    }

    #[test]
    fn pieces_of_any_size_give_the_same_frames() {
        let clip = clip("pieces");
        for size in [1, 100, 188, 1316, clip.len()] {
            let mut demux = Demux::new();
            clip.chunks(size).for_each(|piece| demux.push(piece));
            demux.finish();
            let (video, audio) = counted(&mut demux);
            assert_eq!((video, audio > 90), (50, true), "{size}");
        }
    }

    #[test]
    fn noise_between_packets_costs_only_what_it_hits() {
        let clip = clip("between");
        let mut demux = Demux::new();
        for (index, packets) in clip.chunks(188 * 50).enumerate() {
            demux.push(packets);
            demux.push(&vec![0x47; index % 190]);
            demux.push(&vec![0x11; index % 300]);
        }
        demux.finish();
        let (video, audio) = counted(&mut demux);
        assert!(video > 25 && audio > 45, "{video} {audio}");
    }

    #[test]
    fn a_stream_joined_in_the_middle_begins_with_a_keyframe() {
        let clip = clip("middle");
        let mut demux = Demux::new();
        demux.push(&clip[clip.len() / 4..]);
        demux.finish();
        let first = std::iter::from_fn(|| demux.pop().unwrap()).find_map(|media| match media {
            Media::Video(frame) => Some(frame.key),
            _ => None,
        });
        assert_eq!(first, Some(true));
    }

    #[test]
    fn damaged_packets_never_end_the_demultiplexer() {
        let clip = clip("damaged");
        let mut seed = 5;
        for _ in 0..10 {
            let mut damaged = clip.clone();
            for _ in 0..2000 {
                let at = dice(&mut seed, damaged.len());
                damaged[at] = u8::try_from(dice(&mut seed, 256)).unwrap();
            }
            let mut demux = Demux::new();
            demux.push(&damaged);
            demux.push(&clip);
            demux.finish();
            let _ = demux.pop();
            let (video, _) = counted(&mut demux);
            assert!(video > 20, "{video}");
        }
    }

    #[test]
    fn tables_with_a_good_checksum_and_nonsense_inside_are_survived() {
        let mut seed = 9;
        for round in 0..20_000 {
            let pid = [0, 0x20, 0x1000][round % 3];
            let size = dice(&mut seed, 170);
            let mut section: Vec<u8> =
                (0..size.max(4)).map(|_| u8::try_from(dice(&mut seed, 256)).unwrap()).collect();
            let length = u8::try_from((section.len() + 1).min(180)).unwrap();
            section[0] = if pid == 0 { 0 } else { 2 };
            (section[1], section[2]) = (0xb0, length);
            if round % 2 == 0 && section.len() > 11 {
                section[9] = 0x10;
            }
            let checksum = mpeg2ts_reader::mpegts_crc::sum32(&section);
            section.extend(checksum.to_be_bytes());
            let head =
                [0x47, 0x40 | u8::try_from(pid >> 8).unwrap(), u8::try_from(pid & 255).unwrap(), 0x10, 0];
            let mut packet = [&head[..], &section].concat();
            packet.resize(188, 0xff);
            let mut demux = Demux::new();
            demux.push(&packet);
            demux.push(&packet);
        }
    }

    #[test]
    fn a_gap_drops_the_frame_it_is_in_and_no_other() {
        let clip = clip("gap");
        let half = clip.len() / 376 * 188;
        let mut demux = Demux::new();
        demux.push(&clip[..half]);
        demux.gap();
        demux.push(&clip[half + 188 * 16..]);
        demux.finish();
        let (video, _) = counted(&mut demux);
        assert!((40..50).contains(&video), "{video}");
    }

    #[test]
    fn times_go_on_past_33_bits() {
        let mut demux = Demux::new();
        demux.push(&clip_from("wrap", "95442"));
        demux.finish();
        let (mut video, mut audio) = (Vec::new(), Vec::new());
        while let Some(media) = demux.pop().unwrap() {
            match media {
                Media::Video(frame) => video.push(frame.dts),
                Media::Audio(frame) => audio.push(frame.pts),
                _ => {}
            }
        }
        assert!(video.windows(2).all(|pair| pair[1] - pair[0] == 3600), "{video:?}");
        assert!(audio.windows(2).all(|pair| (1800..2000).contains(&(pair[1] - pair[0]))), "{audio:?}");
        assert!(video[0] < 1 << 33 && video[49] > 1 << 33 && (audio[0] - video[0]).abs() < 20_000);
    }
}
