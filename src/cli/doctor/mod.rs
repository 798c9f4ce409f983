//! `policast doctor`: checks database, bucket, FFmpeg, sandbox and ports; says what to do about each.

mod ports;

use std::path::Path;
use std::process::ExitCode;

use nix::unistd::{AccessFlags, access};
use serde::Serialize;

use super::assemble;
use super::output::{self, Format, story};
use crate::catalogue::Schema;
use crate::config::Config;
use crate::{media, storage};
use ports::Objects;

/// The instance to be checked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How results are printed
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    config: Config,
}

#[derive(Debug, Serialize)]
struct Check {
    name: String,
    ok: bool,
    /// What was found, and where it isn't well, what to do.
    finding: String,
}

/// 0 where all is well, 1 where something is not. Nothing is made or changed.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let config = &args.config;
    let mut checks = vec![folder(config), database(config).await];
    let (bucket, objects) = bucket(config).await;
    checks.push(bucket);
    checks.extend(ffmpeg());
    checks.extend(sandbox().await);
    checks.extend(ports::look(config, objects).await);
    output::rows(args.output, &["name", "ok", "finding"], &checks)?;
    Ok(if checks.iter().all(|check| check.ok) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn check(name: &str, found: Result<String, String>) -> Check {
    let ok = found.is_ok();
    Check { name: name.to_owned(), ok, finding: found.unwrap_or_else(|finding| finding) }
}

/// What lies on this machine can be written.
fn folder(config: &Config) -> Check {
    let folder = &config.data_dir;
    let there =
        folder.ancestors().find(|folder| folder.exists()).filter(|there| !there.as_os_str().is_empty());
    let there = there.unwrap_or(Path::new("."));
    let shown = folder.display();
    let found = match access(there, AccessFlags::W_OK | AccessFlags::X_OK) {
        Ok(()) if folder.is_dir() => Ok(format!("{shown} can be written")),
        Ok(()) => Ok(format!("{shown} is not there yet; the start makes it")),
        Err(error) => Err(format!(
            "{}: {}; run as the folder's owner, or choose another POLICAST_DATA_DIR",
            there.display(),
            error.desc()
        )),
    };
    check("folder", found)
}

async fn database(config: &Config) -> Check {
    let file = assemble::database_file(config);
    if config.database_url.is_none() && !file.exists() {
        return check("database", Ok(format!("{} is not there yet; the start makes it", file.display())));
    }
    let tried = async {
        let db = assemble::open_db(config).await?;
        let schema = db.schema().await?;
        // Only a schema with all its migrations has to fit.
        let broken = if schema == Schema::Current { db.check_statements().await.err() } else { None };
        Ok::<_, anyhow::Error>((db.engine(), schema, broken.map(anyhow::Error::from)))
    };
    let found = match tried.await {
        Ok((engine, schema, broken)) => finding(engine, schema, broken),
        Err(error) => Err(format!("{}; look at POLICAST_DATABASE_URL or POLICAST_DATA_DIR", story(&error))),
    };
    check("database", found)
}

/// What a schema is told as.
fn finding(engine: &str, schema: Schema, broken: Option<anyhow::Error>) -> Result<String, String> {
    let begun = format!("{engine} answers");
    match (schema, broken) {
        (Schema::Current, None) => Ok(format!("{begun}, its schema is this version's")),
        (Schema::Current, Some(error)) => Err(format!(
            "{begun}, but its schema is broken although every migration was applied ({}): somebody changed it by \
             hand; restore the last backup",
            story(&error)
        )),
        (Schema::Missing, _) => Ok(format!("{begun} and is empty; the start makes the schema")),
        (Schema::Behind { migrations }, _) => Ok(format!(
            "{begun}, its schema is {migrations} migrations behind; the start or policast migrate brings it up to date"
        )),
        (Schema::Newer { migration }, _) => Err(format!(
            "{begun}, its schema is newer (migration {migration}) and nothing is broken: run the policast that was last \
             here, or a newer one"
        )),
        (Schema::HalfDone { migration }, _) => Err(format!(
            "{begun}, but migration {migration} broke off in the middle: restore the last backup, and migrate again"
        )),
        (Schema::Foreign { migration }, _) => Err(format!(
            "{begun}, but its migration {migration} is not the one of this policast: the database belongs to another \
             build or program; look at POLICAST_DATABASE_URL"
        )),
    }
}

/// The bucket, and who has the embedded server's folder.
async fn bucket(config: &Config) -> (Check, Objects) {
    if config.is_embedded() && !assemble::objects_folder(config).exists() {
        let finding = "the embedded S3 server has no folder yet; the start makes it";
        return (check("bucket", Ok(finding.to_owned())), Objects::Free);
    }
    let advice = "look at POLICAST_S3_ENDPOINT, POLICAST_S3_BUCKET and the keys";
    let (storage, embedded) = match assemble::open_storage(config).await {
        Ok(opened) => opened,
        Err(error) => return (check("bucket", Err(format!("{}; {advice}", story(&error)))), Objects::Free),
    };
    let is_served = config.is_embedded() && embedded.is_none();
    let found = match storage.check().await {
        Ok(()) if is_served => Ok(format!(
            "bucket {} answers, from a running policast at {}",
            storage.bucket(),
            config.s3.s3_listen
        )),
        Ok(()) => Ok(format!("bucket {} answers", storage.bucket())),
        Err(storage::Error::BucketMissing { bucket }) => {
            Ok(format!("the object store answers, bucket {bucket} is not there yet; the start makes it"))
        }
        Err(_) if is_served => Err(format!(
            "a running policast has {}, but does not answer at {}: give doctor the server's own settings",
            config.data_dir.display(),
            config.s3.s3_listen
        )),
        Err(error) => Err(format!("{}; {advice}", story(&error.into()))),
    };
    if let Some(embedded) = embedded {
        embedded.close().await;
    }
    let objects = if is_served && found.is_ok() { Objects::Served } else { Objects::Free };
    (check("bucket", found), objects)
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
        Err(error) => vec![check("sandbox", Err(story(&error)))],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_newer_schema_is_told_from_a_broken_one_and_from_an_older_one() {
        let told = |schema, broken: Option<&'static str>| {
            let found = finding("postgresql", schema, broken.map(anyhow::Error::msg));
            format!("{found:?}")
        };
        let all = [
            told(Schema::Current, None),
            told(Schema::Current, Some("no such column: video.trim")),
            told(Schema::Missing, None),
            told(Schema::Behind { migrations: 2 }, None),
            told(Schema::Newer { migration: 9999 }, None),
            told(Schema::HalfDone { migration: 12 }, None),
            told(Schema::Foreign { migration: 3 }, None),
        ];
        insta::assert_snapshot!(all.join("\n"), @r#"
        Ok("postgresql answers, its schema is this version's")
        Err("postgresql answers, but its schema is broken although every migration was applied (no such column: video.trim): somebody changed it by hand; restore the last backup")
        Ok("postgresql answers and is empty; the start makes the schema")
        Ok("postgresql answers, its schema is 2 migrations behind; the start or policast migrate brings it up to date")
        Err("postgresql answers, its schema is newer (migration 9999) and nothing is broken: run the policast that was last here, or a newer one")
        Err("postgresql answers, but migration 12 broke off in the middle: restore the last backup, and migrate again")
        Err("postgresql answers, but its migration 3 is not the one of this policast: the database belongs to another build or program; look at POLICAST_DATABASE_URL")
        "#);
    }
}
