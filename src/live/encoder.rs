//! An encoder behind any protocol, and the ways in which it leaves.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;

use super::frame::Media;
use super::slate::Slate;
use super::{rtmp, srt};

/// A permitted encoder.
pub struct Encoder {
    way: Way,
    /// How its media is coded, which most say but once.
    coding: [Option<Media>; 2],
    /// Said again to whoever takes it after a silence.
    again: VecDeque<Media>,
}

/// How it sends.
pub enum Way {
    Rtmp(Box<rtmp::Publisher<TcpStream>>),
    Rtmps(Box<rtmp::Publisher<TlsStream<TcpStream>>>),
    /// What a publisher sends that is driven elsewhere; shut, it lets the caller go.
    Srt(mpsc::Receiver<Result<Media, srt::Error>>),
    /// None: what viewers see while it is away.
    Slate(Box<Slate>),
}

/// Why a stream ended, or was ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// The encoder said so.
    Unpublished,
    /// The connection was lost.
    Dropped(String),
    Silent(Duration),
    /// The stream can't be taken.
    Unfit(String),
    TakenOver,
    Revoked,
    Over,
    Stopping,
    /// The bucket is away, and memory for the recording full.
    Full(u64),
}

impl Left {
    /// A stable code and a sentence, for the log of the broadcast.
    pub fn told(&self) -> (&'static str, String) {
        match self {
            Self::Unpublished => ("encoder_stopped", "the encoder stopped".to_owned()),
            Self::Dropped(how) => ("encoder_dropped", format!("the connection was lost: {how}")),
            Self::Silent(span) => ("encoder_silent", format!("no media came for {} s", span.as_secs())),
            Self::Unfit(why) => ("stream_unfit", why.clone()),
            Self::TakenOver => ("taken_over", "another encoder has taken the broadcast over".to_owned()),
            Self::Revoked => ("key_revoked", "the stream key is good no more".to_owned()),
            Self::Over => ("broadcast_over", "the broadcast was ended".to_owned()),
            Self::Stopping => ("node_stopping", "the server restarts; connect again".to_owned()),
            Self::Full(bytes) => {
                ("recording_stuck", format!("the object store is away, and {bytes} bytes wait for it"))
            }
        }
    }
}

impl From<rtmp::Error> for Left {
    fn from(error: rtmp::Error) -> Self {
        match error {
            rtmp::Error::TimedOut { within, .. } => Self::Silent(within),
            rtmp::Error::Codec { .. } => Self::Unfit(error.to_string()),
            error => Self::Dropped(error.to_string()),
        }
    }
}

impl From<srt::Error> for Left {
    fn from(error: srt::Error) -> Self {
        match error {
            srt::Error::Silent { within } => Self::Silent(within),
            srt::Error::Codec { .. } => Self::Unfit(error.to_string()),
            error => Self::Dropped(error.to_string()),
        }
    }
}

impl Encoder {
    /// One that sends so.
    pub fn of(way: Way) -> Self {
        Self { way, coding: [None, None], again: VecDeque::new() }
    }

    /// The next thing the encoder sent; `None` after an orderly end. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Media>, Left> {
        if let Some(media) = self.again.pop_front() {
            return Ok(Some(media));
        }
        let next = match &mut self.way {
            Way::Rtmp(publisher) => publisher.next().await.map_err(Left::from),
            Way::Rtmps(publisher) => publisher.next().await.map_err(Left::from),
            Way::Srt(media) => media.recv().await.transpose().map_err(Left::from),
            Way::Slate(slate) => return Ok(Some(slate.next().await)),
        };
        let next = next?;
        match &next {
            Some(config @ Media::VideoConfig(_)) => self.coding[0] = Some(config.clone()),
            Some(config @ Media::AudioConfig(_)) => self.coding[1] = Some(config.clone()),
            _ => {}
        }
        Ok(next)
    }

    /// Waits until an encoder that was silent sends again; what it sent then comes after how it is coded.
    pub async fn wait(mut self, stop: &CancellationToken) -> Result<Self, Left> {
        let next = tokio::select! {
            next = self.next() => next?,
            () = stop.cancelled() => return Err(self.show_out(Left::Stopping).await),
        };
        let media = next.ok_or(Left::Unpublished)?;
        self.again = self.coding.iter().flatten().cloned().chain([media]).collect();
        Ok(self)
    }

    /// Tells the encoder why it is not wanted any more.
    pub async fn refuse(self, sentence: &str) {
        let told = match self.way {
            Way::Rtmp(publisher) => publisher.refuse(sentence).await,
            Way::Rtmps(publisher) => publisher.refuse(sentence).await,
            // SRT knows no words once a caller is in: it ends, and the log of the broadcast says why.
            Way::Srt(_) | Way::Slate(_) => Ok(()),
        };
        if let Err(error) = told {
            tracing::debug!(%error, "the encoder went without hearing why");
        }
    }

    /// The same, for the reason that is then logged.
    pub async fn show_out(self, left: Left) -> Left {
        self.refuse(&left.told().1).await;
        left
    }
}
