//! H.264: what its NAL units are, and its configuration record (ISO/IEC 14496-15 5.3.3.1).

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader, decode_nal};

use super::annexb::{Nal, SetKind, Sets};

/// Profiles whose sequence sets name chroma and depth (ITU-T H.264 7.3.2.1.1).
const HIGH: [u8; 13] = [100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 139, 134, 135];
/// Of those, the ones whose record names them too.
const EXTENDED: [u8; 4] = [100, 110, 122, 144];

/// What the record takes from a sequence set.
struct Sequence {
    number: u32,
    chroma: u8,
    luma_depth: u8,
    chroma_depth: u8,
}

pub fn classify(nal: &[u8]) -> Nal {
    match nal[0] & 31 {
        1..=4 => Nal::Slice { key: false },
        5 => Nal::Slice { key: true },
        7 => sequence(nal).map_or(Nal::Waste, |set| Nal::Set(SetKind::Sequence, set.number)),
        8 => picture_number(nal).map_or(Nal::Waste, |number| Nal::Set(SetKind::Picture, number)),
        6 if has_recovery_point(nal) => Nal::Recovery,
        0 | 9..=12 => Nal::Waste,
        _ => Nal::Aside,
    }
}

/// Whether one of the messages of supplemental information is a recovery point (ITU-T H.264 7.3.2.3.1, D.1.8).
fn has_recovery_point(nal: &[u8]) -> bool {
    const RECOVERY_POINT: usize = 6;
    let Ok(payload) = decode_nal(nal) else { return false };
    let mut bytes = payload.iter().copied();
    let number = |bytes: &mut dyn Iterator<Item = u8>| {
        let mut number = 0;
        loop {
            let byte = bytes.next()?;
            number += usize::from(byte);
            if byte != 0xff {
                return Some(number);
            }
        }
    };
    while let (Some(kind), Some(size)) = (number(&mut bytes), number(&mut bytes)) {
        if kind == RECOVERY_POINT && size > 0 {
            return bytes.next().is_some();
        }
        if size > 0 && bytes.nth(size - 1).is_none() {
            return false;
        }
    }
    false
}

/// None until both kinds of set are there.
pub fn record(sets: &Sets) -> Option<Bytes> {
    let of = |kind| sets.iter().filter(move |(name, _)| name.0 == kind).map(|(_, set)| set);
    let (sequences, pictures) = (of(SetKind::Sequence), of(SetKind::Picture));
    let first = sequences.clone().next()?;
    let facts = sequence(first).ok()?;
    pictures.clone().next()?;
    let mut record = BytesMut::new();
    record.put_slice(&[1, first[1], first[2], first[3], 0xff]);
    record.put_u8(0xe0 | u8::try_from(sequences.clone().take(31).count()).ok()?);
    sequences.take(31).for_each(|set| put(&mut record, set));
    record.put_u8(u8::try_from(pictures.clone().take(255).count()).ok()?);
    pictures.take(255).for_each(|set| put(&mut record, set));
    if EXTENDED.contains(&first[1]) {
        record.put_slice(&[0xfc | facts.chroma, 0xf8 | facts.luma_depth, 0xf8 | facts.chroma_depth, 0]);
    }
    Some(record.freeze())
}

pub fn put(record: &mut BytesMut, set: &Bytes) {
    record.put_u16(u16::try_from(set.len()).unwrap_or_default());
    record.put_slice(set);
}

fn sequence(nal: &[u8]) -> Result<Sequence, BitReaderError> {
    let mut bits = BitReader::new(ByteReader::skipping_h264_header(nal));
    let profile: u8 = bits.read::<8, _>("profile_idc")?;
    bits.skip(16, "constraints and level")?;
    let number = bits.read_ue("seq_parameter_set_id")?;
    let (mut chroma, mut depths) = (1, [0, 0]);
    if HIGH.contains(&profile) {
        chroma = small(bits.read_ue("chroma_format_idc")?, 3);
        if chroma == 3 {
            bits.skip(1, "separate_colour_plane_flag")?;
        }
        depths = [small(bits.read_ue("bit_depth_luma")?, 7), small(bits.read_ue("bit_depth_chroma")?, 7)];
    }
    Ok(Sequence { number, chroma, luma_depth: depths[0], chroma_depth: depths[1] })
}

fn picture_number(nal: &[u8]) -> Result<u32, BitReaderError> {
    BitReader::new(ByteReader::skipping_h264_header(nal)).read_ue("pic_parameter_set_id")
}

fn small(value: u32, most: u8) -> u8 {
    u8::try_from(value).unwrap_or(most).min(most)
}
