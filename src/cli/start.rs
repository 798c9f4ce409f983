//! Tells what starts, and waits for what is out of reach now; what is wrong stays wrong, and ends the start.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};
use clap::ValueEnum;
use tracing::field::display;
use url::Url;

use super::doors::Doors;
use super::ports::Ports;
use crate::config::Config;
use crate::http::gate::Gate;
use crate::{catalogue, storage};

/// The pause after the first attempt; each next one is longer.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
/// The longest: what is back is noticed so soon.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Says which policast this is, what it does, and where it keeps everything.
pub fn announce(config: &Config) {
    let folder = std::path::absolute(&config.data_dir).unwrap_or_else(|_| config.data_dir.clone());
    let folder = config.keeps_here().then(|| folder.display().to_string());
    let roles: Vec<String> = config
        .roles
        .iter()
        .filter_map(|role| Some(role.to_possible_value()?.get_name().to_owned()))
        .collect();
    let database = config.database_url.as_deref().map_or("SQLite in the folder".to_owned(), place_of);
    let objects = if config.is_embedded() {
        "embedded in the folder".to_owned()
    } else {
        let endpoint = config.s3.s3_endpoint.as_deref().unwrap_or("Amazon S3");
        format!("bucket {} at {endpoint}", config.bucket())
    };
    let (roles, version) = (roles.join(","), env!("CARGO_PKG_VERSION"));
    tracing::info!(roles, folder, database, objects, "policast {version} starts");
}

/// Says on which addresses it is reached.
pub fn announce_listeners(ports: &Ports, doors: &Doors) -> std::io::Result<()> {
    let [api, objects, metrics] = ports.addresses()?.map(|address| address.map(display));
    let [rtmp, rtmps, srt] = doors.bound()?.map(|address| address.map(display));
    tracing::info!(api, objects, metrics, rtmp, rtmps, srt, "listening");
    Ok(())
}

/// Host, port and name of a database, without who logs in.
fn place_of(url: &str) -> String {
    let Ok(url) = Url::parse(url) else { return "PostgreSQL".to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("PostgreSQL at {}{port}{}", url.host_str().unwrap_or("this machine"), url.path())
}

/// Tries until it succeeds or will never; meanwhile the gate says what is waited for.
pub async fn until_there<T>(
    gate: &Gate,
    mut attempt: impl AsyncFnMut() -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let mut pauses = ExponentialBuilder::default()
        .with_min_delay(FIRST_PAUSE)
        .with_max_delay(LONGEST_PAUSE)
        .without_max_times()
        .with_jitter()
        .build();
    loop {
        let error = match attempt().await {
            Ok(there) => return Ok(there),
            Err(error) => error,
        };
        let Some((missing, pause)) = missing(&error).zip(pauses.next()) else { return Err(error) };
        gate.wait_for(missing);
        tracing::warn!("{missing} is out of reach, trying again in {pause:.1?}: {error:#}");
        tokio::time::sleep(pause).await;
    }
}

/// What is out of reach; `None` where the error is of another kind.
fn missing(error: &anyhow::Error) -> Option<&'static str> {
    let database = error.chain().filter_map(|cause| cause.downcast_ref::<catalogue::Error>());
    let bucket = error.chain().filter_map(|cause| cause.downcast_ref::<storage::Error>());
    if database.into_iter().any(catalogue::Error::is_unavailable) {
        Some("the database")
    } else if bucket.into_iter().any(storage::Error::is_unavailable) {
        Some("the object store")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context, bail};

    use super::*;

    #[test]
    fn a_database_is_told_without_who_logs_in() {
        let told =
            place_of("postgres://policast:secret@db.example.gov:5433/video?sslmode=disable&password=secret");
        assert_eq!(told, "PostgreSQL at db.example.gov:5433/video");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_out_of_reach_is_waited_for_and_what_is_wrong_is_told_at_once() {
        let gate = Gate::default();
        let mut attempts = 0;
        let there = until_there(&gate, async || {
            attempts += 1;
            if attempts < 50 {
                Err(storage::Error::BucketMissing { bucket: "policast".to_owned() }).context("bucket")?;
            }
            Ok(attempts)
        });
        assert_eq!(there.await.expect("there"), 50);
        let wrong = until_there(&gate, async || -> anyhow::Result<()> { bail!("authentication refused") });
        assert_eq!(wrong.await.expect_err("wrong").to_string(), "authentication refused");
    }
}
