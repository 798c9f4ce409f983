//! Logs and metrics of one process.

use std::io::IsTerminal;
use std::net::SocketAddr;

use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;

/// How log lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object a line, for collectors.
    Json,
}

/// Comes before the operator's filter, which may say otherwise: these crates tell of whatever anybody's datagram or
/// certificate holds, the last one as an error.
const QUIET: &str = "srt_protocol=off,mpeg2ts_reader=off,rustls_platform_verifier=off";

/// Starts logging to stderr; `filter` is tracing's: `info`, `policast=debug,warn`.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{filter}"))?;
    let ansi = std::io::stderr().is_terminal();
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(ansi);
    match format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Serves /metrics on a listener of its own, away from the public.
pub fn start_metrics(listen: SocketAddr) -> Result<(), BuildError> {
    PrometheusBuilder::new().with_http_listener(listen).install()
}
