//! Request headers that say something of a body.

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::Error;
use crate::publishing::{Checksum, ChecksumKind};

/// A header's text, where it is there.
pub fn text<'a>(headers: &'a HeaderMap, name: &'static str) -> Result<Option<&'a str>, Error> {
    match headers.get(name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.trim())),
        Some(Err(_)) => Err(Error::Header { name, message: "it has characters outside ASCII".to_owned() }),
    }
}

/// A header's whole number, where it is there.
pub fn number(headers: &HeaderMap, name: &'static str) -> Result<Option<u64>, Error> {
    let Some(text) = text(headers, name)? else { return Ok(None) };
    let digits = !text.is_empty() && text.chars().all(|c| c.is_ascii_digit());
    match text.parse::<i64>() {
        Ok(number) if digits => Ok(u64::try_from(number).ok()),
        _ => Err(Error::Header { name, message: format!("{text:?} is no number of bytes") }),
    }
}

/// The digest that the body must have (`Repr-Digest`, RFC 9530 3; `Content-MD5`, RFC 1864).
pub fn digest(headers: &HeaderMap) -> Result<Option<Checksum>, Error> {
    const DIGEST: &str = "repr-digest";
    const MD5: &str = "content-md5";
    if let Some(list) = text(headers, DIGEST)? {
        let sha256 =
            list.split(',').find_map(|item| item.trim().strip_prefix("sha-256=:")?.strip_suffix(':'));
        if let Some(encoded) = sha256 {
            return decode(DIGEST, ChecksumKind::Sha256, encoded).map(Some);
        }
    }
    text(headers, MD5)?.map(|encoded| decode(MD5, ChecksumKind::Md5, encoded)).transpose()
}

/// A digest in base64, of the length its kind has.
pub fn decode(name: &'static str, kind: ChecksumKind, encoded: &str) -> Result<Checksum, Error> {
    let length = match kind {
        ChecksumKind::Md5 => 16,
        ChecksumKind::Sha1 => 20,
        ChecksumKind::Sha256 => 32,
    };
    match BASE64_STANDARD.decode(encoded) {
        Ok(expected) if expected.len() == length => Ok(Checksum { kind, expected }),
        _ => Err(Error::Header { name, message: format!("it is no {} digest in base64", kind.as_str()) }),
    }
}

/// The file's name of `Content-Disposition` (RFC 6266 4.3); the encoded one goes before the plain one.
pub fn filename(headers: &HeaderMap) -> Option<String> {
    let value = headers.get("content-disposition")?;
    let text = String::from_utf8_lossy(value.as_bytes()).into_owned();
    encoded_name(&text).or_else(|| plain_name(&text))
}

fn encoded_name(text: &str) -> Option<String> {
    let (_, value) = text.split_once("filename*=")?;
    let value = value.split(';').next()?.trim();
    let (charset, rest) = value.split_once('\'')?;
    let (_, encoded) = rest.split_once('\'')?;
    charset.eq_ignore_ascii_case("utf-8").then(|| percent_decoded(encoded))
}

fn plain_name(text: &str) -> Option<String> {
    let (_, value) = text.split_once("filename=")?;
    match value.strip_prefix('"') {
        None => Some(value.split(';').next()?.trim().to_owned()),
        Some(quoted) => {
            let mut name = String::new();
            let mut letters = quoted.chars();
            loop {
                match letters.next()? {
                    '"' => return Some(name),
                    '\\' => name.push(letters.next()?),
                    letter => name.push(letter),
                }
            }
        }
    }
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).filter(|_| *first == b'%').and_then(|hex| hex::decode(hex).ok());
        if let Some(byte) = hex {
            bytes.extend(byte);
            rest = &tail[2..];
        } else {
            bytes.push(*first);
            rest = tail;
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(value: &str) -> Option<String> {
        let value = axum::http::HeaderValue::from_bytes(value.as_bytes()).expect("a value");
        filename(&HeaderMap::from_iter([(axum::http::header::CONTENT_DISPOSITION, value)]))
    }

    #[test]
    fn a_file_name_survives_in_every_form() {
        assert_eq!(named("attachment; filename=clip.mp4").as_deref(), Some("clip.mp4"));
        assert_eq!(named(r#"attachment; filename="a \"b\"; c.mp4""#).as_deref(), Some(r#"a "b"; c.mp4"#));
        let both = "attachment; filename=\"x.mp4\"; filename*=UTF-8''%E7%A9%BA%E6%B0%94%20%F0%9F%8E%AC.mp4";
        assert_eq!(named(both).as_deref(), Some("空气 🎬.mp4"));
        assert_eq!(named("attachment; filename*=UTF-8''100%.mp4").as_deref(), Some("100%.mp4"));
        assert_eq!(named("attachment"), None);
    }

    #[test]
    fn a_number_is_digits_only() {
        let number = |text: &str| {
            let headers =
                HeaderMap::from_iter([(axum::http::header::CONTENT_LENGTH, text.parse().expect("a value"))]);
            number(&headers, "content-length").ok().flatten()
        };
        assert_eq!(number("4096"), Some(4096));
        assert_eq!([number("-1"), number("+1"), number("1e3"), number("99999999999999999999")], [None; 4]);
    }

    #[test]
    fn a_digest_has_the_length_of_its_kind() {
        assert!(decode("content-md5", ChecksumKind::Md5, "1B2M2Y8AsgTpgAmY7PhCfg==").is_ok());
        assert!(decode("content-md5", ChecksumKind::Sha1, "1B2M2Y8AsgTpgAmY7PhCfg==").is_err());
        assert!(decode("content-md5", ChecksumKind::Md5, "nonsense").is_err());
    }
}
