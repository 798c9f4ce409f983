//! Sound: AAC in the legacy and the enhanced form.

use bytes::Bytes;

use super::super::Error;
use super::after;
use crate::domain::printable::printable_bytes;

const AAC: u8 = 10;
/// The format number that says a four-character code follows (Enhanced RTMP, "Enhanced Audio").
const ENHANCED: u8 = 9;
const CONFIG: u8 = 0;
const FRAME: u8 = 1;

#[derive(Debug)]
pub(super) enum Content {
    Config(Bytes),
    Frame(Bytes),
}

#[derive(Debug, Default)]
pub(super) struct Track {
    config: Bytes,
}

impl Track {
    /// None for what carries nothing: empty messages, a configuration once more, frames before any.
    pub(super) fn decode(&mut self, payload: &Bytes) -> Result<Option<Content>, Error> {
        let Some(&first) = payload.first() else { return Ok(None) };
        let body = match first >> 4 {
            AAC => payload.get(1).copied().zip(after(payload, 2)),
            ENHANCED => enhanced(payload, first & 15)?,
            other => return Err(unsupported(legacy_name(other).as_bytes())),
        };
        let Some((packet, body)) = body.filter(|(_, body)| !body.is_empty()) else { return Ok(None) };
        match packet {
            CONFIG if body == self.config => Ok(None),
            CONFIG => {
                self.config = Bytes::copy_from_slice(&body);
                Ok(Some(Content::Config(self.config.clone())))
            }
            FRAME if !self.config.is_empty() => Ok(Some(Content::Frame(body))),
            _ => Ok(None),
        }
    }
}

/// The packet types 0 and 1 mean the same as AAC's in the legacy form.
fn enhanced(payload: &Bytes, packet: u8) -> Result<Option<(u8, Bytes)>, Error> {
    const MULTITRACK: u8 = 5;
    if packet == MULTITRACK {
        return Err(unsupported(b"multitrack audio"));
    }
    if packet > FRAME {
        return Ok(None);
    }
    let Some(body) = after(payload, 5) else { return Ok(None) };
    match &payload[1..5] {
        b"mp4a" => Ok(Some((packet, body))),
        other => Err(unsupported(other.trim_ascii())),
    }
}

/// An encoder may send any bytes as the name of its codec.
fn unsupported(found: &[u8]) -> Error {
    let found = printable_bytes(found);
    Error::Codec { track: "audio", found, expected: "AAC" }
}

/// The FLV specification's names (E.4.2.1).
fn legacy_name(format: u8) -> &'static str {
    match format {
        0 | 3 => "PCM",
        1 => "ADPCM",
        2 | 14 => "MP3",
        4..=6 => "Nellymoser",
        7 | 8 => "G.711",
        11 => "Speex",
        _ => "unknown",
    }
}
