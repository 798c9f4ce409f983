//! policast: video publishing for government agencies' policy explainers.

pub mod domain;
pub mod media;
pub mod web;
