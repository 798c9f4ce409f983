//! A broadcast that another node takes in: its news is pulled from the owner once, however many watch it here.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::{Stream, StreamExt, TryStreamExt};
use serde::{Deserialize, Serialize};
use tokio::time::interval;
use tokio_util::codec::{Encoder, FramedRead, LengthDelimitedCodec};
use tokio_util::io::StreamReader;
use tokio_util::sync::CancellationToken;

use super::channel::{Channel, Subscription, Told};
use super::window::{News, Window};
use super::{FIRST_TARGET, Live};
use crate::publishing::Owner;

/// Nobody asked for so long: the next viewer begins anew.
const IDLE: Duration = Duration::from_mins(1);
/// An owner that can't be reached is asked for again, or for its successor.
const AGAIN: Duration = Duration::from_millis(300);
/// The owner hears this often how many watch here.
const REPORT: Duration = Duration::from_secs(2);
/// One piece of news: a part of ten seconds at 50 Mbit/s.
const MOST_BYTES: usize = 64 << 20;

/// What a stream of news begins with.
#[derive(Debug, Serialize, Deserialize)]
struct Hello {
    epoch: u32,
    /// So many pieces tell what was before.
    backlog: usize,
}

/// How many watch at a node.
#[derive(Debug, Serialize, Deserialize)]
pub struct Report {
    pub node: String,
    pub viewers: u32,
}

/// Why no more news comes from an owner.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("owner can't be reached")]
    Http(#[from] reqwest::Error),
    #[error("stream of news is broken")]
    Io(#[from] io::Error),
    #[error("news can't be read")]
    Json(#[from] serde_json::Error),
    #[error("epoch is {found}, expected at least {least}")]
    Outdated { found: u32, least: u32 },
    #[error("nobody has asked for {IDLE:?}")]
    Idle,
}

/// Everything a channel tells from now on and has told before, for another node. Ends where the node falls behind: it
/// begins anew then.
pub fn tell(channel: &Channel) -> impl Stream<Item = io::Result<Bytes>> + Send + use<> {
    let Subscription { epoch, snapshot, events } = channel.subscribe();
    let hello = Hello { epoch, backlog: snapshot.len() };
    let hello = serde_json::to_vec(&hello)
        .map_err(io::Error::other)
        .map(Bytes::from)
        .and_then(|hello| frame(&[hello]));
    let later =
        futures::stream::unfold(
            events,
            |mut events| async move { Some((events.recv().await.ok()?, events)) },
        );
    let told = futures::stream::iter(snapshot).chain(later).map(|(news, bytes)| {
        let news = serde_json::to_vec(&news).map_err(io::Error::other)?;
        frame(&[news.into(), bytes])
    });
    futures::stream::once(async { hello }).chain(told)
}

fn codec() -> LengthDelimitedCodec {
    LengthDelimitedCodec::builder().max_frame_length(MOST_BYTES).new_codec()
}

fn frame(pieces: &[Bytes]) -> io::Result<Bytes> {
    let mut out = BytesMut::new();
    pieces.iter().try_for_each(|piece| codec().encode(piece.clone(), &mut out))?;
    Ok(out.freeze())
}

/// Why a channel is followed no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The broadcast is over.
    Over,
    /// This node takes it in now.
    Owned,
    /// Nobody watches here, or the node stops.
    Idle,
}

/// Keeps a channel what its owner's is, whoever that is, until the broadcast is over, this node owns it, or nobody
/// watches it here any more.
pub async fn follow(live: &Live, channel: &Channel, stop: &CancellationToken) -> Ended {
    loop {
        let owner = match live.publishing.find_owner(channel.about.video).await {
            Ok(Some(owner)) if owner.node != live.settings.node => Some(owner),
            Ok(Some(_)) => return Ended::Owned,
            Ok(None) => return Ended::Over,
            Err(error) => {
                tracing::warn!(video = %channel.about.video, %error, "the owner of a broadcast is not known now");
                None
            }
        };
        if let Some(owner) = owner {
            let pulled = tokio::select! {
                () = stop.cancelled() => return Ended::Idle,
                pulled = pull(live, channel, &owner) => pulled,
                () = report(live, channel, &owner) => continue,
            };
            match pulled {
                Err(Error::Idle) => return Ended::Idle,
                Err(error) => {
                    tracing::debug!(video = %channel.about.video, owner = owner.node, %error, "no more news");
                }
            }
        }
        tokio::select! {
            () = stop.cancelled() => return Ended::Idle,
            () = tokio::time::sleep(AGAIN) => {}
        }
    }
}

/// Takes news until the owner has no more.
async fn pull(live: &Live, channel: &Channel, owner: &Owner) -> Result<Infallible, Error> {
    // No address of strangers: nodes write their own into the catalogue.
    let url = format!("{}/internal/live/{}", owner.node, channel.about.video);
    let answer = live.http.get(url).bearer_auth(live.pass.issue()).send().await?.error_for_status()?;
    let body = StreamReader::new(answer.bytes_stream().map_err(io::Error::other));
    let mut frames = FramedRead::new(body, codec());
    let hello: Hello = serde_json::from_slice(&next(&mut frames).await?)?;
    check(channel, hello.epoch)?;
    let dvr = live.settings.window(owner.dvr);
    let fresh = Channel::new(channel.about, Window::new(hello.epoch, 0, Some(dvr)), FIRST_TARGET);
    for _ in 0..hello.backlog {
        let (news, bytes) = read(&mut frames).await?;
        fresh.tell(news, bytes);
    }
    channel.adopt(&fresh);
    let mut epoch = hello.epoch;
    loop {
        let told = tokio::time::timeout(IDLE, read(&mut frames)).await;
        if channel.idle() > IDLE {
            return Err(Error::Idle);
        }
        // An interrupted broadcast has no news.
        let Ok(told) = told else { continue };
        let (news, bytes) = told?;
        if let News::Tenure { epoch: newer, .. } = &news {
            epoch = *newer;
            check(channel, epoch)?;
            channel.tell(news, bytes);
        } else {
            check(channel, epoch)?;
            channel.tell_of(epoch, news, bytes);
        }
    }
}

/// This node, or the news of a later owner, may have been at the channel since.
fn check(channel: &Channel, found: u32) -> Result<(), Error> {
    let least = channel.look(|window| window.epoch);
    if found < least { Err(Error::Outdated { found, least }) } else { Ok(()) }
}

async fn report(live: &Live, channel: &Channel, owner: &Owner) {
    let url = format!("{}/internal/live/{}", owner.node, channel.about.video);
    let mut beat = interval(REPORT);
    loop {
        beat.tick().await;
        let viewers = channel.audience.count_here(channel.target());
        let report = Report { node: live.settings.node.clone(), viewers };
        let told = live.http.post(&url).bearer_auth(live.pass.issue()).json(&report).send().await;
        if let Err(error) = told {
            tracing::trace!(%error, "the owner did not hear how many watch");
        }
    }
}

async fn read<R: tokio::io::AsyncRead + Unpin>(
    frames: &mut FramedRead<R, LengthDelimitedCodec>,
) -> Result<Told, Error> {
    let news = serde_json::from_slice(&next(frames).await?)?;
    Ok((news, next(frames).await?))
}

async fn next<R: tokio::io::AsyncRead + Unpin>(
    frames: &mut FramedRead<R, LengthDelimitedCodec>,
) -> Result<Bytes, Error> {
    let frame = frames.next().await.unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()))?;
    Ok(frame.freeze())
}
