//! The sample tables of one track (ISO/IEC 14496-12 8.6, 8.7).

use mp4_atom::{
    Co64, Ctts, CttsEntry, Edts, Elst, ElstEntry, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry,
    Trak,
};

use crate::domain::media::TICKS_PER_SECOND;

/// A sample; times in the track's timescale.
pub(super) struct Sample {
    pub decoded: u64,
    pub ends: u64,
    /// Shown this much after it is decoded.
    pub delay: i64,
    pub size_bytes: u32,
    pub key: bool,
}

/// What is listed of a track so far.
#[derive(Default)]
pub(super) struct Table {
    decoded: Vec<u64>,
    /// Where the last sample ends.
    end: u64,
    delays: Vec<i64>,
    sizes: Vec<u32>,
    /// Numbers of keyframes, from 1.
    keys: Vec<u32>,
    chunks: Vec<Chunk>,
}

/// Samples that lie after each other.
struct Chunk {
    offset: u64,
    samples: u32,
    description: u32,
}

impl Table {
    /// What comes next lies there in the file, coded as this sample description says.
    pub fn begin_chunk(&mut self, offset: u64, description: u32) {
        self.chunks.push(Chunk { offset, samples: 0, description });
    }

    /// Adds a sample, to be shown in its time. One that would be decoded before the last is decoded right after it: an
    /// encoder that reorders pictures came after one that does not.
    pub fn add(&mut self, sample: &Sample) {
        let earliest = self.decoded.last().map_or(0, |last| last + 1);
        let decoded = sample.decoded.max(earliest);
        self.decoded.push(decoded);
        self.delays.push((sample.delay - (decoded - sample.decoded).cast_signed()).max(0));
        self.end = sample.ends.max(decoded + 1);
        self.sizes.push(sample.size_bytes);
        if sample.key {
            self.keys.push(count(self.sizes.len() as u64));
        }
        if let Some(chunk) = self.chunks.last_mut() {
            chunk.samples += 1;
        }
    }

    /// When the first sample is decoded, in ticks; `None` where there is none.
    pub fn start(&self, timescale: u64) -> Option<u64> {
        Some(ticks(*self.decoded.first()?, timescale))
    }

    /// Writes the tables into a track whose movie counts in ticks and begins at `first`.
    pub fn fill(self, trak: &mut Trak, (timescale, first): (u64, u64)) {
        let late = self.start(timescale).map_or(0, |start| start - first);
        let duration = self.end - self.decoded.first().unwrap_or(&self.end);
        trak.mdia.mdhd.duration = duration;
        trak.tkhd.duration = late + ticks(duration, timescale);
        if late > 0 {
            let edit = |segment_duration, media_time| ElstEntry {
                segment_duration,
                media_time,
                media_rate: 1.into(),
            };
            let entries = vec![edit(late, None), edit(ticks(duration, timescale), Some(0))];
            trak.edts = Some(Edts { elst: Some(Elst { entries }) });
        }
        let stbl = &mut trak.mdia.minf.stbl;
        let ends = self.decoded.iter().skip(1).chain([&self.end]);
        let lasting: Vec<u32> = self.decoded.iter().zip(ends).map(|(from, to)| count(to - from)).collect();
        let delta = |sample_count, sample_delta| SttsEntry { sample_count, sample_delta };
        stbl.stts = Stts { entries: runs(&lasting, delta) };
        if self.delays.iter().any(|delay| *delay != 0) {
            let entries =
                runs(&self.delays, |sample_count, sample_offset| CttsEntry { sample_count, sample_offset });
            stbl.ctts = Some(Ctts { entries });
        }
        if self.keys.len() < self.sizes.len() {
            stbl.stss = Some(Stss { entries: self.keys });
        }
        stbl.stsz = Stsz { samples: StszSamples::Different { sizes: self.sizes } };
        stbl.stsc = Stsc { entries: alike(&self.chunks) };
        stbl.stco = None;
        stbl.co64 = Some(Co64 { entries: self.chunks.iter().map(|chunk| chunk.offset).collect() });
    }
}

/// Equal values that follow each other, as one.
fn runs<T: Copy + PartialEq, E>(values: &[T], entry: impl Fn(u32, T) -> E) -> Vec<E> {
    let runs = values.chunk_by(|one, other| one == other);
    runs.map(|run| entry(count(run.len() as u64), run[0])).collect()
}

/// Chunks that follow each other and have as many samples of one description, as one.
fn alike(chunks: &[Chunk]) -> Vec<StscEntry> {
    let mut entries: Vec<StscEntry> = Vec::new();
    for (chunk, first_chunk) in chunks.iter().zip(1..) {
        let (samples_per_chunk, sample_description_index) = (chunk.samples, chunk.description);
        let last = entries.last().map(|last| (last.samples_per_chunk, last.sample_description_index));
        if last != Some((samples_per_chunk, sample_description_index)) {
            entries.push(StscEntry { first_chunk, samples_per_chunk, sample_description_index });
        }
    }
    entries
}

fn ticks(time: u64, timescale: u64) -> u64 {
    (time * TICKS_PER_SECOND.unsigned_abs() + timescale / 2) / timescale.max(1)
}

fn count(value: u64) -> u32 {
    u32::try_from(value).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_shown_in_their_time_whatever_lies_between_segments() {
        let mut table = Table::default();
        for (offset, at) in [(8, 900_000), (1000, 907_000), (2000, 909_500)] {
            table.begin_chunk(offset, 1);
            for (decoded, key) in [(at, true), (at + 3000, false)] {
                table.add(&Sample { decoded, ends: decoded + 3000, delay: 6000, size_bytes: 10, key });
            }
        }
        let mut trak = Trak::default();
        table.fill(&mut trak, (90_000, 899_000));
        assert_eq!((trak.mdia.mdhd.duration, trak.tkhd.duration), (15_500, 16_500));
        let stbl = &trak.mdia.minf.stbl;
        // The second segment comes 1000 late, the third one when the last sample before it has not been decoded yet.
        let lasting = stbl.stts.entries.iter().map(|entry| (entry.sample_count, entry.sample_delta));
        let expected = [(1, 3000), (1, 4000), (1, 3000), (1, 1), (1, 2499), (1, 3000)];
        assert_eq!(lasting.collect::<Vec<_>>(), expected);
        let delays = stbl.ctts.iter().flat_map(|delays| &delays.entries);
        let delays = delays.map(|entry| (entry.sample_count, entry.sample_offset)).collect::<Vec<_>>();
        assert_eq!(delays, [(4, 6000), (1, 5499), (1, 6000)]);
        assert_eq!(stbl.stss.as_ref().map(|keys| keys.entries.clone()), Some(vec![1, 3, 5]));
        assert_eq!(stbl.stsc.entries.len(), 1);
        let edits = trak.edts.and_then(|edits| edits.elst).map(|edits| edits.entries);
        assert_eq!(edits.map(|edits| (edits[0].segment_duration, edits[0].media_time)), Some((1000, None)));
    }
}
