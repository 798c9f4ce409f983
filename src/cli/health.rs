//! `policast health`: asks a running server whether it is ready.

use std::process::ExitCode;

use super::api::Api;
use crate::config::http_url;

/// Which server is asked.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Its address
    #[arg(
        long,
        env = "POLICAST_URL",
        default_value = "http://127.0.0.1:8080",
        value_name = "URL",
        value_parser = http_url,
        help_heading = "Settings"
    )]
    url: String,
}

/// 0 where the server is ready; where it is not, an error that says why.
pub async fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let api = Api::without_key(&args.url)?;
    api.send(api.http.get(format!("{}/health/ready", api.server))).await?;
    Ok(ExitCode::SUCCESS)
}
