//! What operators do to the whole instance.

pub mod fsck;
pub mod jobs;
pub mod reprocess;
pub mod why;
