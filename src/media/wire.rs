//! The wire between worker and child: frames of a JSON header and raw bytes, both lengths first and bounded.

use std::io::{self, Read, Write};
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::error::Error;
use super::task::{Event, Task};
use crate::domain::media::Ticks;

/// A header beyond this is a lie; the longest true one lists the keyframes of a day of video.
const MAX_HEADER_BYTES: usize = 8 << 20;
/// A body beyond this is a lie; the longest true one is a passed-through segment of a very rich source.
const MAX_BODY_BYTES: usize = 256 << 20;
/// Two little-endian lengths.
const PREFIX_BYTES: usize = 8;

/// What the worker says first.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Order {
    pub bounds: Bounds,
    pub work: Work,
}

/// What the child is started for.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Work {
    Task(Task),
    /// Try what the sandbox must forbid, and say how it went.
    SelfTest,
}

/// Limits the child puts on itself before it reads a byte of the source.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Bounds {
    pub memory_bytes: u64,
    pub cpu_seconds: u64,
    pub tasks: u64,
    /// Files and sockets it may have open.
    pub descriptors: u64,
}

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

/// A header's JSON and a body.
pub(super) type Frame = (Vec<u8>, Vec<u8>);

/// The bytes of a frame up to its body.
pub(super) fn head(header: &impl Serialize, body_bytes: usize) -> Result<Vec<u8>, Error> {
    let mut head = vec![0; PREFIX_BYTES];
    serde_json::to_writer(&mut head, header).map_err(|error| Error::Protocol(error.to_string()))?;
    let header_bytes = head.len() - PREFIX_BYTES;
    check(header_bytes, body_bytes)?;
    let (first, second) = (to_u32(header_bytes)?, to_u32(body_bytes)?);
    head[..4].copy_from_slice(&first.to_le_bytes());
    head[4..PREFIX_BYTES].copy_from_slice(&second.to_le_bytes());
    Ok(head)
}

/// Writes one whole frame.
pub(super) fn write(out: &mut impl Write, header: &impl Serialize, body: &[u8]) -> Result<(), Error> {
    let head = head(header, body.len())?;
    out.write_all(&head).and_then(|()| out.write_all(body)).map_err(Error::Socket)
}

/// Reads one whole frame; `None` where the other side hung up between frames.
pub(super) fn read(input: &mut impl Read) -> Result<Option<Frame>, Error> {
    let mut prefix = [0; PREFIX_BYTES];
    match input.read_exact(&mut prefix) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(Error::Socket(error)),
    }
    let (header_bytes, body_bytes) = lengths(prefix)?;
    let (mut header, mut body) = (vec![0; header_bytes], vec![0; body_bytes]);
    input.read_exact(&mut header).and_then(|()| input.read_exact(&mut body)).map_err(Error::Socket)?;
    Ok(Some((header, body)))
}

/// Takes one frame off the front of what has arrived so far; `None` where it isn't whole yet.
pub(super) fn take(arrived: &mut BytesMut) -> Result<Option<(Bytes, Bytes)>, Error> {
    let Some(prefix) = arrived.first_chunk::<PREFIX_BYTES>() else { return Ok(None) };
    let (header_bytes, body_bytes) = lengths(*prefix)?;
    let whole = PREFIX_BYTES + header_bytes + body_bytes;
    if arrived.len() < whole {
        arrived.reserve(whole - arrived.len());
        return Ok(None);
    }
    arrived.advance(PREFIX_BYTES);
    let header = arrived.split_to(header_bytes).freeze();
    Ok(Some((header, arrived.split_to(body_bytes).freeze())))
}

/// Reads a header's JSON.
pub(super) fn parse<'a, T: Deserialize<'a>>(header: &'a [u8]) -> Result<T, Error> {
    serde_json::from_slice(header).map_err(|error| Error::Protocol(error.to_string()))
}

fn lengths(prefix: [u8; PREFIX_BYTES]) -> Result<(usize, usize), Error> {
    let length =
        |at: usize| prefix[at..].first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes) as usize);
    let (header_bytes, body_bytes) = (length(0), length(4));
    check(header_bytes, body_bytes)?;
    Ok((header_bytes, body_bytes))
}

fn check(header_bytes: usize, body_bytes: usize) -> Result<(), Error> {
    if header_bytes > MAX_HEADER_BYTES {
        return Err(Error::Protocol(format!("header is {header_bytes} bytes, at most {MAX_HEADER_BYTES}")));
    }
    if body_bytes > MAX_BODY_BYTES {
        return Err(Error::Protocol(format!("body is {body_bytes} bytes, at most {MAX_BODY_BYTES}")));
    }
    Ok(())
}

fn to_u32(length: usize) -> Result<u32, Error> {
    u32::try_from(length).map_err(|error| Error::Protocol(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_survives_the_wire_in_any_pieces() {
        let mut bytes = Vec::new();
        write(&mut bytes, &Event::Progress { at: 7 }, b"body").expect("written");
        let mut arrived = BytesMut::new();
        for (at, byte) in bytes.iter().enumerate() {
            arrived.extend_from_slice(&[*byte]);
            let frame = take(&mut arrived).expect("valid");
            assert_eq!(frame.is_some(), at + 1 == bytes.len());
            if let Some((header, body)) = frame {
                assert!(matches!(parse(&header), Ok(Event::Progress { at: 7 })));
                assert_eq!(&body[..], b"body");
            }
        }
    }

    #[test]
    fn a_blocking_reader_tells_a_goodbye_from_a_frame() {
        let mut bytes = Vec::new();
        write(&mut bytes, &(), b"abc").expect("written");
        let mut rest = bytes.as_slice();
        assert_eq!(read(&mut rest).expect("valid").map(|(_, body)| body), Some(b"abc".to_vec()));
        assert!(read(&mut rest).expect("valid").is_none());
    }

    #[test]
    fn a_frame_longer_than_the_bound_is_refused_before_it_is_stored() {
        let mut arrived = BytesMut::from(&[0, 0, 0, 0, 255, 255, 255, 255][..]);
        assert!(matches!(take(&mut arrived), Err(Error::Protocol(_))));
    }
}
