//! `policast admin secret`.

use std::process::ExitCode;

use clap::Subcommand;
use serde_json::{Value, json};

use super::super::output::{self, Format};
use crate::domain::secret::{Keyring, Purpose};
use crate::publishing::Publishing;

/// What is done with secrets.
#[derive(Debug, Subcommand)]
pub(super) enum Secret {
    /// List what there are secrets for, without showing any
    List,
    /// Replace a secret; running nodes notice within seconds
    Rotate {
        /// playback: addresses of what isn't public; nodes: what nodes ask each other
        purpose: Purpose,
        /// Refuse at once whatever the old one signed, instead of when it has expired
        #[arg(long)]
        now: bool,
    },
}

pub(super) async fn run(
    publishing: &Publishing,
    command: &Secret,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let row = |purpose: Purpose, ring: &Keyring| -> Value {
        json!({"purpose": purpose, "signs_from": ring.signs_from(),
            "accepted": ring.accepted(publishing.clock.now())})
    };
    match command {
        Secret::List => {
            let secrets = publishing.list_secrets().await?;
            let rows: Vec<Value> = secrets.iter().map(|(purpose, ring)| row(*purpose, ring)).collect();
            output::rows(format, &["purpose", "signs_from", "accepted"], &rows)
        }
        Secret::Rotate { purpose, now } => {
            let ring = publishing.rotate_secret(*purpose, *now).await?;
            output::one(format, &row(*purpose, &ring))
        }
    }
}
