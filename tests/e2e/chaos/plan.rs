//! What goes wrong when: drawn from a seed, so that a run can be had again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::bucket::Mood;

/// One thing that goes wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Blow {
    /// `kill -9`, and started again.
    Kill(usize),
    /// Started to die by itself after so many commits and changes to the bucket.
    DieBetween(usize, u32),
    /// Stopped for longer than its leases last, then woken.
    Freeze(usize),
    /// Neither database nor bucket can be reached from this node.
    Partition(usize),
    Bucket(Mood),
    RestartPostgres,
    HangPostgres,
    RestartBucket,
}

impl Blow {
    /// Its kind, without which node and how long.
    pub fn kind(&self) -> String {
        match self {
            Self::Bucket(mood) => format!("all requests to the bucket: {mood:?}"),
            blow => format!("{blow:?}").split('(').next().unwrap_or_default().to_owned(),
        }
    }
}

/// A blow, after the pause before it, for so long.
#[derive(Debug, Clone)]
pub struct Step {
    pub pause: Duration,
    pub blow: Blow,
    pub lasts: Duration,
}

/// The steps of a run of so long on so many nodes.
pub fn draw(seed: u64, length: Duration, nodes: usize) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut steps, mut at) = (Vec::new(), Duration::ZERO);
    // A SeaweedFS that was killed takes ten seconds to elect itself: no good for a short run.
    let kinds = if length > Duration::from_mins(1) { 16 } else { 15 };
    loop {
        let pause = Duration::from_millis(random.random_range(300..2000));
        let lasts = Duration::from_millis(random.random_range(800..3000));
        let node = random.random_range(0..nodes);
        let blow = match random.random_range(0..kinds) {
            0..3 => Blow::Kill(node),
            3..6 => Blow::DieBetween(node, random.random_range(1..60)),
            6 | 7 => Blow::Freeze(node),
            8 => Blow::Partition(node),
            9 => Blow::Bucket(Mood::Error),
            10 => Blow::Bucket(Mood::SlowDown),
            11 => Blow::Bucket([Mood::Hang, Mood::CutBody][random.random_range(0..2)]),
            12 => Blow::Bucket([Mood::RefuseDelete, Mood::LoseAnswer][random.random_range(0..2)]),
            13 => Blow::RestartPostgres,
            14 => Blow::HangPostgres,
            _ => Blow::RestartBucket,
        };
        // Longer than `POLICAST_LEASE` of the nodes.
        let lasts = if matches!(blow, Blow::Freeze(_)) { lasts + super::LEASE } else { lasts };
        at += pause + lasts;
        if at > length {
            return steps;
        }
        steps.push(Step { pause, blow, lasts });
    }
}

#[test]
fn the_same_seed_is_the_same_plan() {
    let told = |seed| format!("{:?}", draw(seed, Duration::from_mins(2), 7));
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}
