//! `policast health`: asks a running server whether it is ready.

use std::process::ExitCode;

use anyhow::Context;

/// Which server is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its address
    #[arg(long, env = "POLICAST_URL", default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
}

/// 0 where the server is ready, 1 where it is not.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let address = format!("{}/health/ready", args.url.trim_end_matches('/'));
    let answer = reqwest::get(&address).await.with_context(|| format!("no answer from {address}"))?;
    Ok(if answer.status().is_success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
