//! `policast serve`: the roles of one process, from start to an orderly end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::assemble::{self, Rooms};
use super::doors::Doors;
use crate::config::{Config, Role};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::domain::secret::Keys;
use crate::live::Live;
use crate::media::cage::CageLimits;
use crate::media::ladder::LadderSettings;
use crate::media::resident;
use crate::media::task;
use crate::publishing::Publishing;
use crate::{http, live, observability, web, worker};

/// How long open connections may end by themselves after the first signal.
const DRAIN: Duration = Duration::from_secs(30);
/// The running image itself, also after an upgrade has put another in its place.
const PROGRAM: &str = "/proc/self/exe";
/// What lower rungs of a broadcast would make after so long is late for everybody.
const RUNGS_SILENCE: Duration = Duration::from_secs(10);

/// Told to stop: gently, then at once.
#[derive(Clone, Default)]
pub struct Shutdown {
    pub drain: CancellationToken,
    pub cut: CancellationToken,
}

/// A server whose listeners are bound.
pub struct Server {
    rooms: Rooms,
    api: Option<TcpListener>,
    objects: Option<TcpListener>,
    doors: Doors,
    config: Config,
}

/// Serves until a signal; the first one drains, the second cuts.
pub async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    assemble::check_admin_key(config.admin_key.as_deref())?;
    let server = Server::bind(config).await?;
    assemble::first_key(&server.rooms.publishing, config.admin_key.as_deref()).await?;
    let shutdown = Shutdown::default();
    let serving = server.serve(shutdown.clone());
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return ended.map(|()| ExitCode::SUCCESS),
            asked = asked_to_stop() => asked?,
        }
        if shutdown.drain.is_cancelled() {
            shutdown.cut.cancel();
        }
        shutdown.drain.cancel();
        tracing::info!("stopping; a second signal stops at once");
    }
}

/// Waits for a SIGTERM or SIGINT.
pub async fn asked_to_stop() -> std::io::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

impl Server {
    /// Opens everything and binds the listeners, so that an address is known before anything is served.
    pub async fn bind(config: &Config) -> anyhow::Result<Self> {
        let api = config.has(Role::Api).then_some(config.listen);
        let objects = config.is_embedded().then_some(config.s3.s3_listen);
        let (api, objects) =
            (listen(api, "POLICAST_LISTEN").await?, listen(objects, "POLICAST_S3_LISTEN").await?);
        let doors = Doors::open(config).await?;
        let mut config = config.clone();
        // Port 0 means any: from here on it is the one that was free.
        if let Some(listener) = &api {
            config.listen = listener.local_addr()?;
        }
        if let Some(listener) = &objects {
            config.s3.s3_listen = listener.local_addr()?;
        }
        let rooms = assemble::open(&config).await?;
        if config.is_embedded() && rooms.embedded.is_none() {
            bail!(
                "another policast serves {}: stop it, or choose another --data-dir",
                config.data_dir.display()
            );
        }
        Ok(Self { rooms, api, objects, doors, config })
    }

    /// The rooms it serves.
    pub fn publishing(&self) -> &Publishing {
        &self.rooms.publishing
    }

    /// The address under which browsers reach it.
    pub fn public_url(&self) -> String {
        self.config.public_url()
    }

    /// Runs every role until told to stop.
    pub async fn serve(self, shutdown: Shutdown) -> anyhow::Result<()> {
        if let Some(listen) = self.config.metrics_listen {
            observability::start_metrics(listen).context("POLICAST_METRICS_LISTEN")?;
        }
        let tasks = TaskTracker::new();
        if let (Some(embedded), Some(listener)) = (self.rooms.embedded.clone(), self.objects) {
            let stop = shutdown.cut.clone();
            tasks.spawn(async move { embedded.serve(listener, stop).await });
        }
        let secrets = self.rooms.publishing.open_secrets().await.context("secrets")?;
        let pulls = (tasks.clone(), shutdown.drain.clone());
        let live =
            Live::new(self.rooms.publishing.clone(), live_settings(&self.config, &secrets.nodes), pulls);
        let ingest = self.doors.addresses(&self.config)?;
        let (changes, db) = (self.rooms.publishing.changes.clone(), self.rooms.publishing.db.clone());
        let told = CancellationToken::new();
        let all_told = told.clone();
        tasks.spawn(async move { changes.run(&db, &all_told).await });
        let (publishing, stop) = (self.rooms.publishing.clone(), shutdown.drain.clone());
        let followed = secrets.clone();
        tasks.spawn(async move { publishing.follow_secrets(&followed, &stop).await });
        let api = match self.api {
            Some(listener) => {
                let rooms = (self.rooms.publishing.clone(), live.clone());
                let router = router(&self.config, rooms, (ingest, secrets.playback), &tasks);
                tracing::info!(url = self.config.public_url(), "serving");
                Some(serve_http(listener, router, shutdown.clone()))
            }
            None => None,
        };
        go_live(&live, self.doors, &tasks, &shutdown);
        let work = self.config.has(Role::Worker).then(|| worker_settings(&self.config));
        let work = work.map(|settings| {
            let publishing = self.rooms.publishing.clone();
            worker::run(publishing, settings, shutdown.drain.clone(), shutdown.cut.clone())
        });
        resident::give_back_libraries();
        let (served, ()) =
            tokio::join!(async { if let Some(api) = api { api.await } else { Ok(()) } }, async {
                if let Some(work) = work { work.await } else { shutdown.drain.cancelled().await }
            },);
        // The worker put its last objects through the embedded server: that one stops when all else has.
        shutdown.cut.cancel();
        told.cancel();
        tasks.close();
        tasks.wait().await;
        self.rooms.publishing.db.close().await;
        served.context("HTTP server")
    }
}

/// The doors for encoders, and who looks after their broadcasts.
fn go_live(live: &Live, doors: Doors, tasks: &TaskTracker, shutdown: &Shutdown) {
    let stop = || shutdown.drain.clone();
    if let Some(listener) = doors.rtmp {
        tasks.spawn(live::listen(listener, None, live.clone(), stop()));
    }
    if let Some((listener, tls)) = doors.rtmps {
        tasks.spawn(live::listen(listener, Some(tls), live.clone(), stop()));
    }
    if let Some(listener) = doors.srt {
        tasks.spawn(live::listen_srt(listener, live.clone(), stop()));
    }
    tasks.spawn(live.clone().keep_house(stop()));
}

fn live_settings(config: &Config, keys: &Keys) -> live::Settings {
    let settings = &config.live;
    live::Settings {
        node: config.node_url(),
        keys: keys.clone(),
        lease: settings.live_lease.0,
        buffer_bytes: settings.live_buffer_bytes,
        doors: live::guests::Limits {
            connections: settings.ingest_connections,
            per_address: settings.ingest_per_address,
            bad_keys: settings.ingest_bad_keys,
        },
        rtmp: live::rtmp::Limits {
            handshake: settings.ingest_handshake.0,
            publish: settings.ingest_publish.0,
            first_media: settings.ingest_first_media.0,
            idle: settings.ingest_idle.0,
            ..live::rtmp::Limits::default()
        },
        cut: live::cut::Settings::default(),
        rungs: live::rungs::Settings {
            count: settings.live_rungs,
            preset: config.media.preset.clone(),
            program: PROGRAM.into(),
            cage: CageLimits {
                memory_bytes: config.media.media_memory_bytes,
                tasks: config.media.media_tasks,
                silence: config.media.media_silence.0.min(RUNGS_SILENCE),
                // A broadcast may last for weeks.
                cpu_seconds: u64::from(u32::MAX),
                wall: Duration::from_hours(24 * 365),
            },
        },
    }
}

pub(super) async fn listen(
    address: Option<std::net::SocketAddr>,
    setting: &str,
) -> anyhow::Result<Option<TcpListener>> {
    let Some(address) = address else { return Ok(None) };
    let listener = TcpListener::bind(address).await;
    let listener =
        listener.with_context(|| format!("can't listen on {address}; {setting} chooses another address"))?;
    Ok(Some(listener))
}

fn router(
    config: &Config,
    (publishing, live): (Publishing, Live),
    (ingest, token_keys): (http::Ingest, Keys),
    tasks: &TaskTracker,
) -> Router {
    let settings = http::Settings {
        public_url: config.public_url(),
        token_keys,
        token_ttl: config.delivery.token_ttl.0,
        body_idle_timeout: config.limits.body_idle_timeout.0,
        cdn_url: config.delivery.cdn_url.clone(),
        cache_bytes: config.delivery.cache_bytes,
        ingest,
    };
    let app = http::App::new(publishing, live, settings, tasks.clone());
    http::router(app.clone(), web::router(app))
}

async fn serve_http(listener: TcpListener, router: Router, shutdown: Shutdown) -> std::io::Result<()> {
    let drain = shutdown.drain.clone();
    // An answer's last packet must not wait until the one before is acknowledged: a part may be as small as that.
    let listener = listener.tap_io(|socket| {
        let _ = socket.set_nodelay(true);
    });
    // Served as it is, a router is copied whole for every connection.
    let router = router.into_make_service();
    let serving = axum::serve(listener, router).with_graceful_shutdown(drain.cancelled_owned());
    tokio::select! {
        ended = serving.into_future() => ended,
        () = async { shutdown.drain.cancelled().await; tokio::time::sleep(DRAIN).await } => Ok(()),
        () = shutdown.cut.cancelled() => Ok(()),
    }
}

fn worker_settings(config: &Config) -> worker::Settings {
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    worker::Settings {
        name: format!("{host}/{}", std::process::id()),
        slots: config.media.worker_slots.unwrap_or(processors.max(2)),
        lease: config.media.lease.0,
        account_cap: config.media.account_jobs,
        program: PROGRAM.into(),
        cage: CageLimits {
            memory_bytes: config.media.media_memory_bytes,
            tasks: config.media.media_tasks,
            silence: config.media.media_silence.0,
            ..CageLimits::default()
        },
        limits: task::Limits {
            max_pixels: config.limits.max_pixels,
            max_duration: ticks(config.limits.max_duration.0),
            max_still: ticks(config.limits.max_still.0),
            max_tracks: config.limits.max_tracks,
            max_metadata_bytes: config.limits.max_metadata_bytes,
        },
        ladder: LadderSettings {
            enable_uhd: config.media.uhd,
            preset: config.media.preset.clone(),
            passthrough: config.media.passthrough,
        },
    }
}

fn ticks(span: Duration) -> Ticks {
    i64::try_from(span.as_secs()).unwrap_or(0).saturating_mul(TICKS_PER_SECOND)
}
