//! The bodies of RTMP's media messages, which are those of FLV tags, decoded into [`Media`].

mod aggregate;
mod audio;
mod metadata;
mod multitrack;
mod nal;
mod parameter_sets;
mod video;

use std::collections::VecDeque;

use super::super::frame::{AudioFrame, Media, SECOND_SOUND, TICKS_PER_SECOND};
use super::Error;
use super::chunk::{Message, kind};
use super::clock::Clock;

pub(super) use aggregate::Aggregate;
pub(super) use metadata::write as write_metadata;

const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;

/// One encoder's stream: what its frames mean depends on what it sent before.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// Asked for frames only: configurations come at 0 even from an encoder whose clock is weeks ahead.
    clock: Clock,
    video: video::Track,
    audio: audio::Track,
}

impl Decoder {
    /// Appends what the message contains: nothing, a frame, or a configuration with its first frame.
    pub(super) fn decode(&mut self, message: &Message, out: &mut VecDeque<Media>) -> Result<(), Error> {
        match message.kind {
            kind::DATA | kind::DATA_AMF3 => out.extend(metadata::read(message).map(Media::Metadata)),
            kind::VIDEO => {
                let ticks = || self.clock.unwrap_ms(message.timestamp) * TICKS_PER_MS;
                self.video.decode(&message.payload, ticks, out)?;
            }
            kind::AUDIO => match self.audio.decode(&message.payload)? {
                Some(audio::Content::Config(config)) => out.push_back(Media::AudioConfig(config)),
                Some(audio::Content::Frame(data)) => {
                    let pts_ticks = self.clock.unwrap_ms(message.timestamp) * TICKS_PER_MS;
                    out.push_back(Media::Audio(AudioFrame { pts_ticks, data }));
                }
                Some(audio::Content::LeftOut) => out.push_back(Media::LeftOut(SECOND_SOUND)),
                None => {}
            },
            _ => {}
        }
        Ok(())
    }
}

/// The bytes after the first `count`; None when there are fewer.
fn after(payload: &bytes::Bytes, count: usize) -> Option<bytes::Bytes> {
    (payload.len() >= count).then(|| payload.slice(count..))
}
