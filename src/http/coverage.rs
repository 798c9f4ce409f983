//! How much of a revision's timeline its packs hold, rung by rung.

use std::collections::BTreeMap;

use super::Error;
use crate::catalogue::Conn;
use crate::catalogue::pack::{self, Pack};
use crate::catalogue::revision::Revision;
use crate::domain::media::{TICKS_PER_SECOND, Ticks};

/// What there is of each rung.
#[derive(Debug, Default)]
pub struct Coverage {
    rungs: BTreeMap<String, Rung>,
    /// As planned.
    end: Option<Ticks>,
    settled: bool,
}

#[derive(Debug, Default, Clone, Copy)]
struct Rung {
    bytes: u64,
    ticks: Ticks,
}

/// What there is of a revision: of a settled one from sums, of one under way from every segment.
pub async fn read(mut conn: Conn<'_>, revision: &Revision) -> Result<Coverage, Error> {
    let id = (revision.video_id, u32::try_from(revision.number).unwrap_or(0));
    let end = revision.timeline.as_ref().map(|timeline| timeline.end);
    if revision.finished_at.is_none() {
        return Ok(Coverage::growing(&pack::list(conn, id, None).await?, end));
    }
    let sizes = pack::list_sizes(conn.again(), id).await?;
    Ok(Coverage::settled(sizes, &pack::list_last(conn, id).await?, end))
}

impl Coverage {
    fn growing(packs: &[Pack], end: Option<Ticks>) -> Self {
        let mut rungs: BTreeMap<String, Rung> = BTreeMap::new();
        for pack in packs {
            let rung = rungs.entry(pack.rung.clone()).or_default();
            rung.bytes += u64::try_from(pack.size_bytes).unwrap_or(0);
            rung.ticks += pack.segments.iter().map(|segment| segment.duration).sum::<Ticks>();
        }
        Self { rungs, end, settled: false }
    }

    fn settled(sizes: Vec<(String, i64)>, last: &[Pack], end: Option<Ticks>) -> Self {
        let ends = |name: &str| {
            let pack = last.iter().find(|pack| pack.rung == name)?;
            pack.segments.last().map(|segment| segment.start + segment.duration)
        };
        let rung = |(name, bytes): (String, i64)| {
            let ticks = ends(&name).unwrap_or(0);
            (name, Rung { bytes: u64::try_from(bytes).unwrap_or(0), ticks })
        };
        Self { rungs: sizes.into_iter().map(rung).collect(), end, settled: true }
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

    /// The share of the planned timeline a rung holds, from 0 to 1.
    pub fn progress(&self, rung: &str) -> f64 {
        let (Some(rung), Some(end)) = (self.rungs.get(rung), self.end.filter(|end| *end > 0)) else {
            return 0.0;
        };
        #[expect(clippy::cast_precision_loss, reason = "a share")]
        let share = rung.ticks as f64 / end as f64;
        share.clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use sqlx::types::Json;

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
            attempt: 1,
            size_bytes: i64::try_from(size).unwrap_or(0),
            segments: Json(segments),
            init: 0,
            discontinuity: false,
            shown_at: None,
        }
    }

    #[test]
    fn progress_counts_packs_beyond_a_gap_too() {
        let packs = [pack(0, &[(360_000, 1000)]), pack(2, &[(360_000, 3000)])];
        let coverage = Coverage::growing(&packs, Some(4 * 360_000));
        assert!((coverage.progress("720p") - 0.5).abs() < 1e-9);
        assert_eq!(coverage.bitrate("720p"), Some(4000));
        assert_eq!(coverage.duration(), Some(4 * 360_000));
        assert_eq!(coverage.bitrate("360p"), None);
    }

    #[test]
    fn a_settled_video_is_as_long_as_it_turned_out() {
        let last = [pack(2, &[(360_000, 1000), (90_000, 1000)])];
        let coverage = Coverage::settled(vec![("720p".to_owned(), 4000)], &last, Some(9 * 360_000));
        assert_eq!(coverage.duration(), Some(3 * 360_000 + 90_000));
    }
}
