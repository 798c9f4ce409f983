//! What the client says the bytes are, against what arrived: MD5 always, for the `ETag`, the others where asked for.

use axum::http::HeaderMap;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use md5::{Digest, Md5};
use s3s::checksum::ChecksumHasher;
use s3s::crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Sha1, Sha256};
use s3s::dto::Checksum;
use s3s::{S3Result, TrailingHeaders, s3_error};
use serde::{Deserialize, Serialize};

const NAMES: [&str; 5] = ["crc32", "crc32c", "crc64nvme", "sha1", "sha256"];

/// What was promised before the first byte.
#[derive(Default)]
pub(super) struct Promised {
    md5: Option<String>,
    sums: Sums,
    /// Checksums that come behind the body.
    announced: Vec<String>,
    trailer: Option<TrailingHeaders>,
}

/// Checksums in base64 as S3 has them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sums {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc32c: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crc64nvme: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha1: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Sums up bytes as they pass.
pub(super) struct Hasher {
    md5: Md5,
    others: ChecksumHasher,
}

/// What the bytes turned out to be.
#[derive(Debug, Clone)]
pub(super) struct Summed {
    pub md5: [u8; 16],
    pub sums: Sums,
}

impl Promised {
    /// Reads `Content-MD5`, `x-amz-checksum-*` and `x-amz-trailer`.
    pub fn from_headers(headers: &HeaderMap, trailer: Option<TrailingHeaders>) -> Self {
        let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        let trailers = headers.get_all("x-amz-trailer").iter().filter_map(|value| value.to_str().ok());
        let announced = trailers.flat_map(|value| value.split(',')).map(|name| name.trim().to_lowercase());
        let sums = Sums::by_name(|name| text(&format!("x-amz-checksum-{name}")));
        Self { md5: text("content-md5"), sums, announced: announced.collect(), trailer }
    }

    pub fn hasher(&self) -> Hasher {
        let wanted = |name: &str| {
            let header = format!("x-amz-checksum-{name}");
            self.sums.named(name).is_some() || self.announced.contains(&header)
        };
        let others = ChecksumHasher {
            crc32: wanted("crc32").then(Crc32::new),
            crc32c: wanted("crc32c").then(Crc32c::new),
            crc64nvme: wanted("crc64nvme").then(Crc64Nvme::new),
            sha1: wanted("sha1").then(Sha1::new),
            sha256: wanted("sha256").then(Sha256::new),
        };
        Hasher { md5: Md5::new(), others }
    }

    /// Refuses bytes that aren't what was promised. Call when the body has ended: only then is the trailer there.
    pub fn verify(&self, got: Summed) -> S3Result<Summed> {
        if let Some(promised) = &self.md5 {
            let Ok(digest) = BASE64_STANDARD.decode(promised) else {
                return Err(s3_error!(InvalidDigest, "Content-MD5 is not valid"));
            };
            if digest != got.md5 {
                return Err(s3_error!(BadDigest, "Content-MD5 is not what was received"));
            }
        }
        for name in NAMES {
            let promised = self.sums.named(name).map(str::to_owned).or_else(|| self.trailing(name));
            if promised.is_some_and(|promised| got.sums.named(name) != Some(&promised)) {
                return Err(s3_error!(BadDigest, "x-amz-checksum-{name} is not what was received"));
            }
        }
        Ok(got)
    }

    fn trailing(&self, name: &str) -> Option<String> {
        let header = format!("x-amz-checksum-{name}");
        let read = |headers: &HeaderMap| {
            headers.get(&header).and_then(|value| value.to_str().ok()).map(str::to_owned)
        };
        self.trailer.as_ref()?.read(read).flatten()
    }
}

impl Hasher {
    pub fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.others.update(bytes);
    }

    pub fn finish(self) -> Summed {
        let Checksum {
            checksum_crc32,
            checksum_crc32c,
            checksum_crc64nvme,
            checksum_sha1,
            checksum_sha256,
            ..
        } = self.others.finalize();
        let sums = Sums {
            crc32: checksum_crc32,
            crc32c: checksum_crc32c,
            crc64nvme: checksum_crc64nvme,
            sha1: checksum_sha1,
            sha256: checksum_sha256,
        };
        Summed { md5: self.md5.finalize().into(), sums }
    }
}

impl Sums {
    fn by_name(value: impl Fn(&str) -> Option<String>) -> Self {
        Self {
            crc32: value("crc32"),
            crc32c: value("crc32c"),
            crc64nvme: value("crc64nvme"),
            sha1: value("sha1"),
            sha256: value("sha256"),
        }
    }

    fn named(&self, name: &str) -> Option<&str> {
        match name {
            "crc32" => self.crc32.as_deref(),
            "crc32c" => self.crc32c.as_deref(),
            "crc64nvme" => self.crc64nvme.as_deref(),
            "sha1" => self.sha1.as_deref(),
            _ => self.sha256.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum(promised: &Promised, bytes: &[u8]) -> S3Result<Summed> {
        let mut hasher = promised.hasher();
        hasher.update(bytes);
        promised.verify(hasher.finish())
    }

    fn promised(name: &'static str, value: &'static str) -> Promised {
        let mut headers = HeaderMap::new();
        headers.insert(name, value.parse().unwrap());
        Promised::from_headers(&headers, None)
    }

    #[test]
    fn bytes_that_are_as_promised_pass() {
        assert!(sum(&promised("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="), b"hello").is_ok());
        assert!(sum(&promised("x-amz-checksum-crc32", "NhCmhg=="), b"hello").is_ok());
    }

    #[test]
    fn bytes_that_are_not_as_promised_are_refused() {
        for (name, value) in [
            ("content-md5", "XUFAKrxLKna5cZ2REBfFkg=="),
            ("x-amz-checksum-crc32", "NhCmhg=="),
            ("x-amz-checksum-sha256", "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="),
        ] {
            let error = sum(&promised(name, value), b"hellx").unwrap_err();
            assert_eq!(error.code().as_str(), "BadDigest", "{name}");
        }
    }

    #[test]
    fn a_digest_that_is_none_is_told_apart() {
        let error = sum(&promised("content-md5", "***"), b"hello").unwrap_err();
        assert_eq!(error.code().as_str(), "InvalidDigest");
    }
}
