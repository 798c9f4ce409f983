//! Fragments: one `moof` and its `mdat` (ISO/IEC 23000-19 7.3.2), of which a part is made.

use bytes::{BufMut, Bytes, BytesMut};
use mp4_atom::{Decode, Encode, Error, Mfhd, Moof, Tfdt, Tfhd, Traf, Trun, TrunEntry};

/// Each track lies in files of its own.
pub(super) const TRACK_ID: u32 = 1;
/// All times in files are this much later than on our timeline, in both tracks: the first keyframe is decoded before
/// it is shown at 0, and a file's decoding times can't be negative. 10 s is what Apple's tools begin at. Negative
/// composition offsets instead would be shown late by FFmpeg, an edit list is read by some players only.
pub const HEAD_START_S: i64 = 10;

/// Needs no other picture; may be depended on (ISO/IEC 14496-12 8.8.3.1).
const SYNC: u32 = 0x0200_0000;
/// Needs others, and isn't a sync sample.
const NOT_SYNC: u32 = 0x0101_0000;
const MDAT_HEADER_BYTES: usize = 8;

/// A coded picture or frame of sound. Times in the track's own timescale, on our timeline.
#[derive(Debug, Clone)]
pub(super) struct Sample {
    pub decoded: i64,
    pub duration: i64,
    /// Shown this much after it is decoded; never negative.
    pub delay: i64,
    pub key: bool,
    pub data: Bytes,
}

/// Where the first sample of a written fragment ends.
pub(super) struct Fragment {
    pub bytes: Bytes,
    pub first_sample_end: u64,
}

/// Writes a fragment of samples that follow each other without gap. Without any it says that nothing begins there
/// (ISO/IEC 14496-12 8.8.7.1, duration-is-empty); `at` is then where the samples before it end.
pub(super) fn write(
    sequence: u32,
    (timescale, at): (u32, i64),
    samples: &[Sample],
) -> Result<Fragment, Error> {
    let decoded = samples.first().map_or(at, |first| first.decoded);
    let shifted = decoded + HEAD_START_S * i64::from(timescale);
    let duration_is_empty = samples.is_empty();
    let tfhd =
        Tfhd { track_id: TRACK_ID, default_base_is_moof: true, duration_is_empty, ..Default::default() };
    let mut moof = Moof {
        mfhd: Mfhd { sequence_number: sequence },
        traf: vec![Traf {
            tfhd,
            tfdt: Some(Tfdt { base_media_decode_time: u64::try_from(shifted).unwrap_or(0) }),
            ..Default::default()
        }],
    };
    let mut out = BytesMut::new();
    // Once to learn its size, which is the same for each offset.
    for _ in 0..2 {
        let data_offset = i32::try_from(out.len() + MDAT_HEADER_BYTES).ok();
        if !samples.is_empty() {
            let entries = samples.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
            moof.traf[0].trun = vec![Trun { data_offset, samples: entries.into() }];
        }
        out.clear();
        moof.encode(&mut out)?;
    }
    let size: usize = samples.iter().map(|sample| sample.data.len()).sum();
    out.put_u32(u32::try_from(size + MDAT_HEADER_BYTES).ok().ok_or(Error::InvalidSize)?);
    out.put_slice(b"mdat");
    let first = samples.first().map_or(0, |sample| sample.data.len());
    let first_sample_end = (out.len() + first) as u64;
    for sample in samples {
        out.put_slice(&sample.data);
    }
    Ok(Fragment { bytes: out.freeze(), first_sample_end })
}

/// Where the keyframe ends that a segment begins with which `write` made; `None` where it begins with none.
pub fn key_bytes(segment: &[u8]) -> Option<u64> {
    let moof = Moof::decode(&mut &*segment).ok()?;
    let run = moof.traf.first()?.trun.first()?;
    let first = run.samples.get(0).filter(|first| first.flags == Some(SYNC))?;
    Some(u64::try_from(run.data_offset?).ok()? + u64::from(first.size?))
}

fn entry(sample: &Sample) -> Result<TrunEntry, Error> {
    let size = u32::try_from(sample.data.len()).ok();
    Ok(TrunEntry {
        duration: u32::try_from(sample.duration).ok(),
        size: Some(size.ok_or(Error::InvalidSize)?),
        flags: Some(if sample.key { SYNC } else { NOT_SYNC }),
        cts: Some(sample.delay),
    })
}
