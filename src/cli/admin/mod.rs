//! `policast admin`: the operator's commands, on the same verbs as HTTP.

mod accounts;
mod caches;
mod jobs;
mod media;
mod secrets;

use std::process::ExitCode;

use clap::Subcommand;
use tokio_util::sync::CancellationToken;

use super::assemble;
use super::output::Format;
use crate::config::Config;
use crate::publishing::Publishing;

/// The instance and what is done to it.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// How results are printed
    #[arg(long, global = true, default_value = "table", value_name = "FORMAT")]
    output: Format,
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Verified accounts
    #[command(subcommand)]
    Account(accounts::Account),
    /// Policy topics
    #[command(subcommand)]
    Topic(accounts::Topic),
    /// API keys
    #[command(subcommand)]
    Key(accounts::Key),
    /// Have caches in front drop their copies
    Purge(caches::Purge),
    /// The instance's own secrets
    #[command(subcommand)]
    Secret(secrets::Secret),
    /// Process videos again
    Reprocess(media::Reprocess),
    /// Let a video play an earlier revision again
    Rollback(media::Rollback),
    /// Tell why a video is where it is
    Why(media::Why),
    /// The queue of background work
    #[command(subcommand)]
    Jobs(jobs::Jobs),
    /// Hold rows against objects and objects against rows
    Fsck(media::Fsck),
}

/// 0 where all is well, 1 where something was found.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let rooms = assemble::open(&args.config).await?;
    let publishing = &rooms.publishing;
    let done = CancellationToken::new();
    let passing = publishing.changes.pass_on(&publishing.db, &done);
    let ((), code) = tokio::join!(passing, async {
        let code = carry_out(args, publishing).await;
        done.cancel();
        code
    });
    code
}

async fn carry_out(args: &Args, publishing: &Publishing) -> anyhow::Result<ExitCode> {
    let format = args.output;
    match &args.command {
        Command::Account(command) => accounts::account(publishing, command, format).await,
        Command::Topic(command) => accounts::topic(publishing, command, format).await,
        Command::Key(command) => accounts::key(publishing, command, format).await,
        Command::Purge(command) => caches::purge(publishing, command).await,
        Command::Secret(command) => secrets::run(publishing, command, format).await,
        Command::Reprocess(command) => media::reprocess(publishing, command, format).await,
        Command::Rollback(command) => media::rollback(publishing, command).await,
        Command::Why(command) => media::why(publishing, command, format).await,
        Command::Jobs(command) => jobs::run(publishing, command, format).await,
        Command::Fsck(command) => media::fsck(publishing, command, format).await,
    }
}
