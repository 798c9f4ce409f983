//! Puts the rooms together from the configuration.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

use super::{folder, output};
use crate::catalogue::{Db, Pool, key};
use crate::config::{Checksums, Config};
use crate::domain::Clock;
use crate::domain::cdn::PurgeHook;
use crate::domain::key::{Role, Secret};
use crate::publishing::{Changes, KeyDraft, Limits, Publishing};
use crate::storage::embedded::{self, Credentials, OpenError};
use crate::storage::{self, Embedded, S3Settings, Storage};

/// A shorter key for the whole instance can be guessed.
const MIN_ADMIN_KEY_CHARS: usize = 20;

/// The rooms every command works in.
pub struct Rooms {
    pub publishing: Publishing,
}

/// Where SQLite keeps everything.
pub fn database_file(config: &Config) -> PathBuf {
    config.data_dir.join("policast.db")
}

/// Where the embedded S3 server keeps everything.
pub fn objects_folder(config: &Config) -> PathBuf {
    config.data_dir.join("objects")
}

/// Opens the database, without touching its schema.
pub async fn open_db(config: &Config) -> anyhow::Result<Db> {
    let pool = Pool { connections: config.database_connections, ..Pool::default() };
    if let Some(url) = &config.database_url {
        Db::postgres_pooled(url, pool).await.context("PostgreSQL at POLICAST_DATABASE_URL")
    } else {
        folder::make(&config.data_dir)?;
        let file = database_file(config);
        Db::sqlite_pooled(&file, pool).await.with_context(|| format!("SQLite at {}", file.display()))
    }
}

/// Opens database and bucket, both ready for use.
pub async fn open(config: &Config) -> anyhow::Result<Rooms> {
    let (storage, _) = open_storage(config).await?;
    open_over(config, storage).await
}

/// The same over a bucket that is open already, though perhaps out of reach.
pub async fn open_over(config: &Config, storage: Storage) -> anyhow::Result<Rooms> {
    let db = open_db(config).await?;
    db.migrate().await?;
    storage.ensure_bucket().await.context("bucket")?;
    let publishing =
        Publishing { db, storage, clock: Clock::System, limits: limits(config), changes: Changes::default() };
    Ok(Rooms { publishing })
}

fn limits(config: &Config) -> Limits {
    Limits {
        max_upload_bytes: config.limits.max_upload_bytes,
        max_poster_bytes: config.limits.max_poster_bytes,
        upload_ttl: config.limits.upload_ttl.0,
        part_url_ttl: config.limits.part_url_ttl.0,
        token_ttl: config.delivery.token_ttl.0,
        revision_grace: config.limits.revision_grace.0,
        max_losses: config.media.max_losses,
        late_writes: config.limits.late_writes.0,
        sweep_retry: config.limits.sweep_retry.0,
        keep_history: config.limits.keep_history.0,
        keep_answers: config.limits.keep_answers.0,
        stale_if_error: config.delivery.stale_if_error.0,
        push_private: config.live.push_allow_private,
        purge_hook: purge_hook(config),
    }
}

/// The bucket; an embedded one is opened, of another nothing is asked yet.
pub async fn open_storage(config: &Config) -> anyhow::Result<(Storage, Option<Embedded>)> {
    let s3 = &config.s3;
    if config.is_embedded() {
        folder::make(&config.data_dir)?;
        let folder = objects_folder(config);
        let endpoint = config.s3_public_endpoint();
        return match Embedded::open(&folder, None).await {
            Ok(embedded) => Ok((Storage::embedded(&embedded, &endpoint), Some(embedded))),
            Err(OpenError::Locked { .. }) => Ok((join_embedded(&folder, config)?, None)),
            Err(error) => Err(error).context("embedded S3"),
        };
    }
    let (Some(access_key_id), Some(secret_access_key)) = (&s3.s3_access_key_id, &s3.s3_secret_access_key)
    else {
        bail!(
            "POLICAST_S3_ACCESS_KEY_ID and POLICAST_S3_SECRET_ACCESS_KEY are needed beside POLICAST_S3_BUCKET"
        );
    };
    let settings = S3Settings {
        endpoint: s3.s3_endpoint.clone(),
        public_endpoint: s3.s3_public_endpoint.clone(),
        bucket: config.bucket().to_owned(),
        region: s3.s3_region.clone(),
        access_key_id: access_key_id.clone(),
        secret_access_key: secret_access_key.clone(),
        checksums: match s3.s3_checksums {
            Checksums::WhenRequired => storage::Checksums::WhenRequired,
            Checksums::WhenSupported => storage::Checksums::WhenSupported,
        },
        patience: patience(config),
    };
    Ok((Storage::connect(&settings), None))
}

/// A running server has the folder: an operator's command beside it goes through its S3 port.
fn join_embedded(folder: &Path, config: &Config) -> anyhow::Result<Storage> {
    let credentials = Credentials::in_folder(folder).context("embedded S3")?;
    Ok(Storage::connect(&S3Settings {
        endpoint: Some(format!("http://{}", config.s3.s3_listen)),
        public_endpoint: config.s3.s3_public_endpoint.clone(),
        bucket: embedded::BUCKET.to_owned(),
        region: embedded::REGION.to_owned(),
        access_key_id: credentials.access_key_id,
        secret_access_key: credentials.secret_access_key,
        checksums: storage::Checksums::WhenRequired,
        patience: patience(config),
    }))
}

fn patience(config: &Config) -> storage::Patience {
    let s3 = &config.s3;
    storage::Patience {
        connect: s3.s3_connect_timeout.0,
        read: s3.s3_read_timeout.0,
        stall: s3.s3_stall_timeout.0,
        attempts: s3.s3_attempts,
    }
}

fn purge_hook(config: &Config) -> Option<PurgeHook> {
    let delivery = &config.delivery;
    let (url, token) = (delivery.purge_url.clone()?, delivery.purge_token.clone());
    Some(PurgeHook { url, token, allow_private: delivery.purge_allow_private })
}

/// Refuses an operator's key that can be guessed, before anything is opened.
pub fn check_admin_key(given: Option<&str>) -> anyhow::Result<()> {
    match given.map(|given| given.chars().count()) {
        Some(chars) if chars < MIN_ADMIN_KEY_CHARS => bail!(
            "POLICAST_ADMIN_KEY has {chars} characters, at least {MIN_ADMIN_KEY_CHARS} are needed; it may be left out, \
             and counts at the first start only"
        ),
        _ => Ok(()),
    }
}

/// At first start: keeps the operator's key that was given, or makes one and prints it, this once. Later one that is
/// given does nothing, and where it is another one than is good, the log says so.
pub async fn first_key(publishing: &Publishing, given: Option<&str>) -> anyhow::Result<()> {
    let operators = key::count_operators(publishing.db.read().await?.conn()).await?;
    if operators > 0 {
        return tell_changed(publishing, given).await;
    }
    let draft = KeyDraft { account: None, role: Role::Admin, label: "first operator".to_owned() };
    if let Some(secret) = given {
        publishing.keep_key(draft, &Secret::new(secret)).await?;
    } else {
        let (_, secret) = publishing.issue_key(draft).await?;
        output::line("The first operator's key, shown this once. Keep it:");
        output::line(&format!("  {}", secret.reveal()));
    }
    Ok(())
}

/// Says where the given key opens nothing: whoever changed it believes that the old one is good no more.
async fn tell_changed(publishing: &Publishing, given: Option<&str>) -> anyhow::Result<()> {
    let Some(given) = given else { return Ok(()) };
    let digest = Secret::new(given).digest();
    let known = key::find_caller(publishing.db.read().await?.conn(), &digest).await?;
    if known.is_none_or(|caller| !caller.is_operator()) {
        tracing::warn!(
            "POLICAST_ADMIN_KEY is not the operator's key of the first start, or that was revoked: it is not used. \
             `policast admin key add --role admin` issues another, `admin key revoke` takes the old one away"
        );
    }
    Ok(())
}
