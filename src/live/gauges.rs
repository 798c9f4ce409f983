//! What monitoring hears of the streams this node takes in: sums over all of them. The exporter would keep a label for
//! each broadcast for ever; which one it is, the API and the broadcast's page tell.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::domain::broadcast::Health;

/// The streams of one node; cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Gauges(Arc<Mutex<Streams>>);

#[derive(Debug, Default)]
struct Streams {
    next: u64,
    readings: HashMap<u64, Reading>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Reading {
    bitrate: u64,
    frame_rate: f64,
    dropped_frames: u64,
    viewers: u32,
}

/// One stream, counted for as long as this is kept.
#[derive(Debug)]
pub struct Gauge {
    all: Gauges,
    number: u64,
}

impl Gauges {
    /// A stream came.
    pub fn begin(&self) -> Gauge {
        let mut streams = self.lock();
        let number = streams.next;
        streams.next += 1;
        streams.readings.insert(number, Reading::default());
        streams.tell();
        Gauge { all: self.clone(), number }
    }

    fn lock(&self) -> MutexGuard<'_, Streams> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gauge {
    /// How the stream is now, and how many watch it at all nodes.
    pub fn set(&self, health: &Health, viewers: u32) {
        let mut streams = self.all.lock();
        let before = streams.readings.get(&self.number).map_or(0, |reading| reading.dropped_frames);
        let reading = Reading {
            bitrate: health.bitrate,
            frame_rate: health.frame_rate,
            dropped_frames: health.dropped_frames,
            viewers,
        };
        metrics::counter!("policast_live_dropped_frames_total")
            .increment(health.dropped_frames.saturating_sub(before));
        streams.readings.insert(self.number, reading);
        streams.tell();
    }
}

impl Drop for Gauge {
    fn drop(&mut self) {
        let mut streams = self.all.lock();
        streams.readings.remove(&self.number);
        streams.tell();
    }
}

impl Streams {
    #[expect(clippy::cast_precision_loss, reason = "gauges are floats; nobody counts this high")]
    fn tell(&self) {
        let readings = || self.readings.values();
        let viewers: u64 = readings().map(|reading| u64::from(reading.viewers)).sum();
        let bitrate: u64 = readings().map(|reading| reading.bitrate).sum();
        let frame_rate: f64 = readings().map(|reading| reading.frame_rate).sum();
        metrics::gauge!("policast_live_broadcasts").set(self.readings.len() as f64);
        metrics::gauge!("policast_live_viewers").set(viewers as f64);
        metrics::gauge!("policast_live_bitrate_bits").set(bitrate as f64);
        // Plus zero: an empty sum of floats is -0.
        metrics::gauge!("policast_live_frame_rate").set(frame_rate + 0.0);
    }
}

#[cfg(test)]
mod tests {
    use metrics_exporter_prometheus::PrometheusBuilder;

    use super::*;

    fn health(bitrate: u64, dropped_frames: u64) -> Health {
        Health { bitrate, frame_rate: 29.9, dropped_frames, ..Health::default() }
    }

    #[test]
    fn streams_are_summed_for_as_long_as_they_come() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let page = recorder.handle();
        let says = |line: &str| assert!(page.render().lines().any(|told| told == line), "{}", page.render());
        metrics::with_local_recorder(&recorder, || {
            let gauges = Gauges::default();
            let (first, second) = (gauges.begin(), gauges.begin());
            first.set(&health(2_000_000, 3), 4);
            second.set(&health(500_000, 2), 1);
            says("policast_live_broadcasts 2");
            says("policast_live_bitrate_bits 2500000");
            says("policast_live_viewers 5");
            drop(first);
            second.set(&health(400_000, 2), 1);
            says("policast_live_broadcasts 1");
            says("policast_live_frame_rate 29.9");
            drop(second);
            says("policast_live_broadcasts 0");
            says("policast_live_frame_rate 0");
            says("policast_live_dropped_frames_total 5");
        });
    }
}
