//! `policast serve`: the roles of one process, from start to an orderly end.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, bail};
use axum::Router;
use futures::future::OptionFuture;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::assemble::{self, Rooms};
use super::doors::Doors;
use super::ports::Ports;
use super::{queue, site, start};
use crate::config::{Config, Connections, Role};
use crate::domain::media::{TICKS_PER_SECOND, Ticks};
use crate::domain::secret::Keys;
use crate::domain::site::Site;
use crate::http::gate::Gate;
use crate::http::rate::RateLimits;
use crate::live::Live;
use crate::media::cage::CageLimits;
use crate::media::ladder::LadderSettings;
use crate::media::resident;
use crate::media::task;
use crate::publishing::{Publishing, Secrets};
use crate::storage::{Embedded, Storage};
use crate::{http, live, web, worker};

/// The running image itself, also after an upgrade has put another in its place.
pub(super) const PROGRAM: &str = "/proc/self/exe";
/// What lower rungs of a broadcast would make after so long is late for everybody.
const RUNGS_SILENCE: Duration = Duration::from_secs(10);

/// Told to stop: to tell the balancers, then gently, then at once.
#[derive(Clone, Default)]
pub struct Shutdown {
    /// No new work; everything is still served, but this node isn't ready.
    pub leave: CancellationToken,
    /// Nothing new is accepted.
    pub drain: CancellationToken,
    pub cut: CancellationToken,
}

impl Shutdown {
    /// Stops gently, without waiting for a balancer.
    pub fn drain(&self) {
        self.leave.cancel();
        self.drain.cancel();
    }

    /// The first time gently, then at once. Who stops it from a keyboard has no balancer that must notice.
    fn ask(&self, asked: Asked) {
        if self.leave.is_cancelled() {
            self.drain();
            self.cut.cancel();
            tracing::info!("stopping at once: work under way is handed over");
            return;
        }
        if asked == Asked::Interrupt {
            self.drain();
        }
        self.leave.cancel();
        tracing::info!("stopping; a second signal stops at once");
    }
}

/// The signal that asks to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Terminate,
    Interrupt,
}

/// What becomes of the first operator's key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstKey {
    /// It is made, or taken from the settings.
    Kept,
    /// Somebody else makes keys.
    Left,
}

/// A server whose listeners are bound.
pub struct Server {
    bucket: (Storage, Option<Embedded>),
    ports: Ports,
    doors: Doors,
    gate: Gate,
    config: Config,
    first_key: FirstKey,
    site: Site,
    ready: Option<oneshot::Sender<Publishing>>,
}

/// Serves until a signal; the first one drains, the second cuts.
pub async fn run(config: &Config) -> anyhow::Result<ExitCode> {
    assemble::check_admin_key(config.admin_key.as_deref())?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let server = Server::bind(config, FirstKey::Kept).await?;
    let shutdown = Shutdown::default();
    let serving = server.serve(shutdown.clone());
    tokio::pin!(serving);
    loop {
        tokio::select! {
            ended = &mut serving => return ended.map(|()| ExitCode::SUCCESS),
            _ = terminate.recv() => shutdown.ask(Asked::Terminate),
            _ = interrupt.recv() => shutdown.ask(Asked::Interrupt),
        }
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
    /// Binds every listener, so that an address is known before anything is served, and opens what is on this machine.
    pub async fn bind(config: &Config, first_key: FirstKey) -> anyhow::Result<Self> {
        let mut config = config.clone();
        let site = site::site(&config.site)?;
        start::announce(&config);
        let ports = Ports::bind(&mut config).await?;
        let doors = Doors::open(&config).await?;
        start::announce_listeners(&ports, &doors)?;
        let bucket = assemble::open_storage(&config).await?;
        if config.is_embedded() && bucket.1.is_none() {
            bail!(
                "another policast serves {}: stop it, or choose another --data-dir",
                config.data_dir.display()
            );
        }
        Ok(Self {
            bucket,
            ports,
            doors,
            gate: Gate::new(web::closed(&site)),
            config,
            first_key,
            site,
            ready: None,
        })
    }

    /// Gets the verbs once they can be used.
    pub fn ready(&mut self) -> oneshot::Receiver<Publishing> {
        let (sender, receiver) = oneshot::channel();
        self.ready = Some(sender);
        receiver
    }

    /// The address under which browsers reach it.
    pub fn public_url(&self) -> String {
        self.config.public_url()
    }

    /// Runs every role until told to stop. What is out of reach at start is waited for.
    pub async fn serve(mut self, shutdown: Shutdown) -> anyhow::Result<()> {
        let (ports, tasks, done) = (TaskTracker::new(), TaskTracker::new(), CancellationToken::new());
        let embedded = self.bucket.1.as_ref().map(Embedded::router);
        let opened = std::mem::take(&mut self.ports);
        opened.serve(&self.config, (&self.gate, embedded), (&ports, &tasks), (&shutdown, &done))?;
        tasks.spawn(leave(self.gate.clone(), shutdown.clone(), self.shutdown_delay()));
        let started = tokio::select! {
            started = start::until_there(&self.gate, async || self.open().await) => started.map(Some),
            () = shutdown.leave.cancelled() => Ok(None),
        };
        let ended = match started {
            Ok(Some((rooms, secrets))) => {
                let db = rooms.publishing.db.clone();
                self.run(rooms, secrets, (&tasks, &done), &shutdown).await.map(|()| Some(db))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                shutdown.cut.cancel();
                Err(error)
            }
        };
        shutdown.drain();
        ports.close();
        ports.wait().await;
        // Whoever was served to the end had need of these.
        done.cancel();
        tasks.close();
        tasks.wait().await;
        if let Some(db) = ended? {
            db.close().await;
        }
        tracing::info!("stopped");
        Ok(())
    }

    /// Nobody sends anything to a process that only works.
    fn shutdown_delay(&self) -> Duration {
        let is_reached = self.config.has(Role::Api) || self.config.has(Role::Live);
        if is_reached { self.config.connections.shutdown_delay.0 } else { Duration::ZERO }
    }

    /// The rooms and their secrets, where database and bucket answer.
    async fn open(&self) -> anyhow::Result<(Rooms, Secrets)> {
        let rooms = assemble::open_over(&self.config, self.bucket.0.clone()).await?;
        let secrets = rooms.publishing.open_secrets().await.context("secrets")?;
        if self.first_key == FirstKey::Kept {
            assemble::first_key(&rooms.publishing, self.config.admin_key.as_deref()).await?;
        }
        Ok((rooms, secrets))
    }

    /// Every role, until told to stop and all work is put away.
    async fn run(
        self,
        rooms: Rooms,
        secrets: Secrets,
        (tasks, done): (&TaskTracker, &CancellationToken),
        shutdown: &Shutdown,
    ) -> anyhow::Result<()> {
        let publishing = rooms.publishing;
        let pulls = (tasks.clone(), shutdown.drain.clone());
        let live = Live::new(publishing.clone(), live_settings(&self.config, &secrets.nodes), pulls);
        let ingest = self.doors.addresses(&self.config)?;
        let (changes, db, told) = (publishing.changes.clone(), publishing.db.clone(), done.clone());
        tasks.spawn(async move { changes.run(&db, &told).await });
        let (own, followed, stop) = (publishing.clone(), secrets.clone(), done.clone());
        tasks.spawn(async move { own.follow_secrets(&followed, &stop).await });
        self.gate.open(router(
            &self.config,
            (publishing.clone(), live.clone()),
            (ingest, secrets.playback, self.site),
            tasks,
        ));
        if self.config.has(Role::Api) {
            tracing::info!(
                url = self.config.public_url(),
                "serving: the database and the object store are there"
            );
        }
        if self.config.metrics_listen.is_some() {
            let (db, clock) = (publishing.db.clone(), publishing.clock.clone());
            tasks.spawn(done.clone().run_until_cancelled_owned(queue::measure(db, clock)));
        }
        if let Some(ready) = self.ready {
            // Who asked may have given up.
            let _ = ready.send(publishing.clone());
        }
        go_live(&live, self.doors, tasks, shutdown);
        let work = self.config.has(Role::Worker).then(|| worker_settings(&self.config));
        let work = work
            .map(|settings| worker::run(publishing, settings, shutdown.leave.clone(), shutdown.cut.clone()));
        resident::give_back_libraries();
        tokio::join!(OptionFuture::from(work), shutdown.drain.cancelled());
        Ok(())
    }
}

/// Asked to stop, tells the balancers first: what they still send in the meantime is served.
async fn leave(gate: Gate, shutdown: Shutdown, delay: Duration) {
    shutdown.leave.cancelled().await;
    gate.leave();
    let _ = tokio::time::timeout(delay, shutdown.drain.cancelled()).await;
    shutdown.drain();
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
        dvr: settings.live_dvr.0,
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

fn router(
    config: &Config,
    (publishing, live): (Publishing, Live),
    (ingest, token_keys, site): (http::Ingest, Keys, Site),
    tasks: &TaskTracker,
) -> Router {
    let settings = http::Settings {
        public_url: config.public_url(),
        token_keys,
        token_ttl: config.delivery.token_ttl.0,
        lease: config.media.lease.0,
        body_idle_timeout: config.connections.body_idle_timeout.0,
        upload_buffer_bytes: config.connections.upload_buffer_bytes,
        rates: rates(&config.connections),
        cdn_url: config.delivery.cdn_url.clone(),
        cache_bytes: config.delivery.cache_bytes,
        ingest,
        site,
    };
    let app = http::App::new(publishing, live, settings, tasks.clone());
    http::router(app.clone(), web::router(app))
}

fn rates(connections: &Connections) -> RateLimits {
    RateLimits {
        per_key: connections.requests_per_key,
        per_address: connections.requests_per_address,
        playback: connections.playback_per_address,
        wrong_keys: connections.wrong_keys,
        trusted: connections.trusted_proxies.clone(),
        forwarded: connections.forwarded_header,
    }
}

fn worker_settings(config: &Config) -> worker::Settings {
    let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_default();
    worker::Settings {
        name: format!("{host}/{}", std::process::id()),
        slots: config.worker_slots(),
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
