//! Secrets that the instance makes for itself: one to a purpose, each followed by a successor without a gap.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Timestamp;
use super::words::words;

words! {
    /// What a secret signs.
    Purpose {
        /// Addresses of what isn't public.
        Playback = "playback",
        /// What nodes ask each other.
        Nodes = "nodes",
    }
}

/// The secrets of one purpose, oldest first.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keyring {
    keys: Vec<Key>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Key {
    secret: String,
    /// It is accepted before.
    signs_from: Timestamp,
    /// `None`: it has no successor.
    accepted_until: Option<Timestamp>,
}

/// A keyring that many hold and one replaces; cheap to clone.
#[derive(Debug, Clone)]
pub struct Keys(Arc<RwLock<Keyring>>);

impl Keyring {
    /// One secret, good from `now` on.
    pub fn new(secret: String, now: Timestamp) -> Self {
        Self { keys: vec![Key { secret, signs_from: now, accepted_until: None }] }
    }

    /// Adds a successor. It is accepted at once and signs after `notice`, by when every node has read it; what signed
    /// before is accepted for `overlap` from then on.
    pub fn rotate(&mut self, secret: String, now: Timestamp, (notice, overlap): (Duration, Duration)) {
        self.keys.retain(|key| key.is_accepted(now));
        let signs_from = now.plus(notice);
        let end = signs_from.plus(overlap);
        for key in &mut self.keys {
            key.accepted_until = Some(key.accepted_until.map_or(end, |until| until.min(end)));
        }
        self.keys.push(Key { secret, signs_from, accepted_until: None });
    }

    /// When the newest secret begins to sign.
    pub fn signs_from(&self) -> Option<Timestamp> {
        self.keys.last().map(|key| key.signs_from)
    }

    /// How many secrets are accepted.
    pub fn accepted(&self, now: Timestamp) -> usize {
        self.keys.iter().filter(|key| key.is_accepted(now)).count()
    }
}

impl Key {
    fn is_accepted(&self, now: Timestamp) -> bool {
        self.accepted_until.is_none_or(|until| now < until)
    }
}

/// Secrets are never printed.
impl fmt::Debug for Keyring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keyring").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Keys {
    /// To be held by all who sign or check for one purpose.
    pub fn new(keyring: Keyring) -> Self {
        Self(Arc::new(RwLock::new(keyring)))
    }

    /// From now on these are the keys, for all who hold them.
    pub fn replace(&self, keyring: Keyring) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = keyring;
    }

    /// What to sign with now.
    pub fn signing(&self, now: Timestamp) -> Vec<u8> {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let due = ring.keys.iter().rfind(|key| key.signs_from <= now).or(ring.keys.first());
        due.map(|key| key.secret.clone().into_bytes()).unwrap_or_default()
    }

    /// The first answer that `check` finds with a secret accepted now, newest first.
    pub fn find<T>(&self, now: Timestamp, check: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
        let ring = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let accepted = ring.keys.iter().rev().filter(|key| key.is_accepted(now));
        accepted.map(|key| check(key.secret.as_bytes())).find(Option::is_some).flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_mins(1);

    fn at(minutes: i64) -> Timestamp {
        Timestamp(minutes * 60_000)
    }

    fn accepts(keys: &Keys, now: Timestamp, secret: &str) -> bool {
        keys.find(now, |known| (known == secret.as_bytes()).then_some(())).is_some()
    }

    #[test]
    fn a_successor_is_accepted_before_it_signs_and_the_old_one_until_its_last_signature_has_expired() {
        let mut ring = Keyring::new("old".to_owned(), at(0));
        ring.rotate("new".to_owned(), at(10), (MINUTE, 5 * MINUTE));
        let keys = Keys::new(ring);
        assert_eq!(keys.signing(at(10)), b"old");
        assert!(accepts(&keys, at(10), "new"), "another node may sign with it already");
        assert_eq!(keys.signing(at(11)), b"new");
        assert!(accepts(&keys, at(15), "old"));
        assert!(!accepts(&keys, at(16), "old"));
        assert!(accepts(&keys, at(1000), "new"));
    }

    #[test]
    fn secrets_that_are_accepted_no_more_are_forgotten_and_never_live_longer_by_another_rotation() {
        let mut ring = Keyring::new("a".to_owned(), at(0));
        ring.rotate("b".to_owned(), at(10), (MINUTE, 5 * MINUTE));
        ring.rotate("c".to_owned(), at(12), (MINUTE, 50 * MINUTE));
        let keys = Keys::new(ring.clone());
        assert!(!accepts(&keys, at(16), "a") && accepts(&keys, at(16), "b"));
        ring.rotate("d".to_owned(), at(70), (MINUTE, MINUTE));
        assert_eq!(ring.keys.len(), 2);
    }

    #[test]
    fn a_keyring_survives_its_text_and_is_never_printed() {
        let mut ring = Keyring::new("hidden".to_owned(), at(0));
        ring.rotate("secret".to_owned(), at(10), (MINUTE, MINUTE));
        let text = serde_json::to_string(&ring).expect("JSON");
        assert_eq!(serde_json::from_str::<Keyring>(&text).expect("a keyring"), ring);
        assert!(!format!("{ring:?}").contains("hidden"));
    }
}
