//! The HTTP ports of a process: the API and the pages, the embedded S3 server, the metrics.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context;
use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

use super::serve::Shutdown;
use crate::config::{Config, Connections, Role};
use crate::http::gate::Gate;
use crate::net::{self, Limits, Stop, Timeouts};
use crate::observability;

/// Prometheus needs one, or two.
const METRICS_CONNECTIONS: usize = 64;

/// Listeners; `None` where nothing is served.
#[derive(Default)]
pub struct Ports {
    api: Option<TcpListener>,
    objects: Option<TcpListener>,
    metrics: Option<TcpListener>,
    /// Connections one of them may have.
    connections: usize,
}

impl Ports {
    /// Binds what this process serves. Port 0 means any: from then on the settings name the one that was free.
    pub async fn bind(config: &mut Config) -> anyhow::Result<Self> {
        let api = config.has(Role::Api).then_some(config.listen);
        let objects = config.is_embedded().then_some(config.s3.s3_listen);
        let ports = Self {
            api: listen(api, "POLICAST_LISTEN").await?,
            objects: listen(objects, "POLICAST_S3_LISTEN").await?,
            metrics: listen(config.metrics_listen, "POLICAST_METRICS_LISTEN").await?,
            connections: room(config.connections.http_connections),
        };
        if let Some(listener) = &ports.api {
            config.listen = listener.local_addr()?;
        }
        if let Some(listener) = &ports.objects {
            config.s3.s3_listen = listener.local_addr()?;
        }
        Ok(ports)
    }

    /// The API's, the object store's and the metrics'.
    pub fn addresses(&self) -> std::io::Result<[Option<SocketAddr>; 3]> {
        let of = |listener: &Option<TcpListener>| listener.as_ref().map(TcpListener::local_addr).transpose();
        Ok([of(&self.api)?, of(&self.objects)?, of(&self.metrics)?])
    }

    /// Serves all of them: those for clients until the drain, the metrics until all is done.
    pub fn serve(
        self,
        config: &Config,
        (gate, embedded): (&Gate, Option<Router>),
        (ports, tasks): (&TaskTracker, &TaskTracker),
        (shutdown, done): (&Shutdown, &CancellationToken),
    ) -> anyhow::Result<()> {
        let limits = limits(&config.connections, self.connections);
        let stop = Stop {
            drain: shutdown.drain.clone(),
            cut: shutdown.cut.clone(),
            patience: config.connections.drain_timeout.0,
        };
        if let Some(listener) = self.metrics {
            let metrics =
                observability::start_metrics(done.clone(), tasks).context("POLICAST_METRICS_LISTEN")?;
            // A process without an API is asked for its health here.
            let health = ["/health/live", "/health/ready"];
            let app = health.into_iter().fold(metrics, |app, path| app.route_service(path, service(gate)));
            let app = app.with_state(());
            let limits = Limits { connections: METRICS_CONNECTIONS, per_address: 0, ..limits.clone() };
            let stop = Stop { drain: done.clone(), ..stop.clone() };
            tasks.spawn(async move { net::serve(listener, app, &limits, stop).await });
        }
        if let (Some(listener), Some(embedded)) = (self.objects, embedded) {
            let (app, limits, stop) = (embedded.with_state(()), limits.clone(), stop.clone());
            ports.spawn(async move { net::serve(listener, app, &limits, stop).await });
        }
        if let Some(listener) = self.api {
            let app = service(gate);
            ports.spawn(async move { net::serve(listener, app, &limits, stop).await });
        }
        Ok(())
    }
}

fn service(
    gate: &Gate,
) -> impl Service<Request, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
    let gate = gate.clone();
    tower::service_fn(move |request| {
        let gate = gate.clone();
        async move { Ok(gate.answer(request).await) }
    })
}

fn limits(settings: &Connections, connections: usize) -> Limits {
    Limits {
        connections,
        per_address: settings.http_per_address,
        timeouts: Timeouts {
            header: settings.header_timeout.0,
            idle: settings.keep_alive.0,
            stall: settings.body_idle_timeout.0,
            first_request: settings.first_request.0,
        },
        trusted: Arc::from(settings.trusted_proxies.as_slice()),
    }
}

/// Opens as many files as the system lets us, of which clients get no more than half: so many connections as were asked
/// for, or fewer.
fn room(wanted: usize) -> usize {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE).unwrap_or((1024, 1024));
    if let Err(error) = setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        tracing::warn!(%error, hard, "the limit of open files can't be raised");
    }
    let most = usize::try_from(hard / 2).unwrap_or(usize::MAX);
    if wanted > most {
        tracing::warn!(
            wanted,
            most,
            "fewer connections than POLICAST_HTTP_CONNECTIONS says: ulimit -n is low"
        );
    }
    wanted.min(most)
}

/// Binds an address, where one is set.
pub async fn listen(address: Option<SocketAddr>, setting: &str) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("can't listen on {address}; {setting} chooses another address"))?;
    Ok(Some(listener))
}
