//! Resumable uploads: tus 1.0, and presigned parts straight to the bucket.

pub mod announce;
pub mod look;
pub mod metadata;
pub mod parts;
#[cfg(test)]
mod properties;
pub mod protocol;
pub mod send;
