//! How much of a revision's timeline is made, rung by rung: what its packs hold, and how far the jobs at work are.

use std::collections::BTreeMap;

use sqlx::types::Json;

use crate::catalogue::overview::{self, Overview, Pack};
use crate::domain::job::Job;
use crate::domain::media::{TICKS_PER_SECOND, Ticks, Timeline};
use crate::publishing::span;

/// What there is of each rung.
#[derive(Debug, Default)]
pub struct Coverage {
    rungs: BTreeMap<String, Rung>,
    /// As planned.
    end: Option<Ticks>,
    settled: bool,
    /// What is being made: pictures in chunks, the sound in one go.
    chunks: Vec<Stretch>,
    sound: Option<Stretch>,
}

#[derive(Debug, Default, Clone)]
struct Rung {
    bytes: u64,
    ticks: Ticks,
    /// Each pack's first segment and how long it lasts, of a revision under way.
    packs: Vec<(i64, Ticks)>,
}

/// The part of the timeline that one job makes.
#[derive(Debug, Clone)]
struct Stretch {
    /// Segments, from and up to but without.
    span: (u32, u32),
    ticks: Ticks,
    /// How much of it the job has been through, from 0 to 1.
    share: f64,
}

impl Coverage {
    /// What there is of a revision: of a settled one from sums, of one under way from every segment.
    pub fn of(overview: &Overview) -> Self {
        let end = overview.timeline.as_ref().map(|timeline| timeline.end);
        if overview.settled {
            return Self::settled(list(overview.rungs.as_ref()), end);
        }
        let coverage = Self::growing(list(overview.packs.as_ref()), end);
        let Some(timeline) = &overview.timeline else { return coverage };
        let work = list(overview.work.as_ref());
        coverage.with_work(work.iter().map(|work| (&work.job, work.progress)), timeline)
    }

    fn growing(packs: &[Pack], end: Option<Ticks>) -> Self {
        let mut rungs: BTreeMap<String, Rung> = BTreeMap::new();
        for pack in packs {
            let rung = rungs.entry(pack.rung.clone()).or_default();
            rung.bytes += u64::try_from(pack.size_bytes).unwrap_or(0);
            let ticks = pack.segments.iter().map(|segment| segment.duration).sum::<Ticks>();
            rung.ticks += ticks;
            rung.packs.push((pack.first_segment, ticks));
        }
        Self { rungs, end, ..Self::default() }
    }

    /// Counts also what jobs have been through and not yet stored.
    fn with_work<'a>(mut self, jobs: impl Iterator<Item = (&'a Job, f64)>, timeline: &Timeline) -> Self {
        let start = |segment: u32| timeline.starts.get(segment as usize).copied().unwrap_or(timeline.end);
        for (work, share) in jobs {
            let span = span(work, timeline);
            let stretch = Stretch { span, ticks: start(span.1) - start(span.0), share };
            match work {
                Job::Chunk { .. } => self.chunks.push(stretch),
                Job::Audio { .. } => self.sound = Some(stretch),
                _ => {}
            }
        }
        self
    }

    fn settled(rungs: &[overview::Rung], end: Option<Ticks>) -> Self {
        let made = |rung: &overview::Rung| {
            let bytes = u64::try_from(rung.bytes?).unwrap_or(0);
            let ticks = rung.last.map_or(0, |segment| segment.start + segment.duration);
            Some((rung.name.clone(), Rung { bytes, ticks, packs: Vec::new() }))
        };
        Self { rungs: rungs.iter().filter_map(made).collect(), end, settled: true, ..Self::default() }
    }

    /// How long the video is: as planned, and once all is made as it turned out.
    pub fn duration(&self) -> Option<Ticks> {
        let made = self.rungs.values().map(|rung| rung.ticks).max();
        if self.settled { made.or(self.end) } else { self.end }
    }

    /// Average bits a second of what there is of a rung.
    pub fn bitrate(&self, rung: &str) -> Option<u64> {
        let rung = self.rungs.get(rung)?;
        let ticks = u64::try_from(rung.ticks).ok().filter(|ticks| *ticks > 0)?;
        Some(rung.bytes.saturating_mul(8).saturating_mul(TICKS_PER_SECOND.unsigned_abs()) / ticks)
    }

    /// The share of the planned timeline that is made of a rung, from 0 to 1. Of each stretch at work the packs count or
    /// what its job has been through, whichever is more, so it never goes back.
    pub fn progress(&self, rung: &str, audio: bool) -> f64 {
        let Some(end) = self.end.filter(|end| *end > 0) else { return 0.0 };
        let (held, packs) =
            self.rungs.get(rung).map_or((0, &[][..]), |rung| (rung.ticks, rung.packs.as_slice()));
        let work = if audio { self.sound.as_slice() } else { self.chunks.as_slice() };
        let ahead: Ticks = work.iter().map(|stretch| stretch.ahead_of(packs)).sum();
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = (held + ahead) as f64 / end as f64;
        share.clamp(0.0, 1.0)
    }
}

/// What a statement made a list of, or nothing.
fn list<T>(rows: Option<&Json<Vec<T>>>) -> &[T] {
    rows.map_or(&[], |rows| rows.0.as_slice())
}

impl Stretch {
    /// How much more the job has been through than these packs hold of its stretch.
    fn ahead_of(&self, packs: &[(i64, Ticks)]) -> Ticks {
        let within = |first: i64| (i64::from(self.span.0)..i64::from(self.span.1)).contains(&first);
        let held: Ticks = packs.iter().filter(|(first, _)| within(*first)).map(|(_, ticks)| ticks).sum();
        #[expect(clippy::cast_precision_loss, clippy::cast_possible_truncation, reason = "a share")]
        let through = (self.ticks as f64 * self.share) as Ticks;
        (through - held).max(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::media::Segment;

    fn pack(first_segment: i64, segments: &[(Ticks, u64)]) -> Pack {
        let mut start = first_segment * 360_000;
        let whole = |&(duration, size_bytes): &(Ticks, u64)| {
            let segment = Segment { start, duration, size_bytes, key_bytes: 0 };
            start += duration;
            segment
        };
        let segments: Vec<Segment> = segments.iter().map(whole).collect();
        let size: u64 = segments.iter().map(|segment| segment.size_bytes).sum();
        Pack {
            rung: "720p".to_owned(),
            first_segment,
            size_bytes: i64::try_from(size).unwrap_or(0),
            segments,
        }
    }

    #[test]
    fn progress_counts_packs_beyond_a_gap_too() {
        let packs = [pack(0, &[(360_000, 1000)]), pack(2, &[(360_000, 3000)])];
        let coverage = Coverage::growing(&packs, Some(4 * 360_000));
        assert!((coverage.progress("720p", false) - 0.5).abs() < 1e-9);
        assert_eq!(coverage.bitrate("720p"), Some(4000));
        assert_eq!(coverage.duration(), Some(4 * 360_000));
        assert_eq!(coverage.bitrate("360p"), None);
    }

    #[test]
    fn inside_a_chunk_the_jobs_heartbeat_counts_by_its_share_of_the_timeline() {
        let timeline = Timeline {
            starts: (0..21).map(|at| at * 360_000).collect(),
            end: 21 * 360_000,
            chunks: vec![0, 1, 5],
        };
        let video = crate::domain::VideoId::new();
        let chunk = |first| Job::Chunk { video, revision: 1, first };
        let made = |packs: &[Pack], work: &[(Job, f64)]| {
            let work = work.iter().map(|(job, share)| (job, *share));
            let coverage = Coverage::growing(packs, Some(timeline.end)).with_work(work, &timeline);
            ["720p", "360p"].map(|rung| format!("{:.2}", coverage.progress(rung, false) * 21.0))
        };
        let first = pack(0, &[(360_000, 1)]);
        assert_eq!(made(&[], &[(chunk(0), 0.0)]), ["0.00", "0.00"]);
        assert_eq!(made(&[], &[(chunk(0), 0.5)]), ["0.50", "0.50"]);
        assert_eq!(made(std::slice::from_ref(&first), &[(chunk(0), 0.5)]), ["1.00", "0.50"]);
        let work = [(chunk(0), 1.0), (chunk(1), 0.25), (chunk(5), 0.5)];
        assert_eq!(made(std::slice::from_ref(&first), &work), ["10.00", "10.00"]);
        let later = pack(5, &[(10 * 360_000, 1)]);
        assert_eq!(made(&[first, later], &work), ["12.00", "10.00"]);
        assert_eq!(made(&[], &[(chunk(0), 1.0), (chunk(1), 1.0), (chunk(5), 1.0)]), ["21.00", "21.00"]);
    }

    #[test]
    fn sound_and_pictures_come_on_by_jobs_of_their_own() {
        let timeline = Timeline { starts: vec![0, 360_000], end: 720_000, chunks: vec![0, 1] };
        let audio = Job::Audio { video: crate::domain::VideoId::new(), revision: 1 };
        let coverage =
            Coverage::growing(&[], Some(720_000)).with_work([(&audio, 0.25)].into_iter(), &timeline);
        assert!((coverage.progress("audio", true) - 0.25).abs() < 1e-9);
        assert!(coverage.progress("720p", false).abs() < 1e-9);
    }

    #[test]
    fn a_settled_video_is_as_long_as_it_turned_out() {
        let rung = serde_json::json!({"name": "720p", "position": 0, "audio": 0, "state": "ready", "error": null,
            "bytes": 4000, "last": {"start": 3 * 360_000, "duration": 90_000, "size_bytes": 1000, "key_bytes": 0}});
        let rung = serde_json::from_value(rung).expect("a rung");
        let coverage = Coverage::settled(&[rung], Some(9 * 360_000));
        assert_eq!(coverage.duration(), Some(3 * 360_000 + 90_000));
    }
}
