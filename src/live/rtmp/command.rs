//! The commands both sides speak (RTMP 1.0, 7.2): taken from AMF, and our replies as values.

use super::amf0::{self, Value};
use super::chunk::{Message, kind};

/// Codecs we take by their four characters (Enhanced RTMP, on the `connect` command).
pub(super) const FOURCCS: [&str; 4] = ["avc1", "hvc1", "av01", "mp4a"];
/// `capsEx`: we read `ModEx` and its nanoseconds, but neither reconnect nor multitrack.
const CAPABILITIES: f64 = 12.0;

/// `name, transaction, command object, arguments…`
#[derive(Debug)]
pub(super) struct Command {
    pub name: String,
    pub transaction: f64,
    pub stream: u32,
    /// The command object and what follows it.
    pub rest: Vec<Value>,
}

impl Command {
    /// None for other kinds of message, and for commands without a name.
    pub(super) fn of(message: &Message) -> Option<Self> {
        let payload = match message.kind {
            kind::COMMAND => &message.payload[..],
            kind::COMMAND_AMF3 => without_format(&message.payload),
            _ => return None,
        };
        let mut values = amf0::read(payload).into_iter();
        let Some(Value::Text(name)) = values.next() else { return None };
        let transaction = values.next().and_then(|value| value.as_number()).unwrap_or(0.0);
        Some(Self { name, transaction, stream: message.stream, rest: values.collect() })
    }

    /// The text of the argument, the command object being number 0.
    pub(super) fn text(&self, argument: usize) -> Option<&str> {
        self.rest.get(argument).and_then(Value::as_text)
    }

    /// A field of the command object.
    pub(super) fn text_field(&self, name: &str) -> Option<&str> {
        self.rest.first().and_then(|object| object.field(name)).and_then(Value::as_text)
    }

    /// The level, code and sentence of an `onStatus` or a `_result`.
    pub(super) fn status(&self) -> Option<Status<'_>> {
        let information = self.rest.iter().find(|value| value.field("code").is_some())?;
        let text = |name| information.field(name).and_then(Value::as_text).unwrap_or_default();
        Some(Status { level: text("level"), code: text("code"), sentence: text("description") })
    }
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Status<'a> {
    pub level: &'a str,
    pub code: &'a str,
    pub sentence: &'a str,
}

impl Status<'_> {
    fn object(self) -> Value {
        Value::object([
            ("level", Value::text(self.level)),
            ("code", Value::text(self.code)),
            ("description", Value::text(self.sentence)),
        ])
    }

    pub(super) fn command(self) -> [Value; 4] {
        [Value::text("onStatus"), Value::Number(0.0), Value::Null, self.object()]
    }
}

/// AMF3 commands and data begin with a format byte and go on in AMF0.
pub(super) fn without_format(payload: &[u8]) -> &[u8] {
    payload.strip_prefix(&[0]).unwrap_or(payload)
}

pub(super) fn fourcc_list() -> Value {
    Value::List(FOURCCS.into_iter().map(Value::text).collect())
}

pub(super) fn connected(transaction: f64, encoding: f64) -> [Value; 4] {
    let properties = Value::object([
        ("fmsVer", Value::text("FMS/3,0,1,123")),
        ("capabilities", Value::Number(31.0)),
        ("fourCcList", fourcc_list()),
        ("capsEx", Value::Number(CAPABILITIES)),
    ]);
    let information = Value::object([
        ("level", Value::text("status")),
        ("code", Value::text("NetConnection.Connect.Success")),
        ("description", Value::text("Connection succeeded.")),
        ("objectEncoding", Value::Number(encoding)),
    ]);
    [Value::text("_result"), Value::Number(transaction), properties, information]
}

pub(super) fn result(transaction: f64, value: Value) -> [Value; 4] {
    [Value::text("_result"), Value::Number(transaction), Value::Null, value]
}
