//! HEVC: what its NAL units are, and its configuration record (ISO/IEC 14496-15 8.3.3.1).

use std::num::NonZeroUsize;

use bytes::{BufMut, Bytes, BytesMut};
use h264_reader::rbsp::{BitRead, BitReader, BitReaderError, ByteReader};

use super::annexb::{Nal, SetKind, Sets};
use super::avc::put;

const HEADER: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1);

/// What the record takes from a sequence set (ITU-T H.265 7.3.2.2.1).
struct Sequence {
    number: u32,
    layers: u8,
    nested: bool,
    profile_tier_level: [u8; 12],
    chroma: u32,
    luma_depth: u32,
    chroma_depth: u32,
}

pub fn classify(nal: &[u8]) -> Nal {
    match nal[0] >> 1 & 63 {
        0..=15 | 22..=31 => Nal::Slice { key: false },
        16..=21 => Nal::Slice { key: true },
        32 => nal.get(2).map_or(Nal::Waste, |byte| Nal::Set(SetKind::Video, u32::from(byte >> 4))),
        33 => sequence(nal).map_or(Nal::Waste, |set| Nal::Set(SetKind::Sequence, set.number)),
        34 => picture_number(nal).map_or(Nal::Waste, |number| Nal::Set(SetKind::Picture, number)),
        35..=38 => Nal::Waste,
        _ => Nal::Aside,
    }
}

/// None until all three kinds of set are there.
pub fn record(sets: &Sets) -> Option<Bytes> {
    let of = |kind| sets.iter().filter(move |(name, _)| name.0 == kind).map(|(_, set)| set);
    let facts = sequence(of(SetKind::Sequence).next()?).ok()?;
    let mut record = BytesMut::new();
    record.put_u8(1);
    record.put_slice(&facts.profile_tier_level);
    record.put_slice(&[0xf0, 0, 0xfc]);
    record.put_u8(0xfc | low(facts.chroma, 3));
    record.put_u8(0xf8 | low(facts.luma_depth, 7));
    record.put_u8(0xf8 | low(facts.chroma_depth, 7));
    record.put_u16(0);
    record.put_u8((facts.layers & 7) << 3 | u8::from(facts.nested) << 2 | 3);
    record.put_u8(3);
    for (kind, nal_type) in [(SetKind::Video, 32), (SetKind::Sequence, 33), (SetKind::Picture, 34)] {
        of(kind).next()?;
        record.put_u8(0x80 | nal_type);
        record.put_u16(u16::try_from(of(kind).take(64).count()).ok()?);
        of(kind).take(64).for_each(|set| put(&mut record, set));
    }
    Some(record.freeze())
}

fn sequence(nal: &[u8]) -> Result<Sequence, BitReaderError> {
    let mut bits = BitReader::new(ByteReader::skipping_bytes(nal, HEADER));
    bits.skip(4, "sps_video_parameter_set_id")?;
    let more_layers: u8 = bits.read::<3, _>("sps_max_sub_layers_minus1")?;
    let nested = bits.read_bit("sps_temporal_id_nesting_flag")?;
    let mut profile_tier_level = [0; 12];
    for byte in &mut profile_tier_level {
        *byte = bits.read::<8, _>("profile_tier_level")?;
    }
    skip_layers(&mut bits, more_layers)?;
    let number = bits.read_ue("sps_seq_parameter_set_id")?;
    let chroma = bits.read_ue("chroma_format_idc")?;
    if chroma == 3 {
        bits.skip(1, "separate_colour_plane_flag")?;
    }
    bits.read_ue("pic_width_in_luma_samples")?;
    bits.read_ue("pic_height_in_luma_samples")?;
    if bits.read_bit("conformance_window_flag")? {
        for _ in 0..4 {
            bits.read_ue("conf_win_offset")?;
        }
    }
    let (luma_depth, chroma_depth) = (bits.read_ue("bit_depth_luma")?, bits.read_ue("bit_depth_chroma")?);
    Ok(Sequence {
        number,
        layers: more_layers + 1,
        nested,
        profile_tier_level,
        chroma,
        luma_depth,
        chroma_depth,
    })
}

fn skip_layers(bits: &mut impl BitRead, more_layers: u8) -> Result<(), BitReaderError> {
    if more_layers == 0 {
        return Ok(());
    }
    let mut skipped = 0;
    for _ in 0..more_layers {
        skipped += if bits.read_bit("sub_layer_profile_present_flag")? { 88 } else { 0 };
        skipped += if bits.read_bit("sub_layer_level_present_flag")? { 8 } else { 0 };
    }
    bits.skip(2 * (8 - u32::from(more_layers)) + skipped, "sub layers")
}

fn picture_number(nal: &[u8]) -> Result<u32, BitReaderError> {
    BitReader::new(ByteReader::skipping_bytes(nal, HEADER)).read_ue("pps_pic_parameter_set_id")
}

fn low(value: u32, mask: u8) -> u8 {
    u8::try_from(value).unwrap_or_default() & mask
}
