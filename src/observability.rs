//! Logs and metrics of one process.

use std::io::IsTerminal;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, PrometheusBuilder};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
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

/// How often what was measured is put into its histograms; until then it is kept one by one.
const UPKEEP: Duration = Duration::from_secs(5);
/// The exposition format's own type.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Comes before the operator's filter, which may say otherwise: these crates tell of whatever anybody's datagram,
/// request or certificate holds, the last two as an error.
const QUIET: &str = "mpeg2ts_reader=off,s3s=off,rustls_platform_verifier=off";

/// Starts logging to stderr; `filter` is tracing's: `info`, `policast=debug,warn`.
pub fn start_logs(filter: &str, format: LogFormat) -> Result<(), ParseError> {
    let filter = EnvFilter::builder().parse(format!("{QUIET},{filter}"))?;
    let ansi = std::io::stderr().is_terminal();
    // A line that can't be written (a full disk, a collector that went) is lost. Telling of that on the same stderr would
    // panic, and end the request or the broadcast that the line was about.
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(ansi)
        .log_internal_errors(false);
    match format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().flatten_event(true).init(),
    }
    Ok(())
}

/// Starts counting; the router serves /metrics, on a listener of its own, away from the public.
pub fn start_metrics(shutdown: CancellationToken, tasks: &TaskTracker) -> Result<Router, BuildError> {
    let metrics = PrometheusBuilder::new().install_recorder()?;
    let handle = metrics.clone();
    tasks.spawn(shutdown.run_until_cancelled_owned(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            handle.run_upkeep();
        }
    }));
    let page = async move || ([(CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render());
    Ok(Router::new().route("/metrics", get(page)))
}
