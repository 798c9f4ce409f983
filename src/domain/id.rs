//! Typed ids: UUIDv7, kept in SQL as their hyphenated text so both engines sort and compare them alike.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not an id")]
pub struct ParseIdError(String);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id; ids made later sort later.
            pub fn new() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id as a number: ids made later are larger, and how far apart two are follows from when they were made.
            pub fn as_u128(self) -> u128 {
                self.0.as_u128()
            }
        }

        impl Default for $name {
            fn default() -> Self {
                Self::new()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                match Uuid::try_parse(text) {
                    Ok(id) => Ok(Self(id)),
                    Err(_) => Err(ParseIdError(text.to_owned())),
                }
            }
        }

        super::words::as_text!($name);
    )*};
}

ids! {
    /// An agency's verified account.
    AccountId
    /// A node of the tree of policy topics.
    TopicId
    /// What is watched.
    VideoId
    /// Bytes arriving, and the finished source they become.
    UploadId
    /// One piece of background work.
    JobId
    /// An API key; never the secret itself.
    KeyId
    /// One live event.
    BroadcastId
    /// Where a live event is pushed on to.
    TargetId
    /// A picture uploaded to stand for a video.
    PosterId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_survives_its_text() {
        let id = VideoId::new();
        assert_eq!(id.to_string().parse::<VideoId>().ok(), Some(id));
    }

    #[test]
    fn a_later_id_sorts_later() {
        let first = VideoId::new();
        assert!(first < VideoId::new());
    }
}
