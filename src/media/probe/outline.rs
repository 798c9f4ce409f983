//! What the first bytes and the top-level boxes of a file say, before libav sees it.

use std::io::{self, Read, Seek, SeekFrom};

use super::promise::{self, OGG_PAGE, TAIL_BYTES};

/// Enough for every signature looked for.
const HEAD_BYTES: u64 = 4096;
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
}

impl Outline {
    /// Looks at a file and leaves it at its start.
    pub fn of(stream: &mut (impl Read + Seek)) -> io::Result<Self> {
        let size = stream.seek(SeekFrom::End(0))?;
        stream.rewind()?;
        let mut head = Vec::new();
        stream.by_ref().take(HEAD_BYTES).read_to_end(&mut head)?;
        let (boxes, index_is_cut) = boxes(stream, size)?;
        let tail = if head.starts_with(OGG_PAGE) { tail(stream, size)? } else { Vec::new() };
        stream.rewind()?;
        Ok(Self { size, head, tail, boxes, index_is_cut })
    }

    /// A still or animated picture by its signature or its brand.
    pub fn is_picture(&self) -> bool {
        let head = self.head.as_slice();
        let webp = head.starts_with(b"RIFF") && head.get(8..12) == Some(b"WEBP");
        // The fifth and sixth byte count the icons; an ISO file with a first box of 256 bytes begins alike.
        let icon = head.starts_with(b"\0\0\x01\0") && head.get(5) == Some(&0);
        let jxl = head.starts_with(b"\xff\x0a") || self.boxes.first() == Some(b"JXL ");
        webp || jxl
            || icon
            || self.is_avif()
            || SIGNATURES.iter().any(|signature| head.starts_with(signature))
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

/// The top-level boxes' types, and whether the index among them is cut.
fn boxes(stream: &mut (impl Read + Seek), size: u64) -> io::Result<(Vec<[u8; 4]>, bool)> {
    let (mut names, mut at, mut cut) = (Vec::new(), 0_u64, false);
    // An index and some data say all there is to say: what follows is not worth a jump.
    let told =
        |names: &[[u8; 4]]| names.contains(b"moov") && (names.contains(b"mdat") || names.contains(b"moof"));
    while names.len() < MAX_BOXES && at + 8 <= size && !told(&names) {
        stream.seek(SeekFrom::Start(at))?;
        let Some((name, length)) = box_header(stream, size - at)? else { break };
        names.push(name);
        at = at.saturating_add(length);
        cut |= &name == b"moov" && at > size;
    }
    Ok((names, cut))
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
    fn an_icon_is_told_from_a_first_box_of_256_bytes() {
        assert!(outline(b"\0\0\x01\0\x02\0\x10\x10").is_picture());
        assert!(!outline(&boxed(*b"ftyp", &[b'x'; 248])).is_picture());
    }

    #[test]
    fn an_index_that_is_cut_ends_early() {
        let whole = [boxed(*b"ftyp", b"isom\0\0\0\0"), boxed(*b"moov", &[0; 40])].concat();
        assert!(!outline(&whole).ends_early());
        assert!(outline(&whole[..40]).ends_early());
    }

    #[test]
    fn text_has_no_boxes() {
        assert!(outline(b"#EXTM3U\n#EXT-X-VERSION:3\nfile:///etc/passwd\n").boxes.is_empty());
    }
}
