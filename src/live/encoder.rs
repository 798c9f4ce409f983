//! An encoder behind any protocol, and the ways in which it leaves.

use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_rustls::server::TlsStream;

use super::frame::Media;
use super::slate::Slate;
use super::{rtmp, srt};

/// A permitted encoder.
pub enum Encoder {
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
    /// The next thing the encoder sent; `None` after an orderly end. May be dropped and called again.
    pub async fn next(&mut self) -> Result<Option<Media>, Left> {
        let next = match self {
            Self::Rtmp(publisher) => publisher.next().await,
            Self::Rtmps(publisher) => publisher.next().await,
            Self::Srt(media) => return media.recv().await.transpose().map_err(Left::from),
            Self::Slate(slate) => return Ok(Some(slate.next().await)),
        };
        next.map_err(Left::from)
    }

    /// Tells the encoder why it is not wanted any more.
    pub async fn refuse(self, sentence: &str) {
        let told = match self {
            Self::Rtmp(publisher) => publisher.refuse(sentence).await,
            Self::Rtmps(publisher) => publisher.refuse(sentence).await,
            // SRT knows no words once a caller is in: it ends, and the log of the broadcast says why.
            Self::Srt(_) | Self::Slate(_) => Ok(()),
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
