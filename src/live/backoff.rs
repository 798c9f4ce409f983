//! When a child that died is started again, and how often that is told.

use std::time::Duration;

use tokio::time::Instant;

const SHORTEST: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// A child that has worked for so long is trusted again; and its people read of pauses this often at most.
const STEADY: Duration = Duration::from_mins(1);

/// 1, 2, 4 … 30 s after each death in a row.
#[derive(Debug)]
pub(super) struct Backoff {
    next: Duration,
    until: Option<Instant>,
    began: Option<Instant>,
    told: Option<Instant>,
}

impl Backoff {
    pub fn new() -> Self {
        Self { next: SHORTEST, until: None, began: None, told: None }
    }

    /// When a child may be started again.
    pub fn waits_until(&self) -> Option<Instant> {
        self.until
    }

    /// A child may be started.
    pub fn is_over(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// One was.
    pub fn begin(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// It is gone.
    pub fn lose(&mut self, now: Instant) {
        if self.began.take().is_some_and(|began| now - began >= STEADY) {
            self.next = SHORTEST;
        }
        self.until = Some(now + self.next);
        self.next = (self.next * 2).min(LONGEST);
    }

    /// Whether to tell of it.
    pub fn is_worth_telling(&mut self, now: Instant) -> bool {
        let is_news = self.told.is_none_or(|told| now - told >= STEADY);
        if is_news {
            self.told = Some(now);
        }
        is_news
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_child_that_keeps_dying_is_started_less_and_less_often() {
        let (mut backoff, mut now, mut waits) = (Backoff::new(), Instant::now(), Vec::new());
        for lives in [0, 0, 0, 0, 0, 0, 60] {
            backoff.begin(now);
            now += Duration::from_secs(lives);
            backoff.lose(now);
            let begun = now;
            while !backoff.is_over(now) {
                now += Duration::from_secs(1);
            }
            waits.push((now - begun).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 1]);
    }

    #[test]
    fn pauses_are_told_once_a_minute() {
        let (mut backoff, now) = (Backoff::new(), Instant::now());
        let told = [0, 10, 59, 60, 100].map(|at| backoff.is_worth_telling(now + Duration::from_secs(at)));
        assert_eq!(told, [true, false, false, true, false]);
    }
}
