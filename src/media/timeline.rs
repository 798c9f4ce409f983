//! Where segments, chunks and packs begin: decided once for the whole video, before a picture is encoded.

use super::grid::SEGMENT;
use crate::domain::media::{Coding, Ladder, Probe, TICKS_PER_SECOND, Ticks, Timeline};

/// Bounds of a segment cut on the source's keyframes.
const SHORTEST: Ticks = 2 * TICKS_PER_SECOND;
const LONGEST: Ticks = 6 * TICKS_PER_SECOND;
/// A shorter rest becomes part of the segment before it.
const SHORTEST_REST: Ticks = TICKS_PER_SECOND;
/// Segments in the first chunks and packs, so that the first picture is there soon; all later ones have the last size.
const GROWTH: [u32; 3] = [1, 4, 16];

/// The timeline shared by all rungs of a ladder.
#[must_use]
pub fn plan(probe: &Probe, ladder: &Ladder) -> Timeline {
    let end = probe.duration.max(1);
    let copied = ladder.rungs.iter().any(|rung| rung.coding == Coding::Copy);
    let mut starts = if copied { on_keyframes(&probe.keyframes, end) } else { on_grid(end) };
    let rest = starts.last().map_or(end, |last| end - last);
    let merged = starts.iter().rev().nth(1).map_or(end, |start| end - start);
    if starts.len() > 1 && rest < SHORTEST_REST && (!copied || merged <= LONGEST + SHORTEST_REST) {
        starts.pop();
    }
    let chunks = if probe.seekable { pack_starts(count(&starts)) } else { vec![0] };
    Timeline { starts, end, chunks }
}

/// The first segment of each pack of a rung with this many segments. Packs are as long as chunks, or part of one.
#[must_use]
pub fn pack_starts(segments: u32) -> Vec<u32> {
    let next = |first: &u32| Some(pack_end(*first)).filter(|end| *end < segments);
    std::iter::successors(Some(0), next).collect()
}

/// One past the last segment of the pack that `segment` belongs to.
#[must_use]
pub fn pack_end(segment: u32) -> u32 {
    let mut end = 0;
    for size in GROWTH {
        end += size;
        if segment < end {
            return end;
        }
    }
    let last = GROWTH[GROWTH.len() - 1];
    end + ((segment - end) / last + 1) * last
}

fn on_grid(end: Ticks) -> Vec<Ticks> {
    let count = ((end + SEGMENT - 1) / SEGMENT).max(1);
    (0..count).map(|at| at * SEGMENT).collect()
}

/// From each start to the keyframe nearest to four seconds on, within bounds where the source allows.
fn on_keyframes(keyframes: &[Ticks], end: Ticks) -> Vec<Ticks> {
    let mut starts = vec![0];
    let mut start = 0;
    let off = |at: Ticks, start: Ticks| (at - start - SEGMENT).abs();
    let ends_well = |start: Ticks, next: Ticks| end - start <= LONGEST && off(end, start) <= off(next, start);
    while let Some(next) = next_start(keyframes, start).filter(|next| *next < end && !ends_well(start, *next))
    {
        starts.push(next);
        start = next;
    }
    starts
}

fn next_start(keyframes: &[Ticks], start: Ticks) -> Option<Ticks> {
    let later = &keyframes[keyframes.partition_point(|at| *at <= start)..];
    let within = &later[..later.partition_point(|at| at - start <= LONGEST)];
    let good = within.iter().filter(|at| *at - start >= SHORTEST);
    good.min_by_key(|at| (*at - start - SEGMENT).abs()).or(within.last()).or(later.first()).copied()
}

fn count(starts: &[Ticks]) -> u32 {
    u32::try_from(starts.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::ladder::{self, LadderSettings, tests::probed};

    const S: Ticks = TICKS_PER_SECOND;

    fn planned(change: impl FnOnce(&mut Probe)) -> Timeline {
        let mut probe = probed(1280, 720);
        change(&mut probe);
        plan(&probe, &ladder::plan(&probe, &LadderSettings::default()))
    }

    fn copied(duration: Ticks, keyframes: &[Ticks]) -> Vec<Ticks> {
        let timeline = planned(|probe| {
            probe.video.web_friendly = true;
            probe.duration = duration;
            probe.keyframes = keyframes.to_vec();
        });
        timeline.starts.iter().map(|start| start * 10 / S).collect()
    }

    #[test]
    fn an_encoded_video_is_cut_every_four_seconds() {
        let timeline = planned(|_| {});
        assert_eq!(
            timeline.starts.iter().map(|start| start / S).collect::<Vec<_>>(),
            [0, 4, 8, 12, 16, 20, 24, 28]
        );
        assert_eq!((timeline.end, timeline.chunks), (30 * S, vec![0, 1, 5]));
    }

    #[test]
    fn a_rest_under_a_second_joins_the_segment_before() {
        assert_eq!(planned(|probe| probe.duration = 8 * S + S / 2).starts, [0, 4 * S]);
        assert_eq!(planned(|probe| probe.duration = 9 * S).starts, [0, 4 * S, 8 * S]);
        assert_eq!(planned(|probe| probe.duration = S / 10).starts, [0]);
    }

    #[test]
    fn a_passed_through_video_is_cut_on_its_keyframes() {
        let every_second = (0..12).map(|at| at * S).collect::<Vec<_>>();
        assert_eq!(copied(12 * S, &every_second), [0, 40, 80]);
        let every_five = [0, 5 * S, 10 * S];
        assert_eq!(copied(12 * S, &every_five), [0, 50, 100]);
        let uneven = [0, S, 6 * S + S / 2, 7 * S, 12 * S];
        assert_eq!(copied(15 * S, &uneven), [0, 10, 65, 120]);
    }

    #[test]
    fn a_source_that_can_t_be_jumped_into_is_one_chunk() {
        assert_eq!(planned(|probe| probe.seekable = false).chunks, [0]);
    }

    #[test]
    fn packs_grow_and_then_stay() {
        assert_eq!(pack_starts(60), [0, 1, 5, 21, 37, 53]);
        assert_eq!(pack_starts(1), [0]);
        assert_eq!([0, 1, 4, 5, 20, 21, 36, 37].map(pack_end), [1, 5, 5, 21, 21, 37, 37, 53]);
    }
}
