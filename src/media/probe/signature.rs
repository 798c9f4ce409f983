//! What a coded keyframe itself says of its pictures, found without decoding: bytes that stay the same for as long as size
//! and colours do.

use ffmpeg_next::codec;

use super::idr::Framing;

/// A VP8 keyframe's start code and size come after a tag of three bytes (RFC 6386 9.1).
const VP8: std::ops::Range<usize> = 3..10;
/// A VP9 keyframe's start code, colours and size (VP9 bitstream specification 6.2).
const VP9: std::ops::Range<usize> = 0..9;
/// An MPEG-1 or MPEG-2 sequence header, and its size, shape of pixels and rate after it (ITU-T H.262 6.2.2.1).
const SEQUENCE: [u8; 4] = [0, 0, 1, 0xb3];
const SEQUENCE_BYTES: usize = 8;
/// A sequence parameter set (ITU-T H.264 7.4.1).
const SPS: u8 = 7;

/// The telling bytes of a keyframe; `None` where it holds none, or its codec is not known here.
pub(super) fn of(codec: codec::Id, framing: Option<Framing>, packet: &[u8]) -> Option<&[u8]> {
    match codec {
        codec::Id::VP8 => packet.get(VP8),
        codec::Id::VP9 => packet.get(VP9),
        codec::Id::MPEG1VIDEO | codec::Id::MPEG2VIDEO => {
            let at = packet.windows(SEQUENCE.len()).position(|window| window == SEQUENCE)?;
            packet.get(at..at + SEQUENCE_BYTES)
        }
        codec::Id::H264 => framing?.unit(packet, SPS),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyframe_of_vp8_is_known_by_its_size_and_not_by_its_length() {
        let key = |tag: u8, width: u8| [tag, 0, 0, 0x9d, 1, 0x2a, width, 2, 0x68, 1, 77, 78];
        let of = |packet: &[u8; 12]| of(codec::Id::VP8, None, packet).map(<[u8]>::to_vec);
        assert_eq!(of(&key(1, 9)), of(&key(2, 9)));
        assert_ne!(of(&key(1, 9)), of(&key(1, 8)));
    }

    #[test]
    fn a_keyframe_of_h264_is_known_by_its_parameter_set() {
        let start = Some(Framing::of(&[0, 0, 0, 1]));
        let packet = [0, 0, 0, 1, 9, 16, 0, 0, 1, 0x67, 1, 2, 3, 0, 0, 1, 0x68, 4, 0, 0, 1, 0x65, 5];
        assert_eq!(of(codec::Id::H264, start, &packet), Some([0x67, 1, 2, 3].as_slice()));
        let lengths = Some(Framing::of(&[1, 100, 0, 31, 0xff, 0xe1]));
        let packet = [0, 0, 0, 2, 9, 16, 0, 0, 0, 3, 0x67, 1, 2, 0, 0, 0, 2, 0x65, 5];
        assert_eq!(of(codec::Id::H264, lengths, &packet), Some([0x67, 1, 2].as_slice()));
        assert_eq!(of(codec::Id::H264, lengths, &packet[13..]), None);
    }

    #[test]
    fn a_keyframe_of_mpeg_2_is_known_by_its_sequence_header() {
        let packet = [0, 0, 1, 0xb3, 45, 2, 64, 0x33, 9, 9];
        assert_eq!(of(codec::Id::MPEG2VIDEO, None, &packet), Some(&packet[..8]));
        assert_eq!(of(codec::Id::MPEG2VIDEO, None, &packet[1..]), None);
    }
}
