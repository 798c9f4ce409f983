//! Versions of what people change, and the ones a change is meant for (RFC 9110 13.1.1).

/// The versions of a thing that a change is meant for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Whichever is there.
    #[default]
    Any,
    /// One of these; any other is a change that its author has not seen.
    OneOf(Vec<i64>),
}

impl Expected {
    /// The change may be made to this version.
    pub fn allows(&self, version: i64) -> bool {
        match self {
            Self::Any => true,
            Self::OneOf(versions) => versions.contains(&version),
        }
    }
}

/// A thing by its id, with the versions of it that a change is meant for.
#[derive(Debug, Clone)]
pub struct Guarded<I> {
    pub id: I,
    pub expected: Expected,
}

impl<I> From<I> for Guarded<I> {
    fn from(id: I) -> Self {
        Self { id, expected: Expected::Any }
    }
}
