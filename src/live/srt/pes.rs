//! What elementary stream packets say of time, and a frame put together from them.

use mpeg2ts_reader::pes::{PesContents, PesHeader, PtsDts, Timestamp};

/// Keyframes of 4K video stay below; more is not a frame.
const LONGEST_BYTES: usize = 8 << 20;

/// Both in 1/90000 s, unwrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Time {
    pub pts: i64,
    pub dts: i64,
}

/// Unwraps the 33-bit times of all streams of a program against the one seen last.
#[derive(Debug, Default)]
pub struct Clock(Option<i64>);

impl Clock {
    pub fn at(&mut self, pts: u64, dts: u64) -> Time {
        let dts = self.unwrap(dts);
        Time { pts: Self::nearest(dts, pts), dts }
    }

    fn unwrap(&mut self, raw: u64) -> i64 {
        let time = Self::nearest(self.0.unwrap_or(raw.cast_signed()), raw);
        self.0 = Some(time);
        time
    }

    /// The time that ends in these 33 bits and is no further than 2^32 away.
    fn nearest(from: i64, raw: u64) -> i64 {
        let ahead = raw.cast_signed().wrapping_sub(from);
        from.wrapping_add((ahead << 31) >> 31)
    }
}

/// What a packet begins with.
pub fn opening<'a>(header: &PesHeader<'a>, clock: &mut Clock) -> Option<(Option<Time>, &'a [u8])> {
    let PesContents::Parsed(Some(contents)) = header.contents() else { return None };
    let time = match contents.pts_dts() {
        Ok(PtsDts::PtsOnly(Ok(pts))) => Some(clock.at(pts.value(), pts.value())),
        Ok(PtsDts::Both { pts: Ok(pts), dts: Ok(dts) }) => Some(clock.at(Timestamp::value(pts), dts.value())),
        _ => None,
    };
    Some((time, contents.payload()))
}

/// A frame and its time.
#[derive(Debug, PartialEq, Eq)]
pub struct Unit {
    pub time: Time,
    pub data: Vec<u8>,
}

/// The frame that is arriving; nothing while none is, or after a gap.
#[derive(Debug, Default)]
pub struct Assembly(Option<Unit>);

impl Assembly {
    /// Begins the next frame and yields the one before it.
    pub fn begin(&mut self, time: Time) -> Option<Unit> {
        self.0.replace(Unit { time, data: Vec::new() })
    }

    pub fn extend(&mut self, data: &[u8]) {
        if let Some(unit) = &mut self.0 {
            unit.data.extend_from_slice(data);
        }
        self.0.take_if(|unit| unit.data.len() > LONGEST_BYTES);
    }

    pub fn take(&mut self) -> Option<Unit> {
        self.0.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WRAP: u64 = 1 << 33;

    #[test]
    fn time_goes_on_where_33_bits_end() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(WRAP - 10, WRAP - 3010), Time { pts: (1 << 33) - 10, dts: (1 << 33) - 3010 });
        assert_eq!(clock.at(2990, WRAP - 10), Time { pts: (1 << 33) + 2990, dts: (1 << 33) - 10 });
        assert_eq!(clock.at(5990, 2990), Time { pts: (1 << 33) + 5990, dts: (1 << 33) + 2990 });
    }

    #[test]
    fn a_second_stream_may_begin_before_zero() {
        let mut clock = Clock::default();
        assert_eq!(clock.at(5, 5).dts, 5);
        assert_eq!(clock.at(WRAP - 90, WRAP - 90).dts, -90);
    }

    #[test]
    fn a_jump_of_hours_is_a_jump_of_hours() {
        let mut clock = Clock::default();
        clock.at(90_000, 90_000);
        let later = 90_000 + 6 * 3600 * 90_000;
        assert_eq!(clock.at(later, later).dts, later.cast_signed());
        assert_eq!(clock.at(90_000, 90_000).dts, 90_000);
    }

    #[test]
    fn decoding_may_come_after_presentation() {
        let time = Clock::default().at(1000, 4000);
        assert_eq!(time.pts - time.dts, -3000);
    }
}
