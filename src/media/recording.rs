//! A recording as one file: the renditions of a broadcast, each in files of its own, joined into one fragmented MP4
//! (ISO/IEC 14496-12 8.8). Nothing is decoded: only the tables before the media are written anew.

use bytes::Bytes;
use mp4_atom::{
    Any, Atom, Codec, DecodeMaybe, Encode, Error, Ftyp, Mdat, Moof, Moov, Mvex, Stsd, Trak, Trex, Trun,
};

const MDAT_HEADER_BYTES: usize = 8;

/// A file that grows: its head, then segments of any rendition in the order of their times.
pub struct Joint {
    head: Bytes,
    tracks: Vec<Track>,
    fragments: u32,
}

/// A rendition as a track of the file.
struct Track {
    timescale: u64,
    /// For each initialisation segment: which sample description it is, and the timescale of what goes with it.
    inits: Vec<(u32, u64)>,
}

impl Joint {
    /// Begins a file; `renditions` are their initialisation segments, in the order in which they are placed later.
    pub fn new(renditions: &[Vec<Bytes>]) -> Result<Self, Error> {
        let mut whole = None;
        let mut tracks = Vec::new();
        for (rendition, id) in renditions.iter().zip(1..) {
            let moovs = rendition.iter().map(|init| moov_of(init)).collect::<Result<Vec<_>, _>>()?;
            let (trak, own) = merge(&moovs, id).ok_or(Error::MissingBox(Trak::KIND))?;
            let file = whole.get_or_insert_with(|| Moov { trak: Vec::new(), ..moovs[0].clone() });
            file.trak.push(trak);
            file.mvhd.next_track_id = id + 1;
            tracks.push(own);
        }
        let mut file: Moov = whole.ok_or(Error::MissingBox(Moov::KIND))?;
        let trex = (1..).zip(&tracks).map(|(track_id, _)| Trex {
            track_id,
            default_sample_description_index: 1,
            ..Default::default()
        });
        file.mvex = Some(Mvex { mehd: None, trex: trex.collect() });
        let mut head = Vec::new();
        let brand = mp4_atom::FourCC::new(b"iso6");
        Ftyp { major_brand: brand, minor_version: 0, compatible_brands: vec![brand] }.encode(&mut head)?;
        file.encode(&mut head)?;
        Ok(Self { head: head.into(), tracks, fragments: 0 })
    }

    /// What the file begins with.
    pub fn head(&self) -> Bytes {
        self.head.clone()
    }

    /// A segment as it goes into the file; `place` is its rendition and, within it, its initialisation segment.
    pub fn segment(&mut self, place: (usize, usize), bytes: &[u8]) -> Result<Bytes, Error> {
        let track = self.tracks.get(place.0).ok_or(Error::MissingBox(Trak::KIND))?;
        let (description, timescale) = *track.inits.get(place.1).ok_or(Error::MissingBox(Stsd::KIND))?;
        let id = u32::try_from(place.0 + 1).unwrap_or(u32::MAX);
        let scale = Scale { from: timescale, to: track.timescale };
        let mut out = Vec::with_capacity(bytes.len() + 1024);
        let mut rest = bytes;
        while let Some(atom) = Any::decode_maybe(&mut rest)? {
            match atom {
                Any::Moof(moof) => {
                    self.fragments += 1;
                    write(&mut out, place_in(moof, (id, description), self.fragments, scale))?;
                }
                Any::Mdat(mdat) => Mdat::encode(&mdat, &mut out)?,
                _ => {}
            }
        }
        Ok(out.into())
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
fn merge(moovs: &[Moov], id: u32) -> Option<(Trak, Track)> {
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
    trak.tkhd.track_id = id;
    trak.mdia.minf.stbl.stsd = Stsd { codecs };
    Some((trak, Track { timescale, inits }))
}

fn moov_of(mut init: &[u8]) -> Result<Moov, Error> {
    while let Some(atom) = Any::decode_maybe(&mut init)? {
        if let Any::Moov(moov) = atom {
            return Ok(moov);
        }
    }
    Err(Error::MissingBox(Moov::KIND))
}

fn place_in(mut moof: Moof, (id, description): (u32, u32), sequence: u32, scale: Scale) -> Moof {
    moof.mfhd.sequence_number = sequence;
    for traf in &mut moof.traf {
        traf.tfhd.track_id = id;
        traf.tfhd.sample_description_index = Some(description);
        let Some(tfdt) = &mut traf.tfdt else { continue };
        let mut at = tfdt.base_media_decode_time;
        tfdt.base_media_decode_time = scale.at(at);
        for run in &mut traf.trun {
            rescale(run, &mut at, scale);
        }
    }
    moof
}

/// Durations by where they begin and end, so that rounding never adds up.
fn rescale(run: &mut Trun, at: &mut u64, scale: Scale) {
    let samples = run.samples.iter().map(|mut sample| {
        let duration = u64::from(sample.duration.unwrap_or(0));
        let scaled = scale.at(*at + duration) - scale.at(*at);
        *at += duration;
        sample.duration = sample.duration.map(|_| u32::try_from(scaled).unwrap_or(u32::MAX));
        sample
    });
    run.samples = samples.collect::<Vec<_>>().into();
}

/// The offset of the media follows from the size of what tells it.
fn write(out: &mut Vec<u8>, mut moof: Moof) -> Result<(), Error> {
    let mut bytes = Vec::new();
    for _ in 0..2 {
        let offset = i32::try_from(bytes.len() + MDAT_HEADER_BYTES).ok();
        for run in moof.traf.iter_mut().flat_map(|traf| &mut traf.trun) {
            run.data_offset = offset;
        }
        bytes.clear();
        moof.encode(&mut bytes)?;
    }
    out.append(&mut bytes);
    Ok(())
}
