//! What goes wrong when: drawn from a seed, so that a run can be had again.

use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
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

/// The steps of a run of so long on so many nodes. Every kind comes before any comes again too often: they are dealt from a
/// shuffled pack, and another one when it is used up.
pub fn draw(seed: u64, length: Duration, nodes: usize) -> Vec<Step> {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut steps, mut at, mut pack) = (Vec::new(), Duration::ZERO, Vec::new());
    loop {
        if pack.is_empty() {
            pack = shuffled(&mut random, length, nodes);
        }
        let Some(blow) = pack.pop() else { return steps };
        let pause = Duration::from_millis(random.random_range(300..2000));
        let lasts = Duration::from_millis(random.random_range(800..3000));
        // Longer than `POLICAST_LEASE` of the nodes.
        let lasts = if matches!(blow, Blow::Freeze(_)) { lasts + super::LEASE } else { lasts };
        at += pause + lasts;
        if at > length {
            return steps;
        }
        steps.push(Step { pause, blow, lasts });
    }
}

fn shuffled(random: &mut StdRng, length: Duration, nodes: usize) -> Vec<Blow> {
    let mut node = || random.random_range(0..nodes);
    let mut pack = vec![Blow::Kill(node()), Blow::Kill(node()), Blow::Kill(node())];
    pack.extend([Blow::Freeze(node()), Blow::Freeze(node()), Blow::Partition(node())]);
    let nodes = [node(), node(), node()];
    pack.extend(nodes.map(|node| Blow::DieBetween(node, random.random_range(1..60))));
    let moods =
        [Mood::Error, Mood::SlowDown, Mood::Hang, Mood::CutBody, Mood::RefuseDelete, Mood::LoseAnswer];
    pack.extend(moods.map(Blow::Bucket));
    pack.extend([Blow::RestartPostgres, Blow::HangPostgres]);
    // A SeaweedFS that was killed takes ten seconds to elect itself: no good for a short run.
    if length > Duration::from_mins(1) {
        pack.push(Blow::RestartBucket);
    }
    pack.shuffle(random);
    pack
}

#[test]
fn the_same_seed_is_the_same_plan() {
    let told = |seed| format!("{:?}", draw(seed, Duration::from_mins(2), 7));
    assert_eq!(told(1), told(1));
    assert_ne!(told(1), told(2));
}
