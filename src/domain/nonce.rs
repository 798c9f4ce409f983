//! What can't be guessed of the name of an object.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 96 random bits; in names and in SQL 24 lower-case hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Nonce([u8; 12]);

/// The text is no nonce.
#[derive(Debug, thiserror::Error)]
#[error("{0:?} is no nonce")]
pub struct ParseNonceError(String);

impl Nonce {
    /// Another one.
    pub fn random() -> Self {
        Self(rand::random())
    }
}

impl fmt::Display for Nonce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl FromStr for Nonce {
    type Err = ParseNonceError;

    fn from_str(text: &str) -> Result<Self, ParseNonceError> {
        let mut bytes = [0; 12];
        match hex::decode_to_slice(text, &mut bytes) {
            Ok(()) if hex::encode(bytes) == text => Ok(Self(bytes)),
            _ => Err(ParseNonceError(text.to_owned())),
        }
    }
}

impl From<Nonce> for String {
    fn from(nonce: Nonce) -> Self {
        nonce.to_string()
    }
}

impl TryFrom<String> for Nonce {
    type Error = ParseNonceError;

    fn try_from(text: String) -> Result<Self, ParseNonceError> {
        text.parse()
    }
}

super::words::as_text!(Nonce);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_has_one_text_only() {
        let nonce = Nonce::random();
        assert_eq!(nonce.to_string().parse::<Nonce>().expect("a nonce"), nonce);
        let upper = nonce.to_string().replace(char::is_alphabetic, "A");
        for wrong in ["", "00", "0123456789abcdef0123456g", &upper.replace(char::is_numeric, "A")] {
            assert!(wrong.parse::<Nonce>().is_err(), "{wrong}");
        }
        assert_ne!(nonce, Nonce::random());
    }
}
