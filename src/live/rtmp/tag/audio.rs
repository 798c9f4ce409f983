//! Sound: AAC in the legacy and the enhanced form.

use bytes::Bytes;

use super::super::Error;
use super::after;
use super::multitrack::{Choice, Single};
use crate::domain::printable::printable_bytes;

const AAC: u8 = 10;
/// The format number that says a four-character code follows (Enhanced RTMP, "Enhanced Audio").
const ENHANCED: u8 = 9;
const CONFIG: u8 = 0;
const FRAME: u8 = 1;
const MULTITRACK: u8 = 5;

#[derive(Debug)]
pub(super) enum Content {
    Config(Bytes),
    Frame(Bytes),
    /// Another track came for the first time.
    LeftOut,
}

#[derive(Debug, Default)]
pub(super) struct Track {
    config: Bytes,
    choice: Choice,
}

impl Track {
    /// None for what carries nothing: empty messages, a configuration once more, frames before any.
    pub(super) fn decode(&mut self, payload: &Bytes) -> Result<Option<Content>, Error> {
        let Some(&first) = payload.first() else { return Ok(None) };
        let body = match first >> 4 {
            AAC if !self.choice.take_single() => return Ok(None),
            AAC => payload.get(1).copied().zip(after(payload, 2)),
            ENHANCED if first & 15 == MULTITRACK => {
                let Some(message) = after(payload, 1) else { return Ok(None) };
                let (single, is_news) = self.choice.read(&message);
                if is_news && single.is_none() {
                    return Ok(Some(Content::LeftOut));
                }
                match single {
                    Some(Single { packet_type, codec, body }) => packet(packet_type, codec, body)?,
                    None => None,
                }
            }
            ENHANCED if !self.choice.take_single() => return Ok(None),
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
    let Some(codec) = payload.get(1..5).and_then(|codec| codec.first_chunk()) else { return Ok(None) };
    self::packet(packet, *codec, payload.slice(5..))
}

fn packet(packet: u8, codec: [u8; 4], body: Bytes) -> Result<Option<(u8, Bytes)>, Error> {
    if packet > FRAME {
        return Ok(None);
    }
    match &codec {
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
