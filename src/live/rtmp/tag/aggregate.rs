//! Aggregate messages (RTMP 1.0, 7.1.6): several FLV tags in one, as old hardware encoders send them.

use bytes::{Buf, Bytes};

use super::super::chunk::Message;

/// Kind, size, time and stream of a tag.
const HEADER: usize = 11;
/// The size once more, behind each tag.
const TRAILER: usize = 4;

/// The messages within, one after the other; a torn one ends it.
#[derive(Debug)]
pub(in super::super) struct Aggregate {
    timestamp: u32,
    stream: u32,
    rest: Bytes,
    /// What the first tag's time is off the message's.
    offset: Option<u32>,
}

impl Aggregate {
    pub(in super::super) fn new(message: Message) -> Self {
        let Message { timestamp, stream, payload, .. } = message;
        Self { timestamp, stream, rest: payload, offset: None }
    }
}

impl Iterator for Aggregate {
    type Item = Message;

    fn next(&mut self) -> Option<Message> {
        let header = *self.rest.first_chunk::<HEADER>()?;
        let [kind, s2, s1, s0, t2, t1, t0, t3, ..] = header;
        let size = u32::from_be_bytes([0, s2, s1, s0]) as usize;
        let time = u32::from_be_bytes([t3, t2, t1, t0]);
        self.rest.advance(HEADER);
        if size > self.rest.len() {
            self.rest.clear();
            return None;
        }
        let payload = self.rest.split_to(size);
        self.rest.advance(TRAILER.min(self.rest.len()));
        let offset = *self.offset.get_or_insert(self.timestamp.wrapping_sub(time));
        Some(Message { kind, stream: self.stream, timestamp: time.wrapping_add(offset), payload })
    }
}
