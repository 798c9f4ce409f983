//! `Upload-Metadata` (tus 1.0, creation): names with base64 values.

use std::collections::BTreeMap;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::super::Error;
use super::super::problem::Fault;
use crate::domain::printable;

/// The header's name.
pub const NAME: &str = "upload-metadata";

/// By name; an empty header is no metadata. Every value that can't be read is told.
pub fn parse(header: &str) -> Result<BTreeMap<String, String>, Error> {
    let (mut metadata, mut faults) = (BTreeMap::new(), Vec::new());
    for pair in header.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (name, encoded) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = BASE64_STANDARD.decode(encoded.trim()).ok();
        let value = value.and_then(|value| String::from_utf8(value).ok());
        // PostgreSQL keeps no text with a NUL.
        let Some(value) = value.filter(|value| !value.contains('\0')) else {
            faults.push(unreadable(name));
            continue;
        };
        metadata.insert(name.to_owned(), value);
    }
    if faults.is_empty() { Ok(metadata) } else { Err(Error::Parameters(faults)) }
}

fn unreadable(name: &str) -> Fault {
    let name = printable(name);
    let detail = format!("header {NAME}: {name} is no UTF-8 text in base64");
    Fault {
        pointer: None,
        parameter: Some(name.into_owned()),
        code: "upload_metadata_invalid".to_owned(),
        detail,
    }
}

/// As a header again.
pub fn render(metadata: &BTreeMap<String, String>) -> String {
    let pair = |(name, value): (&String, &String)| format!("{name} {}", BASE64_STANDARD.encode(value));
    metadata.iter().map(pair).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_survives_its_header() {
        let metadata = BTreeMap::from([
            ("filename".to_owned(), "空气 🎬 \"a/../b\".mp4".to_owned()),
            ("empty".to_owned(), String::new()),
        ]);
        assert_eq!(parse(&render(&metadata)).ok(), Some(metadata));
    }

    #[test]
    fn an_empty_header_and_a_name_alone_are_fine() {
        assert_eq!(parse("").ok(), Some(BTreeMap::new()));
        assert_eq!(
            parse("is_confidential").ok().and_then(|found| found.get("is_confidential").cloned()),
            Some(String::new())
        );
        assert!(parse("filename ###").is_err());
        assert!(parse("filename YQBi").is_err(), "a NUL");
    }
}
