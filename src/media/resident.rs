//! FFmpeg's hundred and fifty libraries are loaded into every process of the binary, but only the caged children use
//! them: the others give back the pages that loading touched.
#![expect(unsafe_code, reason = "the standard library has no call for it")]

/// Asks the kernel to take back the clean pages of all shared libraries; whoever needs one reads it in again. Returns
/// how many bytes were offered.
pub fn give_back_libraries() -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    maps.lines().filter_map(library).map(|(begin, length)| page_out(begin, length)).sum()
}

fn page_out(begin: usize, length: usize) -> usize {
    let begin = std::ptr::with_exposed_provenance_mut::<nix::libc::c_void>(begin);
    // SAFETY: MADV_PAGEOUT changes no byte of the range, which is mapped and holds unwritten pages of a file.
    match unsafe { nix::libc::madvise(begin, length, nix::libc::MADV_PAGEOUT) } {
        0 => length,
        // A kernel before 5.4: the pages stay.
        _ => 0,
    }
}

/// Where a line of `maps` (proc(5)) tells of a shared library's mapping that can't be written: begin and length.
fn library(line: &str) -> Option<(usize, usize)> {
    let mut words = line.split_whitespace();
    let (begin, end) = words.next()?.split_once('-')?;
    let readable = words.next()?.starts_with("r-");
    let path = words.nth(3).filter(|path| path.contains(".so"))?;
    let (begin, end) = (usize::from_str_radix(begin, 16).ok()?, usize::from_str_radix(end, 16).ok()?);
    (readable && path.starts_with('/')).then_some((begin, end.checked_sub(begin)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_not_be_written_of_a_library_is_given_back() {
        let of = |line: &str| library(line);
        assert_eq!(of("7f00-7f10 r-xp 00001000 fe:00 42    /usr/lib/libx264.so.164"), Some((0x7f00, 0x10)));
        assert_eq!(of("7f00-7f10 rw-p 00001000 fe:00 42    /usr/lib/libx264.so.164"), None);
        assert_eq!(of("7f00-7f10 r-xp 00001000 fe:00 42    /usr/bin/policast"), None);
        assert_eq!(of("7f00-7f10 rw-p 00000000 00:00 0"), None);
    }

    #[test]
    fn what_was_given_back_still_works() {
        assert!(give_back_libraries() > 0);
        assert!(ffmpeg_next::codec::version() > 0);
    }
}
