//! Pushing on: we are the encoder, and a further server takes the stream or says why not.

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite};

use super::super::frame::{Media, TICKS_PER_SECOND, VideoConfig, VideoFrame};
use super::amf0::Value;
use super::chunk::{Message, kind};
use super::command::{Command, fourcc_list};
use super::connection::{Connection, within};
use super::{Error, Limits, tag};
use crate::domain::printable;

const TICKS_PER_MS: i64 = TICKS_PER_SECOND / 1000;
const CONNECT: f64 = 1.0;
const CREATE_STREAM: f64 = 4.0;
/// AAC; the specification wants these values for rate, size and channels whatever they are.
const AAC: u8 = 0xAF;

/// Where to push to.
#[derive(Debug, Clone)]
pub struct Destination {
    pub app: String,
    /// The address without the key, as `rtmp://host/app`.
    pub tc_url: String,
    pub key: String,
}

/// A server that takes our stream.
pub struct Target<S> {
    connection: Connection<S>,
    stream: u32,
    key: String,
    codec: Option<Codec>,
    /// The first frame's time; a target's clock starts at 0.
    start_ms: Option<i64>,
    last_ms: u32,
}

/// How frames are wrapped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Codec {
    Avc,
    Hevc,
    Av1,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Target<S> {
    /// Handshake, `connect`, `createStream` and `publish`, each within its deadline.
    pub async fn connect(socket: S, destination: &Destination, limits: &Limits) -> Result<Self, Error> {
        let mut connection = Connection::connect(socket, limits).await?;
        let asked = ask(&mut connection, destination);
        let stream = within(limits.publish, "permission to publish", asked).await?;
        let key = destination.key.clone();
        Ok(Self { connection, stream, key, codec: None, start_ms: None, last_ms: 0 })
    }

    /// Sends one thing on; begin with the configurations and a keyframe. Waits while the target doesn't take it.
    pub async fn send(&mut self, media: &Media) -> Result<(), Error> {
        match media {
            Media::Metadata(metadata) => {
                self.connection.queue_amf(kind::DATA, self.stream, &tag::write_metadata(metadata));
            }
            Media::VideoConfig(config) => {
                let payload = self.video_config(config);
                self.queue(kind::VIDEO, payload);
            }
            Media::Video(frame) => {
                self.set_time(frame.dts_ticks);
                if let Some(payload) = self.codec.map(|codec| video_frame(codec, frame)) {
                    self.queue(kind::VIDEO, payload);
                }
            }
            Media::AudioConfig(config) => self.queue(kind::AUDIO, joined(&[AAC, 0], config)),
            Media::Audio(frame) => {
                self.set_time(frame.pts_ticks);
                self.queue(kind::AUDIO, joined(&[AAC, 1], &frame.data));
            }
            Media::LeftOut(_) => {}
        }
        let idle = self.connection.limits.idle;
        within(idle, "room for a frame", self.drain()).await
    }

    /// Ends the stream in order and closes.
    pub async fn finish(mut self) -> Result<(), Error> {
        let key = Value::text(&self.key);
        self.connection.queue_command(0, &[Value::text("FCUnpublish"), Value::Number(6.0), Value::Null, key]);
        let stream = Value::Number(f64::from(self.stream));
        self.connection
            .queue_command(0, &[Value::text("deleteStream"), Value::Number(7.0), Value::Null, stream]);
        self.connection.close().await
    }

    /// Writes all that is queued, and hears a refusal.
    async fn drain(&mut self) -> Result<(), Error> {
        while self.connection.has_outgoing() {
            let message = self.connection.exchange().await?;
            if let Some(command) = message.as_ref().and_then(Command::of) {
                refusal(&command)?;
            }
        }
        Ok(())
    }

    fn queue(&mut self, kind: u8, payload: Bytes) {
        self.connection.queue(&Message { kind, stream: self.stream, timestamp: self.last_ms, payload });
    }

    fn set_time(&mut self, ticks: i64) {
        let ms = ticks.div_euclid(TICKS_PER_MS);
        let since = ms - *self.start_ms.get_or_insert(ms);
        // Milliseconds wrap at 2^32 by the protocol; what lies before the start is at 0.
        self.last_ms = u32::try_from(since.max(0) & i64::from(u32::MAX)).unwrap_or(0);
    }

    fn video_config(&mut self, config: &VideoConfig) -> Bytes {
        let codec = match config {
            VideoConfig::Avc(_) => Codec::Avc,
            VideoConfig::Hevc(_) => Codec::Hevc,
            VideoConfig::Av1(_) => Codec::Av1,
        };
        self.codec = Some(codec);
        match codec {
            Codec::Avc => joined(&[0x17, 0, 0, 0, 0], config.bytes()),
            Codec::Hevc => joined(b"\x90hvc1", config.bytes()),
            Codec::Av1 => joined(b"\x90av01", config.bytes()),
        }
    }
}

/// A frame as a legacy tag for H.264, which every server takes, and as Enhanced RTMP's for the others.
fn video_frame(codec: Codec, frame: &VideoFrame) -> Bytes {
    let cts_ms = i64::from(frame.cts_ticks).div_euclid(TICKS_PER_MS).to_be_bytes();
    let [.., a, b, c] = cts_ms;
    let frame_type = if frame.key { 0x10 } else { 0x20 };
    match codec {
        Codec::Avc => joined(&[frame_type | 7, 1, a, b, c], &frame.data),
        Codec::Hevc => joined(&[0x81 | frame_type, b'h', b'v', b'c', b'1', a, b, c], &frame.data),
        Codec::Av1 => joined(&[0x81 | frame_type, b'a', b'v', b'0', b'1'], &frame.data),
    }
}

fn joined(head: &[u8], data: &[u8]) -> Bytes {
    let mut payload = BytesMut::with_capacity(head.len() + data.len());
    payload.put_slice(head);
    payload.put_slice(data);
    payload.freeze()
}

/// The commands up to `publish`; gives the message stream's id.
async fn ask<S>(on: &mut Connection<S>, destination: &Destination) -> Result<u32, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let key = || Value::text(&destination.key);
    let number = Value::Number;
    on.queue_chunk_size();
    on.queue_command(0, &[Value::text("connect"), number(CONNECT), introduction(destination)]);
    reply(on, CONNECT).await?;
    on.queue_command(0, &[Value::text("releaseStream"), number(2.0), Value::Null, key()]);
    on.queue_command(0, &[Value::text("FCPublish"), number(3.0), Value::Null, key()]);
    on.queue_command(0, &[Value::text("createStream"), number(CREATE_STREAM), Value::Null]);
    let created = reply(on, CREATE_STREAM).await?;
    let stream = stream_id(created.rest.get(1).and_then(Value::as_number).unwrap_or(1.0));
    on.queue_command(stream, &[Value::text("publish"), number(5.0), Value::Null, key(), Value::text("live")]);
    loop {
        let command = command(on).await?;
        refusal(&command)?;
        let started = command.status().is_some_and(|status| status.code == "NetStream.Publish.Start");
        if command.name == "onStatus" && started {
            return Ok(stream);
        }
    }
}

fn introduction(destination: &Destination) -> Value {
    Value::object([
        ("app", Value::text(&destination.app)),
        ("type", Value::text("nonprivate")),
        ("flashVer", Value::text("FMLE/3.0 (compatible; policast)")),
        ("tcUrl", Value::text(&destination.tc_url)),
        ("fourCcList", fourcc_list()),
    ])
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to what a u32 holds")]
fn stream_id(number: f64) -> u32 {
    number.clamp(0.0, f64::from(u32::MAX)) as u32
}

/// The `_result` of one transaction; an `_error` is a refusal, except of the courtesies sent along.
async fn reply<S>(on: &mut Connection<S>, transaction: f64) -> Result<Command, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let command = command(on).await?;
        let ours = (command.transaction - transaction).abs() < 0.5;
        match command.name.as_str() {
            "_result" if ours => return Ok(command),
            "_error" if ours => return Err(refused(&command)),
            _ => refusal(&command)?,
        }
    }
}

async fn command<S>(on: &mut Connection<S>) -> Result<Command, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let message = on.next().await?.ok_or(Error::Closed("the wish to publish"))?;
        if let Some(command) = Command::of(&message) {
            return Ok(command);
        }
    }
}

fn refusal(command: &Command) -> Result<(), Error> {
    let is_error = command.status().is_some_and(|status| status.level == "error");
    if (command.name == "onStatus" && is_error) || command.name == "close" {
        return Err(refused(command));
    }
    Ok(())
}

fn refused(command: &Command) -> Error {
    let (code, sentence) = match command.status() {
        Some(status) => (status.code, status.sentence),
        None => (command.name.as_str(), ""),
    };
    let own = |text| printable(text).into_owned();
    Error::Refused { code: own(code), sentence: own(sentence) }
}
