//! `onMetaData`, read with or without `@setDataFrame` and written for targets.

use super::super::super::frame::Metadata;
use super::super::amf0::{self, Value};
use super::super::chunk::{Message, kind};
use super::super::command::without_format;
use crate::domain::printable;

/// None for other data messages, such as `|RtmpSampleAccess` or cue points.
pub(super) fn read(message: &Message) -> Option<Metadata> {
    let payload = match message.kind {
        kind::DATA_AMF3 => without_format(&message.payload),
        _ => &message.payload[..],
    };
    let mut values = amf0::read(payload).into_iter().peekable();
    values.next_if(|value| value.as_text() == Some("@setDataFrame"));
    if values.next()?.as_text() != Some("onMetaData") {
        return None;
    }
    let object = values.next()?;
    let number = |name| object.field(name).and_then(Value::as_number);
    Some(Metadata {
        width: number("width"),
        height: number("height"),
        frames_per_second: number("framerate").or_else(|| number("videoframerate")),
        video_kbits: number("videodatarate"),
        audio_kbits: number("audiodatarate"),
        encoder: object.field("encoder").and_then(Value::as_text).map(|name| printable(name).into_owned()),
    })
}

/// The values of a message that tells a server the same.
pub(in super::super) fn write(metadata: &Metadata) -> [Value; 3] {
    let numbers = [
        ("width", metadata.width),
        ("height", metadata.height),
        ("framerate", metadata.frames_per_second),
        ("videodatarate", metadata.video_kbits),
        ("audiodatarate", metadata.audio_kbits),
    ];
    let mut fields: Vec<_> = numbers
        .into_iter()
        .filter_map(|(name, number)| Some((name.to_owned(), Value::Number(number?))))
        .collect();
    fields.extend(metadata.encoder.iter().map(|encoder| ("encoder".to_owned(), Value::text(encoder))));
    [Value::text("@setDataFrame"), Value::text("onMetaData"), Value::Object(fields)]
}
