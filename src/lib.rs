//! policast: video publishing for government agencies' policy explainers.

pub mod catalogue;
pub mod domain;
pub mod media;
