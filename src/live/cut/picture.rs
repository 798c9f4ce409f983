//! What a video track's configuration says: the sample entry to write, size, frame rate, and the name for CODECS.

use bytes::Bytes;
use mp4_atom::{Atom, Av01, Av1c, Avc1, Codec, Colr, Hvc1, Hvcc, Pasp, Visual};
use scuffle_av1::{ObuHeader, ObuType, seq::SequenceHeaderObu};
use scuffle_h265::SpsNALUnit;

use super::super::frame::VideoConfig;
use super::avc;
use super::error::Error;
use crate::domain::media::Fraction;

/// Type of a sequence parameter set's NAL unit (ITU-T H.265 table 7-1).
const HEVC_SPS: u8 = 33;

/// A video configuration that has been understood.
#[derive(Debug, Clone)]
pub(super) struct Picture {
    pub config: VideoConfig,
    pub codec: Codec,
    pub codecs: String,
    pub width: u32,
    pub height: u32,
    pub frame_rate: Option<Fraction>,
}

/// What is known of the pictures beside their size, for the boxes that tell players.
#[derive(Debug, Default)]
pub(super) struct Look {
    pub width: u32,
    pub height: u32,
    pub frame_rate: Option<Fraction>,
    pub colour: Option<Colr>,
    pub pixel: Option<Pasp>,
}

impl Picture {
    /// Understands `config`, or says why nobody could.
    pub fn read(config: VideoConfig) -> Result<Self, Error> {
        let (name, body) = match &config {
            VideoConfig::Avc(body) => ("H.264", body),
            VideoConfig::Hevc(body) => ("HEVC", body),
            VideoConfig::Av1(body) => ("AV1", body),
        };
        let unread = |reason| Error::Config { codec: name, size_bytes: body.len(), reason };
        let (look, codecs, codec) = match &config {
            VideoConfig::Avc(body) => avc1(body),
            VideoConfig::Hevc(body) => hvc1(body),
            VideoConfig::Av1(body) => av01(body),
        }
        .map_err(unread)?;
        let Look { width, height, frame_rate, .. } = look;
        Ok(Self { config, codec, codecs, width, height, frame_rate })
    }
}

type Entry = Result<(Look, String, Codec), String>;

fn visual(look: &Look) -> Result<Visual, String> {
    let side = |pixels: u32| {
        u16::try_from(pixels).ok().filter(|side| *side > 0).ok_or(format!("a side of {pixels} pixels"))
    };
    Ok(Visual {
        data_reference_index: 1,
        width: side(look.width)?,
        height: side(look.height)?,
        ..Default::default()
    })
}

fn avc1(body: &Bytes) -> Entry {
    let avcc = avc::record(body)?;
    let sps = avcc.sequence_parameter_sets.first().ok_or("no sequence parameter set")?;
    let look = avc::look(sps)?;
    let codecs = format!(
        "avc1.{:02x}{:02x}{:02x}",
        avcc.avc_profile_indication, avcc.profile_compatibility, avcc.avc_level_indication
    );
    let (colr, pasp) = (look.colour.clone(), look.pixel.clone());
    let entry = Avc1 { visual: visual(&look)?, avcc, colr, pasp, ..Default::default() };
    Ok((look, codecs, Codec::Avc1(entry)))
}

fn hvc1(body: &Bytes) -> Entry {
    let hvcc = Hvcc::decode_body(&mut body.clone()).map_err(|error| error.to_string())?;
    let mut sets = hvcc.arrays.iter().filter(|array| array.nal_unit_type == HEVC_SPS);
    let set = sets.find_map(|array| array.nalus.first()).ok_or("no sequence parameter set")?;
    let rbsp = SpsNALUnit::parse(set.as_slice()).map_err(|error| error.to_string())?.rbsp;
    let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX);
    let colour = rbsp.vui_parameters.as_ref().map(|vui| &vui.video_signal_type).map(|signal| Colr::Nclx {
        colour_primaries: signal.colour_primaries.into(),
        transfer_characteristics: signal.transfer_characteristics.into(),
        matrix_coefficients: signal.matrix_coeffs.into(),
        full_range_flag: signal.video_full_range_flag,
    });
    let (width, height) = (side(rbsp.cropped_width()), side(rbsp.cropped_height()));
    let look = Look { width, height, colour: colour.clone(), ..Default::default() };
    let codecs = hevc_name(&hvcc);
    let entry = Hvc1 { visual: visual(&look)?, hvcc, colr: colour, ..Default::default() };
    Ok((look, codecs, Codec::Hvc1(entry)))
}

/// ISO/IEC 14496-15 E.3.
fn hevc_name(hvcc: &Hvcc) -> String {
    let space = ["", "A", "B", "C"][usize::from(hvcc.general_profile_space & 3)];
    let compatible = u32::from_be_bytes(hvcc.general_profile_compatibility_flags).reverse_bits();
    let tier = if hvcc.general_tier_flag { 'H' } else { 'L' };
    let constraints = &hvcc.general_constraint_indicator_flags;
    let said = constraints.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let (profile, level) = (hvcc.general_profile_idc, hvcc.general_level_idc);
    let name = format!("hvc1.{space}{profile}.{compatible:X}.{tier}{level}");
    constraints[..said].iter().fold(name, |name, byte| format!("{name}.{byte:X}"))
}

fn av01(body: &Bytes) -> Entry {
    let av1c = Av1c::decode_body(&mut body.clone()).map_err(|error| error.to_string())?;
    let header = sequence_header(&av1c.config_obus).map_err(|error| error.to_string())?;
    let side = |pixels: u64| u32::try_from(pixels).unwrap_or(u32::MAX);
    let (width, height) = (side(header.max_frame_width), side(header.max_frame_height));
    let look = Look { width, height, ..Default::default() };
    let depth = match (av1c.high_bitdepth, av1c.twelve_bit) {
        (false, _) => 8,
        (true, false) => 10,
        (true, true) => 12,
    };
    let tier = if av1c.seq_tier_0 { 'H' } else { 'M' };
    let codecs = format!("av01.{}.{:02}{tier}.{depth:02}", av1c.seq_profile, av1c.seq_level_idx_0);
    let entry = Av01 { visual: visual(&look)?, av1c, ..Default::default() };
    Ok((look, codecs, Codec::Av01(entry)))
}

fn sequence_header(obus: &[u8]) -> std::io::Result<SequenceHeaderObu> {
    let mut rest = obus;
    let header = ObuHeader::parse(&mut rest)?;
    if header.obu_type != ObuType::SequenceHeader {
        return Err(std::io::Error::other(format!(
            "obu is {:?}, expected a sequence header",
            header.obu_type
        )));
    }
    SequenceHeaderObu::parse(header, &mut rest)
}
