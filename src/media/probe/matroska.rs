//! What the first elements of a Matroska file say that libav doesn't pass on (RFC 8794, RFC 9559).

const HEADER: u64 = 0x1a45_dfa3;
const SEGMENT: u64 = 0x1853_8067;
const TRACKS: u64 = 0x1654_ae6b;
const TRACK: u64 = 0xae;
const VIDEO: u64 = 0xe0;
const FLAG_INTERLACED: u64 = 0x9a;

/// How a Matroska file begins.
pub(super) const SIGNATURE: &[u8] = b"\x1a\x45\xdf\xa3";

/// Where the segment ends; `None` where it is open-ended or this is no Matroska file.
pub(super) fn end(head: &[u8]) -> Option<u64> {
    segment(head)?.end
}

/// A track of pictures is flagged as interlaced (`FlagInterlaced`, RFC 9559 5.1.4.1.28.1), whatever is said of the order
/// of its fields.
pub(super) fn is_interlaced(head: &[u8]) -> bool {
    let Some(segment) = segment(head) else { return false };
    let tracks = children(head, &segment, TRACKS).into_iter().next();
    let tracks = tracks.map(|tracks| children(head, &tracks, TRACK)).unwrap_or_default();
    let videos = tracks.iter().flat_map(|track| children(head, track, VIDEO));
    let mut flags = videos.flat_map(|video| children(head, &video, FLAG_INTERLACED));
    flags
        .any(|flag| flag.end.and_then(|end| head.get(usize::try_from(end).ok()?.checked_sub(1)?)) == Some(&1))
}

fn segment(head: &[u8]) -> Option<Element> {
    let header = element(head, 0).filter(|header| header.id == HEADER)?;
    element(head, header.end?).filter(|segment| segment.id == SEGMENT)
}

struct Element {
    id: u64,
    body: u64,
    /// `None` where its size is unknown.
    end: Option<u64>,
}

/// The children of one kind, as far as the bytes at hand go.
fn children(head: &[u8], parent: &Element, wanted: u64) -> Vec<Element> {
    let (mut found, mut at) = (Vec::new(), parent.body);
    while parent.end.is_none_or(|end| at < end)
        && let Some(child) = element(head, at)
    {
        let Some(end) = child.end else { break };
        at = end;
        if child.id == wanted {
            found.push(child);
        }
    }
    found
}

fn element(head: &[u8], at: u64) -> Option<Element> {
    let (id, id_bytes) = variable(head, at, false)?;
    let (size, size_bytes) = variable(head, at + id_bytes, true)?;
    let unknown = size == (1 << (7 * size_bytes)) - 1;
    let body = at + id_bytes + size_bytes;
    Some(Element { id, body, end: (!unknown).then(|| body.saturating_add(size)) })
}

/// A variable-length number and its length, with or without its marker.
fn variable(head: &[u8], at: u64, unmarked: bool) -> Option<(u64, u64)> {
    let bytes = head.get(usize::try_from(at).ok()?..)?;
    let first = *bytes.first()?;
    let length = first.leading_zeros() + 1;
    let marked = bytes.get(..length as usize)?.iter().fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
    let value = marked & (1_u64.checked_shl(7 * length)? - 1);
    Some((if unmarked { value } else { marked }, u64::from(length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(id: &[u8], body: &[u8]) -> Vec<u8> {
        let size = u8::try_from(body.len()).expect("short") | 0x80;
        [id, &[size], body].concat()
    }

    #[test]
    fn a_track_flagged_as_interlaced_is_seen_without_an_order_of_fields() {
        let file = |flag: u8| {
            let video = wrapped(b"\xe0", &wrapped(b"\x9a", &[flag]));
            let tracks = wrapped(b"\x16\x54\xae\x6b", &wrapped(b"\xae", &video));
            let segment = [wrapped(b"\xec", &[0; 9]), tracks].concat();
            [wrapped(SIGNATURE, b""), wrapped(b"\x18\x53\x80\x67", &segment)].concat()
        };
        assert!(is_interlaced(&file(1)));
        assert!(!is_interlaced(&file(2)));
        assert!(!is_interlaced(&file(1)[..20]));
    }
}
