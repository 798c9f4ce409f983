//! What is counted of one stream while its packets go by.

use std::collections::VecDeque;

use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::{Packet, Rational};

use super::clock::to_ticks;
use super::idr;
use super::still::{self, Gap};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::media::raw;

/// Fewer gaps between pictures than this say little about a rate.
const MIN_GAPS: u64 = 8;

/// A step back beyond this is a clock set anew, as the encoders take it.
const RESET: Ticks = 10 * TICKS_PER_SECOND;

/// Presentation times looked back on for one that comes twice: more than pictures are reordered by (ITU-T H.264 A.3.1).
const RECENT: usize = 32;

/// Counts of the packets that are shown or heard; times in ticks of the source's own clock.
#[derive(Debug, Clone, Default)]
pub(super) struct Track {
    pub packets: u64,
    /// Those an edit list doesn't leave out.
    pub shown: u64,
    pub bytes: u64,
    pub first: Option<Ticks>,
    pub last: Option<Ticks>,
    /// Where the last of them ends, as far as their durations tell.
    pub end: Option<Ticks>,
    /// The last packet is cut off.
    pub cut: bool,
    /// Its data is encrypted sample by sample.
    pub encrypted: bool,
    /// Some of its times are of decoding, for want of presentation times.
    pub by_decoding: bool,
    /// Packets without any time of their own.
    pub untimed: u64,
    /// Keyframes by presentation time; true where it is an IDR picture.
    pub keys: Vec<(Ticks, bool)>,
    /// Its packets can't be cut out and shown as they are: some are left out by an edit list after the first that is
    /// shown, two have one time, or decoding times don't rise.
    pub unruly: bool,
    /// Its clock went back on the way: from then on its times count from where they were.
    pub set_anew: bool,
    /// Where nothing came for long.
    pub gaps: Vec<Gap>,
    shift: Ticks,
    last_duration: Ticks,
    last_dts: Option<i64>,
    recent: VecDeque<i64>,
}

impl Track {
    /// Counts one packet.
    pub fn count(&mut self, packet: &Packet, base: Rational, nal: Option<idr::Framing>) {
        self.cut = packet.is_corrupt();
        self.encrypted |= packet.side_data().any(|data| data.kind() == side_data::Type::EncryptionInfo);
        self.bytes += packet.size() as u64;
        self.packets += 1;
        self.unruly |= self.is_out_of_order(packet);
        if raw::is_discarded(packet) {
            self.unruly |= self.shown > 0;
            return;
        }
        self.shown += 1;
        let duration = to_ticks(packet.duration().max(0), base);
        let time = packet.pts().or(packet.dts());
        self.by_decoding |= packet.pts().is_none();
        self.untimed += u64::from(time.is_none());
        let at = time.map_or(self.end.unwrap_or(0), |time| self.go_on(to_ticks(time, base)));
        self.place(at, duration);
        if packet.is_key() {
            let idr = nal.is_some_and(|nal| packet.data().is_some_and(|data| nal.begins_with_idr(data)));
            self.keys.push((at, idr));
        }
    }

    fn is_out_of_order(&mut self, packet: &Packet) -> bool {
        let falls = packet.dts().is_some_and(|dts| self.last_dts.is_some_and(|last| dts <= last));
        self.last_dts = packet.dts().or(self.last_dts);
        let Some(at) = packet.pts() else { return falls };
        let twice = self.recent.contains(&at);
        self.recent.truncate(RECENT - 1);
        self.recent.push_front(at);
        falls || twice
    }

    /// The time as if the clock had never been set anew.
    fn go_on(&mut self, at: Ticks) -> Ticks {
        let (shifted, end) = (at.saturating_add(self.shift), self.end.unwrap_or(Ticks::MIN));
        if shifted >= end.saturating_sub(RESET) {
            return shifted;
        }
        self.set_anew = true;
        self.shift = end.saturating_sub(at);
        end
    }

    fn place(&mut self, at: Ticks, duration: Ticks) {
        self.gaps.extend(self.last.map(|last| (last, at)).filter(|gap| still::is_long(*gap)));
        self.first = Some(self.first.map_or(at, |first| first.min(at)));
        if self.last.is_none_or(|last| at >= last) {
            self.last = Some(at);
            self.last_duration = duration;
        }
        let end = at.saturating_add(duration);
        self.end = Some(self.end.map_or(end, |known| known.max(end)));
    }

    /// Pictures a second by the packets' own times; `None` where too few went by to tell.
    pub fn rate(&self) -> Option<f64> {
        let span = self.last?.checked_sub(self.first?)?;
        let timed = self.shown.checked_sub(self.untimed + 1).filter(|gaps| *gaps >= MIN_GAPS)?;
        #[expect(clippy::cast_precision_loss, reason = "counts of packets and ticks fit a float's 53 bits")]
        let rate = (span > 0 && timed > 0).then(|| timed as f64 * 90_000.0 / span as f64);
        rate
    }

    /// Where the stream ends; its last packet lasts `usual` where it doesn't say.
    pub fn ends(&self, usual: Ticks) -> Option<Ticks> {
        let (last, end) = (self.last?, self.end?);
        let held = if self.last_duration > 0 { self.last_duration } else { usual };
        Some(end.max(last.saturating_add(held)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A track of these presentation and decoding times.
    fn is_unruly(times: &[(i64, i64)], discarded: usize) -> bool {
        let mut track = Track::default();
        for (at, (pts, dts)) in times.iter().enumerate() {
            let mut packet = Packet::copy(b"picture");
            packet.set_pts(Some(*pts));
            packet.set_dts(Some(*dts));
            let discard =
                ffmpeg_next::codec::packet::Flags::from_bits_retain(ffmpeg_next::ffi::AV_PKT_FLAG_DISCARD);
            packet.set_flags(if at == discarded { discard } else { ffmpeg_next::codec::packet::Flags::KEY });
            track.count(&packet, Rational(1, 90_000), None);
        }
        track.unruly
    }

    #[test]
    fn reordered_pictures_and_those_left_out_at_the_start_are_in_order() {
        assert!(!is_unruly(&[(0, -2), (3, -1), (1, 0), (2, 1)], 9));
        assert!(!is_unruly(&[(-1, -1), (0, 0), (1, 1)], 0));
    }

    #[test]
    fn a_clock_set_anew_is_gone_on_with_from_where_it_was() {
        let mut track = Track::default();
        for at in [0, 1, 2, 3600, 0, 1] {
            let mut packet = Packet::copy(b"picture");
            packet.set_pts(Some(at));
            packet.set_duration(1);
            track.count(&packet, Rational(1, 1), None);
        }
        assert_eq!((track.set_anew, track.end), (true, Some(3603 * TICKS_PER_SECOND)));
    }

    #[test]
    fn a_time_that_comes_twice_or_a_picture_left_out_later_is_not() {
        assert!(is_unruly(&[(0, 0), (1, 1), (0, 2)], 9));
        assert!(is_unruly(&[(0, 0), (1, 1), (2, 1)], 9));
        assert!(is_unruly(&[(0, 0), (1, 1), (2, 2)], 2));
    }
}
