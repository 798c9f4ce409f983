//! From the first byte to an encoder's wish to publish, and the caller's yes or no to it.

use tokio::io::{AsyncRead, AsyncWrite};

use super::amf0::Value;
use super::chunk::kind;
use super::command::{self, Command, Status};
use super::connection::{Connection, WINDOW, within};
use super::{Error, Limits, Publisher};
use crate::domain::printable;

/// The one message stream we hand out.
const STREAM: u32 = 1;

/// One encoder's connection, handshaken and asking to publish.
pub struct Request<S> {
    connection: Connection<S>,
    stream: u32,
    pub app: String,
    /// The stream name as sent; may be empty or carry a `?query`.
    pub key: String,
    pub tc_url: String,
    /// What the encoder calls itself (`flashVer`).
    pub encoder: Option<String>,
}

/// Leads a connection through handshake, `connect`, `createStream` and `publish`, each within its deadline.
pub async fn accept<S>(socket: S, limits: &Limits) -> Result<Request<S>, Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let connection = Connection::accept(socket, limits).await?;
    let mut wish = Wish::default();
    let asked = wish.await_publish(connection);
    let (connection, publish) = within(limits.publish, "publish command", asked).await?;
    Ok(Request {
        connection,
        stream: publish.stream,
        key: publish.text(1).unwrap_or_default().to_owned(),
        app: wish.app,
        tc_url: wish.tc_url,
        encoder: wish.encoder,
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Request<S> {
    /// Tells the encoder no, in words that FFmpeg's and OBS's logs show, and closes.
    pub async fn reject(self, sentence: &str) -> Result<(), Error> {
        refuse(self.connection, self.stream, sentence).await
    }

    /// Tells the encoder to go ahead.
    pub async fn permit(mut self) -> Result<Publisher<S>, Error> {
        let start = Status { level: "status", code: "NetStream.Publish.Start", sentence: "Go ahead." };
        self.connection.queue_control(kind::USER_CONTROL, &stream_begin(self.stream));
        self.connection.queue_command(self.stream, &start.command());
        let idle = self.connection.limits.idle;
        within(idle, "room for a reply", self.connection.flush()).await?;
        self.connection.trust();
        Ok(Publisher::new(self.connection, self.stream))
    }
}

/// The last words to an encoder: an error it logs, then an orderly end.
pub(super) async fn refuse<S>(mut connection: Connection<S>, stream: u32, sentence: &str) -> Result<(), Error>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    queue_refusal(&mut connection, stream, sentence);
    connection.close().await
}

pub(super) fn queue_refusal<S>(connection: &mut Connection<S>, stream: u32, sentence: &str)
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let status = Status { level: "error", code: "NetStream.Publish.BadName", sentence };
    connection.queue_command(stream, &status.command());
}

/// User control event 0 (7.1.7).
fn stream_begin(stream: u32) -> [u8; 6] {
    let [a, b, c, d] = stream.to_be_bytes();
    [0, 0, a, b, c, d]
}

/// What is known of the encoder before it names its key.
#[derive(Default)]
struct Wish {
    app: String,
    tc_url: String,
    encoder: Option<String>,
    connected: bool,
}

impl Wish {
    async fn await_publish<S>(&mut self, mut on: Connection<S>) -> Result<(Connection<S>, Command), Error>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        while let Some(message) = on.next().await? {
            let Some(command) = Command::of(&message) else { continue };
            match command.name.as_str() {
                "publish" if self.connected => return Ok((on, command)),
                "publish" => return Err(unexpected(&command, "connect")),
                "play" | "play2" => {
                    let sentence = "This server takes streams and plays none.";
                    let status = Status { level: "error", code: "NetStream.Play.Failed", sentence };
                    on.queue_command(command.stream, &status.command());
                    on.close().await?;
                    return Err(unexpected(&command, "publish"));
                }
                "deleteStream" | "closeStream" => return Err(Error::Closed("the wish to publish")),
                _ => self.answer(&command, &mut on),
            }
        }
        Err(Error::Closed("the wish to publish"))
    }

    fn answer<S>(&mut self, command: &Command, on: &mut Connection<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        match command.name.as_str() {
            "connect" => self.connect(command, on),
            "createStream" => {
                on.queue_command(0, &command::result(command.transaction, Value::Number(f64::from(STREAM))));
            }
            "releaseStream" | "_checkbw" => {
                on.queue_command(0, &command::result(command.transaction, Value::Null));
            }
            "FCPublish" => {
                on.queue_command(0, &command::result(command.transaction, Value::Null));
                let status = Status { level: "status", code: "NetStream.Publish.Start", sentence: "" };
                let [_, zero, null, object] = status.command();
                on.queue_command(0, &[Value::text("onFCPublish"), zero, null, object]);
            }
            other => tracing::trace!(command = %printable(other), "ignoring a command"),
        }
    }

    fn connect<S>(&mut self, command: &Command, on: &mut Connection<S>)
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let text = |name| command.text_field(name).unwrap_or_default().to_owned();
        text("app").trim_matches('/').clone_into(&mut self.app);
        self.tc_url = text("tcUrl");
        self.encoder = command.text_field("flashVer").map(|name| printable(name).into_owned());
        self.connected = true;
        let encoding = command.rest.first().and_then(|object| object.field("objectEncoding"));
        let encoding = encoding.and_then(Value::as_number).unwrap_or(0.0);
        let [a, b, c, d] = WINDOW.to_be_bytes();
        on.queue_control(kind::WINDOW_SIZE, &[a, b, c, d]);
        on.queue_control(kind::PEER_BANDWIDTH, &[a, b, c, d, 2]);
        on.queue_chunk_size();
        on.queue_command(0, &command::connected(command.transaction, encoding));
    }
}

fn unexpected(command: &Command, expected: &'static str) -> Error {
    Error::Command { found: printable(&command.name).into_owned(), expected }
}
