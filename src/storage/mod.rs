//! S3, always: every object of the product goes through here, to any S3 server or to the embedded one.

mod client;
pub mod embedded;
mod error;
mod key;
mod listing;
mod multipart;
mod objects;
mod presign;

pub use client::{Checksums, Patience, S3Settings};
pub use embedded::Embedded;
pub use error::Error;
pub use key::{Folder, Key, Object, ParseKeyError, SHOWN, Still};
pub use listing::{Item, Page};
pub use multipart::{Multipart, MultipartId, Part, PartTag};
pub use objects::Head;

use error::Asked;

/// A part of a multipart upload has at least this many bytes, unless it is the last (S3 refuses it).
pub const PART_SIZE_MIN: u64 = 5 * 1024 * 1024;
/// A multipart upload has at most this many parts (S3 refuses more).
pub const PARTS_MAX: u32 = 10_000;

/// One bucket. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Storage {
    client: aws_sdk_s3::Client,
    /// Signs addresses for the world outside; never used to send anything.
    public: aws_sdk_s3::Client,
    bucket: std::sync::Arc<str>,
}

impl Storage {
    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        &self.bucket
    }

    fn asked<'a>(&'a self, key: &'a str) -> Asked<'a> {
        Asked { bucket: &self.bucket, key, multipart: "" }
    }
}
