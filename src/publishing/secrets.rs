//! The instance's own secrets: made by the first node that starts, read anew by all, replaced by an operator.

use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::{Error, Publishing};
use crate::catalogue::{Conn, setting};
use crate::domain::key::Secret;
use crate::domain::secret::{Keyring, Keys, Purpose};

/// How often a node reads them: no rotation is noticed later than this.
const LOOK: Duration = Duration::from_secs(5);
/// A successor signs after so long, by when every node has read it.
const NOTICE: Duration = Duration::from_secs(15);
/// What nodes sign lives minutes; their clocks may differ.
const NODES_OVERLAP: Duration = Duration::from_mins(10);
/// One secret served every purpose up to 0.1. Nodes of that release sign and check with it until they are replaced.
const SHARED: &str = "token_secret";
/// They have been by then.
const UPGRADE: Duration = Duration::from_hours(1);

/// The keys of every purpose, as this node last read them; cheap to clone.
#[derive(Debug, Clone)]
pub struct Secrets {
    pub playback: Keys,
    pub nodes: Keys,
}

impl Secrets {
    fn of(&self, purpose: Purpose) -> &Keys {
        match purpose {
            Purpose::Playback => &self.playback,
            Purpose::Nodes => &self.nodes,
        }
    }
}

impl Publishing {
    /// The secrets, made where there are none yet.
    pub async fn open_secrets(&self) -> Result<Secrets, Error> {
        Ok(Secrets {
            playback: Keys::new(self.open_secret(Purpose::Playback).await?),
            nodes: Keys::new(self.open_secret(Purpose::Nodes).await?),
        })
    }

    async fn open_secret(&self, purpose: Purpose) -> Result<Keyring, Error> {
        let mut tx = self.db.begin().await?;
        if setting::find(tx.conn(), &name(purpose)).await?.is_none() {
            let first = self.first_keyring(tx.conn(), purpose).await?;
            // The first to come decides for every node.
            setting::insert(tx.conn(), &name(purpose), &text(&first)?).await?;
        }
        let found = self.read_secret(tx.conn(), purpose).await?;
        tx.commit().await?;
        found.ok_or(Error::NotFound("secret"))
    }

    async fn first_keyring(&self, conn: Conn<'_>, purpose: Purpose) -> Result<Keyring, Error> {
        let now = self.clock.now();
        let Some(shared) = setting::find(conn, SHARED).await? else { return Ok(Keyring::new(fresh(), now)) };
        let mut ring = Keyring::new(shared, now);
        ring.rotate(fresh(), now, (UPGRADE, self.overlap(purpose)));
        Ok(ring)
    }

    async fn read_secret(&self, conn: Conn<'_>, purpose: Purpose) -> Result<Option<Keyring>, Error> {
        let text = setting::find(conn, &name(purpose)).await?;
        text.map(|text| serde_json::from_str(&text).map_err(Error::Secret)).transpose()
    }

    /// Every purpose with its keys.
    pub async fn list_secrets(&self) -> Result<Vec<(Purpose, Keyring)>, Error> {
        let mut found = Vec::new();
        for purpose in Purpose::ALL {
            found.push((*purpose, self.open_secret(*purpose).await?));
        }
        Ok(found)
    }

    /// Reads the secrets again and again until told to stop; what was read last is good while the database is away.
    pub async fn follow_secrets(&self, secrets: &Secrets, stop: &CancellationToken) {
        let mut round = tokio::time::interval(LOOK);
        while stop.run_until_cancelled(round.tick()).await.is_some() {
            if let Err(error) = self.read_secrets(secrets).await {
                tracing::warn!(%error, "secrets could not be read anew");
            }
        }
    }

    /// Reads them once.
    pub async fn read_secrets(&self, secrets: &Secrets) -> Result<(), Error> {
        for purpose in Purpose::ALL {
            let found = self.read_secret(self.db.read().await?.conn(), *purpose).await?;
            if let Some(ring) = found {
                secrets.of(*purpose).replace(ring);
            }
        }
        Ok(())
    }

    /// Replaces a secret. What it signed is good until it has expired, or with `at_once` for nobody any more.
    pub async fn rotate_secret(&self, purpose: Purpose, at_once: bool) -> Result<Keyring, Error> {
        loop {
            let before = self.open_secret(purpose).await?;
            let mut ring = before.clone();
            if at_once {
                ring = Keyring::new(fresh(), self.clock.now());
            } else {
                ring.rotate(fresh(), self.clock.now(), (NOTICE, self.overlap(purpose)));
            }
            let mut tx = self.db.begin().await?;
            // Somebody else may have rotated it since.
            let swapped = setting::swap(tx.conn(), &name(purpose), &text(&before)?, &text(&ring)?).await?;
            tx.commit().await?;
            if swapped {
                return Ok(ring);
            }
        }
    }

    /// The longest life of what is signed for the purpose.
    fn overlap(&self, purpose: Purpose) -> Duration {
        match purpose {
            Purpose::Playback => self.limits.token_ttl,
            Purpose::Nodes => NODES_OVERLAP,
        }
    }
}

fn name(purpose: Purpose) -> String {
    format!("secret.{purpose}")
}

fn text(ring: &Keyring) -> Result<String, Error> {
    serde_json::to_string(ring).map_err(Error::Secret)
}

fn fresh() -> String {
    Secret::generate().digest()
}
