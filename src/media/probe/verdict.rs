//! Why a source is turned away, in sentences an editor understands.

use super::outline::Outline;
use crate::domain::{Refusal, RefusalCode};

/// What is known of a source whose pictures didn't come out.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Blank<'a> {
    /// Its streams declare encryption.
    pub encrypted: bool,
    /// The codec of a video stream nothing here decodes.
    pub undecodable: Option<&'a str>,
    /// Packets of pictures that were read.
    pub packets: u64,
}

pub(super) fn empty() -> Refusal {
    Refusal::new(RefusalCode::Empty, "The file is empty.")
}

pub(super) fn still_picture() -> Refusal {
    Refusal::new(RefusalCode::StillPicture, "This is a picture, not a video.")
}

pub(super) fn no_video_stream() -> Refusal {
    Refusal::new(RefusalCode::NoVideoStream, "There is no video in this file, only sound or other data.")
}

pub(super) fn encrypted() -> Refusal {
    let message = "The video is protected by encryption and can't be read without its key.";
    Refusal::new(RefusalCode::Encrypted, message)
}

pub(super) fn incomplete() -> Refusal {
    let message =
        "This is only a part of a video: its index or its pictures are missing. Upload the complete file.";
    Refusal::new(RefusalCode::Incomplete, message)
}

pub(super) fn too_long(seconds: i64, most: i64) -> Refusal {
    let message = format!("The video is {seconds} seconds long, more than the {most} allowed.");
    Refusal::new(RefusalCode::TooLong, message)
}

pub(super) fn stands_still(seconds: i64, most: i64) -> Refusal {
    let message = format!(
        "For {seconds} seconds of this video neither picture nor sound comes, more than the {most} allowed. Export it \
         with a constant frame rate, or cut the pause out."
    );
    Refusal::new(RefusalCode::StandsStill, message)
}

pub(super) fn truncated() -> Refusal {
    let message = "The file ends before the video does; what is there is played.";
    Refusal::new(RefusalCode::Truncated, message)
}

pub(super) fn audio_undecodable(codec: &str) -> Refusal {
    let message = format!("The sound ({codec}) could not be decoded; the video plays without it.");
    Refusal::new(RefusalCode::AudioUndecodable, message)
}

/// A file that no container of ours fits.
pub(super) fn unopened(outline: &Outline) -> Refusal {
    if outline.is_protected {
        encrypted()
    } else if outline.is_heif() {
        still_picture()
    } else if outline.is_segment() || outline.is_header_only() {
        incomplete()
    } else {
        Refusal::new(RefusalCode::NotMedia, "This file is not a video in any format that can be read.")
    }
}

/// A file with no stream of moving pictures.
pub(super) fn without_video(outline: &Outline, covers_only: bool) -> Refusal {
    if covers_only || outline.is_heif() { still_picture() } else { no_video_stream() }
}

/// A file whose video stream gave not one picture.
pub(super) fn without_pictures(outline: &Outline, blank: Blank<'_>) -> Refusal {
    if blank.encrypted {
        return encrypted();
    }
    if let Some(codec) = outline.flv_codec.as_deref().or(blank.undecodable) {
        let message = format!("The video's codec ({codec}) can't be decoded here.");
        return Refusal::new(RefusalCode::UndecodableCodec, message);
    }
    if outline.is_header_only() || blank.packets == 0 {
        return incomplete();
    }
    let message = "No picture of this video, or next to none, could be decoded; the file is damaged.";
    Refusal::new(RefusalCode::NoFrames, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outline(boxes: &[&[u8; 4]]) -> Outline {
        Outline { boxes: boxes.iter().map(|name| **name).collect(), size: 1000, ..Outline::default() }
    }

    #[test]
    fn a_segment_alone_is_told_from_what_is_no_media() {
        assert_eq!(unopened(&outline(&[b"styp", b"moof", b"mdat"])).code, RefusalCode::Incomplete);
        assert_eq!(unopened(&outline(&[])).code, RefusalCode::NotMedia);
    }

    #[test]
    fn an_encrypted_file_that_can_t_be_opened_is_told_as_encrypted() {
        let protected = Outline { is_protected: true, ..outline(&[b"ftyp", b"moov", b"moof"]) };
        assert_eq!(unopened(&protected).code, RefusalCode::Encrypted);
    }

    #[test]
    fn what_an_flv_file_says_of_its_codec_goes_before_what_the_demuxer_made_of_it() {
        let flv = Outline { flv_codec: Some("hvc1".to_owned()), ..outline(&[]) };
        let refusal = without_pictures(&flv, Blank { packets: 9, ..Blank::default() });
        assert_eq!(refusal.code, RefusalCode::UndecodableCodec);
        assert!(refusal.message.contains("hvc1"));
    }

    #[test]
    fn encryption_is_named_before_what_follows_from_it() {
        let blank = Blank { encrypted: true, undecodable: Some("av1"), packets: 9 };
        assert_eq!(without_pictures(&outline(&[]), blank).code, RefusalCode::Encrypted);
        let blank = Blank { encrypted: false, ..blank };
        assert_eq!(without_pictures(&outline(&[]), blank).code, RefusalCode::UndecodableCodec);
    }

    #[test]
    fn an_index_without_pictures_is_incomplete_and_damaged_pictures_are_not() {
        let init = outline(&[b"ftyp", b"moov"]);
        assert_eq!(without_pictures(&init, Blank::default()).code, RefusalCode::Incomplete);
        let whole = outline(&[b"ftyp", b"moov", b"mdat"]);
        let blank = Blank { packets: 25, ..Blank::default() };
        assert_eq!(without_pictures(&whole, blank).code, RefusalCode::NoFrames);
    }

    #[test]
    fn a_cover_alone_is_a_picture_and_a_song_is_not() {
        assert_eq!(without_video(&outline(&[]), true).code, RefusalCode::StillPicture);
        assert_eq!(without_video(&outline(&[]), false).code, RefusalCode::NoVideoStream);
    }
}
