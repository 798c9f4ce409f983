//! Just enough of ISO/IEC 14496-12 to look into our own segments.

/// How many bytes of a segment hold `moof` and the first sample; `None` where there is no fragment in it.
pub(super) fn first_sample_end(segment: &[u8]) -> Option<u64> {
    let mut at = 0;
    let mut first_size = None;
    while let Some((kind, start, end)) = read_box(segment, at) {
        match &kind {
            b"moof" => first_size = first_sample_size(&segment[start..end]),
            b"mdat" => return first_size.map(|size| (start as u64 + u64::from(size)).min(end as u64)),
            _ => {}
        }
        at = end;
    }
    None
}

/// The RFC 6381 string of an initialisation segment's AVC track, from its `avcC`.
pub(super) fn avc_codec(init: &[u8]) -> Option<String> {
    let at = init.windows(4).position(|window| window == b"avcC")?;
    let [_, profile, compatibility, level] = init.get(at + 4..at + 8)?.first_chunk::<4>()?;
    Some(format!("avc1.{profile:02x}{compatibility:02x}{level:02x}"))
}

fn first_sample_size(moof: &[u8]) -> Option<u32> {
    let traf = find(moof, *b"traf")?;
    let run = find(traf, *b"trun").and_then(size_in_run);
    run.or_else(|| find(traf, *b"tfhd").and_then(default_size))
}

/// ISO/IEC 14496-12 8.8.8: the first sample's size where the run says it.
fn size_in_run(trun: &[u8]) -> Option<u32> {
    let flags = u32_at(trun, 0)?;
    if flags & 0x200 == 0 {
        return None;
    }
    let before = [0x1, 0x4, 0x100].iter().filter(|flag| flags & **flag != 0).count();
    u32_at(trun, 8 + 4 * before)
}

/// ISO/IEC 14496-12 8.8.7: the size of every sample the run is silent about.
fn default_size(tfhd: &[u8]) -> Option<u32> {
    let flags = u32_at(tfhd, 0)?;
    if flags & 0x10 == 0 {
        return None;
    }
    let before = [(0x1, 8), (0x2, 4), (0x8, 4)].iter().filter(|(flag, _)| flags & flag != 0);
    u32_at(tfhd, 8 + before.map(|(_, bytes)| bytes).sum::<usize>())
}

fn find(container: &[u8], wanted: [u8; 4]) -> Option<&[u8]> {
    let mut at = 0;
    while let Some((kind, start, end)) = read_box(container, at) {
        if kind == wanted {
            return container.get(start..end);
        }
        at = end;
    }
    None
}

fn read_box(bytes: &[u8], at: usize) -> Option<([u8; 4], usize, usize)> {
    let size = u32_at(bytes, at)? as usize;
    let kind = *bytes.get(at + 4..)?.first_chunk::<4>()?;
    let end = at.checked_add(size)?;
    (size >= 8 && end <= bytes.len()).then_some((kind, at + 8, end))
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().copied().map(u32::from_be_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boxed(kind: [u8; 4], body: &[u8]) -> Vec<u8> {
        let size = u32::try_from(8 + body.len()).expect("small");
        let mut out = size.to_be_bytes().to_vec();
        out.extend_from_slice(&kind);
        out.extend_from_slice(body);
        out
    }

    fn words(words: &[u32]) -> Vec<u8> {
        words.iter().flat_map(|word| word.to_be_bytes()).collect()
    }

    #[test]
    fn the_first_sample_is_found_by_its_run() {
        let trun = boxed(*b"trun", &words(&[0x205, 1, 99, 0, 5]));
        let traf = boxed(*b"traf", &[boxed(*b"tfhd", &words(&[0, 1])), trun].concat());
        let segment = [boxed(*b"moof", &traf), boxed(*b"mdat", &[0; 20])].concat();
        let moof = segment.len() as u64 - 28;
        assert_eq!(first_sample_end(&segment), Some(moof + 8 + 5));
    }

    #[test]
    fn the_first_sample_is_found_by_the_track_s_default() {
        let tfhd = boxed(*b"tfhd", &words(&[0x20038, 1, 512, 7, 0]));
        let traf = boxed(*b"traf", &[tfhd, boxed(*b"trun", &words(&[0x1, 1, 99]))].concat());
        let segment = [boxed(*b"moof", &traf), boxed(*b"mdat", &[0; 20])].concat();
        assert_eq!(first_sample_end(&segment), Some(segment.len() as u64 - 20 + 7));
    }

    #[test]
    fn a_codec_is_named_by_profile_and_level() {
        let init = boxed(*b"avcC", &[1, 0x64, 0, 0x1f, 0xff]);
        assert_eq!(avc_codec(&init).as_deref(), Some("avc1.64001f"));
        assert_eq!(avc_codec(b"avcC"), None);
    }
}
