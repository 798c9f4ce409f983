//! The commands: the only place where rooms are put together.

mod admin;
mod api;
mod assemble;
mod demo;
mod doctor;
mod doors;
mod folder;
mod health;
mod output;
mod ports;
mod queue;
mod serve;
mod settings;
mod site;
mod start;
mod upload;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::parser::ValueSource;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::catalogue::one_connection;
use crate::config::{self, Config, Refusal, Role};
use crate::observability::{self, LogFormat};
use settings::Given;

/// Video publishing for government agencies' policy explainers
#[derive(Debug, Parser)]
#[command(name = "policast", version, propagate_version = true)]
#[command(next_help_heading = "Settings of every command")]
struct Cli {
    /// TOML file whose settings stand in for flags that aren't given: listen = "0.0.0.0:80"
    #[arg(long, global = true, env = "POLICAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: info, debug, policast=debug,warn …
    #[arg(long, global = true, env = "POLICAST_LOG", default_value = "info", value_name = "FILTER", value_parser = config::log_filter)]
    log: String,
    /// How log lines look
    #[arg(long, global = true, env = "POLICAST_LOG_FORMAT", default_value = "text", value_name = "FORMAT")]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API, the pages and the players, and do the work behind them
    Serve(Box<Config>),
    /// The same as serve --roles worker
    Worker(Box<Config>),
    /// Serve with a sample agency and a real clip, uploaded through the public API
    Demo(Box<demo::Args>),
    /// Upload videos; goes on where it was killed
    Upload(upload::Args),
    /// Look after accounts, topics, keys, jobs and media
    Admin(Box<admin::Args>),
    /// Check database, bucket, FFmpeg, sandbox and ports, and say what to do about each
    Doctor(Box<doctor::Args>),
    /// Show every setting that is in force, and where it comes from
    Config(Box<settings::Args>),
    /// Bring the database's schema up to date, and end
    Migrate(Box<Config>),
    /// Print the OpenAPI document
    Openapi,
    /// Ask a running server whether it is ready; for container health checks
    Health(health::Args),
}

/// The log of a command that is no server.
const QUIET: &str = "warn";
/// The status of a command that was called wrongly, as clap has it.
const WRONG_USE: u8 = 2;
/// And of one that ended because nobody read on: what a shell says of a program that SIGPIPE ended.
const READER_GONE: u8 = 141;

/// Runs the command line; 0 where all is well, 1 where something was found or failed, 2 on wrong use.
pub fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) if error.is::<Refusal>() => {
            output::complain(&output::story(&error));
            ExitCode::from(WRONG_USE)
        }
        Err(error) if error.is::<output::ReaderGone>() => ExitCode::from(READER_GONE),
        Err(error) => {
            output::complain(&output::story(&error));
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    folder::keep_to_ourselves();
    let (cli, given) = parse()?;
    observability::start_logs(filter(&cli, &given), cli.log_format).context("POLICAST_LOG")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("threads")?;
    runtime.block_on(one_connection(run(cli.command, &given)))
}

/// What is logged: of a command that does one thing and ends, what went wrong, unless somebody asks for more.
fn filter<'a>(cli: &'a Cli, given: &Given) -> &'a str {
    let is_server = matches!(cli.command, Command::Serve(_) | Command::Worker(_) | Command::Demo(_));
    let is_default = given.matches.value_source("log") == Some(ValueSource::DefaultValue);
    let in_file = given.file.as_ref().is_some_and(|file| file.has("POLICAST_LOG"));
    if is_server || !is_default || in_file { &cli.log } else { QUIET }
}

/// The command line, over the environment, over the file.
fn parse() -> anyhow::Result<(Cli, Given)> {
    let arguments: Vec<OsString> = std::env::args_os().collect();
    let first = Cli::command().ignore_errors(true).get_matches_from(&arguments);
    let variables: Vec<_> = std::env::vars_os().collect();
    let variables = variables.iter().map(|(name, value)| (name.as_os_str(), value.as_os_str()));
    config::check_names(variables, &Cli::command())?;
    let file = first.try_get_one::<PathBuf>("config").ok().flatten();
    let file = file.map(|file| config::Settings::read(file)).transpose()?;
    let command = match &file {
        Some(file) => file.apply(Cli::command())?,
        None => Cli::command(),
    };
    let parsed = command.clone().try_get_matches_from(&arguments);
    let parsed = parsed.and_then(|matches| Ok((Cli::from_arg_matches(&matches)?, matches)));
    match parsed {
        Ok((cli, matches)) => Ok((cli, Given { command, matches, file })),
        Err(error) => match config::refusal(&error, &command, (&arguments, file.as_ref())) {
            Some(refusal) => Err(refusal.into()),
            None => error.exit(),
        },
    }
}

async fn run(command: Command, given: &Given) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(config) => serve::run(&config).await,
        Command::Worker(config) => serve::run(&Config { roles: vec![Role::Worker], ..*config }).await,
        Command::Demo(args) => Box::pin(demo::run(&args)).await,
        Command::Upload(args) => upload::run(&args).await,
        Command::Admin(args) => admin::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
        Command::Config(args) => settings::run(&args, given),
        Command::Migrate(config) => {
            assemble::open_db(&config).await?.migrate().await?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Openapi => output::document(&crate::http::openapi()),
        Command::Health(args) => health::run(&args).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
