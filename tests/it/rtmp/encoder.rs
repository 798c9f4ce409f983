//! A tiny encoder written byte by byte, so that it can misbehave, and a hall to run it against [`accept`].

use policast::live::frame::{Media, VideoConfig};
use policast::live::rtmp::{Error, Limits, accept};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

pub const AVCC: [u8; 16] = [1, 66, 0, 30, 255, 225, 0, 4, 0x67, 66, 0, 30, 1, 0, 1, 0x68];
pub const ASC: [u8; 2] = [0x11, 0x90];

pub fn text(text: &str) -> Vec<u8> {
    let length = u16::try_from(text.len()).unwrap();
    [&[2], &length.to_be_bytes()[..], text.as_bytes()].concat()
}

pub fn number(number: f64) -> Vec<u8> {
    [&[0], &number.to_be_bytes()[..]].concat()
}

pub fn object(fields: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let fields: Vec<u8> =
        fields.iter().flat_map(|(name, value)| [&text(name)[1..], value].concat()).collect();
    [&[3], &fields[..], &[0, 0, 9]].concat()
}

pub fn command(name: &str, transaction: f64, rest: &[Vec<u8>]) -> Vec<u8> {
    let values = [text(name), number(transaction), rest.concat()].concat();
    whole(20, 0, &values)
}

/// One message in one full header, cut at 128 bytes.
pub fn whole(kind: u8, time: u32, payload: &[u8]) -> Vec<u8> {
    cut(kind, time, payload, 128)
}

pub fn cut(kind: u8, time: u32, payload: &[u8], size: usize) -> Vec<u8> {
    let lane = if kind == 9 { 6 } else { 4 };
    let mut out = header(lane, time, payload.len(), kind);
    for (index, chunk) in payload.chunks(size).enumerate() {
        if index > 0 {
            out.push(0xC0 | lane);
            if time >= 0xFF_FFFF {
                out.extend(time.to_be_bytes());
            }
        }
        out.extend(chunk);
    }
    out
}

pub fn header(lane: u8, time: u32, length: usize, kind: u8) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    let short = time.min(0xFF_FFFF).to_be_bytes();
    let mut out = [&[lane], &short[1..], &length[1..], &[kind, 1, 0, 0, 0]].concat();
    if time >= 0xFF_FFFF {
        out.extend(time.to_be_bytes());
    }
    out
}

pub fn handshake() -> Vec<u8> {
    let mut out = vec![7; 1 + 2 * 1536];
    out[0] = 3;
    out
}

/// Handshake and commands at once, without waiting for any reply.
pub fn opening() -> Vec<u8> {
    opening_with("KEY?a=b")
}

/// The same with another key.
pub fn opening_with(key: &str) -> Vec<u8> {
    let connect = object(&[
        ("app", text("live/")),
        ("tcUrl", text("rtmp://host/live")),
        ("flashVer", text("FMLE/3.0 (compatible; FMSc/1.0)")),
        ("odd", vec![1, 1]),
    ]);
    [
        handshake(),
        command("connect", 1.0, &[connect]),
        command("releaseStream", 2.0, &[vec![5], text(key)]),
        command("FCPublish", 3.0, &[vec![5], text(key)]),
        command("whatIsThis", 9.0, &[]),
        command("createStream", 4.0, &[vec![5]]),
        command("publish", 5.0, &[vec![5], text(key), text("live")]),
    ]
    .concat()
}

pub fn configs() -> Vec<u8> {
    let video = [&[0x17, 0, 0, 0, 0], &AVCC[..]].concat();
    let audio = [&[0xAF, 0], &ASC[..]].concat();
    [whole(9, 0, &video), whole(8, 0, &audio)].concat()
}

pub fn picture(key: bool, data: &[u8]) -> Vec<u8> {
    [&[if key { 0x17 } else { 0x27 }, 1, 0, 0, 0], data].concat()
}

pub fn sound(data: &[u8]) -> Vec<u8> {
    [&[0xAF, 1], data].concat()
}

/// How a connection went: what was received, how it ended, and the bytes the encoder got back.
pub struct Outcome {
    pub media: Vec<Media>,
    pub end: Result<(), Error>,
    pub replies: Vec<u8>,
}

impl Outcome {
    pub fn heard(&self, words: &str) -> bool {
        let unchunked = self.replies.iter().filter(|&&byte| byte != 0xC3).copied().collect::<Vec<_>>();
        unchunked.windows(words.len()).any(|window| window == words.as_bytes())
    }

    pub fn error(self) -> String {
        self.end.unwrap_err().to_string()
    }
}

/// What an encoder says that stops.
pub fn goodbye() -> Vec<u8> {
    command("deleteStream", 6.0, &[vec![5], number(1.0)])
}

/// Everything after the opening, as an encoder that says goodbye right after it.
pub async fn publish(bytes: &[u8]) -> Outcome {
    feed(&[&opening(), bytes, &goodbye()].concat(), usize::MAX).await
}

/// The whole connection, in writes of so many bytes.
pub async fn feed(bytes: &[u8], step: usize) -> Outcome {
    feed_within(bytes, step, &Limits::default()).await
}

pub async fn feed_within(bytes: &[u8], step: usize, limits: &Limits) -> Outcome {
    let (ours, theirs) = tokio::io::duplex(1 << 20);
    let (mut read, mut write) = tokio::io::split(theirs);
    let sending = async {
        for piece in bytes.chunks(step.min(bytes.len().max(1))) {
            if write.write_all(piece).await.is_err() {
                break;
            }
            tokio::task::yield_now().await;
        }
        let _ = write.shutdown().await;
    };
    let mut replies = Vec::new();
    let hearing = async {
        let _ = read.read_to_end(&mut replies).await;
    };
    let mut media = Vec::new();
    let receiving = async {
        let mut publisher = accept(ours, limits).await?.permit().await?;
        while let Some(next) = publisher.next().await? {
            media.push(next);
        }
        Ok(())
    };
    let (end, (), ()) = tokio::join!(receiving, sending, hearing);
    Outcome { media, end, replies }
}

pub fn pictures(media: &[Media]) -> Vec<(i64, usize)> {
    let frame = |media: &Media| match media {
        Media::Video(frame) => Some((frame.dts_ticks / 90, frame.data.len())),
        _ => None,
    };
    media.iter().filter_map(frame).collect()
}

pub fn sounds(media: &[Media]) -> Vec<i64> {
    let frame = |media: &Media| match media {
        Media::Audio(frame) => Some(frame.pts_ticks / 90),
        _ => None,
    };
    media.iter().filter_map(frame).collect()
}

pub fn video_configs(media: &[Media]) -> Vec<VideoConfig> {
    let config = |media: &Media| match media {
        Media::VideoConfig(config) => Some(config.clone()),
        _ => None,
    };
    media.iter().filter_map(config).collect()
}
