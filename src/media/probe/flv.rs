//! The codec of an FLV file's pictures, where FFmpeg's demuxer takes it for another one: what came after the format was
//! frozen.

use std::io::{self, Read, Seek, SeekFrom};

/// How an FLV file begins (Adobe FLV 10.1, E.2).
const SIGNATURE: &[u8] = b"FLV";
/// Pictures come within so many tags, or not at all.
const MAX_TAGS: usize = 256;
const TAG_HEADER: usize = 11;
const BACK_POINTER: u64 = 4;
const VIDEO: u8 = 9;
/// Codec numbers that the format has a name for: H.263 to H.264.
const KNOWN: std::ops::RangeInclusive<u8> = 2..=7;
/// The number that encoders in China agreed on.
const HEVC: u8 = 12;
/// The first byte of an Enhanced RTMP header, before the codec's four letters.
const ENHANCED: u8 = 0x80;

/// Looks at the first tag of pictures.
pub(super) fn foreign_codec(stream: &mut (impl Read + Seek), head: &[u8]) -> io::Result<Option<String>> {
    if !head.starts_with(SIGNATURE) {
        return Ok(None);
    }
    let length = head.get(5..9).and_then(<[u8]>::first_chunk).map_or(9, |length| u32::from_be_bytes(*length));
    let mut at = u64::from(length) + BACK_POINTER;
    for _ in 0..MAX_TAGS {
        stream.seek(SeekFrom::Start(at))?;
        let mut tag = Vec::new();
        stream.take(TAG_HEADER as u64 + 5).read_to_end(&mut tag)?;
        let (Some(kind), Some([a, b, c])) = (tag.first(), tag.get(1..4).and_then(<[u8]>::first_chunk)) else {
            break;
        };
        if kind & 0x1f == VIDEO {
            return Ok(tag.get(TAG_HEADER..).and_then(foreign));
        }
        at += TAG_HEADER as u64 + u64::from(u32::from_be_bytes([0, *a, *b, *c])) + BACK_POINTER;
    }
    Ok(None)
}

fn foreign(body: &[u8]) -> Option<String> {
    let first = *body.first()?;
    if first & ENHANCED != 0 {
        let letters = body.get(1..5)?.iter().copied().map(char::from).collect::<String>();
        return Some(letters).filter(|letters| letters.chars().all(|letter| letter.is_ascii_alphanumeric()));
    }
    match first & 15 {
        HEVC => Some("hevc".to_owned()),
        known if KNOWN.contains(&known) => None,
        other => Some(format!("number {other} of FLV")),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn codec(body: &[u8]) -> Option<String> {
        let tag = |kind: u8, body: &[u8]| {
            let length = u8::try_from(body.len()).expect("short");
            [&[kind, 0, 0, length, 0, 0, 0, 0, 0, 0, 0], body, &[0; 4]].concat()
        };
        let file = [b"FLV\x01\x05\0\0\0\x09\0\0\0\0".as_slice(), &tag(18, b"meta"), &tag(9, body)].concat();
        foreign_codec(&mut Cursor::new(file.clone()), &file).expect("read")
    }

    #[test]
    fn a_codec_of_enhanced_rtmp_and_one_by_agreement_are_named() {
        assert_eq!(codec(b"\x90hvc1.."), Some("hvc1".to_owned()));
        assert_eq!(codec(&[0x1c, 1, 0, 0, 0]), Some("hevc".to_owned()));
        assert_eq!(codec(&[0x17, 1, 0, 0, 0]), None);
    }
}
