//! Puts messages together again from chunks, within limits that hold before memory is taken.

use std::collections::HashMap;

use bytes::{Buf, Bytes, BytesMut};

use super::super::{Error, Limits};
use super::{EXTENDED, INITIAL_CHUNK_BYTES, Message, kind};

/// A message's first allocation; more is taken only as bytes truly arrive.
const FIRST_ALLOCATION: usize = 16 << 10;

/// One direction of a connection, inwards.
#[derive(Debug)]
pub(in super::super) struct Reader {
    chunk_bytes: usize,
    message_bytes: usize,
    chunk_streams: usize,
    lanes: HashMap<u32, Lane>,
    /// The chunk being read: its lane, and how much of its payload is still to come.
    open: Option<(u32, usize)>,
    in_progress: usize,
}

/// One chunk stream: its last header, and the message it is in the middle of.
#[derive(Debug, Clone, Default)]
struct Lane {
    timestamp: u32,
    /// The last time field, absolute or a difference; a type 3 chunk beginning a message adds it again.
    field: u32,
    absolute: bool,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
    begun: bool,
    partial: BytesMut,
}

impl Reader {
    pub(in super::super) fn new(limits: &Limits) -> Self {
        Self {
            chunk_bytes: INITIAL_CHUNK_BYTES,
            message_bytes: limits.message_bytes,
            chunk_streams: limits.chunk_streams,
            lanes: HashMap::new(),
            open: None,
            in_progress: 0,
        }
    }

    /// The most a message may be from now on: little until an encoder is permitted.
    pub(in super::super) fn limit_message(&mut self, bytes: usize) {
        self.message_bytes = bytes;
    }

    /// Whether the connection may end here without tearing a message.
    pub(in super::super) fn is_between_messages(&self) -> bool {
        self.open.is_none() && self.lanes.values().all(|lane| !lane.begun)
    }

    /// The next whole message; takes what it used from `input`, and None asks for more.
    pub(in super::super) fn next(&mut self, input: &mut BytesMut) -> Result<Option<Message>, Error> {
        loop {
            if self.open.is_none() && !self.open_chunk(input)? {
                return Ok(None);
            }
            let Some((id, left)) = self.open else { return Ok(None) };
            if left > 0 && input.is_empty() {
                return Ok(None);
            }
            let message = self.take_payload(input, id, left)?;
            if let Some(message) = message {
                self.obey(&message)?;
                return Ok(Some(message));
            }
        }
    }

    fn take_payload(&mut self, input: &mut BytesMut, id: u32, left: usize) -> Result<Option<Message>, Error> {
        let take = left.min(input.len());
        let together = self.in_progress + take;
        if together > self.message_bytes {
            return Err(Error::TooMuchInProgress { bytes: together, most: self.message_bytes });
        }
        let Some(lane) = self.lanes.get_mut(&id) else { return Err(Error::NoHeader(id)) };
        lane.append(&input[..take]);
        input.advance(take);
        self.in_progress = together;
        self.open = (take < left).then_some((id, left - take));
        if lane.partial.len() < lane.length {
            return Ok(None);
        }
        self.in_progress -= lane.partial.len();
        Ok(Some(lane.finish()))
    }

    /// Reads a chunk's header; false if it isn't all there yet.
    fn open_chunk(&mut self, input: &mut BytesMut) -> Result<bool, Error> {
        let mut rest: &[u8] = input;
        let Some((format, id)) = basic_header(&mut rest) else { return Ok(false) };
        let known = self.lanes.get(&id);
        if known.is_none() && self.lanes.len() >= self.chunk_streams {
            return Err(Error::TooManyChunkStreams { found: self.lanes.len() + 1, most: self.chunk_streams });
        }
        if known.is_none() && format != 0 {
            return Err(Error::NoHeader(id));
        }
        let header = match known {
            Some(lane) => lane.header(format, &mut rest),
            None => Lane::default().header(format, &mut rest),
        };
        let Some(header) = header else { return Ok(false) };
        if header.length > self.message_bytes {
            return Err(Error::MessageTooBig { bytes: header.length, most: self.message_bytes });
        }
        let used = input.len() - rest.len();
        input.advance(used);
        let lane = self.lanes.entry(id).or_default();
        // A new header in the middle of a message: the encoder gave that message up.
        if format != 3 && lane.begun {
            self.in_progress -= lane.partial.len();
            lane.partial = BytesMut::new();
        }
        lane.adopt(&header);
        self.open = Some((id, self.chunk_bytes.min(lane.length - lane.partial.len())));
        Ok(true)
    }

    /// The two control messages that concern the chunks themselves (5.4.1, 5.4.2).
    fn obey(&mut self, message: &Message) -> Result<(), Error> {
        let Some(&value) = message.payload.first_chunk::<4>() else { return Ok(()) };
        let value = u32::from_be_bytes(value);
        match message.kind {
            kind::SET_CHUNK_SIZE => {
                // The first bit is none of the number's.
                self.chunk_bytes = (value & i32::MAX.unsigned_abs()) as usize;
                if self.chunk_bytes == 0 {
                    return Err(Error::ChunkSize(value));
                }
                Ok(())
            }
            kind::ABORT => {
                if let Some(lane) = self.lanes.get_mut(&value) {
                    self.in_progress -= lane.partial.len();
                    lane.partial = BytesMut::new();
                    lane.begun = false;
                }
                Ok(())
            }
            _ => Ok(()),
        }
    }
}

/// What a chunk's header says, resolved against the lane's last.
#[derive(Debug)]
struct Header {
    timestamp: u32,
    field: u32,
    absolute: bool,
    extended: bool,
    length: usize,
    kind: u8,
    stream: u32,
}

impl Lane {
    /// Resolves a message header (5.3.1.2); None if it isn't all there yet.
    fn header(&self, format: u8, rest: &mut &[u8]) -> Option<Header> {
        if format == 3 {
            return if self.begun { self.continued(rest) } else { self.repeated(rest) };
        }
        let fixed = [11, 7, 3][usize::from(format)];
        let (header, after) = rest.split_at_checked(fixed)?;
        *rest = after;
        let (mut length, mut kind, mut stream) = (self.length, self.kind, self.stream);
        if format < 2 {
            length = u24(&header[3..6]) as usize;
            kind = header[6];
        }
        if format == 0 {
            stream = u32::from_le_bytes(*header.last_chunk::<4>()?);
        }
        let short = u24(&header[..3]);
        let extended = short == EXTENDED;
        let field = if extended { take_u32(rest)? } else { short };
        let absolute = format == 0;
        let timestamp = if absolute { field } else { self.timestamp.wrapping_add(field) };
        Some(Header { timestamp, field, absolute, extended, length, kind, stream })
    }

    /// Type 3 within a message. FFmpeg and OBS repeat a long time here, others don't: the value tells.
    fn continued(&self, rest: &mut &[u8]) -> Option<Header> {
        if self.extended {
            let value = u32::from_be_bytes(*rest.first_chunk::<4>()?);
            if value == self.field || value == self.timestamp {
                *rest = &rest[4..];
            }
        }
        Some(self.same(self.timestamp, self.field))
    }

    /// Type 3 beginning a message: the last difference once more (5.3.1.2.4), as FFmpeg sends even sound.
    fn repeated(&self, rest: &mut &[u8]) -> Option<Header> {
        let field = if self.extended { take_u32(rest)? } else { self.field };
        if self.extended && self.absolute {
            return Some(self.same(field, field));
        }
        Some(self.same(self.timestamp.wrapping_add(field), field))
    }

    fn same(&self, timestamp: u32, field: u32) -> Header {
        let Self { absolute, extended, length, kind, stream, .. } = *self;
        Header { timestamp, field, absolute, extended, length, kind, stream }
    }

    fn adopt(&mut self, header: &Header) {
        let Header { timestamp, field, absolute, extended, length, kind, stream } = *header;
        let partial = std::mem::take(&mut self.partial);
        *self = Self { timestamp, field, absolute, extended, length, kind, stream, begun: true, partial };
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.partial.capacity() - self.partial.len() < bytes.len() {
            let wanted = self.partial.len().max(FIRST_ALLOCATION).max(bytes.len());
            self.partial.reserve(wanted.min(self.length - self.partial.len()));
        }
        self.partial.extend_from_slice(bytes);
    }

    fn finish(&mut self) -> Message {
        self.begun = false;
        let payload: Bytes = std::mem::take(&mut self.partial).freeze();
        Message { kind: self.kind, stream: self.stream, timestamp: self.timestamp, payload }
    }
}

/// Format and chunk stream id (5.3.1.1).
fn basic_header(rest: &mut &[u8]) -> Option<(u8, u32)> {
    let (&first, after) = rest.split_first()?;
    let (used, id) = match first & 0x3F {
        0 => (1, 64 + u32::from(*after.first()?)),
        1 => (2, 64 + u32::from(*after.first()?) + 256 * u32::from(*after.get(1)?)),
        id => (0, u32::from(id)),
    };
    *rest = &after[used..];
    Some((first >> 6, id))
}

fn u24(bytes: &[u8]) -> u32 {
    bytes.iter().take(3).fold(0, |value, &byte| value << 8 | u32::from(byte))
}

fn take_u32(rest: &mut &[u8]) -> Option<u32> {
    let (bytes, after) = rest.split_first_chunk::<4>()?;
    *rest = after;
    Some(u32::from_be_bytes(*bytes))
}
