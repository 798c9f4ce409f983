//! `policast admin account|topic|key`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Context;
use clap::Subcommand;
use serde_json::{Value, json};

use super::super::output::{self, Format};
use crate::catalogue::{account, key, topic};
use crate::domain::account::{Handle, Level};
use crate::domain::key::Role;
use crate::domain::topic::Slug;
use crate::domain::{KeyId, Language, Texts};
use crate::publishing::{AccountDraft, KeyDraft, Publishing, TopicDraft};

/// Rows a list prints at most; the HTTP API pages.
const ROWS: u32 = 1000;

/// What is done with accounts.
#[derive(Debug, Subcommand)]
pub(super) enum Account {
    /// List accounts by handle
    List,
    /// Add a verified account
    Add {
        handle: Handle,
        /// Its name, as LANGUAGE=NAME; may be repeated
        #[arg(long, required = true, value_parser = text)]
        name: Vec<(Language, String)>,
        #[arg(long)]
        sector: String,
        #[arg(long)]
        level: Level,
        #[arg(long, default_value = "")]
        region: String,
        #[arg(long)]
        parent: Option<Handle>,
        /// Bytes one upload may have
        #[arg(long)]
        max_video_bytes: Option<u64>,
        /// Bytes all sources may have
        #[arg(long)]
        quota_bytes: Option<u64>,
    },
}

/// What is done with topics.
#[derive(Debug, Subcommand)]
pub(super) enum Topic {
    /// List topics by slug
    List,
    /// Add a topic
    Add {
        slug: Slug,
        /// Its name, as LANGUAGE=NAME; may be repeated
        #[arg(long, required = true, value_parser = text)]
        name: Vec<(Language, String)>,
    },
}

/// What is done with keys.
#[derive(Debug, Subcommand)]
pub(super) enum Key {
    /// List keys; secrets are not kept
    List {
        #[arg(long)]
        account: Option<Handle>,
    },
    /// Issue a key and print its secret, this once
    Add {
        #[arg(long)]
        role: Role,
        /// The account it belongs to; an admin key without one runs the whole instance
        #[arg(long)]
        account: Option<Handle>,
        #[arg(long, default_value = "")]
        label: String,
    },
    /// Revoke a key at once
    Revoke { id: KeyId },
}

pub(super) async fn account(
    publishing: &Publishing,
    command: &Account,
    format: Format,
) -> anyhow::Result<ExitCode> {
    let columns = ["handle", "name", "sector", "level", "region", "parent"];
    match command {
        Account::List => {
            let filter = account::Filter { limit: ROWS, ..account::Filter::default() };
            let page = account::list(publishing.db.read().await?.conn(), &filter).await?;
            let rows: Vec<Value> = page.items.iter().map(account_row).collect();
            output::rows(format, &columns, &rows)
        }
        Account::Add { handle, name, sector, level, region, parent, max_video_bytes, quota_bytes } => {
            let draft = AccountDraft {
                name: texts(name),
                sector: sector.clone(),
                level: *level,
                region: region.clone(),
                parent: parent.clone(),
                max_video_bytes: *max_video_bytes,
                quota_bytes: *quota_bytes,
            };
            let account = publishing.add_account(handle.clone(), draft).await?;
            output::one(format, &account_row(&account))
        }
    }
}

pub(super) async fn topic(
    publishing: &Publishing,
    command: &Topic,
    format: Format,
) -> anyhow::Result<ExitCode> {
    match command {
        Topic::List => {
            let page = topic::list(publishing.db.read().await?.conn(), None, None, ROWS).await?;
            let rows: Vec<Value> =
                page.items.iter().map(|topic| json!({"slug": topic.slug, "name": topic.name.0})).collect();
            output::rows(format, &["slug", "name"], &rows)
        }
        Topic::Add { slug, name } => {
            let topic = publishing.add_topic(slug.clone(), TopicDraft { name: texts(name) }).await?;
            output::one(format, &json!({"slug": topic.slug, "name": topic.name.0}))
        }
    }
}

pub(super) async fn key(publishing: &Publishing, command: &Key, format: Format) -> anyhow::Result<ExitCode> {
    match command {
        Key::List { account } => {
            let mut read = publishing.db.read().await?;
            let account = match account {
                Some(handle) => {
                    Some(account::find(read.conn(), handle).await?.context("no such account")?.id)
                }
                None => None,
            };
            let rows: Vec<Value> = key::list(read.conn(), account).await?.iter().map(key_row).collect();
            output::rows(format, &["id", "role", "account", "label", "created_at", "revoked_at"], &rows)
        }
        Key::Add { role, account, label } => {
            let account = match account {
                Some(handle) => {
                    let found = account::find(publishing.db.read().await?.conn(), handle).await?;
                    Some(found.with_context(|| format!("there is no account {handle}"))?.id)
                }
                None if *role == Role::Admin => None,
                None => anyhow::bail!("an {role} key needs --account"),
            };
            let draft = KeyDraft { account, role: *role, label: label.clone() };
            let (key, secret) = publishing.issue_key(draft).await?;
            let mut row = key_row(&key);
            row["secret"] = json!(secret.reveal());
            output::one(format, &row)
        }
        Key::Revoke { id } => {
            publishing.revoke_key(*id).await?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn account_row(account: &account::Account) -> Value {
    json!({"handle": account.handle, "name": account.name.0, "sector": account.sector, "level": account.level,
        "region": account.region, "parent": account.parent, "max_video_bytes": account.max_video_bytes,
        "quota_bytes": account.quota_bytes})
}

fn key_row(key: &key::Key) -> Value {
    json!({"id": key.id, "role": key.role, "account": key.account, "label": key.label,
        "created_at": key.created_at, "revoked_at": key.revoked_at})
}

fn text(argument: &str) -> Result<(Language, String), String> {
    let (language, text) = argument.split_once('=').unwrap_or(("en", argument));
    let language = language.parse::<Language>().map_err(|error| error.to_string())?;
    Ok((language, text.to_owned()))
}

fn texts(names: &[(Language, String)]) -> Texts {
    Texts(names.iter().cloned().collect::<BTreeMap<_, _>>())
}
