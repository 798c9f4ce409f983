//! What a job of a planned revision is estimated to cost: its account's share of the queue is charged with it.

use std::time::Duration;

use super::jobs::span;
use crate::catalogue::revision::Plan;
use crate::domain::job::Job;
use crate::domain::media::{Coding, TICKS_PER_SECOND};

/// CPU seconds to decode or to encode a million pixels: five rungs of 1080p at 30 pictures a second take 4.3 s a second
/// (measured, veryfast).
const CPU_PER_MEGAPIXEL: f64 = 0.025;
/// CPU seconds a second of sound takes: its loudness is measured before it is encoded (measured).
const CPU_PER_SECOND_OF_SOUND: f64 = 0.04;
/// What a process of its own costs before it does anything.
const START: Duration = Duration::from_millis(300);

/// CPU time that the job is estimated to take.
pub(super) fn cost(work: &Job, plan: &Plan) -> Duration {
    match work {
        Job::Chunk { .. } => START + seconds(pictures(work, plan) * megapixels(plan) * CPU_PER_MEGAPIXEL),
        Job::Audio { .. } => START + seconds(length(0, plan.timeline.end) * CPU_PER_SECOND_OF_SOUND),
        _ => work.usual_cost(),
    }
}

/// Pictures that a chunk is made of: those of the source, and at least one a segment.
fn pictures(work: &Job, plan: &Plan) -> f64 {
    let (first, end) = span(work, &plan.timeline);
    let start = |segment: u32| plan.timeline.starts.get(segment as usize).copied();
    let length = length(start(first).unwrap_or(0), start(end).unwrap_or(plan.timeline.end));
    let rate = plan.ladder.rungs.first().map_or(0.0, |rung| rung.frame_rate.as_f64());
    length * rate + f64::from(end.saturating_sub(first))
}

/// Of one picture: decoded once, encoded for every rung that isn't passed through.
fn megapixels(plan: &Plan) -> f64 {
    let area = |width: u32, height: u32| f64::from(width) * f64::from(height) / 1e6;
    let encoded = plan.ladder.rungs.iter().filter(|rung| rung.coding != Coding::Copy);
    let video = &plan.probe.video;
    area(video.width, video.height) + encoded.map(|rung| area(rung.width, rung.height)).sum::<f64>()
}

#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn length(from: i64, to: i64) -> f64 {
    (to - from).max(0) as f64 / TICKS_PER_SECOND as f64
}

fn seconds(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::domain::VideoId;
    use crate::domain::media::{Fraction, Ladder, Probe, Rung, SourceClock, Timeline, VideoStream};

    /// A minute of 720p at so many pictures in `seconds` seconds, encoded as it is, in one chunk.
    fn planned(num: u32, seconds: u32) -> Duration {
        let frame_rate = Fraction { num, den: seconds };
        let coding = Coding::H264 { crf: 23, max_bitrate: 1, buffer_bits: 1, preset: "veryfast".to_owned() };
        let video = VideoStream {
            index: 0,
            codec: "h264".to_owned(),
            width: 1280,
            height: 720,
            rotation: 0,
            mirrored: false,
            pixel_aspect: Fraction { num: 1, den: 1 },
            frame_rate,
            pixel_format: "yuv420p".to_owned(),
            bit_depth: 8,
            interlaced: false,
            top_field_first: None,
            unmarked: false,
            hdr: false,
            start_pts: 0,
            time_base: Fraction { num: 1, den: 90_000 },
            clock: SourceClock::default(),
            bitrate: 0,
            web_friendly: false,
        };
        let rung = Rung { name: "720p".to_owned(), width: 1280, height: 720, frame_rate, coding };
        let plan = Plan {
            probe: Probe {
                container: "mp4".to_owned(),
                duration: 60 * TICKS_PER_SECOND,
                seekable: true,
                video,
                audio: None,
                warnings: Vec::new(),
                keyframes: Vec::new(),
            },
            ladder: Ladder { version: 1, rungs: vec![rung], audio: None },
            timeline: Timeline {
                starts: (0..15).map(|segment| segment * 4 * TICKS_PER_SECOND).collect(),
                end: 60 * TICKS_PER_SECOND,
                chunks: vec![0],
            },
            provenance: BTreeMap::new(),
        };
        cost(&Job::Chunk { video: VideoId::new(), revision: 1, first: 0 }, &plan)
    }

    #[test]
    fn a_chunk_costs_what_its_pictures_do_and_not_what_its_length_says() {
        let (moving, still) = (planned(30, 1), planned(2, 60));
        assert!((60..120).contains(&moving.as_secs()), "{moving:?}");
        assert!(still < moving / 40, "{still:?} for a picture that stands, {moving:?} for one that moves");
    }
}
