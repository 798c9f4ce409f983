//! Uploads: bytes arriving, and the finished source they become.

use super::printable::is_unprintable;
use super::words::words;

/// S3 takes no part but the last below this.
pub const MIN_PART_BYTES: u64 = 5 << 20;
/// What a part has where the length is unknown or small; one part a running upload is held in memory.
pub const DEFAULT_PART_BYTES: u64 = 8 << 20;
/// S3 takes no more parts than this in one multipart upload.
pub const MAX_PARTS: u64 = 10_000;
/// Bytes a file name may have; the rest is cut.
pub const MAX_FILENAME_BYTES: usize = 1024;

words! {
    /// The way the bytes come in.
    Door {
        /// tus 1.0.
        Tus = "tus",
        /// Presigned S3 multipart, straight to the bucket.
        Parts = "parts",
        /// One plain `PUT`.
        Put = "put",
        /// A broadcast: the recording's segments, put together.
        Live = "live",
    }
}

words! {
    /// An upload's part in a tus concatenation.
    Concat {
        None = "none",
        Partial = "partial",
        Final = "final",
    }
}

words! {
    /// How far an upload is.
    UploadState {
        Open = "open",
        /// All bytes are there; the source is being put together.
        Finishing = "finishing",
        /// The source is in the bucket, whole.
        Finished = "finished",
        /// Given up or expired.
        Abandoned = "abandoned",
    }
}

/// The size of all parts but the last, so that `length` fits into S3's number of parts.
pub fn part_bytes(length: Option<u64>) -> u64 {
    let mebibyte = 1 << 20;
    let needed = length.unwrap_or(0).div_ceil(MAX_PARTS).div_ceil(mebibyte) * mebibyte;
    needed.max(DEFAULT_PART_BYTES)
}

/// A file name as it is kept: cut to its limit without splitting a character, and without what would turn its letters
/// around (`exe.4pm`) or write into a terminal.
pub fn clean_filename(name: &str) -> String {
    let shown: String = name.chars().filter(|c| !is_unprintable(*c)).collect();
    shown[..shown.floor_char_boundary(MAX_FILENAME_BYTES)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_fits_into_ten_thousand_parts() {
        for length in [0, 1, 80 << 20, 100 << 30, 5 << 40] {
            assert!(length <= part_bytes(Some(length)) * MAX_PARTS, "{length}");
        }
        assert_eq!(part_bytes(None), DEFAULT_PART_BYTES);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        assert_eq!(clean_filename(&"政".repeat(500)).chars().count(), MAX_FILENAME_BYTES / 3);
    }

    #[test]
    fn a_name_is_kept_without_what_turns_it_around() {
        assert_eq!(clean_filename("clip\u{202e}4pm.exe\u{0}\u{1b}[2J 空气.mp4"), "clip4pm.exe[2J 空气.mp4");
    }
}
