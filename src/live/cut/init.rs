//! Initialisation segments: `ftyp` and `moov` of one track (ISO/IEC 23000-19 7.3.1).

use bytes::Bytes;
use mp4_atom::{
    Audio, Codec, Dinf, Dref, DrefEntry, Encode, Error, Esds, FixedPoint, FourCC, Ftyp, Hdlr, Mdhd, Mdia,
    Minf, Moov, Mp4a, Mvex, Mvhd, Smhd, Stbl, Stco, Stsd, Tkhd, Trak, Trex, Url, Vmhd,
};
use sha2::{Digest, Sha256};

use super::aac::Sound;
use super::fragment::TRACK_ID;
use super::picture::Picture;

/// A video track counts in ticks.
pub(super) const VIDEO_TIMESCALE: u32 = 90_000;

/// What an initialisation segment is known by: the beginning of its SHA-256. 0 is the one of what was not live.
pub(super) fn number(bytes: &[u8]) -> u32 {
    let [a, b, c, d, ..]: [u8; 32] = Sha256::digest(bytes).into();
    u32::from_be_bytes([a, b, c, d]).max(1)
}

/// The initialisation segment of a video track.
pub(super) fn video(picture: &Picture) -> Result<Bytes, Error> {
    let side = |pixels: u32| FixedPoint::from(u16::try_from(pixels).unwrap_or(u16::MAX));
    let tkhd = Tkhd { width: side(picture.width), height: side(picture.height), ..Default::default() };
    let minf = Minf { vmhd: Some(Vmhd::default()), ..minf(picture.codec.clone()) };
    write(tkhd, (VIDEO_TIMESCALE, b"vide"), minf)
}

/// The initialisation segment of an audio track.
pub(super) fn audio(sound: &Sound) -> Result<Bytes, Error> {
    let tkhd = Tkhd { volume: 1.into(), ..Default::default() };
    let minf = Minf { smhd: Some(Smhd::default()), ..minf(Codec::Mp4a(mp4a(sound))) };
    write(tkhd, (sound.sample_rate, b"soun"), minf)
}

fn mp4a(sound: &Sound) -> Mp4a {
    use mp4_atom::esds::{DecoderConfig, DecoderSpecific, EsDescriptor};
    let dec_config = DecoderConfig {
        // MPEG-4 audio, an audio stream.
        object_type_indication: 0x40,
        stream_type: 5,
        dec_specific: Some(DecoderSpecific { raw: sound.config.to_vec(), ..Default::default() }),
        ..Default::default()
    };
    let audio = Audio {
        data_reference_index: 1,
        channel_count: sound.channels(),
        sample_size: 16,
        // 16 bits; whoever needs more reads the configuration.
        sample_rate: u16::try_from(sound.sample_rate).unwrap_or_default().into(),
    };
    let es_desc = EsDescriptor { dec_config, ..Default::default() };
    Mp4a { audio, esds: Esds { es_desc }, btrt: None, taic: None }
}

fn minf(codec: Codec) -> Minf {
    let here = DrefEntry::Url(Url::default());
    let stsd = Stsd { codecs: vec![codec] };
    let stbl = Stbl { stsd, stco: Some(Stco::default()), ..Default::default() };
    Minf { dinf: Dinf { dref: Dref { entries: vec![here] } }, stbl, ..Default::default() }
}

fn write(tkhd: Tkhd, (timescale, handler): (u32, &[u8; 4]), minf: Minf) -> Result<Bytes, Error> {
    let tkhd = Tkhd { track_id: TRACK_ID, enabled: true, in_movie: true, ..tkhd };
    let mdhd = Mdhd { timescale, language: "und".to_owned(), ..Default::default() };
    let hdlr = Hdlr { handler: FourCC::new(handler), name: "policast".to_owned() };
    let trex = Trex { track_id: TRACK_ID, default_sample_description_index: 1, ..Default::default() };
    let moov = Moov {
        mvhd: Mvhd {
            timescale,
            rate: 1.into(),
            volume: 1.into(),
            next_track_id: TRACK_ID + 1,
            ..Default::default()
        },
        mvex: Some(Mvex { mehd: None, trex: vec![trex] }),
        trak: vec![Trak { tkhd, mdia: Mdia { mdhd, hdlr, minf }, ..Default::default() }],
        ..Default::default()
    };
    let brand = FourCC::new(b"iso6");
    let compatible_brands = vec![brand, FourCC::new(b"cmfc")];
    let mut out = Vec::new();
    Ftyp { major_brand: brand, minor_version: 0, compatible_brands }.encode(&mut out)?;
    moov.encode(&mut out)?;
    Ok(out.into())
}
