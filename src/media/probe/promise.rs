//! What a container's first and last bytes promise of its length, to tell a file that was cut off.

use super::matroska;

/// An Ogg page is at most this long (RFC 3533 6).
pub(super) const TAIL_BYTES: u64 = 65_307;
/// How an Ogg page begins.
pub(super) const OGG_PAGE: &[u8] = b"OggS";

/// The header promises more bytes than `size`, or the last packet of a stream of packets is not whole.
pub(super) fn is_broken(head: &[u8], tail: &[u8], size: u64) -> bool {
    let promised = matroska::end(head).or_else(|| riff_end(head));
    let packet = transport_packet(head);
    promised.is_some_and(|end| end > size)
        || packet.is_some_and(|length| !size.is_multiple_of(length))
        || ogg_is_cut(tail)
}

/// The last page is longer than what is left of the file (RFC 3533 6).
fn ogg_is_cut(tail: &[u8]) -> bool {
    let Some(at) = tail.windows(4).rposition(|window| window == OGG_PAGE) else { return false };
    let page = &tail[at..];
    let Some(count) = page.get(26).map(|count| usize::from(*count)) else { return true };
    let Some(lengths) = page.get(27..27 + count) else { return true };
    page.len() < 27 + count + lengths.iter().map(|length| usize::from(*length)).sum::<usize>()
}

/// Where the first chunk of a RIFF file ends.
fn riff_end(head: &[u8]) -> Option<u64> {
    let size = head.strip_prefix(b"RIFF")?.first_chunk()?;
    match u32::from_le_bytes(*size) {
        0 | u32::MAX => None,
        size => Some(u64::from(size) + 8),
    }
}

/// The packet length of an MPEG transport stream: plain, with timestamps, or with parity.
fn transport_packet(head: &[u8]) -> Option<u64> {
    [(188, 0), (192, 4), (204, 0)].into_iter().find_map(|(length, first): (usize, usize)| {
        let synced = (0..8).all(|packet| head.get(first + packet * length) == Some(&0x47));
        synced.then_some(length as u64)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_cut(file: &[u8]) -> bool {
        is_broken(file, file, file.len() as u64)
    }

    #[test]
    fn a_matroska_segment_longer_than_the_file_ends_early_and_an_open_one_does_not() {
        let header = b"\x1a\x45\xdf\xa3\x81\0";
        let segment = |size: &[u8]| [header.as_slice(), b"\x18\x53\x80\x67", size, b"rest"].concat();
        assert!(is_cut(&segment(b"\x85")));
        assert!(!is_cut(&segment(b"\x84")));
        assert!(!is_cut(&segment(b"\x01\xff\xff\xff\xff\xff\xff\xff")));
    }

    #[test]
    fn a_riff_file_and_a_transport_stream_that_are_cut_end_early() {
        assert!(is_cut(b"RIFF\x20\0\0\0AVI cut"));
        let mut packets = [[0x47].as_slice(), &[0; 187]].concat().repeat(9);
        assert!(!is_cut(&packets));
        packets.pop();
        assert!(is_cut(&packets));
    }

    #[test]
    fn an_ogg_file_whose_last_page_is_cut_ends_early() {
        let page = [b"OggS".as_slice(), &[0; 22], &[2, 3, 4], b"1234567"].concat();
        assert!(!is_cut(&page.repeat(2)));
        assert!(is_cut(&page.repeat(2)[..65]));
        assert!(is_cut(&page.repeat(2)[..40]));
    }
}
