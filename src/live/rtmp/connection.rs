//! A handshaken connection: messages in and out, and the protocol's own talk (5.4) answered on the way.
//!
//! Every future may be dropped at any point: what was read and what is to be written stay in the buffers.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::amf0::{self, Value};
use super::chunk::{Message, Reader, Writer, kind};
use super::{Error, Limits, handshake};

/// Bytes after which the other side wants to hear from us, until it says otherwise.
pub(super) const WINDOW: u32 = 2_500_000;
/// The size of our chunks, as most servers have it.
const CHUNK_BYTES: u32 = 4096;
const READ_BYTES: usize = 32 << 10;
/// All that an encoder not yet permitted may make us hold.
const MESSAGE_BYTES_BEFORE_PERMIT: usize = 64 << 10;
const PING: [u8; 2] = [0, 6];
const PONG: [u8; 2] = [0, 7];

pub(super) struct Connection<S> {
    socket: S,
    inbound: BytesMut,
    outgoing: BytesMut,
    reader: Reader,
    writer: Writer,
    pub(super) limits: Limits,
    /// Bytes since the handshake, wrapping as the protocol's counter does.
    received: u32,
    acknowledged: u32,
    window: u32,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    /// Answers an encoder's handshake.
    pub(super) async fn accept(mut socket: S, limits: &Limits) -> Result<Self, Error> {
        let mut inbound = BytesMut::new();
        let shaken = handshake::answer(&mut socket, &mut inbound);
        within(limits.handshake, "handshake", shaken).await?;
        let mut connection = Self::new(socket, inbound, limits);
        connection.reader.limit_message(MESSAGE_BYTES_BEFORE_PERMIT.min(limits.message_bytes));
        Ok(connection)
    }

    /// Offers a server the handshake.
    pub(super) async fn connect(mut socket: S, limits: &Limits) -> Result<Self, Error> {
        let mut inbound = BytesMut::new();
        let shaken = handshake::offer(&mut socket, &mut inbound);
        within(limits.handshake, "handshake", shaken).await?;
        Ok(Self::new(socket, inbound, limits))
    }

    fn new(socket: S, inbound: BytesMut, limits: &Limits) -> Self {
        // What came right behind the handshake counts already.
        let received = u32::try_from(inbound.len()).unwrap_or(0);
        Self {
            socket,
            inbound,
            outgoing: BytesMut::new(),
            reader: Reader::new(limits),
            writer: Writer::default(),
            limits: limits.clone(),
            received,
            acknowledged: 0,
            window: WINDOW,
        }
    }

    /// From here on messages may be as big as the limits allow.
    pub(super) fn trust(&mut self) {
        self.reader.limit_message(self.limits.message_bytes);
    }

    /// The next message that isn't the protocol's own; None when the other side ended between two.
    pub(super) async fn next(&mut self) -> Result<Option<Message>, Error> {
        loop {
            if let Some(message) = self.buffered()? {
                return Ok(Some(message));
            }
            self.acknowledge();
            self.flush().await?;
            self.inbound.reserve(READ_BYTES);
            match self.socket.read_buf(&mut self.inbound).await {
                Ok(0) => return self.ended(),
                Ok(bytes) => self.count(bytes),
                Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => return self.ended(),
                Err(error) => return Err(Error::Io(error)),
            }
        }
    }

    /// Writes what is queued, unless something comes in first: a target's refusal interrupts the pushing.
    pub(super) async fn exchange(&mut self) -> Result<Option<Message>, Error> {
        if let Some(message) = self.buffered()? {
            return Ok(Some(message));
        }
        self.acknowledge();
        let read = poll_fn(|context| match self.poll_read(context) {
            Poll::Ready(read) => Poll::Ready(read),
            Poll::Pending => self.poll_write(context).map_ok(|()| 0),
        })
        .await?;
        self.count(read);
        self.buffered()
    }

    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<Result<usize, Error>> {
        let mut space = [0; 1024];
        let mut buffer = ReadBuf::new(&mut space);
        let polled = Pin::new(&mut self.socket).poll_read(context, &mut buffer).map_err(Error::Io);
        self.inbound.extend_from_slice(buffer.filled());
        match polled {
            Poll::Ready(Ok(())) if buffer.filled().is_empty() => {
                Poll::Ready(Err(Error::Closed("publishing")))
            }
            polled => polled.map_ok(|()| buffer.filled().len()),
        }
    }

    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Error>> {
        while !self.outgoing.is_empty() {
            let written = ready!(Pin::new(&mut self.socket).poll_write(context, &self.outgoing));
            match written.map_err(Error::Io)? {
                0 => return Poll::Ready(Err(Error::Closed("writing"))),
                written => self.outgoing.advance(written),
            }
        }
        Pin::new(&mut self.socket).poll_flush(context).map_err(Error::Io)
    }

    pub(super) fn has_outgoing(&self) -> bool {
        !self.outgoing.is_empty()
    }

    pub(super) fn queue(&mut self, message: &Message) {
        self.writer.write(message, &mut self.outgoing);
    }

    pub(super) fn queue_command(&mut self, stream: u32, values: &[Value]) {
        self.queue_amf(kind::COMMAND, stream, values);
    }

    pub(super) fn queue_amf(&mut self, kind: u8, stream: u32, values: &[Value]) {
        let mut payload = BytesMut::new();
        amf0::write(values, &mut payload);
        self.queue(&Message { kind, stream, timestamp: 0, payload: payload.freeze() });
    }

    /// A protocol control message (5.4): those with one number, and bandwidth with its kind after it.
    pub(super) fn queue_control(&mut self, kind: u8, payload: &[u8]) {
        let payload = payload.to_vec().into();
        self.queue(&Message { kind, stream: 0, timestamp: 0, payload });
    }

    pub(super) fn queue_chunk_size(&mut self) {
        self.writer.set_chunk_bytes(CHUNK_BYTES, &mut self.outgoing);
    }

    pub(super) async fn flush(&mut self) -> Result<(), Error> {
        poll_fn(|context| self.poll_write(context)).await
    }

    /// Sends what is queued, ends our side and listens on for a while: closing with bytes unread would reset the
    /// connection and destroy the last words on their way.
    pub(super) async fn close(&mut self) -> Result<(), Error> {
        let linger = self.limits.linger;
        let ending = async {
            self.flush().await?;
            self.socket.shutdown().await.map_err(Error::Io)?;
            self.inbound = BytesMut::with_capacity(READ_BYTES);
            while self.socket.read_buf(&mut self.inbound).await.map_err(Error::Io)? > 0 {
                self.inbound.clear();
            }
            Ok::<(), Error>(())
        };
        match timeout(linger, ending).await {
            Ok(Err(error)) if !error.is_goodbye() => Err(error),
            _ => Ok(()),
        }
    }

    /// The next whole message among the bytes already here.
    fn buffered(&mut self) -> Result<Option<Message>, Error> {
        while let Some(message) = self.reader.next(&mut self.inbound)? {
            if !self.answer(&message) {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// Whether the message was the protocol's own, and is dealt with.
    fn answer(&mut self, message: &Message) -> bool {
        match message.kind {
            kind::WINDOW_SIZE => {
                if let Some(size) = message.payload.first_chunk::<4>() {
                    self.window = u32::from_be_bytes(*size).max(2);
                }
                true
            }
            kind::USER_CONTROL => {
                if let Some(asked) = message.payload.strip_prefix(&PING) {
                    let time = &asked[..asked.len().min(4)];
                    self.queue_control(kind::USER_CONTROL, &[&PONG, time].concat());
                }
                true
            }
            kind::SET_CHUNK_SIZE | kind::ABORT | kind::ACKNOWLEDGEMENT | kind::PEER_BANDWIDTH => true,
            _ => false,
        }
    }

    fn count(&mut self, bytes: usize) {
        self.received = self.received.wrapping_add(u32::try_from(bytes).unwrap_or(u32::MAX));
    }

    /// At half the window: some encoders stop sending at the whole.
    fn acknowledge(&mut self) {
        if self.received.wrapping_sub(self.acknowledged) >= self.window / 2 {
            self.acknowledged = self.received;
            self.queue_control(kind::ACKNOWLEDGEMENT, &self.received.to_be_bytes());
        }
    }

    fn ended(&self) -> Result<Option<Message>, Error> {
        if self.inbound.is_empty() && self.reader.is_between_messages() {
            return Ok(None);
        }
        Err(Error::Closed("a message"))
    }
}

/// Gives the future so much time, and names what didn't come.
pub(super) async fn within<T>(
    time: Duration,
    what: &'static str,
    work: impl Future<Output = Result<T, Error>>,
) -> Result<T, Error> {
    timeout(time, work).await.unwrap_or(Err(Error::TimedOut { what, within: time }))
}
