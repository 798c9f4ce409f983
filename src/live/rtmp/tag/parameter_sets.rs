//! Makes `avcC` and `hvcC` (ISO 14496-15 5.3.3, 8.3.3) from parameter sets that came among the frames.

use bytes::{BufMut, Bytes, BytesMut};

use super::super::super::frame::VideoConfig;
use super::nal::{self, Bits};

const AVC_SPS: u8 = 7;
const AVC_PPS: u8 = 8;
const HEVC_VPS: u8 = 32;
const HEVC_SPS: u8 = 33;
const HEVC_PPS: u8 = 34;

/// The parameter sets found in one frame.
#[derive(Debug, Default)]
pub(super) struct Sets<'a> {
    vps: Vec<&'a [u8]>,
    sps: Vec<&'a [u8]>,
    pps: Vec<&'a [u8]>,
}

impl<'a> Sets<'a> {
    pub(super) fn in_avc(frame: &'a [u8], length_bytes: usize) -> Self {
        let mut sets = Self::default();
        for unit in nal::units(frame, length_bytes).filter(|unit| unit.len() >= 4) {
            match unit[0] & 31 {
                AVC_SPS => sets.sps.push(unit),
                AVC_PPS => sets.pps.push(unit),
                _ => {}
            }
        }
        sets
    }

    pub(super) fn in_hevc(frame: &'a [u8], length_bytes: usize) -> Self {
        let mut sets = Self::default();
        for unit in nal::units(frame, length_bytes).filter(|unit| unit.len() >= 4) {
            match unit[0] >> 1 & 63 {
                HEVC_VPS => sets.vps.push(unit),
                HEVC_SPS => sets.sps.push(unit),
                HEVC_PPS => sets.pps.push(unit),
                _ => {}
            }
        }
        sets
    }

    /// The frame has none.
    pub(super) fn is_empty(&self) -> bool {
        self.vps.is_empty() && self.sps.is_empty() && self.pps.is_empty()
    }

    /// Whether a configuration knows them all already; so it is too when there are none.
    pub(super) fn are_in(&self, config: &[u8]) -> bool {
        let known = |set: &&[u8]| config.windows(set.len()).any(|window| window == *set);
        [&self.vps, &self.sps, &self.pps].into_iter().flatten().all(known)
    }

    /// None while SPS or PPS is missing.
    pub(super) fn avcc(&self, length_bytes: usize) -> Option<Bytes> {
        let [_, profile, compatibility, level, ..] = **self.sps.first()? else { return None };
        self.pps.first()?;
        let mut out = BytesMut::new();
        out.put_slice(&[1, profile, compatibility, level, 0xFC | length_mark(length_bytes)]);
        put_sets(&self.sps, Count::Byte(0xE0), &mut out);
        put_sets(&self.pps, Count::Byte(0), &mut out);
        if matches!(profile, 100 | 110 | 122 | 144) {
            let [chroma, luma_bits, chroma_bits] = avc_format(self.sps.first()?)?;
            out.put_slice(&[0xFC | chroma, 0xF8 | luma_bits, 0xF8 | chroma_bits, 0]);
        }
        Some(out.freeze())
    }

    /// None while VPS, SPS or PPS is missing.
    pub(super) fn hvcc(&self, length_bytes: usize) -> Option<Bytes> {
        self.vps.first()?;
        self.pps.first()?;
        let format = HevcFormat::of(self.sps.first()?)?;
        let mut out = BytesMut::new();
        out.put_u8(1);
        out.put_slice(&format.general);
        out.put_slice(&[
            0xF0,
            0,
            0xFC,
            0xFC | format.chroma,
            0xF8 | format.luma_bits,
            0xF8 | format.chroma_bits,
        ]);
        // No average frame rate; then temporal layers, nesting and the size of lengths.
        out.put_slice(&[0, 0, format.layers << 3 | format.nested << 2 | length_mark(length_bytes), 3]);
        for (kind, sets) in [(HEVC_VPS, &self.vps), (HEVC_SPS, &self.sps), (HEVC_PPS, &self.pps)] {
            out.put_u8(0x80 | kind);
            put_sets(sets, Count::Two, &mut out);
        }
        Some(out.freeze())
    }
}

/// How many bytes the lengths of NAL units have.
pub(super) fn length_bytes(config: &VideoConfig) -> usize {
    let mark = match config {
        VideoConfig::Avc(avcc) => avcc.get(4),
        VideoConfig::Hevc(hvcc) => hvcc.get(21),
        VideoConfig::Av1(_) => None,
    };
    mark.map_or(4, |mark| usize::from(mark & 3) + 1)
}

fn length_mark(length_bytes: usize) -> u8 {
    u8::try_from(length_bytes.saturating_sub(1) & 3).unwrap_or(3)
}

/// How the number of sets is written: in one byte beside fixed bits, or in two.
#[derive(Clone, Copy)]
enum Count {
    Byte(u8),
    Two,
}

fn put_sets(sets: &[&[u8]], count: Count, out: &mut BytesMut) {
    // The field for SPS has five bits; an encoder that sends more than 31 isn't one.
    let sets = &sets[..sets.len().min(31)];
    let number = u8::try_from(sets.len()).unwrap_or(31);
    match count {
        Count::Byte(fixed) => out.put_u8(fixed | number),
        Count::Two => out.put_u16(u16::from(number)),
    }
    for set in sets {
        let set = &set[..set.len().min(usize::from(u16::MAX))];
        out.put_u16(u16::try_from(set.len()).unwrap_or(u16::MAX));
        out.put_slice(set);
    }
}

/// Chroma format and the bit depths above 8 of a high profile's SPS (H.264 7.3.2.1.1).
fn avc_format(sps: &[u8]) -> Option<[u8; 3]> {
    let sps = nal::unescaped(sps);
    let mut bits = Bits::new(sps.get(4..)?);
    let _id = bits.golomb()?;
    let chroma = bits.golomb()?;
    if chroma == 3 {
        bits.skip(1);
    }
    let (luma_bits, chroma_bits) = (bits.golomb()?, bits.golomb()?);
    Some([narrow(chroma, 3)?, narrow(luma_bits, 7)?, narrow(chroma_bits, 7)?])
}

fn narrow(value: u32, most: u8) -> Option<u8> {
    u8::try_from(value).ok().filter(|&value| value <= most)
}

/// What `hvcC` repeats of an SPS (H.265 7.3.2.2).
struct HevcFormat {
    /// Profile, compatibility, constraints and level.
    general: [u8; 12],
    layers: u8,
    nested: u8,
    chroma: u8,
    luma_bits: u8,
    chroma_bits: u8,
}

impl HevcFormat {
    fn of(sps: &[u8]) -> Option<Self> {
        let sps = nal::unescaped(sps);
        let first = *sps.get(2)?;
        let sub_layers = usize::from(first >> 1 & 7);
        let general = *sps.get(3..)?.first_chunk::<12>()?;
        let mut bits = Bits::new(sps.get(15..)?);
        skip_sub_layers(&mut bits, sub_layers)?;
        let _id = bits.golomb()?;
        let chroma = bits.golomb()?;
        if chroma == 3 {
            bits.skip(1);
        }
        let _size = (bits.golomb()?, bits.golomb()?);
        if bits.bits(1)? == 1 {
            let _cropping = (bits.golomb()?, bits.golomb()?, bits.golomb()?, bits.golomb()?);
        }
        let (luma_bits, chroma_bits) = (narrow(bits.golomb()?, 7)?, narrow(bits.golomb()?, 7)?);
        let layers = narrow(u32::try_from(sub_layers).ok()? + 1, 7)?;
        Some(Self { general, layers, nested: first & 1, chroma: narrow(chroma, 3)?, luma_bits, chroma_bits })
    }
}

fn skip_sub_layers(bits: &mut Bits<'_>, sub_layers: usize) -> Option<()> {
    if sub_layers == 0 {
        return Some(());
    }
    let mut present = Vec::new();
    for layer in 0..8 {
        let (profile, level) = (bits.bits(1)?, bits.bits(1)?);
        if layer < sub_layers {
            present.push((profile == 1, level == 1));
        }
    }
    for (profile, level) in present {
        bits.skip(if profile { 88 } else { 0 } + if level { 8 } else { 0 });
    }
    Some(())
}
