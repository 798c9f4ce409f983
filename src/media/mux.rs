//! One track's CMAF segments (ISO/IEC 23000-19), each cut whole out of libav's mp4 muxer.

use std::ops::RangeInclusive;

use ffmpeg_next::{Dictionary, Packet, codec};

use super::boxes;
use super::error::Error;
use super::libav::{Memory, TICK};
use super::task::Event;
use super::wire::Emit;
use crate::domain::media::{Rung, Segment, TICKS_PER_SECOND, Ticks};

/// Without `frag_discont` a chunk's first segment would claim to start at 0.
const MOVFLAGS: &str = "cmaf+frag_custom+delay_moov+frag_discont";
/// Bounds of a video track's lead, which has to be longer than a segment has pictures, in ticks.
const LEAD: RangeInclusive<Ticks> = 3_000..=TICKS_PER_SECOND / 2;

/// What kind of track it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Track {
    /// Decoded this long before it is shown, but for B-frames; told to players by an edit list, as negative
    /// composition offsets are not read alike by all.
    Avc {
        lead: Ticks,
    },
    Aac,
}

impl Track {
    /// The track of a video rung: its pictures are reordered by two places at most, as a rule.
    pub fn video(rung: &Rung) -> Self {
        let rate = rung.frame_rate.as_f64().max(1.0);
        #[expect(clippy::cast_possible_truncation, reason = "at most two seconds of ticks")]
        let two = (180_000.0 / rate).round() as Ticks;
        Self::Avc { lead: two.clamp(*LEAD.start(), *LEAD.end()) }
    }

    fn lead(self) -> Ticks {
        match self {
            Self::Avc { lead } => lead,
            Self::Aac => 0,
        }
    }
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
        let shown = packets.iter().map(|packet| packet.pts().unwrap_or(0)).collect::<Vec<_>>();
        let (times, base) = (lay_out(&shown, end, self.track.lead()), self.memory.time_base());
        for (packet, time) in packets.iter_mut().zip(&times) {
            packet.set_pts(Some(time.shown));
            packet.set_dts(Some(time.decoded));
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
        let start = times.first().map_or(0, |time| time.shown);
        self.tell(index, start, end)
    }

    fn begin(&mut self) -> Result<(), Error> {
        self.begun = true;
        let init = self.memory.take()?;
        let codecs = match self.track {
            Track::Avc { .. } => boxes::avc_codec(&init).unwrap_or_else(|| "avc1.640028".to_owned()),
            Track::Aac => "mp4a.40.2".to_owned(),
        };
        self.emit.send_with(&Event::Init { rung: self.rung.clone(), codecs }, &init)
    }

    fn tell(&mut self, index: u32, start: Ticks, end: Ticks) -> Result<(), Error> {
        let bytes = self.memory.take()?;
        let key_bytes = match self.track {
            Track::Avc { .. } => boxes::first_sample_end(&bytes).unwrap_or(0),
            Track::Aac => 0,
        };
        let segment = Segment { start, duration: end - start, size_bytes: bytes.len() as u64, key_bytes };
        self.emit.send_with(&Event::Segment { rung: self.rung.clone(), index, segment }, &bytes)
    }
}

fn options(track: Track) -> Dictionary<'static> {
    let mut options = Dictionary::new();
    options.set("movflags", MOVFLAGS);
    options.set("use_editlist", if track == Track::Aac { "0" } else { "1" });
    options.set("avoid_negative_ts", "disabled");
    options.set("brand", "iso6");
    // The bit rate so far would make the initialisation segments of chunks differ.
    options.set("write_btrt", "0");
    if track != Track::Aac {
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

/// Gives each packet the decoding time of its place in the order shown, `lead` earlier, and never later than it is
/// shown: a segment's decoding then starts `lead` before its first picture and ends `lead` before `end`, whatever the
/// encoder's delay, so segments made apart join without gap or overlap.
fn lay_out(shown: &[Ticks], end: Ticks, lead: Ticks) -> Vec<Time> {
    let mut order = shown.to_vec();
    order.sort_unstable();
    for at in 1..order.len() {
        order[at] = order[at].max(order[at - 1] + 1);
    }
    let mut next = end - lead;
    let places = order.iter().zip(shown).rev();
    let mut times = places
        .map(|(place, shown)| {
            let decoded = (place - lead).min(*shown).min(next - 1);
            let duration = std::mem::replace(&mut next, decoded) - decoded;
            Time { decoded, shown: *shown, duration }
        })
        .collect::<Vec<_>>();
    times.reverse();
    times
}

#[cfg(test)]
mod tests {
    use super::*;

    fn laid_out(shown: &[Ticks], end: Ticks, lead: Ticks) -> String {
        let times = lay_out(shown, end, lead).into_iter();
        times
            .map(|time| format!("{}/{}+{}", time.decoded, time.shown, time.duration))
            .collect::<Vec<_>>()
            .join(" ")
    }

    #[test]
    fn decoding_times_are_the_shown_times_in_order() {
        insta::assert_snapshot!(laid_out(&[100, 400, 200, 300], 500, 0), @"100/100+99 199/400+1 200/200+100 300/300+200");
        insta::assert_snapshot!(laid_out(&[100, 400, 200, 300], 500, 200), @"-100/100+100 0/400+100 100/200+100 200/300+100");
    }

    #[test]
    fn a_picture_reordered_further_than_the_lead_is_still_decoded_in_time() {
        insta::assert_snapshot!(laid_out(&[0, 9000, 3000, 1000, 2000], 10_000, 50), @"-50/0+1000 950/9000+49 999/3000+1 1000/1000+1000 2000/2000+7950");
    }

    #[test]
    fn two_pictures_at_the_same_time_still_follow_each_other() {
        insta::assert_snapshot!(laid_out(&[0, 0], 10, 5), @"-5/0+1 -4/0+9");
    }
}
