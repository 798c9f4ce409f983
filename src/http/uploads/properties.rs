//! Properties that hold for whatever a client sends in the headers of an upload (tus 1.0, RFC 9530, RFC 6266).

use std::collections::BTreeMap;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::super::{Error, headers};
use super::{metadata, protocol};
use crate::domain::UploadId;

fn with(name: &'static str, value: &[u8]) -> HeaderMap {
    let value = HeaderValue::from_bytes(value).unwrap_or(HeaderValue::from_static(""));
    HeaderMap::from_iter([(HeaderName::from_static(name), value)])
}

proptest! {
    #[test]
    fn metadata_survives_its_header(given in btree_map("[a-z_]{1,12}", "[^\u{0}]{0,40}", 0..6)) {
        prop_assert_eq!(metadata::parse(&metadata::render(&given)).ok(), Some(given));
    }

    #[test]
    fn tus_headers_may_say_anything(value in vec(any::<u8>(), 0..200), plain in "[ -~]{0,200}") {
        for bytes in [&value[..], plain.as_bytes()] {
            let _ = protocol::checksum(&with("upload-checksum", bytes));
            let _ = protocol::concatenation(&with("upload-concat", bytes));
            let _ = headers::digest(&with("repr-digest", bytes));
            let _ = headers::digest(&with("content-md5", bytes));
            let _ = headers::filename(&with("content-disposition", bytes));
        }
        let _: Result<BTreeMap<String, String>, Error> = metadata::parse(&plain);
    }

    #[test]
    fn a_concatenation_names_what_it_was_made_of(count in 1..20_usize, base in "(https://[a-z]{1,9}\\.gov)?/[a-z/]{0,20}") {
        let ids: Vec<UploadId> = (0..count).map(|_| UploadId::new()).collect();
        let urls: Vec<String> = ids.iter().map(|id| format!("{base}/{id}")).collect();
        let found = protocol::concatenation(&with("upload-concat", format!("final;{}", urls.join(" ")).as_bytes()));
        prop_assert_eq!(found.ok(), Some(protocol::Concatenation::Final(ids)));
    }

    #[test]
    fn a_count_of_bytes_is_digits_or_refused(text in "[0-9]{1,25}|[ -~]{0,25}") {
        let number = headers::number(&with("upload-offset", text.as_bytes()), "upload-offset");
        if let Ok(Some(number)) = number {
            prop_assert_eq!(text.trim().parse::<u64>().ok(), Some(number));
        }
    }
}
