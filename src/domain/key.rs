//! API keys: the secret shown once, what is kept of it, and what its holder may do.

use sha2::{Digest, Sha256};

use super::words::words;
use super::{AccountId, KeyId};

words! {
    /// What a key's holder may do, each more than the one before.
    Role {
        /// Makes and edits drafts.
        Editor = "editor",
        /// Also publishes and withdraws.
        Publisher = "publisher",
        /// Also makes keys; without an account of its own, runs the whole instance.
        Admin = "admin",
    }
}

/// A key's secret; printed once, kept only as its digest.
#[derive(Clone)]
pub struct Secret(String);

impl Secret {
    /// 256 random bits.
    pub fn generate() -> Self {
        Self(format!("pk_{}", hex::encode(rand::random::<[u8; 32]>())))
    }

    /// A stream key: 128 random bits, short enough for the field of an encoder.
    pub fn stream() -> Self {
        Self(format!("live_{}", hex::encode(rand::random::<[u8; 16]>())))
    }

    /// A secret somebody presents or an operator chose.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// What is kept of it: SHA-256, enough for a secret that can't be guessed.
    pub fn digest(&self) -> String {
        hex::encode(Sha256::digest(self.0.as_bytes()))
    }

    /// Eight digits by which logs can tell it from others; nothing can be opened with them.
    pub fn fingerprint(&self) -> String {
        self.digest()[..8].to_owned()
    }

    /// The secret itself, to be shown once.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Who is asking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Caller {
    pub key: KeyId,
    pub role: Role,
    /// The account the key belongs to; `None` for an operator's key, which covers all.
    pub account: Option<AccountId>,
}

impl Caller {
    /// May see and touch what belongs to this account.
    pub fn covers(&self, account: AccountId) -> bool {
        self.account.is_none_or(|own| own == account)
    }

    /// Runs the whole instance.
    pub fn is_operator(&self) -> bool {
        self.role == Role::Admin && self.account.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_secrets_are_never_alike() {
        assert_ne!(Secret::generate().digest(), Secret::generate().digest());
    }

    #[test]
    fn a_key_covers_its_own_account_only() {
        let own = AccountId::new();
        let caller = Caller { key: KeyId::new(), role: Role::Admin, account: Some(own) };
        assert!(caller.covers(own) && !caller.covers(AccountId::new()) && !caller.is_operator());
    }
}
