//! The sign of life of a long task: its progress, twice a second at most.

use std::time::{Duration, Instant};

use super::error::Error;
use super::wire::Emit;
use crate::domain::media::Ticks;

/// Often enough for any watchdog, seldom enough to cost nothing.
const BEAT: Duration = Duration::from_millis(500);

/// Tells how far a task is, whenever enough time has passed.
pub(super) struct Pulse<'a> {
    emit: &'a Emit,
    told: Instant,
}

impl<'a> Pulse<'a> {
    pub fn new(emit: &'a Emit) -> Self {
        Self { emit, told: Instant::now() }
    }

    /// Called as often as one likes.
    pub fn beat(&mut self, at: Ticks) -> Result<(), Error> {
        if self.told.elapsed() < BEAT {
            return Ok(());
        }
        self.told = Instant::now();
        self.emit.progress(at.max(0))
    }
}
