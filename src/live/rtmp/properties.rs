//! Properties that hold for whatever an encoder sends by RTMP: chunks, AMF0, tags and NAL units.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;

use super::amf0::{self, Value};
use super::chunk::{Message, Reader, Writer, kind};
use super::tag::Decoder;
use super::{Error, Limits};

fn limits() -> Limits {
    Limits { message_bytes: 4096, chunk_streams: 8, ..Limits::default() }
}

/// What a reader makes of bytes that come in these pieces, and the error that ends it.
fn read(pieces: impl IntoIterator<Item = impl AsRef<[u8]>>) -> (Vec<Message>, Option<String>) {
    let (mut reader, mut input, mut messages) = (Reader::new(&limits()), BytesMut::new(), Vec::new());
    for piece in pieces {
        input.extend_from_slice(piece.as_ref());
        loop {
            match reader.next(&mut input) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break,
                Err(error) => return (messages, Some(error.to_string())),
            }
        }
    }
    (messages, None)
}

fn message() -> impl Strategy<Value = Message> {
    let kinds = prop_oneof![
        Just(kind::AUDIO),
        Just(kind::VIDEO),
        Just(kind::DATA),
        Just(kind::COMMAND),
        Just(kind::AGGREGATE)
    ];
    let times = prop_oneof![any::<u32>(), 0x00FF_FFF0_u32..0x0100_0010, Just(u32::MAX)];
    (kinds, 0..3_u32, times, vec(any::<u8>(), 0..700)).prop_map(|(kind, stream, timestamp, payload)| {
        Message { kind, stream, timestamp, payload: payload.into() }
    })
}

/// Chunk headers of every format among payloads, so that random bytes get further than the first header.
fn chunks() -> impl Strategy<Value = Vec<u8>> {
    let header = (0..4_u8, 0..8_u8, vec(any::<u8>(), 15)).prop_map(|(format, stream, mut bytes)| {
        // A length that a message may have.
        bytes[4] = 0;
        bytes[5] &= 0x3f;
        [&[format << 6 | stream][..], &bytes].concat()
    });
    let size = (1..64_u8).prop_map(|size| vec![2, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0, 0, 0, 0, size]);
    let piece = prop_oneof![header, size, vec(any::<u8>(), 0..80)];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<f64>().prop_filter("a number equals itself", |number| !number.is_nan()).prop_map(Value::Number),
        any::<bool>().prop_map(Value::Bool),
        ".{0,40}".prop_map(Value::Text),
        Just(Value::Null),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            vec(("[a-z]{1,8}", inner.clone()), 0..6).prop_map(Value::Object),
            vec(inner, 0..6).prop_map(Value::List),
        ]
    })
}

proptest! {
    #[test]
    fn a_message_survives_being_cut_into_chunks(
        messages in vec(message(), 1..6), size in 1..300_u32, cut in 1..97_usize,
    ) {
        let (mut out, mut writer) = (BytesMut::new(), Writer::default());
        writer.set_chunk_bytes(size, &mut out);
        for message in &messages {
            writer.write(message, &mut out);
        }
        let (found, error) = read(out.chunks(cut));
        prop_assert_eq!(error, None);
        prop_assert_eq!(&found[1..], &messages[..]);
    }

    #[test]
    fn pieces_of_any_size_give_the_same_messages(bytes in chunks(), cut in 1..50_usize) {
        prop_assert_eq!(read([&bytes]), read(bytes.chunks(cut)));
    }

    #[test]
    fn what_is_in_progress_stays_within_the_limit(bytes in chunks()) {
        let (messages, _) = read(bytes.chunks(7));
        let most = limits().message_bytes;
        prop_assert!(messages.iter().all(|message| message.payload.len() <= most));
    }

    #[test]
    fn amf0_reads_what_it_writes(values in vec(value(), 0..5)) {
        let mut out = BytesMut::new();
        amf0::write(&values, &mut out);
        prop_assert_eq!(amf0::read(&out), values);
    }

    #[test]
    fn amf0_takes_any_bytes(bytes in vec(prop_oneof![0..18_u8, any::<u8>()], 0..2048)) {
        let _ = amf0::read(&bytes);
    }

    #[test]
    fn a_decoder_takes_any_tags(bodies in vec((0..3_usize, tag()), 0..12)) {
        let (mut decoder, mut out) = (Decoder::default(), VecDeque::new());
        for (which, payload) in bodies {
            let kind = [kind::VIDEO, kind::AUDIO, kind::DATA][which];
            let message = Message { kind, stream: 1, timestamp: u32::MAX, payload };
            let decoded = decoder.decode(&message, &mut out);
            prop_assert!(matches!(decoded, Ok(()) | Err(Error::Codec { .. })), "{:?}", decoded);
        }
    }
}

/// Headers of legacy and enhanced tags, with NAL units behind lengths or start codes.
fn tag() -> impl Strategy<Value = Bytes> {
    let head = prop_oneof![
        Just(vec![0x17, 0, 0, 0, 0]),
        Just(vec![0x17, 1, 0, 0, 0]),
        Just(vec![0x27, 1, 0xff, 0xff, 0xff]),
        Just(vec![0x1c, 1, 0, 0, 0]),
        (0x80..=0xff_u8, prop_oneof![Just(b"hvc1"), Just(b"av01"), Just(b"avc1")])
            .prop_map(|(first, codec)| [&[first][..], codec].concat()),
        Just(vec![0xaf, 0]),
        Just(vec![0xaf, 1]),
        vec(any::<u8>(), 0..6),
    ];
    let set =
        prop_oneof![Just(0x67_u8), Just(0x68), Just(0x65), Just(0x40), Just(0x42), Just(0x44), any::<u8>()];
    let unit = (any::<bool>(), set, vec(any::<u8>(), 0..60)).prop_map(|(code, first, rest)| {
        let unit = [&[first][..], &rest].concat();
        let length = u32::try_from(unit.len()).unwrap_or(0).to_be_bytes();
        [if code { &[0, 0, 0, 1] } else { &length[..] }, &unit].concat()
    });
    (head, vec(unit, 0..6)).prop_map(|(head, units)| [head, units.concat()].concat().into())
}
