//! NAL units: taken apart behind lengths or start codes, and read bit by bit.

use bytes::{BufMut, Bytes, BytesMut};

pub(super) fn has_start_code(data: &[u8]) -> bool {
    data.starts_with(&[0, 0, 0, 1]) || data.starts_with(&[0, 0, 1])
}

/// The units of a frame, each behind its length; a torn one ends it.
pub(super) fn units(mut data: &[u8], length_bytes: usize) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || {
        let (length, rest) = data.split_at_checked(length_bytes)?;
        let length = length.iter().fold(0, |length, &byte| length << 8 | usize::from(byte));
        let (unit, rest) = rest.split_at_checked(length)?;
        data = rest;
        Some(unit)
    })
}

/// Annex B to four-byte lengths.
pub(super) fn lengths_for_start_codes(data: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(data.len() + 16);
    let mut rest = data;
    while let Some(start) = start_code(rest) {
        rest = &rest[start + 3..];
        let unit = &rest[..start_code(rest).unwrap_or(rest.len())];
        let end = unit.iter().rposition(|&byte| byte != 0).map_or(0, |last| last + 1);
        if end > 0 {
            out.put_u32(u32::try_from(end).unwrap_or(u32::MAX));
            out.put_slice(&unit[..end]);
        }
    }
    out.freeze()
}

fn start_code(data: &[u8]) -> Option<usize> {
    data.windows(3).position(|three| three == [0, 0, 1])
}

/// The unit without the bytes that only prevent start codes (H.264 7.4.1).
pub(super) fn unescaped(unit: &[u8]) -> Vec<u8> {
    let mut zeros = 0;
    let keep = |&byte: &u8| {
        let escape = zeros >= 2 && byte == 3;
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        !escape
    };
    unit.iter().copied().filter(keep).collect()
}

/// Reads a bit string from the front; None past its end.
pub(super) struct Bits<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Bits<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    pub(super) fn skip(&mut self, bits: usize) {
        self.at += bits;
    }

    pub(super) fn bits(&mut self, count: usize) -> Option<u32> {
        (0..count).try_fold(0, |value, _| Some(value << 1 | self.bit()?))
    }

    /// Exp-Golomb, `ue(v)` (H.264 9.1).
    pub(super) fn golomb(&mut self) -> Option<u32> {
        let mut zeros = 0;
        while self.bit()? == 0 {
            zeros += 1;
        }
        if zeros > 31 {
            return None;
        }
        Some((1u32 << zeros) - 1 + self.bits(zeros)?)
    }

    fn bit(&mut self) -> Option<u32> {
        let byte = *self.bytes.get(self.at / 8)?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Some(u32::from(bit))
    }
}
