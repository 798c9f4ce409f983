//! Cuts messages into chunks.

use bytes::{BufMut, BytesMut};

use super::{EXTENDED, INITIAL_CHUNK_BYTES, Message, kind};

/// One direction of a connection, outwards.
#[derive(Debug)]
pub(in super::super) struct Writer {
    chunk_bytes: usize,
}

impl Default for Writer {
    fn default() -> Self {
        Self { chunk_bytes: INITIAL_CHUNK_BYTES }
    }
}

impl Writer {
    /// Announces and uses a new size of chunks.
    pub(in super::super) fn set_chunk_bytes(&mut self, bytes: u32, out: &mut BytesMut) {
        let payload = bytes.to_be_bytes().to_vec().into();
        self.write(&Message { kind: kind::SET_CHUNK_SIZE, stream: 0, timestamp: 0, payload }, out);
        self.chunk_bytes = bytes as usize;
    }

    /// Appends the message, always with a full header, the time repeated in each chunk when it is long.
    pub(in super::super) fn write(&self, message: &Message, out: &mut BytesMut) {
        let lane = lane(message.kind);
        let chunks = message.payload.len() / self.chunk_bytes + 1;
        out.reserve(message.payload.len() + 16 + chunks * 5);
        out.put_u8(lane);
        out.put_uint(u64::from(message.timestamp.min(EXTENDED)), 3);
        out.put_uint(message.payload.len() as u64, 3);
        out.put_u8(message.kind);
        out.put_u32_le(message.stream);
        let mut chunks = message.payload.chunks(self.chunk_bytes);
        put_long_time(message.timestamp, out);
        out.extend_from_slice(chunks.next().unwrap_or_default());
        for chunk in chunks {
            out.put_u8(0xC0 | lane);
            put_long_time(message.timestamp, out);
            out.extend_from_slice(chunk);
        }
    }
}

fn put_long_time(timestamp: u32, out: &mut BytesMut) {
    if timestamp >= EXTENDED {
        out.put_u32(timestamp);
    }
}

/// Control, commands, sound and picture each on a chunk stream of their own, as encoders and servers have them.
fn lane(kind: u8) -> u8 {
    match kind {
        kind::AUDIO => 4,
        kind::VIDEO => 6,
        kind::DATA => 5,
        kind::COMMAND => 3,
        _ => 2,
    }
}
