//! RTMP's chunk stream (RTMP 1.0, 5.3): messages cut into chunks, several of them interleaved.

mod reader;
mod writer;

use bytes::Bytes;

pub(super) use reader::Reader;
pub(super) use writer::Writer;

/// The size of chunks until one side announces another (5.4.1).
const INITIAL_CHUNK_BYTES: usize = 128;
/// A header field this high says that the true value follows in four bytes (5.3.1.3).
const EXTENDED: u32 = 0x00FF_FFFF;

/// One whole message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub kind: u8,
    pub stream: u32,
    /// Milliseconds, wrapping at 2^32.
    pub timestamp: u32,
    pub payload: Bytes,
}

/// Message types (5.4, 7.1).
pub(super) mod kind {
    pub const SET_CHUNK_SIZE: u8 = 1;
    pub const ABORT: u8 = 2;
    pub const ACKNOWLEDGEMENT: u8 = 3;
    pub const USER_CONTROL: u8 = 4;
    pub const WINDOW_SIZE: u8 = 5;
    pub const PEER_BANDWIDTH: u8 = 6;
    pub const AUDIO: u8 = 8;
    pub const VIDEO: u8 = 9;
    pub const DATA_AMF3: u8 = 15;
    pub const COMMAND_AMF3: u8 = 17;
    pub const DATA: u8 = 18;
    pub const COMMAND: u8 = 20;
    pub const AGGREGATE: u8 = 22;
}
