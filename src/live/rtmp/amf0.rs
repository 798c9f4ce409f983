//! AMF0, the encoding of commands and metadata: what is understood is kept, the first unknown type ends it.

use bytes::{BufMut, BytesMut};

/// Values within values; deeper ones are an attack on the stack.
const DEPTH: usize = 16;
/// The most a command or metadata may be; one byte of it may cost 40 in memory.
const PAYLOAD_BYTES: usize = 64 << 10;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Bool(bool),
    Text(String),
    /// Objects, typed objects and "ECMA arrays" alike.
    Object(Vec<(String, Value)>),
    List(Vec<Value>),
    /// Null, undefined and unsupported.
    Null,
}

impl Value {
    pub(super) fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    pub(super) fn object<const N: usize>(fields: [(&str, Value); N]) -> Self {
        Self::Object(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }

    pub(super) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number).filter(|number| number.is_finite()),
            Self::Text(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
            _ => None,
        }
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        let Self::Object(fields) = self else { return None };
        fields.iter().find(|(field, _)| field == name).map(|(_, value)| value)
    }
}

/// All values up to the end or to the first that can't be read.
pub(super) fn read(payload: &[u8]) -> Vec<Value> {
    if payload.len() > PAYLOAD_BYTES {
        return Vec::new();
    }
    let mut reader = Reader { rest: payload, broken: false };
    let mut values = Vec::new();
    while !reader.rest.is_empty() && !reader.broken {
        values.extend(reader.value(DEPTH));
    }
    values
}

pub(super) fn write(values: &[Value], out: &mut BytesMut) {
    for value in values {
        write_value(value, out);
    }
}

fn write_value(value: &Value, out: &mut BytesMut) {
    match value {
        Value::Number(number) => {
            out.put_u8(0);
            out.put_f64(*number);
        }
        Value::Bool(bool) => out.put_slice(&[1, u8::from(*bool)]),
        Value::Text(text) => {
            out.put_u8(2);
            write_name(text, out);
        }
        Value::Object(fields) => {
            out.put_u8(3);
            for (name, value) in fields {
                write_name(name, out);
                write_value(value, out);
            }
            out.put_slice(&[0, 0, 9]);
        }
        Value::List(values) => {
            out.put_u8(10);
            out.put_u32(u32::try_from(values.len()).unwrap_or(u32::MAX));
            write(values, out);
        }
        Value::Null => out.put_u8(5),
    }
}

/// Long texts are cut: AMF0's length has 16 bits.
fn write_name(text: &str, out: &mut BytesMut) {
    let text = &text[..text.floor_char_boundary(usize::from(u16::MAX))];
    out.put_u16(u16::try_from(text.len()).unwrap_or(u16::MAX));
    out.put_slice(text.as_bytes());
}

/// `broken` stops the reading and keeps what was read.
struct Reader<'a> {
    rest: &'a [u8],
    broken: bool,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        let marker = self.take::<1>()?[0];
        if depth == 0 {
            return self.give_up();
        }
        match marker {
            0 => self.number().map(Value::Number),
            1 => self.take::<1>().map(|[byte]| Value::Bool(byte != 0)),
            2 => self.name().map(Value::Text),
            3 => Some(self.object(depth)),
            5 | 6 | 13 => Some(Value::Null),
            7 => self.take::<2>().map(|_| Value::Null),
            8 => self.take::<4>().map(|_| self.object(depth)),
            10 => self.list(depth),
            11 => self.date(),
            12 | 15 => self.long_text().map(Value::Text),
            16 => self.name().map(|_| self.object(depth)),
            _ => self.give_up(),
        }
    }

    fn give_up<T>(&mut self) -> Option<T> {
        self.broken = true;
        None
    }

    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let Some((bytes, rest)) = self.rest.split_first_chunk::<N>() else { return self.give_up() };
        self.rest = rest;
        Some(*bytes)
    }

    fn text(&mut self, bytes: usize) -> Option<String> {
        let Some((text, rest)) = self.rest.split_at_checked(bytes) else { return self.give_up() };
        self.rest = rest;
        Some(String::from_utf8_lossy(text).into_owned())
    }

    fn number(&mut self) -> Option<f64> {
        self.take().map(f64::from_be_bytes)
    }

    fn name(&mut self) -> Option<String> {
        let bytes = u16::from_be_bytes(self.take()?);
        self.text(usize::from(bytes))
    }

    fn long_text(&mut self) -> Option<String> {
        let bytes = u32::from_be_bytes(self.take()?);
        self.text(bytes as usize)
    }

    fn date(&mut self) -> Option<Value> {
        let date = self.number()?;
        self.take::<2>()?;
        Some(Value::Number(date))
    }

    /// Up to its end marker; encoders that forget it, or write a wrong count, are read all the same.
    fn object(&mut self, depth: usize) -> Value {
        let mut fields = Vec::new();
        while !self.rest.is_empty() && !self.broken {
            if let Some(rest) = self.rest.strip_prefix(&[0, 0, 9]) {
                self.rest = rest;
                break;
            }
            let Some(name) = self.name() else { break };
            let Some(value) = self.value(depth - 1) else { break };
            fields.push((name, value));
        }
        Value::Object(fields)
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let count = u32::from_be_bytes(self.take()?);
        let mut values = Vec::new();
        for _ in 0..count {
            let Some(value) = self.value(depth - 1) else { break };
            values.push(value);
        }
        Some(Value::List(values))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(values: &[Value]) -> BytesMut {
        let mut out = BytesMut::new();
        write(values, &mut out);
        out
    }

    #[test]
    fn what_was_written_reads_the_same() {
        let values = [
            Value::text("onStatus"),
            Value::Number(-1.5),
            Value::Null,
            Value::Bool(true),
            Value::object([
                ("a", Value::List(vec![Value::text("ä"), Value::Null])),
                ("b", Value::object([])),
            ]),
        ];
        assert_eq!(read(&written(&values)), values);
    }

    #[test]
    fn an_unknown_type_ends_the_reading_and_keeps_what_was_before() {
        let mut bytes = written(&[Value::text("onMetaData")]);
        bytes.put_slice(&[3, 0, 5]);
        bytes.put_slice(b"width\0");
        bytes.put_f64(1920.0);
        bytes.put_slice(&[0, 1, b'x', 0x11, 1, 2, 3]);
        let values = read(&bytes);
        assert_eq!(values[1].field("width").and_then(Value::as_number), Some(1920.0));
    }

    #[test]
    fn nesting_without_end_is_cut_off() {
        let bytes = [10, 0, 0, 0, 1].repeat(10_000);
        assert_eq!(read(&bytes).len(), 1);
    }
}
