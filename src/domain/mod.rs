//! Nouns and rules: typed ids, states and their moves. No async, no I/O.

pub mod account;
pub mod address;
pub mod broadcast;
pub mod cdn;
pub mod id;
pub mod job;
pub mod key;
pub mod media;
mod nonce;
pub mod printable;
pub mod push;
pub mod refusal;
pub mod secret;
pub mod site;
pub mod text;
pub mod time;
pub mod topic;
pub mod trim;
pub mod upload;
pub mod version;
pub mod video;
mod words;

pub use id::{AccountId, BroadcastId, JobId, KeyId, PosterId, TargetId, TopicId, UploadId, VideoId};
pub use nonce::Nonce;
pub use printable::printable;
pub use refusal::{Refusal, RefusalCode};
pub use text::{Language, TextChange, Texts};
pub use time::{Clock, Timestamp};
