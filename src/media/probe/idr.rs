//! Whether an H.264 packet begins a closed group of pictures (ITU-T H.264 7.4.1.2.4).

/// How a stream's NAL units are framed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Framing {
    /// Start codes (Annex B).
    StartCodes,
    /// Lengths of so many bytes (ISO/IEC 14496-15).
    Lengths(usize),
}

impl Framing {
    /// By the stream's extradata.
    pub fn of(extradata: &[u8]) -> Self {
        match extradata {
            [1, _, _, _, lengths, ..] => Self::Lengths(usize::from(lengths & 3) + 1),
            _ => Self::StartCodes,
        }
    }

    /// The first coded slice is one of an IDR picture.
    pub fn begins_with_idr(self, packet: &[u8]) -> bool {
        let first = match self {
            Self::StartCodes => starts(packet).map(|(_, kind)| kind).find(|kind| is_slice(*kind)),
            Self::Lengths(bytes) => Lengths { rest: packet, bytes }.filter_map(kind).find(|it| is_slice(*it)),
        };
        first == Some(5)
    }

    /// The first unit of a type.
    pub fn unit(self, packet: &[u8], wanted: u8) -> Option<&[u8]> {
        match self {
            Self::StartCodes => {
                let mut from = starts(packet).skip_while(|(_, kind)| *kind != wanted);
                let (at, _) = from.next()?;
                let end = from.next().map_or(packet.len(), |(next, _)| next - START_CODE);
                packet.get(at..end)
            }
            Self::Lengths(bytes) => Lengths { rest: packet, bytes }.find(|unit| kind(unit) == Some(wanted)),
        }
    }
}

fn is_slice(kind: u8) -> bool {
    (1..=5).contains(&kind)
}

/// Bytes of a start code.
const START_CODE: usize = 3;

fn kind(unit: &[u8]) -> Option<u8> {
    Some(unit.first()? & 31)
}

/// Where NAL units begin after start codes, and their types.
fn starts(packet: &[u8]) -> impl Iterator<Item = (usize, u8)> {
    let windows = packet.windows(START_CODE + 1).enumerate();
    windows
        .filter(|(_, window)| window.starts_with(&[0, 0, 1]))
        .map(|(at, window)| (at + START_CODE, window[START_CODE] & 31))
}

/// Length-prefixed NAL units.
struct Lengths<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl<'a> Iterator for Lengths<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let length =
            self.rest.get(..self.bytes)?.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let rest = self.rest.get(self.bytes..).filter(|rest| !rest.is_empty())?;
        let (unit, rest) = rest.split_at(length.min(rest.len()));
        self.rest = rest;
        Some(unit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packet_of_lengths_is_idr_by_its_first_slice() {
        let framing = Framing::of(&[1, 100, 0, 31, 0xff, 0xe1]);
        assert_eq!(framing, Framing::Lengths(4));
        assert!(framing.begins_with_idr(&[0, 0, 0, 2, 6, 9, 0, 0, 0, 2, 0x65, 0]));
        assert!(!framing.begins_with_idr(&[0, 0, 0, 2, 6, 9, 0, 0, 0, 2, 0x41, 0]));
    }

    #[test]
    fn a_packet_of_start_codes_is_idr_by_its_first_slice() {
        let framing = Framing::of(&[0, 0, 0, 1, 0x67]);
        assert!(framing.begins_with_idr(&[0, 0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x65, 1]));
        assert!(!framing.begins_with_idr(&[0, 0, 0, 1, 0x09, 0x10, 0, 0, 1, 0x41, 1]));
    }

    #[test]
    fn lengths_that_lie_end_quietly() {
        assert!(!Framing::Lengths(4).begins_with_idr(&[255, 255, 255, 255, 6]));
    }
}
