//! policast: video publishing for government agencies' policy explainers.

pub mod catalogue;
pub mod domain;
pub mod http;
pub mod media;
pub mod publishing;
pub mod storage;
