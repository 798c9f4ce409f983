//! `policast doctor`: checks database, bucket, FFmpeg, sandbox and ports; says what to do about each.

use std::process::ExitCode;

use serde::Serialize;

use super::assemble;
use super::output::{self, Format};
use crate::config::Config;
use crate::media;

/// The instance to be checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    config: Config,
    /// How results are printed
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    output: Format,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    ok: bool,
    /// What was found, and where it isn't well, what to do.
    finding: String,
}

/// 0 where all is well, 1 where something is not.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut checks = vec![database(&args.config).await, bucket(&args.config).await];
    checks.extend(ffmpeg());
    checks.extend(sandbox().await);
    checks.extend(ports(&args.config).await);
    output::rows(args.output, &["name", "ok", "finding"], &checks)?;
    Ok(if checks.iter().all(|check| check.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(name: &str, found: Result<String, String>) -> Check {
    let ok = found.is_ok();
    Check { name: name.to_owned(), ok, finding: found.unwrap_or_else(|finding| finding) }
}

async fn database(config: &Config) -> Check {
    let tried = async {
        let db = assemble::open_db(config).await?;
        let statements = db.check_statements().await?;
        Ok::<_, anyhow::Error>(format!("{} answers, its schema fits {statements} statements", db.engine()))
    };
    let found = match tried.await {
        Ok(finding) => Ok(finding),
        Err(error) => Err(format!(
            "{error:#}; look at POLICAST_DATABASE_URL or POLICAST_DATA_DIR, and run policast migrate"
        )),
    };
    check("database", found)
}

async fn bucket(config: &Config) -> Check {
    let tried = async {
        let rooms = assemble::open(config).await?;
        rooms.publishing.storage.check().await?;
        Ok::<_, anyhow::Error>(rooms.publishing.storage.bucket().to_owned())
    };
    let found = match tried.await {
        Ok(bucket) => Ok(format!("bucket {bucket} answers")),
        Err(error) => Err(format!("{error:#}; look at POLICAST_S3_ENDPOINT, the bucket's name and the keys")),
    };
    check("bucket", found)
}

fn ffmpeg() -> Vec<Check> {
    let mut checks = vec![check("ffmpeg", Ok(media::build()))];
    for (kind, name, there) in media::features() {
        let advice = format!("this FFmpeg lacks the {kind} {name}: install Debian's FFmpeg libraries");
        checks.push(check(&format!("ffmpeg {name}"), if there { Ok(kind.to_owned()) } else { Err(advice) }));
    }
    checks
}

async fn sandbox() -> Vec<Check> {
    let tried = async { Ok::<_, anyhow::Error>(media::cage::self_test("/proc/self/exe".as_ref()).await?) };
    match tried.await {
        Ok(checks) => checks
            .into_iter()
            .map(|found| {
                let name = format!("sandbox {}", found.name);
                check(&name, if found.ok { Ok("closed".to_owned()) } else { Err(found.advice) })
            })
            .collect(),
        Err(error) => vec![check("sandbox", Err(format!("{error:#}")))],
    }
}

async fn ports(config: &Config) -> Vec<Check> {
    let mut addresses = vec![("POLICAST_LISTEN", config.listen)];
    if config.is_embedded() {
        addresses.push(("POLICAST_S3_LISTEN", config.s3.s3_listen));
    }
    let mut checks = Vec::new();
    for (setting, address) in addresses {
        let found = match tokio::net::TcpListener::bind(address).await {
            Ok(_) => Ok(format!("{address} is free")),
            Err(error) => Err(format!("{address}: {error}; a running policast, or choose another {setting}")),
        };
        checks.push(check(setting, found));
    }
    checks
}
