//! Verified accounts: who speaks.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::words::{as_text, described, words};

words! {
    /// The level of government an account belongs to.
    Level {
        Central = "central",
        Provincial = "provincial",
        Municipal = "municipal",
        District = "district",
        Community = "community",
    }
}

/// The text can't be a handle.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a handle: 2 to 64 of a-z, 0-9 and -, beginning and ending with a letter or digit")]
pub struct ParseHandleError(String);

/// An account's name in addresses: `shenyang-ecology`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Handle(String);

impl Handle {
    /// The handle as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Handle {
    type Err = ParseHandleError;

    fn from_str(text: &str) -> Result<Self, ParseHandleError> {
        if is_label(text, 2) { Ok(Self(text.to_owned())) } else { Err(ParseHandleError(text.to_owned())) }
    }
}

/// `least` to 64 of a-z, 0-9 and hyphen, with no hyphen at either end.
pub(super) fn is_label(text: &str, least: usize) -> bool {
    let word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    (least..=64).contains(&text.len())
        && text.chars().all(|c| word(c) || c == '-')
        && text.starts_with(word)
        && text.ends_with(word)
}

impl TryFrom<String> for Handle {
    type Error = ParseHandleError;

    fn try_from(text: String) -> Result<Self, ParseHandleError> {
        text.parse()
    }
}

impl From<Handle> for String {
    fn from(handle: Handle) -> Self {
        handle.0
    }
}

impl fmt::Display for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Handle);
described!(
    Handle,
    "handle",
    Some("^[a-z0-9][a-z0-9-]{0,62}[a-z0-9]$"),
    "shenyang-ecology",
    "2 to 64 of a-z, 0-9 and -, beginning and ending with a letter or digit"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_is_a_plain_label() {
        assert!("shenyang-ecology".parse::<Handle>().is_ok());
        for bad in ["", "a", "-a", "a-", "A-b", "a b", "a/b", &"x".repeat(65)] {
            assert!(bad.parse::<Handle>().is_err(), "{bad:?}");
        }
    }
}
