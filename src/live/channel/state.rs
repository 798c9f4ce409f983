//! What a channel knows: the window, the bytes at its edge, and where whoever waits is told of more.

use std::collections::HashMap;

use bytes::Bytes;
use tokio::sync::{broadcast, watch};

use super::super::window::{News, Part, Window};
use super::{Edge, Told};

/// Closed segments whose bytes stay in memory: what players at the live edge ask for.
const KEPT_SEGMENTS: u32 = 8;
/// Events kept for a slow subscriber; one that misses some begins anew.
const BACKLOG: usize = 1024;

/// Changed by news alone.
pub(super) struct State {
    pub window: Window,
    pub edges: HashMap<String, watch::Sender<Edge>>,
    /// Parts by rung and segment, in order.
    pub parts: HashMap<(String, u32), Vec<Bytes>>,
    pub inits: HashMap<(String, u32), Bytes>,
    /// Seconds, rounded, no segment is longer than; fixed with the first playlist (RFC 8216 6.2.1).
    pub target: u32,
    /// Nobody is woken but by the end.
    pub held: bool,
    /// Beside what it tells of: nobody subscribes between a change and its event.
    pub events: broadcast::Sender<Told>,
}

impl State {
    /// Begins at this window.
    pub fn new(window: Window, target: u32) -> Self {
        let edges = window.tracks.iter();
        let edges = edges.map(|track| (track.init.rung.clone(), watch::Sender::new(Edge::at(track.open))));
        Self {
            edges: edges.collect(),
            window,
            parts: HashMap::new(),
            inits: HashMap::new(),
            target,
            held: false,
            events: broadcast::Sender::new(BACKLOG),
        }
    }

    /// Takes the window and the bytes of another state. Subscribers end: no event leads from what they know to this.
    pub fn replace_by(&mut self, other: &mut Self) {
        std::mem::swap(&mut self.window, &mut other.window);
        std::mem::swap(&mut self.parts, &mut other.parts);
        std::mem::swap(&mut self.inits, &mut other.inits);
        self.target = other.target;
        self.events = broadcast::Sender::new(BACKLOG);
        let rungs: Vec<_> = self.window.tracks.iter().map(|track| track.init.rung.clone()).collect();
        for rung in rungs {
            self.edges.entry(rung.clone()).or_insert_with(|| watch::Sender::new(Edge::at(0)));
            self.move_edge(&rung);
        }
    }

    /// Keeps the bytes of a piece of news, and forgets those nobody asks for any more.
    pub fn keep(&mut self, news: &News, bytes: Bytes) {
        match news {
            News::Init(init) => {
                self.inits.insert((init.rung.clone(), init.number), bytes);
            }
            News::Part { rung, segment, part } => {
                let parts = self.parts.entry((rung.clone(), *segment)).or_default();
                if part.number == 0 {
                    parts.clear();
                }
                parts.push(bytes);
            }
            News::Closed { rung, closed } => {
                let oldest = closed.number.saturating_sub(KEPT_SEGMENTS);
                self.parts.retain(|(name, number), _| name != rung || *number >= oldest);
            }
            News::Tenure { next, .. } => self.parts.retain(|(_, number), _| number < next),
            News::Target { seconds } => self.target = *seconds,
            News::Removed { .. } | News::Missed { .. } | News::Over => {}
        }
    }

    /// Lets go whoever waited for it.
    pub fn wake(&mut self, news: &News) {
        match news {
            News::Init(init) => {
                let open = self.window.track(&init.rung).map_or(0, |track| track.open);
                self.edges.entry(init.rung.clone()).or_insert_with(|| watch::Sender::new(Edge::at(open)));
            }
            News::Part { rung, .. } | News::Closed { rung, .. } | News::Missed { rung, .. } => {
                self.move_edge(rung);
            }
            News::Tenure { .. } => self.move_edges(),
            News::Target { .. } | News::Removed { .. } => {}
            // Everybody is let go at once.
            News::Over => self.edges.values().for_each(|edge| {
                edge.send_replace(Edge::at(u32::MAX));
            }),
        }
    }

    /// Tells whoever waits where every rung is.
    pub fn move_edges(&mut self) {
        let rungs: Vec<String> = self.edges.keys().cloned().collect();
        for rung in &rungs {
            self.move_edge(rung);
        }
    }

    /// The same of one rung.
    pub fn move_edge(&mut self, rung: &str) {
        if self.held {
            return;
        }
        let (Some(track), Some(edge)) = (self.window.track(rung), self.edges.get(rung)) else { return };
        let count = |parts: &[Part]| u32::try_from(parts.len()).unwrap_or(u32::MAX);
        let before = track.closed.back().map_or(0, |listed| count(&listed.parts));
        edge.send_replace(Edge { open: track.open, parts: count(&track.parts), before });
    }

    /// The state as the news that would lead to it.
    pub fn retell(&self) -> Vec<Told> {
        let first = [
            News::Tenure { epoch: self.window.epoch, next: 0, lost: 0 },
            News::Target { seconds: self.target },
        ];
        let mut told: Vec<Told> = first.into_iter().map(|news| (news, Bytes::new())).collect();
        for track in &self.window.tracks {
            let rung = &track.init.rung;
            let init = self.inits.get(&(rung.clone(), track.init.number)).cloned();
            told.push((News::Init(track.init.clone()), init.unwrap_or_default()));
            told.push((News::Removed { rung: rung.clone(), removed: track.removed }, Bytes::new()));
            for listed in &track.closed {
                self.retell_parts(&mut told, rung, (listed.closed.number, &listed.parts));
                let closed = listed.closed.clone();
                told.push((News::Closed { rung: rung.clone(), closed }, Bytes::new()));
            }
            self.retell_parts(&mut told, rung, (track.open, &track.parts));
        }
        told
    }

    fn retell_parts(&self, told: &mut Vec<Told>, rung: &str, (segment, parts): (u32, &[Part])) {
        let kept = self.parts.get(&(rung.to_owned(), segment));
        for part in parts {
            let bytes = kept.and_then(|kept| kept.get(part.number as usize)).cloned().unwrap_or_default();
            told.push((News::Part { rung: rung.to_owned(), segment, part: *part }, bytes));
        }
    }
}
