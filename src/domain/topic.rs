//! Policy topics: a tree of slugs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::account::is_label;
use super::words::{as_text, described};

/// How deep the tree of topics may be.
const MAX_DEPTH: usize = 6;

/// The text can't be a topic's slug.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is not a topic: up to 6 labels of a-z, 0-9 and - joined by /")]
pub struct ParseSlugError(String);

/// A topic's path in the tree: `environment/air`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The topic above; `None` at the root.
    pub fn parent(&self) -> Option<Self> {
        self.0.rsplit_once('/').map(|(above, _)| Self(above.to_owned()))
    }

    /// The last label as words, for a topic nobody has named yet: `Air quality` of `environment/air-quality`.
    pub fn words(&self) -> String {
        let label = self.0.rsplit('/').next().unwrap_or_default().replace('-', " ");
        let mut chars = label.chars();
        chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
    }

    /// From the root down to this topic.
    pub fn path(&self) -> Vec<Self> {
        let mut path: Vec<_> = std::iter::successors(Some(self.clone()), Self::parent).collect();
        path.reverse();
        path
    }
}

impl FromStr for Slug {
    type Err = ParseSlugError;

    fn from_str(text: &str) -> Result<Self, ParseSlugError> {
        let good = text.split('/').count() <= MAX_DEPTH && text.split('/').all(|label| is_label(label, 1));
        if good { Ok(Self(text.to_owned())) } else { Err(ParseSlugError(text.to_owned())) }
    }
}

impl TryFrom<String> for Slug {
    type Error = ParseSlugError;

    fn try_from(text: String) -> Result<Self, ParseSlugError> {
        text.parse()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

as_text!(Slug);
described!(
    Slug,
    "topic",
    Some("^[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?(/[a-z0-9]([a-z0-9-]{0,62}[a-z0-9])?){0,5}$"),
    "environment/air",
    "Up to 6 labels joined by /, each 1 to 64 of a-z, 0-9 and -, beginning and ending with a letter or digit"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slug_knows_its_way_from_the_root() {
        let slug: Slug = "environment/air/dust".parse().expect("a slug");
        let path: Vec<_> = slug.path().iter().map(ToString::to_string).collect();
        assert_eq!(path, ["environment", "environment/air", "environment/air/dust"]);
    }

    #[test]
    fn a_slug_has_no_empty_label() {
        for bad in ["", "/", "a/", "/a", "a//b", "A", "a/../b", "a/b/c/d/e/f/g"] {
            assert!(bad.parse::<Slug>().is_err(), "{bad:?}");
        }
    }
}
