//! Logs and metrics of one process.

use std::io::IsTerminal;
use std::time::Duration;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder};
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

/// From an answer out of memory to one that took too long.
const REQUEST_SECONDS: &[f64] = &[0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// From a step that others wait for to a chunk of a long film.
const JOB_SECONDS: &[f64] = &[0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0];

/// How a metric behaves.
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// Every metric of ours, with its HELP.
const METRICS: &[(Kind, &str, &str)] = &[
    (Kind::Gauge, "policast_build_info", "Always 1; the labels say which build runs"),
    (
        Kind::Counter,
        "policast_connections_evicted_total",
        "HTTP connections closed to make room for newer ones",
    ),
    (
        Kind::Counter,
        "policast_connections_refused_total",
        "HTTP connections refused: too many from one address",
    ),
    (Kind::Counter, "policast_database_errors_total", "Errors of the database, by kind"),
    (Kind::Counter, "policast_http_requests_total", "Requests answered, by method and status"),
    (
        Kind::Histogram,
        "policast_http_request_seconds",
        "How long an answer took to begin, by method and status",
    ),
    (Kind::Counter, "policast_jobs_total", "Attempts at jobs that ended here, by kind and outcome"),
    (Kind::Histogram, "policast_job_seconds", "How long an attempt at a job took, by kind"),
    (Kind::Gauge, "policast_live_bitrate_bits", "Bits a second of all streams that come in here"),
    (Kind::Gauge, "policast_live_broadcasts", "Streams that come in here"),
    (Kind::Counter, "policast_live_dropped_frames_total", "Frames that encoders did not send in time"),
    (Kind::Gauge, "policast_live_frame_rate", "Frames a second of all streams that come in here"),
    (
        Kind::Gauge,
        "policast_live_recording_pending_bytes",
        "Bytes of recordings that wait for the object store",
    ),
    (
        Kind::Counter,
        "policast_live_rungs_paused_total",
        "Times that lower rungs of a broadcast paused, by reason",
    ),
    (Kind::Gauge, "policast_live_viewers", "Viewers of the streams that come in here, at all nodes"),
    (
        Kind::Counter,
        "policast_push_dropped_frames_total",
        "Frames that a target of a broadcast was too slow for",
    ),
    (Kind::Counter, "policast_pushes_total", "Pushes to targets of broadcasts, by outcome"),
    (Kind::Gauge, "policast_queue_jobs", "Jobs that wait on all nodes, by lane"),
    (Kind::Gauge, "policast_queue_oldest_seconds", "How long the first job of a lane has been due, by lane"),
    (Kind::Gauge, "policast_queue_running_jobs", "Jobs that run on all nodes, by lane"),
    (Kind::Counter, "policast_storage_errors_total", "Errors of the object store, by kind"),
];

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
    let metrics = builder()?.install_recorder()?;
    let process = metrics_process::Collector::default();
    process.describe();
    describe();
    let handle = metrics.clone();
    tasks.spawn(shutdown.run_until_cancelled_owned(async move {
        loop {
            tokio::time::sleep(UPKEEP).await;
            handle.run_upkeep();
        }
    }));
    let page = async move || {
        process.collect();
        ([(CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render())
    };
    Ok(Router::new().route("/metrics", get(page)))
}

/// Histograms have buckets: those of several nodes can be summed, which summaries can't.
fn builder() -> Result<PrometheusBuilder, BuildError> {
    let builder = PrometheusBuilder::new();
    let builder =
        builder.set_buckets_for_metric(Matcher::Full("policast_job_seconds".to_owned()), JOB_SECONDS)?;
    builder.set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), REQUEST_SECONDS)
}

/// Gives every metric its HELP, and says which build this is.
fn describe() {
    for (kind, name, help) in METRICS {
        match kind {
            Kind::Counter => metrics::describe_counter!(*name, *help),
            Kind::Gauge => metrics::describe_gauge!(*name, *help),
            Kind::Histogram => metrics::describe_histogram!(*name, *help),
        }
    }
    let profile = if cfg!(debug_assertions) { "debug" } else { "release" };
    metrics::gauge!("policast_build_info", "version" => env!("CARGO_PKG_VERSION"), "profile" => profile)
        .set(1);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use super::*;

    /// Every name of a metric that the sources have in quotes.
    fn named(folder: &Path, found: &mut BTreeSet<String>) {
        for entry in std::fs::read_dir(folder).expect("a folder").flatten() {
            let path = entry.path();
            if path.is_dir() {
                named(&path, found);
            } else if path.extension().is_some_and(|extension| extension == "rs")
                && !path.ends_with("observability.rs")
            {
                let text = std::fs::read_to_string(&path).expect("a source");
                for part in text.split("\"policast_").skip(1) {
                    let name: String =
                        part.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
                    // Tests hold whole lines against the page.
                    if part[name.len()..].starts_with('"') {
                        found.insert(format!("policast_{name}"));
                    }
                }
            }
        }
    }

    #[test]
    fn every_metric_is_explained_and_every_explanation_has_its_metric() {
        let mut found = BTreeSet::from(["policast_build_info".to_owned()]);
        named(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut found);
        let explained: BTreeSet<String> = METRICS.iter().map(|(_, name, _)| (*name).to_owned()).collect();
        assert_eq!(found, explained);
    }

    #[test]
    fn histograms_have_buckets_that_nodes_can_sum() {
        let recorder = builder().expect("buckets").build_recorder();
        let page = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::histogram!("policast_job_seconds", "kind" => "probe").record(Duration::from_secs(2));
            metrics::histogram!("policast_http_request_seconds").record(Duration::from_millis(7));
        });
        let text = page.render();
        for line in [
            "# HELP policast_job_seconds How long an attempt at a job took, by kind",
            "# TYPE policast_job_seconds histogram",
            "policast_job_seconds_bucket{kind=\"probe\",le=\"1\"} 0",
            "policast_job_seconds_bucket{kind=\"probe\",le=\"5\"} 1",
            "policast_http_request_seconds_bucket{le=\"0.01\"} 1",
            "policast_http_request_seconds_count 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
        assert!(!text.contains("quantile="), "{text}");
    }

    #[test]
    fn what_is_wrong_with_database_and_bucket_is_counted() {
        let recorder = builder().expect("buckets").build_recorder();
        let page = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            let _ = crate::catalogue::Error::from(sqlx::Error::PoolTimedOut);
            let _ = crate::storage::Error::from(crate::fault::Injected);
        });
        let text = page.render();
        for line in [
            "policast_database_errors_total{kind=\"unavailable\"} 1",
            "policast_storage_errors_total{kind=\"unavailable\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line}\n{text}");
        }
    }
}
