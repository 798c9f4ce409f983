//! Every setting: from flags, the environment and an optional TOML file, in that order of precedence.

mod connections;
mod environment;
mod file;
mod refusal;
mod site;
mod span;
mod value;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use clap::{Args, ValueEnum};

pub use connections::Connections;
pub use environment::check_names;
pub use file::Settings;
pub use refusal::{Refusal, masked, refusal};
pub use site::Site;
pub use span::{ParseSpanError, Span};
pub use value::{http_url, log_filter};

use crate::domain::video::MOST_STALE;

/// What `serve`, `worker`, `demo` and the operator's commands are told.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings")]
pub struct Config {
    /// Folder of the SQLite file and the embedded S3 server
    #[arg(long, env = "POLICAST_DATA_DIR", default_value = "data", value_name = "DIR")]
    pub data_dir: PathBuf,
    /// Where the API and the pages are served
    #[arg(long, env = "POLICAST_LISTEN", default_value = "127.0.0.1:8080", value_name = "ADDR", value_parser = value::address)]
    pub listen: SocketAddr,
    /// The address under which browsers reach it [default: <http://LISTEN>]
    #[arg(long, env = "POLICAST_PUBLIC_URL", value_name = "URL", value_parser = value::http_url)]
    pub public_url: Option<String>,
    /// Where Prometheus finds /metrics; off unless set
    #[arg(long, env = "POLICAST_METRICS_LISTEN", value_name = "ADDR", value_parser = value::address)]
    pub metrics_listen: Option<SocketAddr>,
    /// What this process does
    #[arg(
        long,
        env = "POLICAST_ROLES",
        value_delimiter = ',',
        default_value = "api,worker,live",
        value_name = "ROLES"
    )]
    pub roles: Vec<Role>,
    /// PostgreSQL instead of the SQLite file: <postgres://user:password@host/database>
    #[arg(long, env = "POLICAST_DATABASE_URL", value_name = "URL", hide_env_values = true, value_parser = value::postgres_url)]
    pub database_url: Option<String>,
    /// Connections to the database that a node keeps open
    #[arg(long, env = "POLICAST_DATABASE_CONNECTIONS", default_value_t = 16, value_parser = value::one_or_more::<u32>, value_name = "N")]
    pub database_connections: u32,
    /// The first operator's key, 20 characters or more, used once, at first start; made and printed where it isn't given
    #[arg(long, env = "POLICAST_ADMIN_KEY", value_name = "KEY", hide_env_values = true)]
    pub admin_key: Option<String>,
    #[command(flatten)]
    pub connections: Connections,
    #[command(flatten)]
    pub s3: S3,
    #[command(flatten)]
    pub limits: Limits,
    #[command(flatten)]
    pub media: Media,
    #[command(flatten)]
    pub delivery: Delivery,
    #[command(flatten)]
    pub live: Live,
    #[command(flatten)]
    pub site: Site,
}

/// libx264's, from the quickest to the smallest.
const PRESETS: [&str; 10] = [
    "ultrafast",
    "superfast",
    "veryfast",
    "faster",
    "fast",
    "medium",
    "slow",
    "slower",
    "veryslow",
    "placebo",
];
/// The bucket where none is named.
pub const DEFAULT_BUCKET: &str = "policast";

/// A role of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Role {
    Api,
    Worker,
    Live,
}

/// Where objects are kept; the embedded server unless an endpoint or a bucket is named.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: S3")]
pub struct S3 {
    /// Where the embedded S3 server answers presigned addresses
    #[arg(long, env = "POLICAST_S3_LISTEN", default_value = "127.0.0.1:8081", value_name = "ADDR", value_parser = value::address)]
    pub s3_listen: SocketAddr,
    /// S3 server to use instead of the embedded one
    #[arg(long, env = "POLICAST_S3_ENDPOINT", value_name = "URL", value_parser = value::http_url)]
    pub s3_endpoint: Option<String>,
    /// The S3 address that clients see, where it differs; presigned addresses carry it
    #[arg(long, env = "POLICAST_S3_PUBLIC_ENDPOINT", value_name = "URL", value_parser = value::http_url)]
    pub s3_public_endpoint: Option<String>,
    #[arg(long, env = "POLICAST_S3_BUCKET", value_name = "NAME")]
    pub s3_bucket: Option<String>,
    #[arg(long, env = "POLICAST_S3_REGION", default_value = "us-east-1", value_name = "NAME")]
    pub s3_region: String,
    #[arg(long, env = "POLICAST_S3_ACCESS_KEY_ID", value_name = "ID", hide_env_values = true)]
    pub s3_access_key_id: Option<String>,
    #[arg(long, env = "POLICAST_S3_SECRET_ACCESS_KEY", value_name = "SECRET", hide_env_values = true)]
    pub s3_secret_access_key: Option<String>,
    /// When requests carry a checksum; several servers refuse `when-supported`
    #[arg(long, env = "POLICAST_S3_CHECKSUMS", default_value = "when-required", value_name = "WHEN")]
    pub s3_checksums: Checksums,
    /// How long an S3 server may take to accept a connection before it counts as down
    #[arg(long, env = "POLICAST_S3_CONNECT_TIMEOUT", default_value = "5s", value_name = "SPAN", value_parser = value::some_time)]
    pub s3_connect_timeout: Span,
    /// How long until the first byte of its answer; completing a large multipart upload takes some servers a while
    #[arg(long, env = "POLICAST_S3_READ_TIMEOUT", default_value = "60s", value_name = "SPAN", value_parser = value::some_time)]
    pub s3_read_timeout: Span,
    /// How long a request's or an answer's bytes may stand still once they have begun
    #[arg(long, env = "POLICAST_S3_STALL_TIMEOUT", default_value = "20s", value_name = "SPAN", value_parser = value::some_time)]
    pub s3_stall_timeout: Span,
    /// How often one request is sent at most before it counts as failed
    #[arg(long, env = "POLICAST_S3_ATTEMPTS", default_value = "4", value_name = "N", value_parser = value::one_or_more::<u32>)]
    pub s3_attempts: u32,
}

/// When requests to S3 carry a checksum trailer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Checksums {
    #[value(alias = "when_required")]
    WhenRequired,
    #[value(alias = "when_supported")]
    WhenSupported,
}

/// What is allowed at most.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: limits")]
pub struct Limits {
    /// Bytes one source may have
    #[arg(long, env = "POLICAST_MAX_UPLOAD_BYTES", default_value = "21474836480", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub max_upload_bytes: u64,
    /// Bytes one uploaded poster may have
    #[arg(long, env = "POLICAST_MAX_POSTER_BYTES", default_value = "10485760", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub max_poster_bytes: u64,
    /// How long an upload may rest before it is abandoned
    #[arg(long, env = "POLICAST_UPLOAD_TTL", default_value = "24h", value_name = "SPAN", value_parser = value::some_time)]
    pub upload_ttl: Span,
    /// How long a presigned part address is good
    #[arg(long, env = "POLICAST_PART_URL_TTL", default_value = "1h", value_name = "SPAN", value_parser = value::some_time)]
    pub part_url_ttl: Span,
    /// How long a replaced revision plays on
    #[arg(long, env = "POLICAST_REVISION_GRACE", default_value = "1h", value_name = "SPAN")]
    pub revision_grace: Span,
    /// Width times height of a source's picture
    #[arg(long, env = "POLICAST_MAX_PIXELS", default_value = "35389440", value_name = "N", value_parser = value::one_or_more::<u64>)]
    pub max_pixels: u64,
    /// How long a source may play
    #[arg(long, env = "POLICAST_MAX_DURATION", default_value = "12h", value_name = "SPAN", value_parser = value::some_time)]
    pub max_duration: Span,
    /// How long in all neither picture nor sound may come in a source, pauses of up to 30 s not counted
    #[arg(long, env = "POLICAST_MAX_STILL", default_value = "10m", value_name = "SPAN")]
    pub max_still: Span,
    /// Tracks in one source
    #[arg(long, env = "POLICAST_MAX_TRACKS", default_value = "100", value_name = "N", value_parser = value::one_or_more::<u32>)]
    pub max_tracks: u32,
    /// Bytes of tags, chapters, covers, attachments and colour profiles in one source
    #[arg(long, env = "POLICAST_MAX_METADATA_BYTES", default_value = "16777216", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub max_metadata_bytes: u64,
    /// How long a node has to remove what an upload left in the bucket before another node tries
    #[arg(long, env = "POLICAST_SWEEP_RETRY", default_value = "60s", value_name = "SPAN", value_parser = value::some_time)]
    pub sweep_retry: Span,
    /// How long after a revision is settled the bucket is swept once more, for what workers without a lease still wrote
    #[arg(long, env = "POLICAST_LATE_WRITES", default_value = "60s", value_name = "SPAN")]
    pub late_writes: Span,
    /// How long `why` can tell of finished jobs and abandoned uploads
    #[arg(long, env = "POLICAST_KEEP_HISTORY", default_value = "30d", value_name = "SPAN", value_parser = value::some_time)]
    pub keep_history: Span,
    /// How long the answer to a request under an `Idempotency-Key` is given again
    #[arg(long, env = "POLICAST_KEEP_ANSWERS", default_value = "24h", value_name = "SPAN", value_parser = value::some_time)]
    pub keep_answers: Span,
}

/// How media is made.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: media")]
pub struct Media {
    /// Jobs this process does at a time [default: one a processor, at least 2]
    #[arg(long, env = "POLICAST_WORKER_SLOTS", value_name = "N", value_parser = value::one_or_more::<usize>)]
    pub worker_slots: Option<usize>,
    /// Jobs one account may have running on all nodes together; those with fewer go first
    #[arg(long, env = "POLICAST_ACCOUNT_JOBS", default_value = "16", value_name = "N", value_parser = value::one_or_more::<u32>)]
    pub account_jobs: u32,
    /// How long a worker may be silent before its job is given to another, and a node before a request under an
    /// `Idempotency-Key` may be sent again
    #[arg(long, env = "POLICAST_LEASE", default_value = "30s", value_name = "SPAN", value_parser = value::some_time)]
    pub lease: Span,
    /// Workers that may be lost with one job before the job counts as the cause and is given up
    #[arg(long, env = "POLICAST_MAX_LOSSES", default_value = "20", value_name = "N", value_parser = value::number::<u32>)]
    pub max_losses: u32,
    /// Also make 2160p and 1440p rungs of larger sources
    #[arg(long, env = "POLICAST_UHD", default_value = "false", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub uhd: bool,
    /// Pass a web-friendly source through as the top rung
    #[arg(long, env = "POLICAST_PASSTHROUGH", default_value = "true", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub passthrough: bool,
    /// libx264's preset
    #[arg(long, env = "POLICAST_PRESET", default_value = "veryfast", value_name = "NAME", value_parser = PossibleValuesParser::new(PRESETS))]
    pub preset: String,
    /// Address space of one media process
    #[arg(long, env = "POLICAST_MEDIA_MEMORY_BYTES", default_value = "4294967296", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub media_memory_bytes: u64,
    /// Threads and processes that the media processes' user may have together; three more for each encoder by SRT
    #[arg(long, env = "POLICAST_MEDIA_TASKS", default_value = "8192", value_name = "N", value_parser = value::one_or_more::<u64>)]
    pub media_tasks: u64,
    /// How long a media process may give no sign
    #[arg(long, env = "POLICAST_MEDIA_SILENCE", default_value = "60s", value_name = "SPAN", value_parser = value::some_time)]
    pub media_silence: Span,
}

/// How media is delivered.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: delivery")]
pub struct Delivery {
    /// How long a signed playback address of a draft is good
    #[arg(long, env = "POLICAST_TOKEN_TTL", default_value = "12h", value_name = "SPAN", value_parser = value::some_time)]
    pub token_ttl: Span,
    /// How long what was played lately plays on while the database is out of reach; 1h at most
    #[arg(long, env = "POLICAST_STALE_IF_ERROR", default_value = "10m", value_name = "SPAN", value_parser = remembered)]
    pub stale_if_error: Span,
    /// CDN in front of public media; players are redirected there
    #[arg(long, env = "POLICAST_CDN_URL", value_name = "URL", value_parser = value::http_url)]
    pub cdn_url: Option<String>,
    /// Webhook that a cache in front is told by what to drop
    #[arg(long, env = "POLICAST_PURGE_URL", value_name = "URL", hide_env_values = true, value_parser = value::hook_url)]
    pub purge_url: Option<String>,
    /// Shown to it as a bearer's token
    #[arg(long, env = "POLICAST_PURGE_TOKEN", value_name = "SECRET", hide_env_values = true)]
    pub purge_token: Option<String>,
    /// It may lie inside this machine or the network around it
    #[arg(long, env = "POLICAST_PURGE_ALLOW_PRIVATE", default_value = "false", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub purge_allow_private: bool,
    /// Memory for media that is asked for often
    #[arg(long, env = "POLICAST_CACHE_BYTES", default_value = "67108864", value_name = "BYTES", value_parser = value::number::<u64>)]
    pub cache_bytes: u64,
}

/// How broadcasts come in.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Settings: live")]
pub struct Live {
    /// Where encoders send RTMP to [default: 127.0.0.1:1935, where that is free]
    #[arg(long, env = "POLICAST_RTMP_LISTEN", value_name = "ADDR", value_parser = value::address)]
    pub rtmp_listen: Option<SocketAddr>,
    /// Where encoders send RTMPS to; off unless set
    #[arg(long, env = "POLICAST_RTMPS_LISTEN", value_name = "ADDR", value_parser = value::address)]
    pub rtmps_listen: Option<SocketAddr>,
    /// Certificate chain of RTMPS, PEM [default: one made and signed by ourselves]
    #[arg(long, env = "POLICAST_RTMPS_CERT", value_name = "FILE", requires = "rtmps_key")]
    pub rtmps_cert: Option<PathBuf>,
    /// Private key of RTMPS, PEM
    #[arg(long, env = "POLICAST_RTMPS_KEY", value_name = "FILE", requires = "rtmps_cert")]
    pub rtmps_key: Option<PathBuf>,
    /// Where encoders send SRT to, by UDP; off unless set
    #[arg(long, env = "POLICAST_SRT_LISTEN", value_name = "ADDR", value_parser = value::address)]
    pub srt_listen: Option<SocketAddr>,
    /// Passphrase of 10 to 79 bytes that SRT is encrypted with; encoders are told it apart from the key
    #[arg(long, env = "POLICAST_SRT_PASSPHRASE", value_name = "TEXT", hide_env_values = true)]
    pub srt_passphrase: Option<String>,
    /// Address space of the process that speaks SRT
    #[arg(long, env = "POLICAST_SRT_MEMORY_BYTES", default_value = "8589934592", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub srt_memory_bytes: u64,
    /// How long an encoder may take for its handshake
    #[arg(long, env = "POLICAST_INGEST_HANDSHAKE", default_value = "5s", value_name = "SPAN", value_parser = value::some_time)]
    pub ingest_handshake: Span,
    /// How long it may take from there to its stream key
    #[arg(long, env = "POLICAST_INGEST_PUBLISH", default_value = "10s", value_name = "SPAN", value_parser = value::some_time)]
    pub ingest_publish: Span,
    /// How long it may take from there to its first picture or sound
    #[arg(long, env = "POLICAST_INGEST_FIRST_MEDIA", default_value = "15s", value_name = "SPAN", value_parser = value::some_time)]
    pub ingest_first_media: Span,
    /// How long it may send no media
    #[arg(long, env = "POLICAST_INGEST_IDLE", default_value = "30s", value_name = "SPAN", value_parser = value::some_time)]
    pub ingest_idle: Span,
    /// Connections of encoders that may be open on one port
    #[arg(long, env = "POLICAST_INGEST_CONNECTIONS", default_value = "2000", value_name = "N", value_parser = value::one_or_more::<usize>)]
    pub ingest_connections: usize,
    /// And from one address (of IPv6: its /64) on all ports
    #[arg(long, env = "POLICAST_INGEST_PER_ADDRESS", default_value = "200", value_name = "N", value_parser = value::one_or_more::<usize>)]
    pub ingest_per_address: usize,
    /// Different wrong stream keys an address may show in a minute, and times it may show one of them, before they get no answer
    #[arg(long, env = "POLICAST_INGEST_BAD_KEYS", default_value = "20", value_name = "N", value_parser = value::one_or_more::<u32>)]
    pub ingest_bad_keys: u32,
    /// Silence after which another encoder, or another node, may take a broadcast over
    #[arg(long, env = "POLICAST_LIVE_LEASE", default_value = "6s", value_name = "SPAN", value_parser = value::some_time)]
    pub live_lease: Span,
    /// How far back viewers may seek while a broadcast is live whose `dvr_seconds` says nothing of it
    #[arg(long, env = "POLICAST_LIVE_DVR", default_value = "4h", value_name = "SPAN", value_parser = value::some_time)]
    pub live_dvr: Span,
    /// Where the other nodes reach this one, to pull broadcasts from it [default: <http://LISTEN>]
    #[arg(long, env = "POLICAST_NODE_URL", value_name = "URL", value_parser = value::http_url)]
    pub node_url: Option<String>,
    /// Bytes of one recording that may wait for the object store
    #[arg(long, env = "POLICAST_LIVE_BUFFER_BYTES", default_value = "536870912", value_name = "BYTES", value_parser = value::one_or_more::<u64>)]
    pub live_buffer_bytes: u64,
    /// Push broadcasts on also into this machine and private networks
    #[arg(long, env = "POLICAST_PUSH_ALLOW_PRIVATE", default_value = "false", value_name = "BOOL", action = clap::ArgAction::Set)]
    pub push_allow_private: bool,
    /// Lower rungs made of a broadcast while it runs; 0: none
    #[arg(long, env = "POLICAST_LIVE_RUNGS", default_value = "2", value_name = "N", value_parser = value::number::<usize>)]
    pub live_rungs: usize,
}

/// The door for encoders where nobody chose one.
pub const DEFAULT_RTMP: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1935);

/// A span a node may play what it knows.
fn remembered(text: &str) -> Result<Span, String> {
    let span: Span = text.parse().map_err(|error: ParseSpanError| error.to_string())?;
    if span.0 > MOST_STALE { Err("expected 1h or less".to_owned()) } else { Ok(span) }
}

impl Config {
    /// The public address, without a slash at its end.
    pub fn public_url(&self) -> String {
        let own = || format!("http://{}", reachable(self.listen));
        self.public_url.clone().unwrap_or_else(own).trim_end_matches('/').to_owned()
    }

    /// Where the other nodes reach this one, without a slash at its end.
    pub fn node_url(&self) -> String {
        let own = || format!("http://{}", reachable(self.listen));
        self.live.node_url.clone().unwrap_or_else(own).trim_end_matches('/').to_owned()
    }

    /// The address of the embedded S3 server that clients see.
    pub fn s3_public_endpoint(&self) -> String {
        let own = || format!("http://{}", reachable(self.s3.s3_listen));
        self.s3.s3_public_endpoint.clone().unwrap_or_else(own)
    }

    /// The bucket's name.
    pub fn bucket(&self) -> &str {
        self.s3.s3_bucket.as_deref().unwrap_or(DEFAULT_BUCKET)
    }

    /// Jobs this process does at a time.
    pub fn worker_slots(&self) -> usize {
        let processors = || std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        self.media.worker_slots.unwrap_or_else(|| processors().max(2))
    }

    /// The embedded S3 server is used.
    pub fn is_embedded(&self) -> bool {
        self.s3.s3_endpoint.is_none() && self.s3.s3_bucket.is_none()
    }

    /// The data folder is used.
    pub fn keeps_here(&self) -> bool {
        self.is_embedded() || self.database_url.is_none()
    }

    /// This process has the role.
    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }
}

/// Every address is none to connect to: this machine's own stands for it.
pub fn reachable(listen: SocketAddr) -> SocketAddr {
    let own = || match listen.ip() {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    if listen.ip().is_unspecified() { SocketAddr::new(own(), listen.port()) } else { listen }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_plays_what_he_knows_for_more_than_an_hour() {
        assert_eq!(remembered("1h"), Ok(Span(MOST_STALE)));
        assert!(remembered("61m").is_err() && remembered("soon").is_err());
    }
}
