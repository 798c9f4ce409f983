//! Properties that hold for whatever a player asks for: ranges, names of media, trims, cursors.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::prelude::*;

use super::super::Error;
use super::bytes::{Asked, Thing};
use super::live::parse_media;
use super::media::{parse_init, parse_pack};
use crate::domain::VideoId;
use crate::domain::trim::Trim;

fn with(name: &'static str, value: &[u8]) -> HeaderMap {
    let value = HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static(""));
    HeaderMap::from_iter([(HeaderName::from_static(name), value)])
}

/// What RFC 9110 14.1.2 says of one range of whole numbers; empty where it can't be satisfied, `None` where it is to be
/// ignored.
fn expected(first: Option<u64>, last: Option<u64>, size: u64) -> Option<std::ops::Range<u64>> {
    match (first, last) {
        (None, Some(suffix)) => Some(size.saturating_sub(suffix)..size),
        (Some(first), None) => Some(first..size),
        (Some(first), Some(last)) if first <= last => Some(first..size.min(last.saturating_add(1))),
        (None, None) | (Some(_), Some(_)) => None,
    }
}

fn number() -> impl Strategy<Value = Option<u64>> {
    prop_oneof![Just(None), (0..300_u64).prop_map(Some), any::<u64>().prop_map(Some)]
}

proptest! {
    #[test]
    fn a_range_is_answered_as_the_standard_says(first in number(), last in number(), size in 0..300_u64) {
        let text = |number: Option<u64>| number.map_or(String::new(), |number| number.to_string());
        let range_text = format!("bytes={}-{}", text(first), text(last));
        let thing = Thing { etag: "\"a\"".to_owned(), size, content_type: "video/mp4", cache_control: "no-cache" };
        let asked = thing.asked(&with("range", range_text.as_bytes()));
        match expected(first, last, size) {
            None => prop_assert_eq!(asked.ok(), Some(Asked::Whole)),
            Some(range) if range.start >= range.end => {
                prop_assert!(matches!(asked, Err(Error::Range { .. })), "{}", range_text);
            }
            Some(range) => prop_assert_eq!(asked.ok(), Some(Asked::Part(range))),
        }
    }

    #[test]
    fn no_range_reaches_beyond_the_end(text in "(bytes=)?[-0-9 ,]{0,30}|.{0,30}", size in 0..1000_u64) {
        let thing = Thing { etag: "\"a\"".to_owned(), size, content_type: "video/mp4", cache_control: "no-cache" };
        if let Ok(Asked::Part(range)) = thing.asked(&with("range", text.as_bytes())) {
            prop_assert!(range.start < range.end && range.end <= size, "{} of {}: {:?}", text, size, range);
        }
    }

    #[test]
    fn media_has_one_name_only(file in "[0-9]{1,11}-[0-9]{1,11}(\\.[0-9]{1,11})?\\.m4s|init(-[0-9]{1,11})?\\.mp4|.{0,24}") {
        if let Some((first, attempt)) = parse_pack(&file) {
            prop_assert_eq!(&format!("{first}-{attempt}.m4s"), &file);
        }
        if let Some((epoch, (segment, part))) = parse_media(&file) {
            let part = part.map(|part| format!(".{part}")).unwrap_or_default();
            prop_assert_eq!(&format!("{segment}-{epoch}{part}.m4s"), &file);
        }
        match parse_init(&file) {
            Some(0) => prop_assert_eq!(&file, "init.mp4"),
            Some(number) => prop_assert_eq!(&format!("init-{number}.mp4"), &file),
            None => {}
        }
    }

    #[test]
    fn a_trim_reads_what_it_writes(text in "[0-9]{1,20}-([0-9]{1,20})?|.{0,24}") {
        if let Ok(trim) = text.parse::<Trim>() {
            prop_assert!(trim.is_sound());
            prop_assert_eq!(trim.to_string().parse::<Trim>().ok(), Some(trim));
            prop_assert!(trim.duration(i64::MAX) >= 0);
        }
    }

    #[test]
    fn a_cursor_is_an_id_or_nothing(text in "[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}|.{0,60}") {
        if let Ok(id) = text.parse::<VideoId>() {
            prop_assert_eq!(id.to_string().parse::<VideoId>().ok(), Some(id));
            prop_assert_eq!(id.to_string().len(), 36);
        }
    }
}
