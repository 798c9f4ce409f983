//! How a source's own times become the video's: the one way for pictures, sound, stills and what is passed through.

use ffmpeg_next::{Packet, Rational};

use super::libav::{TICK, rescale};
use crate::domain::media::{Discontinuity, Fraction, Ticks, VideoStream};

/// The clock of one stream, read from its beginning on where it is set anew on the way.
#[derive(Debug)]
pub(super) struct Clock {
    base: Rational,
    /// Time 0 of the video on the source's clock, as the discontinuities mend it.
    zero: Ticks,
    lead: Ticks,
    discontinuities: Vec<Discontinuity>,
    wrong_stamps: Vec<u64>,
    /// Only the first time of the stream counts.
    untimed: bool,
    begun: bool,
    /// The time of the last packet that said where it lies can't be meant, nor can those counted from it.
    wrong: bool,
    /// What applies to a packet that doesn't say where it lies, as the second picture of an MPEG-TS packet.
    offset: Ticks,
}

impl Clock {
    /// Of the stream `index` with this time base.
    pub fn of(video: &VideoStream, (index, base): (usize, Rational)) -> Self {
        let clock = &video.clock;
        let delay = if index == video.index as usize { 0 } else { clock.delay };
        let first = rescale(video.start_pts, rational(video.time_base), TICK);
        Self {
            base,
            zero: first.saturating_sub(clock.lead).saturating_sub(delay),
            lead: clock.lead,
            discontinuities: clock.discontinuities.clone(),
            wrong_stamps: clock.wrong_stamps.clone(),
            untimed: clock.untimed.iter().any(|untimed| *untimed as usize == index),
            begun: false,
            wrong: false,
            offset: 0,
        }
    }

    /// Gives a packet the times it would have had, had the clock never been set anew.
    pub fn mend(&mut self, packet: &mut Packet) {
        let position = u64::try_from(packet.position()).ok();
        if let Some(position) = position {
            self.wrong = self.wrong_stamps.binary_search(&position).is_ok();
        }
        if self.wrong || (self.untimed && self.begun) {
            packet.set_pts(None);
            packet.set_dts(None);
            return;
        }
        self.begun = true;
        if let Some(offset) = self.offset_at(position) {
            let offset = rescale(offset, TICK, self.base);
            packet.set_pts(packet.pts().map(|at| at.saturating_add(offset)));
            packet.set_dts(packet.dts().map(|at| at.saturating_add(offset)));
        }
    }

    /// When a mended time of the stream is on the video's timeline.
    pub fn time(&self, stamp: i64) -> Ticks {
        self.span(stamp).saturating_sub(self.zero)
    }

    /// The mended time of the stream that is `at` on the video's timeline.
    pub fn stamp(&self, at: Ticks) -> i64 {
        rescale(at.saturating_add(self.zero), TICK, self.base)
    }

    /// A difference of two times of the stream, in ticks.
    pub fn span(&self, stamps: i64) -> Ticks {
        rescale(stamps, self.base, TICK)
    }

    /// When the first picture that is worth showing comes: those before it, of a group whose beginning is missing, are not
    /// shown.
    pub fn first_picture(&self) -> Ticks {
        self.lead
    }

    /// The clock is set anew on the way.
    pub fn is_set_anew(&self) -> bool {
        !self.discontinuities.is_empty()
    }

    fn offset_at(&mut self, position: Option<u64>) -> Option<Ticks> {
        if self.discontinuities.is_empty() {
            return None;
        }
        if let Some(position) = position {
            let passed = self.discontinuities.partition_point(|it| it.position <= position);
            self.offset = passed.checked_sub(1).map_or(0, |last| self.discontinuities[last].offset);
        }
        Some(self.offset)
    }
}

fn rational(fraction: Fraction) -> Rational {
    let part = |value: u32| i32::try_from(value).unwrap_or(i32::MAX).max(1);
    Rational(part(fraction.num), part(fraction.den))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::TICKS_PER_SECOND as S;
    use crate::media::ladder::tests::probed;

    fn clock(change: impl FnOnce(&mut VideoStream)) -> Clock {
        let mut video = probed(320, 180).video;
        (video.start_pts, video.time_base) = (1000, Fraction { num: 1, den: 1000 });
        change(&mut video);
        Clock::of(&video, (0, Rational(1, 1000)))
    }

    fn mended(clock: &mut Clock, position: isize, at: i64) -> Option<Ticks> {
        let mut packet = Packet::copy(b"picture");
        packet.set_pts(Some(at));
        packet.set_position(position);
        clock.mend(&mut packet);
        packet.pts().map(|at| clock.time(at))
    }

    #[test]
    fn a_video_begins_as_long_before_its_first_picture_as_its_sound_does() {
        assert_eq!(clock(|_| {}).time(1000), 0);
        let clock = clock(|video| video.clock.lead = 6 * S);
        assert_eq!([1000, -5000].map(|at| clock.time(at)), [6 * S, 0]);
        assert_eq!((clock.stamp(6 * S), clock.first_picture()), (1000, 6 * S));
    }

    #[test]
    fn pictures_told_by_decoding_are_shown_when_the_sound_of_their_own_time_is_heard() {
        let mut video = probed(320, 180).video;
        (video.start_pts, video.time_base) = (3, Fraction { num: 1, den: 30 });
        video.clock.delay = 9000;
        let [pictures, sound] = [0, 1].map(|index| Clock::of(&video, (index, Rational(1, 30))));
        assert_eq!((pictures.time(3), sound.time(0)), (0, 0));
    }

    #[test]
    fn times_after_a_discontinuity_go_on_and_a_packet_of_no_place_belongs_to_the_one_before() {
        let anew = |position, seconds| Discontinuity { position, offset: seconds * S };
        let mut clock = clock(|video| video.clock.discontinuities = vec![anew(100, 5), anew(300, -9)]);
        let places = [(0, 1000), (100, 1000), (-1, 1500), (299, 2000), (300, 16_000), (50, 1500)];
        let times = places.map(|(position, at)| mended(&mut clock, position, at));
        assert_eq!(times, [0, 10, 11, 12, 12, 1].map(|half| Some(half * S / 2)));
    }

    #[test]
    fn a_packet_whose_time_can_t_be_meant_has_none() {
        let mut clock = clock(|video| video.clock.wrong_stamps = vec![188, 564]);
        let times = [(0, 1000), (188, 90), (-1, 95), (376, 2000)]
            .map(|(position, at)| mended(&mut clock, position, at));
        assert_eq!(times, [Some(0), None, None, Some(S)]);
    }

    #[test]
    fn of_a_stream_whose_times_can_t_be_meant_only_the_first_counts() {
        let mut clock = clock(|video| video.clock.untimed = vec![0]);
        assert_eq!([3000, 3001].map(|at| mended(&mut clock, 0, at)), [Some(2 * S), None]);
    }
}
