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
mod serve;
mod start;
mod upload;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::catalogue::one_connection;
use crate::config::{self, Config, Role};
use crate::observability::{self, LogFormat};

/// Video publishing for government agencies' policy explainers
#[derive(Debug, Parser)]
#[command(name = "policast", version, propagate_version = true)]
struct Cli {
    /// TOML file whose settings stand in for flags that aren't given: listen = "0.0.0.0:80"
    #[arg(long, global = true, env = "POLICAST_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,
    /// What is logged: info, debug, policast=debug,warn …
    #[arg(long, global = true, env = "POLICAST_LOG", default_value = "info", value_name = "FILTER")]
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
    /// Bring the database's schema up to date, and end
    Migrate(Box<Config>),
    /// Print the OpenAPI document
    Openapi,
    /// Ask a running server whether it is ready; for container health checks
    Health(health::Args),
}

/// Runs the command line; 0 where all is well, 1 where something was found or failed, 2 on wrong use.
pub fn main() -> ExitCode {
    match start() {
        Ok(code) => code,
        Err(error) => {
            output::complain(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<ExitCode> {
    folder::keep_to_ourselves();
    let cli = parse()?;
    observability::start_logs(&cli.log, cli.log_format).context("POLICAST_LOG")?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().context("threads")?;
    runtime.block_on(one_connection(run(cli.command)))
}

fn parse() -> anyhow::Result<Cli> {
    let first = Cli::command().ignore_errors(true).get_matches();
    let command = match first.try_get_one::<PathBuf>("config").ok().flatten() {
        Some(file) => config::with_file(Cli::command(), file)?,
        None => Cli::command(),
    };
    Ok(Cli::from_arg_matches(&command.get_matches())?)
}

async fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Serve(config) => serve::run(&config).await,
        Command::Worker(config) => serve::run(&Config { roles: vec![Role::Worker], ..*config }).await,
        Command::Demo(args) => Box::pin(demo::run(&args)).await,
        Command::Upload(args) => upload::run(&args).await,
        Command::Admin(args) => admin::run(&args).await,
        Command::Doctor(args) => doctor::run(&args).await,
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
