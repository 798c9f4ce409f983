//! The sample tables of one track (ISO/IEC 14496-12 8.6, 8.7).

use mp4_atom::{
    Co64, Ctts, CttsEntry, Edts, Elst, ElstEntry, Stsc, StscEntry, Stss, Stsz, StszSamples, Stts, SttsEntry,
    Trak,
};

use crate::domain::media::TICKS_PER_SECOND;

/// A sample; times in the track's timescale.
pub(super) struct Sample {
    pub duration: u64,
    /// Shown this much after it is decoded.
    pub delay: i64,
    pub size_bytes: u32,
    pub key: bool,
}

/// What is listed of a track so far.
#[derive(Default)]
pub(super) struct Table {
    start: Option<u64>,
    end: u64,
    durations: Vec<u32>,
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

    /// The next sample is decoded at `at`, and the last one lasts until then.
    pub fn go_on_at(&mut self, at: u64) {
        let Some(last) = self.durations.last_mut() else {
            self.start = Some(at);
            self.end = at;
            return;
        };
        let begun = self.end - u64::from(*last);
        *last = count(at.saturating_sub(begun).max(1));
        self.end = begun + u64::from(*last);
    }

    pub fn add(&mut self, sample: Sample) {
        self.end += sample.duration;
        self.durations.push(count(sample.duration));
        self.delays.push(sample.delay);
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
        Some(ticks(self.start?, timescale))
    }

    /// Writes the tables into a track whose movie counts in ticks and begins at `first`.
    pub fn fill(self, trak: &mut Trak, (timescale, first): (u64, u64)) {
        let late = self.start(timescale).map_or(0, |start| start - first);
        let duration = self.end - self.start.unwrap_or(0);
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
        stbl.stts = Stts {
            entries: runs(&self.durations, |sample_count, sample_delta| SttsEntry {
                sample_count,
                sample_delta,
            }),
        };
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

    fn sample(duration: u64, key: bool) -> Sample {
        Sample { duration, delay: 0, size_bytes: 10, key }
    }

    #[test]
    fn what_is_missing_between_two_segments_is_filled_by_the_last_sample() {
        let mut table = Table::default();
        for (offset, at) in [(8, 900_000), (1000, 907_000), (2000, 912_000)] {
            table.begin_chunk(offset, 1);
            table.go_on_at(at);
            table.add(sample(3000, true));
            table.add(sample(3000, false));
        }
        let mut trak = Trak::default();
        table.fill(&mut trak, (90_000, 899_000));
        assert_eq!((trak.mdia.mdhd.duration, trak.tkhd.duration), (18_000, 19_000));
        let stbl = &trak.mdia.minf.stbl;
        // The second segment comes 1000 late, the third one 1000 early.
        let lasting = stbl.stts.entries.iter().map(|entry| (entry.sample_count, entry.sample_delta));
        let expected = [(1, 3000), (1, 4000), (1, 3000), (1, 2000), (2, 3000)];
        assert_eq!(lasting.collect::<Vec<_>>(), expected);
        assert_eq!(stbl.stss.as_ref().map(|keys| keys.entries.clone()), Some(vec![1, 3, 5]));
        assert_eq!((stbl.stsc.entries.len(), stbl.ctts.is_none()), (1, true));
        let edits = trak.edts.and_then(|edits| edits.elst).map(|edits| edits.entries);
        assert_eq!(edits.map(|edits| (edits[0].segment_duration, edits[0].media_time)), Some((1000, None)));
    }
}
