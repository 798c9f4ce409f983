//! Where a task says its events.

use std::sync::Arc;

use super::error::Error;
use super::task::Event;
use crate::domain::media::Ticks;

/// Where a task says its events; a clone says them to the same place.
#[derive(Clone)]
pub struct Emit(Arc<Speak>);

type Speak = dyn Fn(&Event, &[u8]) -> Result<(), Error> + Send + Sync;

impl Emit {
    /// An emitter over any listener, so a task can run in process.
    pub fn new(speak: impl Fn(&Event, &[u8]) -> Result<(), Error> + Send + Sync + 'static) -> Self {
        Self(Arc::new(speak))
    }

    /// Says an event without a body.
    pub fn send(&self, event: &Event) -> Result<(), Error> {
        (self.0)(event, &[])
    }

    /// Says an event that carries bytes.
    pub fn send_with(&self, event: &Event, body: &[u8]) -> Result<(), Error> {
        (self.0)(event, body)
    }

    /// Says how far the task is; also the sign of life the watchdog looks for.
    pub fn progress(&self, at: Ticks) -> Result<(), Error> {
        self.send(&Event::Progress { at })
    }
}
