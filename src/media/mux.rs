//! One track's CMAF segments (ISO/IEC 23000-19), each cut whole out of libav's mp4 muxer.

use ffmpeg_next::{Dictionary, Packet, codec};

use super::boxes;
use super::error::Error;
use super::libav::{Memory, TICK};
use super::task::Event;
use super::wire::Emit;
use crate::domain::media::{Segment, TICKS_PER_SECOND, Ticks};

/// Without `frag_discont` a chunk's first segment would claim to start at 0; without `negative_cts_offsets` B-frames
/// would need an edit list, which players read differently.
const MOVFLAGS: &str = "cmaf+negative_cts_offsets+frag_custom+delay_moov+frag_discont";

/// libav's muxers take no packet that is shown before it is decoded; told this much too early, and the same for all,
/// none is, and `negative_cts_offsets` takes it off again.
const EARLY: Ticks = 30 * TICKS_PER_SECOND;

/// What kind of track it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    Avc,
    Aac,
}

/// Packets in, a rung's events out.
pub(super) struct Muxer {
    memory: Memory,
    emit: Emit,
    rung: String,
    track: Track,
    begun: bool,
}

impl Muxer {
    /// A muxer for a rung's one track.
    pub fn open(parameters: &codec::Parameters, track: Track, emit: (&Emit, &str)) -> Result<Self, Error> {
        let mut memory = Memory::open()?;
        memory.begin(parameters, options(track))?;
        Ok(Self { memory, emit: emit.0.clone(), rung: emit.1.to_owned(), track, begun: false })
    }

    /// Emits the segment made of `packets`, in decoding order with presentation times in ticks; the first one is the
    /// first shown, and the last one shown lasts until `end`.
    pub fn segment(&mut self, index: u32, mut packets: Vec<Packet>, end: Ticks) -> Result<(), Error> {
        let times = lay_out(&packets.iter().map(|packet| packet.pts().unwrap_or(0)).collect::<Vec<_>>(), end);
        let (base, early) = (self.memory.time_base(), if self.track == Track::Avc { EARLY } else { 0 });
        for (packet, time) in packets.iter_mut().zip(&times) {
            packet.set_pts(Some(time.shown));
            packet.set_dts(Some(time.decoded - early));
            packet.set_duration(time.duration);
            packet.set_position(-1);
            packet.rescale_ts(TICK, base);
            self.memory.write(packet)?;
        }
        self.memory.flush()?;
        if !self.begun {
            self.begin()?;
            self.memory.flush()?;
        }
        let start = times.first().map_or(0, |time| time.decoded);
        self.tell(index, start, end)
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.begun = true;
        let init = self.memory.take()?;
        let codecs = match self.track {
            Track::Avc => boxes::avc_codec(&init).unwrap_or_else(|| "avc1.640028".to_owned()),
            Track::Aac => "mp4a.40.2".to_owned(),
        };
        self.emit.send_with(&Event::Init { rung: self.rung.clone(), codecs }, &init)
    }

    fn tell(&mut self, index: u32, start: Ticks, end: Ticks) -> Result<(), Error> {
        let bytes = self.memory.take()?;
        let key_bytes = match self.track {
            Track::Avc => boxes::first_sample_end(&bytes).unwrap_or(0),
            Track::Aac => 0,
        };
        let segment = Segment { start, duration: end - start, size_bytes: bytes.len() as u64, key_bytes };
        self.emit.send_with(&Event::Segment { rung: self.rung.clone(), index, segment }, &bytes)
    }
}

fn options(track: Track) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("movflags", MOVFLAGS);
    options.set("use_editlist", "0");
    options.set("avoid_negative_ts", "disabled");
    options.set("brand", "iso6");
    // The bit rate so far would make the initialisation segments of chunks differ.
    options.set("write_btrt", "0");
    if track == Track::Avc {
        options.set("video_track_timescale", "90000");
    }
    options
}

/// When a packet is decoded and shown, and how long until the next is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Time {
    decoded: Ticks,
    shown: Ticks,
    duration: Ticks,
}

/// Gives each packet the decoding time of its place in the order shown: a segment then starts with its first picture
/// and ends at `end` exactly, whatever the encoder's delay, so segments made apart join without gap or overlap.
fn lay_out(shown: &[Ticks], end: Ticks) -> Vec<Time> {
    let mut order = shown.to_vec();
    order.sort_unstable();
    for at in 1..order.len() {
        order[at] = order[at].max(order[at - 1] + 1);
    }
    let next = order.iter().skip(1).copied().chain([end]);
    let places = order.iter().copied().zip(next).zip(shown);
    places
        .map(|((decoded, next), shown)| Time { decoded, shown: *shown, duration: (next - decoded).max(1) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decoding_times_are_the_shown_times_in_order() {
        let times = lay_out(&[100, 400, 200, 300], 500);
        insta::assert_snapshot!(
            times.iter().map(|t| format!("{}/{}+{}", t.decoded, t.shown, t.duration)).collect::<Vec<_>>().join(" "),
            @"100/100+100 200/400+100 300/200+100 400/300+100"
        );
    }

    #[test]
    fn two_pictures_at_the_same_time_still_follow_each_other() {
        let times = lay_out(&[0, 0], 10);
        assert_eq!(times.iter().map(|time| time.decoded).collect::<Vec<_>>(), [0, 1]);
    }
}
