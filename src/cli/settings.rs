//! `policast config`: what is in force, and where each setting comes from.

use std::process::ExitCode;

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches};
use serde::Serialize;

use super::output::{self, Format};
use crate::config::{self, Config, DEFAULT_RTMP, Settings};

/// The settings to be shown.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How results are printed
    #[arg(long, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    config: Config,
}

/// A command line with everything that stood in for flags.
pub struct Given {
    pub command: clap::Command,
    pub matches: ArgMatches,
    pub file: Option<Settings>,
}

#[derive(Debug, Serialize)]
struct Row {
    setting: String,
    /// `None` where it isn't set and nothing stands in for it; secrets are masked.
    value: Option<String>,
    from: String,
}

/// Prints every setting of a server.
pub fn run(args: &Args, given: &Given) -> anyhow::Result<ExitCode> {
    let Some((name, matches)) = given.matches.subcommand() else { return Ok(ExitCode::FAILURE) };
    let own = given.command.find_subcommand(name).into_iter().flat_map(clap::Command::get_arguments);
    let rows: Vec<Row> = own
        .chain(given.command.get_arguments())
        .filter_map(|argument| row(argument, (matches, given.file.as_ref()), &args.config))
        .collect();
    output::rows(args.output, &["setting", "value", "from"], &rows)
}

fn row(argument: &Arg, (matches, file): (&ArgMatches, Option<&Settings>), config: &Config) -> Option<Row> {
    let setting = argument.get_env()?.to_str()?.to_owned();
    let id = argument.get_id().as_str();
    let raw = matches.try_get_raw(id).ok().flatten();
    let told =
        raw.map(|values| values.map(|value| config::masked(argument, value)).collect::<Vec<_>>().join(","));
    let from = match matches.value_source(id) {
        Some(ValueSource::CommandLine) => format!("--{}", argument.get_long().unwrap_or_default()),
        Some(ValueSource::EnvVariable) => "environment".to_owned(),
        _ => match file.filter(|file| file.has(&setting)) {
            Some(file) => file.path().display().to_string(),
            None => "default".to_owned(),
        },
    };
    Some(Row { setting, value: told.or_else(|| stands_in(id, config)), from })
}

/// What is done where nobody said anything.
fn stands_in(id: &str, config: &Config) -> Option<String> {
    match id {
        "public_url" => Some(config.public_url()),
        "node_url" => Some(config.node_url()),
        "worker_slots" => Some(config.worker_slots().to_string()),
        "rtmp_listen" => Some(format!("{DEFAULT_RTMP}, where free")),
        "s3_public_endpoint" if config.is_embedded() => Some(config.s3_public_endpoint()),
        "s3_public_endpoint" => config.s3.s3_endpoint.clone(),
        "s3_bucket" => Some(config.bucket().to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use clap::CommandFactory;

    use super::super::Cli;

    const README: &str = include_str!("../../README.md");

    /// Name and default of each row of the table of settings.
    fn table() -> BTreeMap<&'static str, &'static str> {
        let rows = README.lines().filter_map(|line| line.strip_prefix("| `POLICAST_"));
        let cells = rows.filter_map(|row| {
            let (name, rest) = row.split_once("` |")?;
            Some((name, rest.split('|').next()?.trim().trim_matches('`')))
        });
        cells.collect()
    }

    #[test]
    fn the_readme_has_every_setting_with_its_default() {
        let (command, table) = (Cli::command(), table());
        let config = command.find_subcommand("config").expect("the command");
        let mut known = Vec::new();
        for argument in config.get_arguments().chain(command.get_arguments()) {
            let Some(variable) = argument.get_env().and_then(|name| name.to_str()) else { continue };
            let name = variable.trim_start_matches("POLICAST_");
            let said = table.get(name).unwrap_or_else(|| panic!("README.md has no row for {variable}"));
            let default: Vec<_> =
                argument.get_default_values().iter().map(|value| value.to_string_lossy()).collect();
            if !default.is_empty() {
                assert_eq!(*said, default.join(","), "{variable}");
            }
            known.push(name);
        }
        let gone: Vec<_> = table.keys().filter(|name| !known.contains(name)).collect();
        assert!(gone.is_empty(), "README.md has rows of settings that there are not: {gone:?}");
    }
}
