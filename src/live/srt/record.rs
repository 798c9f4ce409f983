//! What comes out of the process for SRT of one connection: records of a kind, a length and that many bytes.

use bytes::{Buf, Bytes, BytesMut};

/// A kind and a little-endian length.
const HEAD_BYTES: usize = 3;

/// One thing that happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// The caller is connected.
    Open,
    /// A payload.
    Data(Bytes),
    /// Payloads are missing here that did not come in time.
    Gap,
    /// The caller has closed the connection; nothing comes after this.
    Close,
    /// The connection broke without a goodbye; nothing comes after this.
    Broken,
    /// Nothing that was ever sent on purpose.
    Unknown,
}

/// A payload behind its head, in a buffer that is used again and again.
pub struct Writer(Vec<u8>);

impl Writer {
    pub fn new(payload_bytes: usize) -> Self {
        Self(vec![0; HEAD_BYTES + payload_bytes])
    }

    /// Where the payload goes.
    pub fn payload(&mut self) -> &mut [u8] {
        &mut self.0[HEAD_BYTES..]
    }

    /// The record of the first `size` bytes of the payload.
    pub fn data(&mut self, size: usize) -> &[u8] {
        let length = u16::try_from(size).unwrap_or(u16::MAX);
        self.0[0] = b'd';
        self.0[1..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        &self.0[..HEAD_BYTES + usize::from(length)]
    }
}

pub const OPEN: [u8; HEAD_BYTES] = [b'o', 0, 0];
pub const GAP: [u8; HEAD_BYTES] = [b'g', 0, 0];
pub const CLOSE: [u8; HEAD_BYTES] = [b'c', 0, 0];
pub const BROKEN: [u8; HEAD_BYTES] = [b'b', 0, 0];

/// Takes one record off the front of what has arrived; none where it isn't whole yet.
pub fn take(arrived: &mut BytesMut) -> Option<Record> {
    let [kind, low, high] = *arrived.first_chunk::<HEAD_BYTES>()?;
    let size = usize::from(u16::from_le_bytes([low, high]));
    if arrived.len() < HEAD_BYTES + size {
        return None;
    }
    arrived.advance(HEAD_BYTES);
    let data = arrived.split_to(size).freeze();
    Some(match kind {
        b'o' => Record::Open,
        b'd' => Record::Data(data),
        b'g' => Record::Gap,
        b'c' => Record::Close,
        b'b' => Record::Broken,
        _ => Record::Unknown,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_survive_in_any_pieces() {
        let mut writer = Writer::new(10);
        writer.payload()[..3].copy_from_slice(b"abc");
        let sent = [&OPEN[..], writer.data(3), &GAP, &CLOSE, &BROKEN].concat();
        let (mut arrived, mut records) = (BytesMut::new(), Vec::new());
        for byte in sent {
            arrived.extend_from_slice(&[byte]);
            records.extend(take(&mut arrived));
        }
        let abc = Record::Data(Bytes::from_static(b"abc"));
        assert_eq!(records, [Record::Open, abc, Record::Gap, Record::Close, Record::Broken]);
    }
}
