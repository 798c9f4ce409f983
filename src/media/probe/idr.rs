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
            Self::StartCodes => starts(packet).find(|kind| is_slice(*kind)),
            Self::Lengths(bytes) => Lengths { rest: packet, bytes }.find(|kind| is_slice(*kind)),
        };
        first == Some(5)
    }
}

fn is_slice(kind: u8) -> bool {
    (1..=5).contains(&kind)
}

/// NAL unit types after start codes.
fn starts(packet: &[u8]) -> impl Iterator<Item = u8> {
    packet.windows(4).filter(|window| window.starts_with(&[0, 0, 1])).map(|window| window[3] & 31)
}

/// NAL unit types of length-prefixed units.
struct Lengths<'a> {
    rest: &'a [u8],
    bytes: usize,
}

impl Iterator for Lengths<'_> {
    type Item = u8;

    fn next(&mut self) -> Option<u8> {
        let length =
            self.rest.get(..self.bytes)?.iter().fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        let unit = self.rest.get(self.bytes..)?;
        let kind = unit.first()? & 31;
        self.rest = unit.get(length..).unwrap_or_default();
        Some(kind)
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
