//! H.264 as MP4 stores it: the decoder configuration, what its SPS says, and the NAL units of a frame.

use bytes::{Buf, Bytes};
use h264_reader::nal::sps::{SeqParameterSet, VuiParameters};
use h264_reader::nal::{Nal, RefNal};
use mp4_atom::{Atom, Avcc, AvccExt, Colr, Encode, Pasp};

use super::picture::Look;
use crate::domain::media::Fraction;

/// NAL unit types (ITU-T H.264 table 7-1).
const SPS: u8 = 7;
const PPS: u8 = 8;
/// Profiles whose configuration has to say chroma format and bit depth (ISO/IEC 14496-15 5.3.3.1.2).
const HIGH_PROFILES: [u8; 4] = [100, 110, 122, 144];

/// Reads the body of an `avcC` box.
pub(super) fn record(body: &Bytes) -> Result<Avcc, String> {
    Avcc::decode_body(&mut body.clone()).map_err(|error| error.to_string())
}

/// What a sequence parameter set says of the pictures.
pub(super) fn look(sps: &[u8]) -> Result<Look, String> {
    let sps = parse(sps)?;
    let (width, height) = sps.pixel_dimensions().map_err(|error| format!("{error:?}"))?;
    let vui = sps.vui_parameters.as_ref();
    Ok(Look {
        width,
        height,
        frame_rate: vui.and_then(frame_rate),
        colour: vui.and_then(colour),
        pixel: vui.and_then(pixel),
    })
}

fn parse(sps: &[u8]) -> Result<SeqParameterSet, String> {
    if sps.len() < 4 {
        return Err(format!("a sequence parameter set of {} bytes", sps.len()));
    }
    let nal = RefNal::new(sps, &[], true);
    SeqParameterSet::from_bits(nal.rbsp_bits()).map_err(|error| format!("{error:?}"))
}

/// Two ticks a frame (ITU-T H.264 E.2.1).
fn frame_rate(vui: &VuiParameters) -> Option<Fraction> {
    let timing = vui.timing_info.as_ref()?;
    let rate = Fraction { num: timing.time_scale, den: timing.num_units_in_tick.checked_mul(2)? };
    (rate.num > 0 && rate.den > 0).then_some(rate)
}

fn colour(vui: &VuiParameters) -> Option<Colr> {
    let signal = vui.video_signal_type.as_ref()?;
    let colour = signal.colour_description.as_ref()?;
    Some(Colr::Nclx {
        colour_primaries: colour.colour_primaries.into(),
        transfer_characteristics: colour.transfer_characteristics.into(),
        matrix_coefficients: colour.matrix_coefficients.into(),
        full_range_flag: signal.video_full_range_flag,
    })
}

fn pixel(vui: &VuiParameters) -> Option<Pasp> {
    let (h_spacing, v_spacing) = vui.aspect_ratio_info.as_ref()?.get()?;
    Some(Pasp { h_spacing: h_spacing.into(), v_spacing: v_spacing.into() })
}

/// The NAL units of a frame; nothing where their lengths, of `length_size` bytes, don't fill it: a browser refuses
/// such a frame and all after it.
pub(super) fn units(frame: &Bytes, length_size: usize) -> Option<Vec<Bytes>> {
    let mut rest = frame.clone();
    let mut units = Vec::new();
    while rest.has_remaining() {
        let prefix = rest.get(..length_size)?;
        let size = prefix.iter().fold(0, |size, byte| size << 8 | usize::from(*byte));
        rest.advance(length_size);
        if size > rest.len() {
            return None;
        }
        units.push(rest.split_to(size));
    }
    (!units.is_empty()).then_some(units)
}

/// The configuration that a keyframe's own parameter sets make, where it has some and they aren't those of `known`.
/// Some encoders send them nowhere else, others change them without a word.
pub(super) fn config_in_band(units: &[Bytes], known: Option<&Avcc>) -> Option<Bytes> {
    let of_type = |kind: u8| {
        let found = units.iter().filter(move |unit| unit.first().is_some_and(|byte| byte & 0x1f == kind));
        found.map(|unit| unit.to_vec()).collect::<Vec<_>>()
    };
    let (sps, pps) = (of_type(SPS), of_type(PPS));
    let is_known = known.is_some_and(|known| {
        sps.iter().all(|set| known.sequence_parameter_sets.contains(set))
            && pps.iter().all(|set| known.picture_parameter_sets.contains(set))
    });
    if is_known || pps.is_empty() {
        return None;
    }
    let first = sps.first()?;
    let parsed = parse(first).ok()?;
    let ext = HIGH_PROFILES.contains(&first[1]).then(|| extension(&parsed));
    let record = Avcc {
        configuration_version: 1,
        avc_profile_indication: first[1],
        profile_compatibility: first[2],
        avc_level_indication: first[3],
        length_size: known.map_or(4, |known| known.length_size),
        sequence_parameter_sets: sps,
        picture_parameter_sets: pps,
        ext,
    };
    let mut boxed = Vec::new();
    record.encode(&mut boxed).ok()?;
    // Without the box's own size and name.
    Some(Bytes::from(boxed).slice(8..))
}

fn extension(sps: &SeqParameterSet) -> AvccExt {
    let chroma = &sps.chroma_info;
    AvccExt {
        chroma_format: u8::try_from(chroma.chroma_format.to_u32()).unwrap_or(1),
        bit_depth_luma: chroma.bit_depth_luma_minus8 + 8,
        bit_depth_chroma: chroma.bit_depth_chroma_minus8 + 8,
        sequence_parameter_sets_ext: Vec::new(),
    }
}
