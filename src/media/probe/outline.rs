//! What the first bytes and the top-level boxes of a file say, before libav sees it.

use std::io::{self, Read, Seek, SeekFrom};

use super::promise::{self, OGG_PAGE, TAIL_BYTES};
use super::{flv, matroska};

/// Enough for every signature looked for.
const HEAD_BYTES: u64 = 4096;
/// Of an index no more is looked through by hand.
const INDEX_BYTES: u64 = 64 << 10;
/// More top-level boxes than this tell nothing new.
const MAX_BOXES: usize = 64;

/// How files of still pictures begin.
const SIGNATURES: [&[u8]; 8] =
    [b"GIF87a", b"GIF89a", b"\x89PNG\r\n", b"\xff\xd8\xff", b"BM", b"II*\0", b"MM\0*", b"8BPS"];

/// A file's size and shape.
#[derive(Debug, Default)]
pub(super) struct Outline {
    pub size: u64,
    pub head: Vec<u8>,
    /// The last bytes, of an Ogg file only.
    pub tail: Vec<u8>,
    /// Types of the top-level boxes of an ISO file (ISO/IEC 14496-12 4.2), in order; empty for any other file.
    pub boxes: Vec<[u8; 4]>,
    /// The `moov` box goes on past the end of the file: tracks may be missing from it.
    pub index_is_cut: bool,
    /// The `moov` box has a track of encrypted samples (ISO/IEC 14496-12 8.12).
    pub is_protected: bool,
    /// A Matroska file's track is flagged as interlaced, maybe without a word on the order of fields.
    pub is_interlaced: bool,
    /// The codec of an FLV file's pictures, where that is one FFmpeg's demuxer doesn't know.
    pub flv_codec: Option<String>,
}

impl Outline {
    /// Looks at a file and leaves it at its start.
    pub fn of(stream: &mut (impl Read + Seek)) -> io::Result<Self> {
        let size = stream.seek(SeekFrom::End(0))?;
        stream.rewind()?;
        let mut head = Vec::new();
        stream.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        if head.starts_with(matroska::SIGNATURE) {
            stream.by_ref().take(INDEX_BYTES).read_to_end(&mut head)?;
        }
        let Boxes { names: boxes, index, index_is_cut } = boxes(stream, size)?;
        let is_protected = index.map_or(Ok(false), |index| has_protected_tracks(stream, index))?;
        let tail = if head.starts_with(OGG_PAGE) { tail(stream, size)? } else { Vec::new() };
        let flv_codec = flv::foreign_codec(stream, &head)?;
        stream.rewind()?;
        let is_interlaced = matroska::is_interlaced(&head);
        Ok(Self { size, head, tail, boxes, index_is_cut, is_protected, is_interlaced, flv_codec })
    }

    /// A still or animated picture by its signature or its brand.
    pub fn is_picture(&self) -> bool {
        let head = self.head.as_slice();
        let webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
        let jxl = head.starts_with(b"\xff\x0a") || self.boxes.first() == Some(b"JXL ");
        webp || jxl
            || self.is_icon()
            || self.is_avif()
            || SIGNATURES.iter().any(|signature| head.starts_with(signature))
    }

    /// A directory of icons, the first of which lies behind it and within the file. A bare MPEG-4 stream (ISO/IEC
    /// 14496-2 6.2.1) and an ISO file with a first box of 256 bytes begin alike.
    fn is_icon(&self) -> bool {
        const ENTRY: u64 = 16;
        let head = self.head.as_slice();
        let word = |at: usize| head.get(at..at + 4)?.first_chunk().map(|word| u32::from_le_bytes(*word));
        let count = head.get(4..6).and_then(<[u8]>::first_chunk).map_or(0, |two| u16::from_le_bytes(*two));
        let (Some(bytes), Some(at)) = (word(14), word(18)) else { return false };
        let behind = 6 + ENTRY * u64::from(count) <= u64::from(at);
        let begins = head.starts_with(b"\0\0\x01\0") && head.get(9) == Some(&0);
        begins && count > 0 && behind && u64::from(at) + u64::from(bytes) <= self.size
    }

    /// An AV1 picture or sequence of pictures.
    pub fn is_avif(&self) -> bool {
        self.brands().any(|brand| brand == b"avif" || brand == b"avis")
    }

    /// A picture or burst in the HEIF family; a sequence in it may play as a video.
    pub fn is_heif(&self) -> bool {
        const BRANDS: [&[u8]; 8] = [b"heic", b"heix", b"heim", b"heis", b"mif1", b"mif2", b"msf1", b"miaf"];
        self.brands().next().is_some_and(|brand| BRANDS.contains(&brand))
    }

    /// Part of a stream cut for delivery, without the index that would make it a file.
    pub fn is_segment(&self) -> bool {
        let parts = [b"styp", b"sidx", b"moof", b"mdat", b"ftyp", b"free", b"emsg", b"prft"];
        let iso = self.boxes.iter().any(|name| parts.contains(&name)) && !self.has_box(*b"moov");
        let matroska_cluster = self.head.starts_with(b"\x1f\x43\xb6\x75");
        iso || matroska_cluster
    }

    /// An index with nothing behind it.
    pub fn is_header_only(&self) -> bool {
        let iso = self.boxes.first() == Some(b"ftyp") || self.has_box(*b"moov");
        iso && !self.has_box(*b"mdat") && !self.has_box(*b"moof")
    }

    /// The container's own header promises more bytes than there are, or the last packet of a stream of them is cut.
    pub fn ends_early(&self) -> bool {
        self.index_is_cut || promise::is_broken(&self.head, &self.tail, self.size)
    }

    /// An ISO file in fragments, whose index is strewn all over it.
    pub fn is_fragmented(&self) -> bool {
        self.has_box(*b"moof")
    }

    fn has_box(&self, name: [u8; 4]) -> bool {
        self.boxes.contains(&name)
    }

    /// The major brand, then the compatible ones.
    fn brands(&self) -> impl Iterator<Item = &[u8]> {
        let ftyp = if self.boxes.first() == Some(b"ftyp") { self.head.as_slice() } else { &[] };
        let length = ftyp.first_chunk().map_or(0, |size| u32::from_be_bytes(*size) as usize).min(ftyp.len());
        let brands = ftyp.get(8..length).unwrap_or_default().chunks_exact(4).enumerate();
        brands.filter(|(at, _)| *at != 1).map(|(_, brand)| brand)
    }
}

/// What is seen of an ISO file from box to box.
#[derive(Default)]
struct Boxes {
    names: Vec<[u8; 4]>,
    /// Where the index begins, and its length.
    index: Option<(u64, u64)>,
    index_is_cut: bool,
}

fn boxes(stream: &mut (impl Read + Seek), size: u64) -> io::Result<Boxes> {
    let (mut boxes, mut at) = (Boxes::default(), 0_u64);
    // An index and some data say all there is to say: what follows is not worth a jump.
    let told =
        |names: &[[u8; 4]]| names.contains(b"moov") && (names.contains(b"mdat") || names.contains(b"moof"));
    while boxes.names.len() < MAX_BOXES && at + 8 <= size && !told(&boxes.names) {
        stream.seek(SeekFrom::Start(at))?;
        let Some((name, length)) = box_header(stream, size - at)? else { break };
        boxes.names.push(name);
        if &name == b"moov" {
            boxes.index = Some((at, length));
            boxes.index_is_cut |= at.saturating_add(length) > size;
        }
        at = at.saturating_add(length);
    }
    Ok(boxes)
}

/// Sample entries of encrypted tracks stand near the start of the index.
fn has_protected_tracks(stream: &mut (impl Read + Seek), (at, length): (u64, u64)) -> io::Result<bool> {
    stream.seek(SeekFrom::Start(at))?;
    let mut index = Vec::new();
    stream.take(length.min(INDEX_BYTES)).read_to_end(&mut index)?;
    let holds = |name: &[u8]| index.windows(4).any(|window| window == name);
    Ok((holds(b"encv") || holds(b"enca")) && holds(b"sinf"))
}

/// A box's type and length; `None` where there is no sane box.
fn box_header(stream: &mut impl Read, rest: u64) -> io::Result<Option<([u8; 4], u64)>> {
    let mut header = Vec::new();
    stream.take(16).read_to_end(&mut header)?;
    let (Some(short), Some(name)) = (be32(&header, 0), header.get(4..8).and_then(<[u8]>::first_chunk)) else {
        return Ok(None);
    };
    if !name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ') {
        return Ok(None);
    }
    let length = match short {
        0 => rest,
        1 => header.get(8..16).and_then(<[u8]>::first_chunk).map_or(0, |long| u64::from_be_bytes(*long)),
        short => u64::from(short),
    };
    Ok((length >= 8).then_some((*name, length)))
}

fn tail(stream: &mut (impl Read + Seek), size: u64) -> io::Result<Vec<u8>> {
    stream.seek(SeekFrom::Start(size.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    stream.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok(tail)
}

fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    fn outline(bytes: &[u8]) -> Outline {
        Outline::of(&mut Cursor::new(bytes.to_vec())).expect("read")
    }

    fn boxed(name: [u8; 4], body: &[u8]) -> Vec<u8> {
        let length = u32::try_from(body.len() + 8).expect("short");
        [&length.to_be_bytes(), name.as_slice(), body].concat()
    }

    #[test]
    fn pictures_are_known_by_signature_or_brand() {
        assert!(outline(b"GIF89a...").is_picture());
        assert!(outline(&boxed(*b"ftyp", b"mif1\0\0\0\0avifmiaf")).is_picture());
        assert!(!outline(&boxed(*b"ftyp", b"isom\0\0\0\0avc1mp42")).is_picture());
    }

    #[test]
    fn a_minor_version_is_no_brand() {
        assert!(!outline(&boxed(*b"ftyp", b"isomavifmp42")).is_picture());
    }

    #[test]
    fn a_media_segment_lacks_the_index_and_an_init_segment_the_data() {
        let segment =
            [boxed(*b"styp", b"msdh\0\0\0\0"), boxed(*b"moof", b""), boxed(*b"mdat", b"x")].concat();
        assert!(outline(&segment).is_segment());
        let init = [boxed(*b"ftyp", b"iso6\0\0\0\0"), boxed(*b"moov", b"")].concat();
        assert!(outline(&init).is_header_only() && !outline(&init).is_segment());
    }

    #[test]
    fn an_icon_is_told_from_a_first_box_of_256_bytes_and_from_bare_mpeg_4() {
        let entry = b"\x10\x10\0\0\x01\0\x20\0\x04\0\0\0\x16\0\0\0";
        assert!(outline(&[b"\0\0\x01\0\x01\0".as_slice(), entry, b"icon"].concat()).is_picture());
        assert!(!outline(&[b"\0\0\x01\0\x01\0".as_slice(), entry, b"ico"].concat()).is_picture());
        assert!(
            !outline(b"\0\0\x01\0\0\0\x01\x20\0\xc8\x88\x80\x0c\xd0\xb0\x42\x41\x06\x10\x20\x01\x10")
                .is_picture()
        );
        assert!(!outline(&boxed(*b"ftyp", &[b'x'; 248])).is_picture());
    }

    #[test]
    fn an_index_that_is_cut_ends_early() {
        let whole = [boxed(*b"ftyp", b"isom\0\0\0\0"), boxed(*b"moov", &[0; 40])].concat();
        assert!(!outline(&whole).ends_early());
        assert!(outline(&whole[..40]).ends_early());
    }

    #[test]
    fn encrypted_tracks_are_seen_in_the_index() {
        let file = |index: &[u8]| {
            [boxed(*b"ftyp", b"isom\0\0\0\0"), boxed(*b"moov", index), boxed(*b"moof", b"")].concat()
        };
        assert!(outline(&file(b"....encv....sinf....")).is_protected);
        assert!(!outline(&file(b"....avc1....")).is_protected);
    }

    #[test]
    fn text_has_no_boxes() {
        assert!(outline(b"#EXTM3U\n#EXT-X-VERSION:3\nfile:///etc/passwd\n").boxes.is_empty());
    }
}
