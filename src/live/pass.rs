//! How nodes know each other: a short-lived JWT (RFC 7519) under the secret they share through the catalogue.

use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::{Deserialize, Serialize};

use crate::domain::Clock;
use crate::domain::secret::Keys;

/// Who it is for; a viewer's token lacks it.
const AUDIENCE: &str = "policast-node";
/// Clocks of nodes may differ, and no pass is used for longer than its request begins.
const GOOD_FOR: Duration = Duration::from_mins(5);

/// Issues and checks the passes of nodes.
#[derive(Clone)]
pub struct NodePass {
    keys: Keys,
    clock: Clock,
}

#[derive(Debug, Serialize, Deserialize)]
struct Claims {
    aud: String,
    /// Seconds since 1970.
    exp: i64,
}

impl NodePass {
    /// Passes under these secrets.
    pub fn new(keys: Keys, clock: Clock) -> Self {
        Self { keys, clock }
    }

    /// A pass to show to another node.
    pub fn issue(&self) -> String {
        let now = self.clock.now();
        let exp = now.plus(GOOD_FOR).0 / 1000;
        let claims = Claims { aud: AUDIENCE.to_owned(), exp };
        // Refused there, and told in the log, if it can't be signed.
        encode(&Header::new(Algorithm::HS256), &claims, &EncodingKey::from_secret(&self.keys.signing(now)))
            .unwrap_or_default()
    }

    /// Whether a pass is good.
    pub fn check(&self, pass: &str) -> bool {
        let mut rules = Validation::new(Algorithm::HS256);
        // The expiry is held against our own clock below.
        rules.validate_exp = false;
        rules.set_audience(&[AUDIENCE]);
        let now = self.clock.now();
        let read = |secret: &[u8]| decode::<Claims>(pass, &DecodingKey::from_secret(secret), &rules).ok();
        self.keys.find(now, read).is_some_and(|data| data.claims.exp * 1000 > now.0)
    }
}
