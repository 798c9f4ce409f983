//! What is counted of one stream while its packets go by.

use std::collections::VecDeque;

use ffmpeg_next::codec::packet::side_data;
use ffmpeg_next::{Packet, Rational};

use super::clock::to_ticks;
use super::epochs::{Epochs, Offsets, Stamp};
use super::idr;
use super::still::{self, Gap};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::media::{libav, raw};

/// Fewer gaps between pictures than this say little about a rate.
const MIN_GAPS: u64 = 8;

/// Presentation times looked back on for one that comes twice: more than pictures are reordered by (ITU-T H.264 A.3.1).
const RECENT: usize = 32;

/// More pictures a second than this are not counted.
const MAX_DENSITY: usize = 1000;

/// Counts of the packets that are shown or heard. Their times, in ticks of the source's clock as its discontinuities mend
/// it, are there once the track has been [settled](Track::settle).
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
    /// How long they last together, as far as they say.
    pub lasting: Ticks,
    /// The last packet is cut off.
    pub cut: bool,
    /// Its data is encrypted sample by sample.
    pub encrypted: bool,
    /// Some of its times are of decoding, for want of presentation times.
    pub by_decoding: bool,
    /// Packets that have presentation times.
    pub presented: u64,
    /// Packets without any time of their own.
    pub untimed: u64,
    /// Keyframes by presentation time; true where it is an IDR picture.
    pub keys: Vec<(Ticks, bool)>,
    /// Its packets can't be cut out and shown as they are: some are left out by an edit list after the first that is
    /// shown, two have one time, or decoding times don't rise.
    pub unruly: bool,
    /// Parameter sets other than the header's came on the way.
    pub renewed: bool,
    /// Pictures in the second that has most.
    pub densest: u32,
    /// Where nothing came for long.
    pub gaps: Vec<Gap>,
    last_duration: Ticks,
    last_dts: Option<i64>,
    recent: VecDeque<i64>,
    spells: Vec<Spell>,
    /// The codec's own header.
    header: Vec<u8>,
    /// Times of the packets of the last second.
    second: VecDeque<Ticks>,
}

/// What came on one clock, by which it is counted.
#[derive(Debug, Clone, Default)]
struct Spell {
    epoch: usize,
    /// What puts it on one clock with the others.
    offset: Ticks,
    first: Ticks,
    last: Ticks,
    last_duration: Ticks,
    end: Ticks,
    keys: Vec<(Ticks, bool)>,
    gaps: Vec<Gap>,
}

impl Track {
    /// A track whose codec header the container keeps.
    pub fn of(header: &[u8]) -> Self {
        Self { header: header.to_vec(), ..Self::default() }
    }

    /// Counts one packet; the number of the epoch it belongs to, where it is shown or heard.
    pub fn count(
        &mut self,
        packet: &Packet,
        (base, nal): (Rational, Option<idr::Framing>),
        epochs: &mut Epochs,
    ) -> Option<usize> {
        self.cut = packet.is_corrupt();
        self.encrypted |= packet.side_data().any(|data| data.kind() == side_data::Type::EncryptionInfo);
        self.bytes += packet.size() as u64;
        self.packets += 1;
        self.renewed |= libav::new_parameters(packet).is_some_and(|renewed| renewed != self.header);
        self.unruly |= self.is_out_of_order(packet);
        if raw::is_discarded(packet) {
            self.unruly |= self.shown > 0;
            return None;
        }
        self.shown += 1;
        self.by_decoding |= packet.pts().is_none();
        self.presented += u64::from(packet.pts().is_some());
        let duration = to_ticks(packet.duration().max(0), base);
        self.lasting = self.lasting.saturating_add(duration);
        let placed = Stamp::of(packet, base).and_then(|stamp| {
            let epoch = epochs.place(packet.stream(), &stamp)?;
            Some((epoch, stamp.shown.unwrap_or(stamp.decoded)))
        });
        self.untimed += u64::from(placed.is_none());
        let (epoch, at) = placed.unwrap_or_else(|| self.spells.last().map_or((0, 0), Spell::next));
        self.crowd(at);
        let spell = self.spell(epoch, at);
        spell.place(at, duration);
        if packet.is_key() {
            let idr = nal.is_some_and(|nal| packet.data().is_some_and(|data| nal.begins_with_idr(data)));
            spell.keys.push((at, idr));
        }
        Some(epoch)
    }

    /// Puts what was counted on one clock, by what is to be added to each epoch.
    pub fn settle(&mut self, offsets: &Offsets) {
        self.spells.retain(|spell| offsets.contains_key(&spell.epoch));
        for spell in &mut self.spells {
            spell.offset = offsets.get(&spell.epoch).copied().unwrap_or(0);
        }
        let spells = &self.spells;
        self.first = spells.iter().map(|spell| spell.on(spell.first)).min();
        self.end = spells.iter().map(|spell| spell.on(spell.end)).max();
        let last = spells.iter().max_by_key(|spell| spell.on(spell.last));
        (self.last, self.last_duration) =
            (last.map(|spell| spell.on(spell.last)), last.map_or(0, |spell| spell.last_duration));
        self.keys = spells
            .iter()
            .flat_map(|spell| spell.keys.iter().map(|(at, idr)| (spell.on(*at), *idr)))
            .collect();
        let within = spells
            .iter()
            .flat_map(|spell| spell.gaps.iter().map(|(from, to)| (spell.on(*from), spell.on(*to))));
        let between = spells.windows(2).map(|pair| (pair[0].on(pair[0].last), pair[1].on(pair[1].first)));
        self.gaps = within.chain(between.filter(|gap| still::is_long(*gap))).collect();
        self.gaps.sort_unstable();
    }

    /// A time that came out of the decoder when a packet of `epoch` was put in, as the discontinuities mend it.
    pub fn mended(&self, at: Ticks, epoch: usize) -> Ticks {
        let before = || self.spells.iter().rev().filter(|spell| spell.epoch <= epoch);
        let held = before().find(|spell| (spell.first..=spell.end).contains(&at));
        held.or(before().next()).map_or(at, |spell| spell.on(at))
    }

    fn spell(&mut self, epoch: usize, at: Ticks) -> &mut Spell {
        let known = self.spells.iter().rposition(|spell| spell.epoch == epoch);
        let index = known.unwrap_or_else(|| {
            self.spells.push(Spell { epoch, first: at, last: at, end: at, ..Spell::default() });
            self.spells.len() - 1
        });
        &mut self.spells[index]
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

    fn crowd(&mut self, at: Ticks) {
        self.second.retain(|before| *before > at.saturating_sub(TICKS_PER_SECOND));
        if self.second.len() < MAX_DENSITY {
            self.second.push_back(at);
        }
        self.densest = self.densest.max(u32::try_from(self.second.len()).unwrap_or(u32::MAX));
    }

    /// Pictures a second by the packets' own times; `None` where too few went by to tell.
    pub fn rate(&self) -> Option<f64> {
        let span = self.last?.checked_sub(self.first?)?;
        let timed = self.shown.checked_sub(self.untimed + 1).filter(|gaps| *gaps >= MIN_GAPS)?;
        #[expect(clippy::cast_precision_loss, reason = "counts of packets and ticks fit a float's 53 bits")]
        let rate = (span > 0 && timed > 0).then(|| timed as f64 * 90_000.0 / span as f64);
        rate
    }

    /// Its packets last much longer together than their times leave them: the times can't be meant.
    pub fn is_too_dense(&self) -> bool {
        let (Some(first), Some(last)) = (self.first, self.last) else { return false };
        let span = last.saturating_sub(first).saturating_add(self.last_duration);
        self.shown > MIN_GAPS && self.lasting / 2 > span
    }

    /// Where sound ends whose packets follow each other, whatever their times say.
    pub fn ends_in_row(&self) -> Option<Ticks> {
        Some(self.first?.saturating_add(self.lasting))
    }

    /// Where the stream ends; its last packet lasts `usual` where it doesn't say.
    pub fn ends(&self, usual: Ticks) -> Option<Ticks> {
        let (last, end) = (self.last?, self.end?);
        let held = if self.last_duration > 0 { self.last_duration } else { usual };
        Some(end.max(last.saturating_add(held)))
    }
}

impl Spell {
    fn place(&mut self, at: Ticks, duration: Ticks) {
        self.gaps.extend(Some((self.last, at)).filter(|gap| still::is_long(*gap)));
        self.first = self.first.min(at);
        if at >= self.last {
            (self.last, self.last_duration) = (at, duration);
        }
        self.end = self.end.max(at.saturating_add(duration));
    }

    /// Where a packet without a time of its own goes.
    fn next(&self) -> (usize, Ticks) {
        (self.epoch, self.end)
    }

    /// A time of this clock on the one of all.
    fn on(&self, at: Ticks) -> Ticks {
        at.saturating_add(self.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::super::epochs::Clocks;
    use super::*;
    use crate::domain::media::TICKS_PER_SECOND;

    /// A track of these presentation and decoding times.
    fn is_unruly(times: &[(i64, i64)], discarded: usize) -> bool {
        let (mut track, mut epochs) = (Track::default(), Epochs::new(Clocks::One));
        for (at, (pts, dts)) in times.iter().enumerate() {
            let mut packet = Packet::copy(b"picture");
            packet.set_pts(Some(*pts));
            packet.set_dts(Some(*dts));
            let discard =
                ffmpeg_next::codec::packet::Flags::from_bits_retain(ffmpeg_next::ffi::AV_PKT_FLAG_DISCARD);
            packet.set_flags(if at == discarded { discard } else { ffmpeg_next::codec::packet::Flags::KEY });
            track.count(&packet, (Rational(1, 90_000), None), &mut epochs);
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
        let (mut track, mut epochs) = (Track::default(), Epochs::new(Clocks::Many));
        for (place, at) in [0, 1, 2, 3600, 3601, 0, 1].into_iter().enumerate() {
            let mut packet = Packet::copy(b"picture");
            packet.set_pts(Some(at));
            packet.set_duration(1);
            packet.set_position(isize::try_from(place * 188).expect("small"));
            track.count(&packet, (Rational(1, 1), None), &mut epochs);
        }
        track.settle(&epochs.offsets(0));
        assert_eq!((track.first, track.end), (Some(0), Some(7 * TICKS_PER_SECOND)));
        assert_eq!(track.mended(3601 * TICKS_PER_SECOND, 1), 4 * TICKS_PER_SECOND);
    }

    #[test]
    fn a_time_that_comes_twice_or_a_picture_left_out_later_is_not() {
        assert!(is_unruly(&[(0, 0), (1, 1), (0, 2)], 9));
        assert!(is_unruly(&[(0, 0), (1, 1), (2, 1)], 9));
        assert!(is_unruly(&[(0, 0), (1, 1), (2, 2)], 2));
    }
}
