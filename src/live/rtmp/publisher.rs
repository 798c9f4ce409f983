//! A permitted encoder: its messages, one frame at a time, until it ends or is refused.

use std::collections::VecDeque;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout_at};

use super::super::frame::Media;
use super::chunk::{Message, kind};
use super::command::{Command, Status};
use super::connection::Connection;
use super::request::{queue_refusal, refuse};
use super::tag::{Aggregate, Decoder};
use super::{Error, Limits};

/// An encoder that was told to go ahead.
pub struct Publisher<S> {
    connection: Connection<S>,
    stream: u32,
    decoder: Decoder,
    ready: VecDeque<Media>,
    aggregate: Option<Aggregate>,
    /// When the silence gets too long; runs on while [`Publisher::next`] is dropped and called again.
    deadline: Option<Instant>,
    /// Something came.
    begun: bool,
    ended: bool,
    /// Why the encoder is being shown out.
    refused: Option<Error>,
    /// Until when it is heard out; like `deadline`, not set anew where a goodbye is dropped and begun again.
    parting: Option<Instant>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Publisher<S> {
    pub(super) fn new(connection: Connection<S>, stream: u32) -> Self {
        Self {
            connection,
            stream,
            decoder: Decoder::default(),
            ready: VecDeque::new(),
            aggregate: None,
            deadline: None,
            begun: false,
            ended: false,
            refused: None,
            parting: None,
        }
    }

    /// The next thing the encoder sent; None after an orderly end, `Closed` where it went without one. May be dropped and called again (`select!`).
    ///
    /// A codec we can't take is told to the encoder before the error comes back.
    pub async fn next(&mut self) -> Result<Option<Media>, Error> {
        if self.refused.is_none() {
            match self.next_in_time().await {
                Err(error @ Error::Codec { .. }) => {
                    queue_refusal(&mut self.connection, self.stream, &sentence(&error));
                    self.refused = Some(error);
                }
                other => return other,
            }
        }
        if let Err(error) = timeout_at(self.parting(), self.connection.close()).await {
            tracing::debug!(%error, "encoder wasn't told why it is refused");
        }
        self.refused.take().map_or(Ok(None), Err)
    }

    async fn next_in_time(&mut self) -> Result<Option<Media>, Error> {
        let Limits { first_media, idle, .. } = self.connection.limits;
        let patience = if self.begun { idle } else { first_media };
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + patience);
        let next = timeout_at(deadline, self.await_media()).await;
        (self.deadline, self.begun) = (None, true);
        match next {
            Err(_elapsed) => Err(Error::TimedOut { what: "media", within: patience }),
            Ok(other) => other,
        }
    }

    /// Tells the encoder that it is over and why (taken over, key revoked), and closes.
    pub async fn refuse(self, sentence: &str) -> Result<(), Error> {
        refuse(self.connection, self.stream, sentence).await
    }

    async fn await_media(&mut self) -> Result<Option<Media>, Error> {
        loop {
            if let Some(media) = self.ready.pop_front() {
                return Ok(Some(media));
            }
            if self.ended {
                return Ok(self.part().await);
            }
            match self.next_message().await? {
                Some(message) => self.take(message)?,
                None => return Err(Error::Closed("its stream")),
            }
        }
    }

    /// The answer to an orderly end. What else the encoder says is heard out: a socket closed on unread bytes would look
    /// broken to it. Where it wants to publish again it is told to connect again.
    async fn part(&mut self) -> Option<Media> {
        let until = self.parting();
        let goodbye = async {
            self.connection.flush().await?;
            while let Some(message) = self.connection.next().await? {
                let again = Command::of(&message).filter(|command| command.name == "publish");
                if let Some(command) = again {
                    let sentence = "This connection has ended its stream; connect again to publish.";
                    queue_refusal(&mut self.connection, command.stream, sentence);
                    self.connection.flush().await?;
                }
            }
            Ok::<_, Error>(())
        };
        if !matches!(timeout_at(until, goodbye).await, Ok(Ok(()))) {
            tracing::trace!("encoder didn't wait for our goodbye");
        }
        None
    }

    fn parting(&mut self) -> Instant {
        let linger = self.connection.limits.linger;
        *self.parting.get_or_insert_with(|| Instant::now() + linger)
    }

    async fn next_message(&mut self) -> Result<Option<Message>, Error> {
        if let Some(message) = self.aggregate.as_mut().and_then(Iterator::next) {
            return Ok(Some(message));
        }
        self.aggregate = None;
        self.connection.next().await
    }

    fn take(&mut self, message: Message) -> Result<(), Error> {
        match message.kind {
            kind::AUDIO | kind::VIDEO | kind::DATA | kind::DATA_AMF3 => {
                self.decoder.decode(&message, &mut self.ready)?;
            }
            kind::AGGREGATE => self.aggregate = Some(Aggregate::new(message)),
            kind::COMMAND | kind::COMMAND_AMF3 => self.obey(&message),
            other => tracing::trace!(kind = other, "ignoring a message"),
        }
        Ok(())
    }

    fn obey(&mut self, message: &Message) {
        let Some(command) = Command::of(message) else { return };
        match command.name.as_str() {
            "FCUnpublish" | "deleteStream" | "closeStream" => {
                let status = Status { level: "status", code: "NetStream.Unpublish.Success", sentence: "" };
                self.connection.queue_command(self.stream, &status.command());
                self.ended = true;
            }
            "publish" => {
                queue_refusal(&mut self.connection, command.stream, "This connection publishes already.");
            }
            other => tracing::trace!(command = other, "ignoring a command"),
        }
    }
}

/// The error's text as a sentence for people.
fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().into_iter().flat_map(char::to_uppercase);
    first.chain(letters).chain(['.']).collect()
}
