//! Caches in front of us: what their copies are marked with, and where they are told to drop them.

use std::fmt;
use std::str::FromStr;

use super::VideoId;
use super::account::Handle;

/// What copies are dropped by. Answers carry it in `Cache-Tag` and `Surrogate-Key`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CacheTag {
    Video(VideoId),
    Account(Handle),
    Everything,
}

/// The text is no tag of ours.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no cache tag")]
pub struct ParseTagError(String);

/// Where to tell of it.
#[derive(Clone)]
pub struct PurgeHook {
    pub url: String,
    /// Shown as a bearer's token.
    pub token: Option<String>,
    /// It may lie inside this machine or the network around it.
    pub allow_private: bool,
}

impl fmt::Display for CacheTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Video(id) => write!(f, "video-{id}"),
            Self::Account(handle) => write!(f, "account-{handle}"),
            Self::Everything => f.write_str("everything"),
        }
    }
}

impl FromStr for CacheTag {
    type Err = ParseTagError;

    fn from_str(text: &str) -> Result<Self, ParseTagError> {
        let found = match text.split_once('-') {
            None if text == "everything" => Some(Self::Everything),
            Some(("video", id)) => id.parse().ok().map(Self::Video),
            Some(("account", handle)) => handle.parse().ok().map(Self::Account),
            _ => None,
        };
        found.ok_or_else(|| ParseTagError(text.to_owned()))
    }
}

impl serde::Serialize for CacheTag {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for CacheTag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An address may hold a secret as the token does: neither is printed.
impl fmt::Debug for PurgeHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PurgeHook").field("allow_private", &self.allow_private).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_survives_its_text() {
        let account: Handle = "riverside-environment".parse().expect("a handle");
        for tag in [CacheTag::Video(VideoId::new()), CacheTag::Account(account), CacheTag::Everything] {
            assert_eq!(tag.to_string().parse::<CacheTag>().expect("a tag"), tag);
        }
        for wrong in ["", "video", "video-", "video-x", "account-", "all", "everything-else"] {
            assert!(wrong.parse::<CacheTag>().is_err(), "{wrong}");
        }
    }
}
