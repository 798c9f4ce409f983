//! A recording as one file: the renditions of a broadcast, each in files of its own, joined into one MP4 whose tables
//! come last. Nothing is decoded.
//!
//! It is not fragmented: an encoder that came back with other parameter sets makes a track of several sample
//! descriptions, and FFmpeg 5.1 heeds a change of them in sample tables only.

mod table;

use bytes::Bytes;
use mp4_atom::{
    Any, Atom, Avc1, Avc3, Codec, DecodeMaybe, Encode, Error, FourCC, Ftyp, Mdat, Moof, Moov, Stsd, Trak,
};

use self::table::{Sample, Table};
use crate::domain::media::TICKS_PER_SECOND;

const MDAT_HEADER_BYTES: u64 = 8;
/// Marks a sample that needs others (ISO/IEC 14496-12 8.8.3.1).
const NOT_SYNC: u32 = 0x0001_0000;

/// A file that grows: its head, segments of any rendition in the order of their times, and its tables.
pub struct Joint {
    movie: Moov,
    tracks: Vec<Track>,
    size_bytes: u64,
}

/// A rendition as a track of the file.
struct Track {
    trak: Trak,
    timescale: u64,
    /// For each initialisation segment: which sample description it is, and the timescale of what goes with it.
    inits: Vec<(u32, u64)>,
    table: Table,
}

impl Joint {
    /// Begins a file and gives its first bytes; `renditions` are their initialisation segments, in the order in which
    /// they are placed later.
    pub fn begin(renditions: &[Vec<Bytes>]) -> Result<(Self, Bytes), Error> {
        let mut movie = None;
        let mut tracks = Vec::new();
        for rendition in renditions {
            let moovs = rendition.iter().map(|init| moov_of(init)).collect::<Result<Vec<_>, _>>()?;
            tracks.push(merge(&moovs).ok_or(Error::MissingBox(Trak::KIND))?);
            movie.get_or_insert_with(|| Moov { trak: Vec::new(), mvex: None, ..moovs[0].clone() });
        }
        let mut movie: Moov = movie.ok_or(Error::MissingBox(Moov::KIND))?;
        movie.mvhd.timescale = u32::try_from(TICKS_PER_SECOND).unwrap_or(u32::MAX);
        let mut head = Vec::new();
        let brand = FourCC::new(b"iso6");
        Ftyp { major_brand: brand, minor_version: 0, compatible_brands: vec![brand] }.encode(&mut head)?;
        Ok((Self { movie, tracks, size_bytes: head.len() as u64 }, head.into()))
    }

    /// A segment as it goes into the file; `place` is its rendition and, within it, its initialisation segment.
    pub fn segment(&mut self, place: (usize, usize), bytes: &[u8]) -> Result<Bytes, Error> {
        let track = self.tracks.get_mut(place.0).ok_or(Error::MissingBox(Trak::KIND))?;
        let (description, from) = *track.inits.get(place.1).ok_or(Error::MissingBox(Stsd::KIND))?;
        let scale = Scale { from, to: track.timescale };
        track.table.begin_chunk(self.size_bytes + MDAT_HEADER_BYTES, description);
        let mut media = Mdat { data: Vec::with_capacity(bytes.len()) };
        let mut rest = bytes;
        while let Some(atom) = Any::decode_maybe(&mut rest)? {
            match atom {
                Any::Moof(moof) => list(&moof, scale, &mut track.table),
                Any::Mdat(mdat) => media.data.extend(mdat.data),
                _ => {}
            }
        }
        let mut out = Vec::new();
        media.encode(&mut out)?;
        self.size_bytes += out.len() as u64;
        Ok(out.into())
    }

    /// The last bytes of the file, and the size of all of it.
    pub fn end(self) -> Result<(Bytes, u64), Error> {
        let Self { mut movie, tracks, size_bytes } = self;
        // The broadcast's timeline begins later than at 0: only what lies between the tracks counts.
        let first = tracks.iter().filter_map(|track| track.table.start(track.timescale)).min().unwrap_or(0);
        for (track, id) in tracks.into_iter().zip(1..) {
            let mut trak = track.trak;
            trak.tkhd.track_id = id;
            track.table.fill(&mut trak, (track.timescale, first));
            movie.mvhd.duration = movie.mvhd.duration.max(trak.tkhd.duration);
            movie.mvhd.next_track_id = id + 1;
            movie.trak.push(trak);
        }
        let mut foot = Vec::new();
        movie.encode(&mut foot)?;
        let size_bytes = size_bytes + foot.len() as u64;
        Ok((foot.into(), size_bytes))
    }
}

/// From one count of time to another; exact where they are the same.
#[derive(Clone, Copy)]
struct Scale {
    from: u64,
    to: u64,
}

impl Scale {
    fn at(self, time: u64) -> u64 {
        if self.from == self.to { time } else { (time * self.to + self.from / 2) / self.from }
    }
}

/// The initialisation segments of one rendition as one track with several sample descriptions.
fn merge(moovs: &[Moov]) -> Option<Track> {
    let mut trak = moovs.first()?.trak.first()?.clone();
    let timescale = u64::from(trak.mdia.mdhd.timescale);
    let mut codecs: Vec<Codec> = Vec::new();
    let mut inits = Vec::new();
    for moov in moovs {
        let mdia = &moov.trak.first()?.mdia;
        let codec = mdia.minf.stbl.stsd.codecs.first()?;
        let known = codecs.iter().position(|known| known == codec);
        let at = known.unwrap_or(codecs.len());
        if known.is_none() {
            codecs.push(codec.clone());
        }
        inits.push((u32::try_from(at + 1).ok()?, u64::from(mdia.mdhd.timescale)));
    }
    if codecs.len() > 1 {
        codecs = codecs.into_iter().map(changing).collect();
    }
    trak.mdia.minf.stbl.stsd = Stsd { codecs };
    Some(Track { trak, timescale, inits, table: Table::default() })
}

/// H.264 under the name that says that parameter sets may change on the way (ISO/IEC 14496-15 5.4.2.1): nobody is to
/// take the first ones for all there are, and pass the pictures through.
fn changing(codec: Codec) -> Codec {
    match codec {
        Codec::Avc1(Avc1 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial }) => {
            Codec::Avc3(Avc3 { visual, avcc, btrt, colr, pasp, taic, fiel, spatial })
        }
        other => other,
    }
}

fn moov_of(mut init: &[u8]) -> Result<Moov, Error> {
    while let Some(atom) = Any::decode_maybe(&mut init)? {
        if let Any::Moov(moov) = atom {
            return Ok(moov);
        }
    }
    Err(Error::MissingBox(Moov::KIND))
}

fn list(moof: &Moof, scale: Scale, table: &mut Table) {
    for traf in &moof.traf {
        let mut at = traf.tfdt.as_ref().map_or(0, |tfdt| tfdt.base_media_decode_time);
        for sample in traf.trun.iter().flat_map(|run| run.samples.iter()) {
            let until = at + u64::from(sample.duration.unwrap_or(0));
            table.add(&Sample {
                // By where it begins and ends, so that rounding never adds up.
                decoded: scale.at(at),
                ends: scale.at(until),
                delay: sample.cts.unwrap_or(0),
                size_bytes: sample.size.unwrap_or(0),
                key: sample.flags.is_none_or(|flags| flags & NOT_SYNC == 0),
            });
            at = until;
        }
    }
}
