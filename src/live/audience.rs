//! How many watch a channel, by what they ask for: nobody is counted by who they are.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::channel::lock;

/// What another node said of its viewers holds this long.
const HEARSAY: Duration = Duration::from_secs(5);
/// No target duration is longer; older reloads count for nothing.
const LONGEST_TARGET: Duration = Duration::from_mins(1);

/// Counts reloads of the playlists with pictures. A low-latency player always has one waiting; any other reloads
/// about once a target duration (RFC 8216 6.3.4).
#[derive(Debug, Default)]
pub struct Audience {
    waiting: AtomicU32,
    /// The most that waited at a time since the last count: between two reloads a player has none waiting.
    most_waiting: AtomicU32,
    reloads: Mutex<VecDeque<Instant>>,
    elsewhere: Mutex<HashMap<String, (u32, Instant)>>,
}

/// One reload that waits.
pub struct Seat<'a>(&'a Audience);

impl Audience {
    /// A reload waits for as long as this is kept.
    pub fn sit(&self) -> Seat<'_> {
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_waiting.fetch_max(waiting, Ordering::Relaxed);
        Seat(self)
    }

    /// A reload was answered without waiting.
    pub fn pass(&self) {
        let now = Instant::now();
        let mut reloads = lock(&self.reloads);
        // Nobody counts while a broadcast is interrupted.
        while reloads.front().is_some_and(|at| now - *at > LONGEST_TARGET) {
            reloads.pop_front();
        }
        reloads.push_back(now);
    }

    /// Another node has so many viewers.
    pub fn hear(&self, node: &str, viewers: u32) {
        lock(&self.elsewhere).insert(node.to_owned(), (viewers, Instant::now()));
    }

    /// Viewers at this node since the last count. Whoever reloads without waiting is counted once it has done so twice:
    /// low-latency players begin with one such reload.
    pub fn count_here(&self, target: Duration) -> u32 {
        let now = Instant::now();
        // A little longer than players wait between two reloads.
        let round = target.mul_f64(1.1);
        let mut reloads = lock(&self.reloads);
        while reloads.front().is_some_and(|at| now - *at > round * 2) {
            reloads.pop_front();
        }
        let of_last = reloads.iter().filter(|at| now - **at <= round).count();
        let plain = u32::try_from(of_last.min(reloads.len() - of_last)).unwrap_or(u32::MAX);
        let waiting = self.waiting.load(Ordering::Relaxed);
        self.most_waiting.swap(waiting, Ordering::Relaxed).max(waiting) + plain
    }

    /// Viewers at all nodes.
    pub fn count(&self, target: Duration) -> u32 {
        let now = Instant::now();
        let mut elsewhere = lock(&self.elsewhere);
        elsewhere.retain(|_, (_, at)| now - *at < HEARSAY);
        self.count_here(target) + elsewhere.values().map(|(viewers, _)| viewers).sum::<u32>()
    }
}

impl Drop for Seat<'_> {
    fn drop(&mut self) {
        self.0.waiting.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn viewers_are_those_who_wait_those_who_came_by_and_those_elsewhere() {
        let audience = Audience::default();
        let target = Duration::from_secs(4);
        let seats = [audience.sit(), audience.sit()];
        audience.pass();
        assert_eq!(
            audience.count_here(target),
            2,
            "a low-latency player begins with a reload that does not wait"
        );
        tokio::time::advance(target).await;
        audience.pass();
        tokio::time::advance(target / 2).await;
        audience.hear("http://b", 5);
        assert_eq!((audience.count_here(target), audience.count(target)), (3, 8));
        drop(seats);
        // They waited since the last count, and may only be between two reloads.
        assert_eq!(audience.count_here(target), 3);
        assert_eq!(audience.count_here(target), 1);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert_eq!(audience.count(target), 0);
    }
}
