//! Opens a bucket on a remote S3 server or on the embedded one, and sees that it is there.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{
    BehaviorVersion, Builder, Credentials, Region, RequestChecksumCalculation, ResponseChecksumValidation,
    StalledStreamProtectionConfig,
};
use aws_sdk_s3::types::{CorsConfiguration, CorsRule};

use super::{Embedded, Error, Storage, embedded};

/// How long a browser may remember the answer to a preflight.
const CORS_MAX_AGE_SECONDS: i32 = 3600;

/// When the SDK adds its own checksums to requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Checksums {
    /// Only where S3 demands one: older Ceph and several clouds refuse the trailer on a plain PUT.
    #[default]
    WhenRequired,
    WhenSupported,
}

/// How long a server may take, and how often it is asked.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A server that doesn't take the connection in this time is down.
    pub connect: Duration,
    /// Until the first byte of an answer.
    pub read: Duration,
    /// For the next bytes of an answer or of a request to go on, once they have begun.
    pub stall: Duration,
    /// Signed and sent this often at most, with the SDK's own backoff.
    pub attempts: u32,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            read: Duration::from_mins(1),
            stall: Duration::from_secs(20),
            attempts: 4,
        }
    }
}

/// Where a remote bucket is and how to get in.
#[derive(Clone)]
pub struct S3Settings {
    /// `None` is Amazon's own for the region.
    pub endpoint: Option<String>,
    /// Where browsers reach the same server; only presigned addresses are made with it.
    pub public_endpoint: Option<String>,
    pub bucket: String,
    pub region: String,
    pub access_key_id: String,
    pub secret_access_key: String,
    pub checksums: Checksums,
    pub patience: Patience,
}

impl std::fmt::Debug for S3Settings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut debug = f.debug_struct("S3Settings");
        debug.field("endpoint", &self.endpoint).field("public_endpoint", &self.public_endpoint);
        debug.field("bucket", &self.bucket).field("region", &self.region).finish_non_exhaustive()
    }
}

impl Storage {
    /// The bucket of a remote S3 server; nothing is sent yet.
    pub fn connect(settings: &S3Settings) -> Self {
        let builder = || {
            let keys = (settings.access_key_id.as_str(), settings.secret_access_key.as_str());
            let mut builder = base(keys, &settings.region, (settings.checksums, settings.patience));
            builder.set_endpoint_url(settings.endpoint.clone());
            builder
        };
        let mut public = builder();
        if settings.public_endpoint.is_some() {
            public.set_endpoint_url(settings.public_endpoint.clone());
        }
        Self::from_builders(builder(), public, &settings.bucket)
    }

    /// The bucket of the embedded server, reached in process. Presigned addresses begin with `public_endpoint`,
    /// where `Embedded::serve` must be reachable.
    pub fn embedded(embedded: &Embedded, public_endpoint: &str) -> Self {
        let builder = || {
            let keys = embedded.credentials();
            let keys = (keys.access_key_id.as_str(), keys.secret_access_key.as_str());
            base(keys, embedded::REGION, (Checksums::WhenRequired, Patience::default()))
        };
        let inner = builder().endpoint_url(embedded::ENDPOINT).http_client(embedded.http_client());
        Self::from_builders(inner, builder().endpoint_url(public_endpoint), embedded::BUCKET)
    }

    fn from_builders(inner: Builder, public: Builder, bucket: &str) -> Self {
        let client = aws_sdk_s3::Client::from_conf(inner.build());
        let public = aws_sdk_s3::Client::from_conf(public.build());
        Self { client, public, bucket: bucket.into() }
    }

    /// Whether the bucket answers; for health.
    pub async fn check(&self) -> Result<(), Error> {
        let sent = self.client.head_bucket().bucket(&*self.bucket).send().await;
        match sent.map_err(|error| self.asked("").refused(error)) {
            Ok(_) => Ok(()),
            // The same question with an answer in words: which of the keys is wrong, or what they may not do.
            Err(error @ Error::Refused { .. }) => {
                let asked = self.client.list_objects_v2().bucket(&*self.bucket).max_keys(1).send().await;
                Err(asked.map_or_else(|error| self.asked("").refused(error), |_| error))
            }
            Err(error) => Err(error),
        }
    }

    /// Makes the bucket where it is missing, and lets browsers use presigned addresses.
    pub async fn ensure_bucket(&self) -> Result<(), Error> {
        if let Err(error) = self.check().await {
            let Error::BucketMissing { .. } = error else { return Err(error) };
            let sent = self.client.create_bucket().bucket(&*self.bucket).send().await;
            sent.map_err(|error| self.asked("").refused(error))?;
        }
        self.ensure_cors().await;
        Ok(())
    }

    /// A rule somebody already set is left alone; a server that has no such rules does without.
    async fn ensure_cors(&self) {
        if self.client.get_bucket_cors().bucket(&*self.bucket).send().await.is_ok() {
            return;
        }
        let Ok(rules) = cors() else { return };
        let put = self.client.put_bucket_cors().bucket(&*self.bucket).cors_configuration(rules);
        if let Err(error) = put.send().await {
            let error = self.asked("").refused(error);
            tracing::debug!(%error, bucket = &*self.bucket, "the server has no CORS rules of its own");
        }
    }
}

fn base((id, secret): (&str, &str), region: &str, (checksums, patience): (Checksums, Patience)) -> Builder {
    let (calculate, validate) = match checksums {
        Checksums::WhenRequired => {
            (RequestChecksumCalculation::WhenRequired, ResponseChecksumValidation::WhenRequired)
        }
        Checksums::WhenSupported => {
            (RequestChecksumCalculation::WhenSupported, ResponseChecksumValidation::WhenSupported)
        }
    };
    aws_sdk_s3::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(id, secret, None, None, "settings"))
        .region(Region::new(region.to_owned()))
        .force_path_style(true)
        .request_checksum_calculation(calculate)
        .response_checksum_validation(validate)
        .retry_config(RetryConfig::standard().with_max_attempts(patience.attempts))
        .stalled_stream_protection(
            StalledStreamProtectionConfig::enabled().grace_period(patience.stall).build(),
        )
        .timeout_config(
            TimeoutConfig::builder().connect_timeout(patience.connect).read_timeout(patience.read).build(),
        )
}

fn cors() -> Result<CorsConfiguration, aws_sdk_s3::error::BuildError> {
    let methods = ["GET", "HEAD", "PUT"].map(str::to_owned).to_vec();
    let exposed = ["ETag", "Content-Range", "Accept-Ranges"].map(str::to_owned).to_vec();
    let rule = CorsRule::builder()
        .set_allowed_methods(Some(methods))
        .allowed_origins("*")
        .allowed_headers("*")
        .set_expose_headers(Some(exposed))
        .max_age_seconds(CORS_MAX_AGE_SECONDS)
        .build()?;
    CorsConfiguration::builder().cors_rules(rule).build()
}
