//! Somewhere to keep a promise: a bucket of one's own, seen through `Storage`, the plain SDK and plain HTTP.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use policast::domain::{UploadId, VideoId};
use policast::storage::{Checksums, Embedded, Key, Object, Patience, S3Settings, Storage};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::weed::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Weed, client};

pub const HOUR: Duration = Duration::from_hours(1);

/// One bucket on one server.
pub struct Place {
    /// As the product uses it: in process where the server is embedded.
    pub storage: Storage,
    /// Over the socket.
    pub sdk: Client,
    pub bucket: String,
    pub endpoint: String,
    pub http: reqwest::Client,
    server: Option<(tempfile::TempDir, JoinSet<()>)>,
}

impl Place {
    pub async fn embedded() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let embedded = Embedded::open(folder.path(), None).await.unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let storage = Storage::embedded(&embedded, &endpoint);
        let keys = embedded.credentials();
        let sdk = client(&endpoint, (&keys.access_key_id, &keys.secret_access_key));
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, embedded.router()).await.unwrap() });
        Self::new(storage, sdk, endpoint, Some((folder, server)))
    }

    /// Where the embedded server keeps everything.
    pub fn folder(&self) -> &Path {
        self.server.as_ref().map(|(folder, _)| folder.path()).expect("only the embedded server has a folder")
    }

    pub async fn seaweedfs() -> Self {
        let endpoint = Weed::shared().await.endpoint.clone();
        let storage = Storage::connect(&settings(&endpoint, &format!("promise-{}", VideoId::new())));
        storage.ensure_bucket().await.unwrap();
        let sdk = client(&endpoint, (ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        Self::new(storage, sdk, endpoint, None)
    }

    fn new(
        storage: Storage,
        sdk: Client,
        endpoint: String,
        server: Option<(tempfile::TempDir, JoinSet<()>)>,
    ) -> Self {
        let bucket = storage.bucket().to_owned();
        Self { storage, sdk, bucket, endpoint, http: reqwest::Client::new(), server }
    }
}

/// As an operator would set them for SeaweedFS.
pub fn settings(endpoint: &str, bucket: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        public_endpoint: None,
        bucket: bucket.to_owned(),
        region: "us-east-1".to_owned(),
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        checksums: Checksums::WhenRequired,
        patience: Patience::default(),
    }
}

pub fn source() -> Key {
    Key::source(VideoId::new(), UploadId::new())
}

pub fn pack(video: VideoId, first_segment: u32) -> Key {
    let rung = "720p".to_owned();
    Key::new(Object::Pack { folder: (video, 1).into(), rung, first_segment, attempt: 1 })
}

/// Bytes that differ from part to part.
pub fn bytes(size: usize, seed: u8) -> bytes::Bytes {
    (0..size).map(|at| u8::try_from(at % 251).unwrap() ^ seed).collect()
}

/// The code of the SDK's error.
pub fn code<T, E>(result: Result<T, aws_sdk_s3::error::SdkError<E>>) -> String
where
    E: aws_sdk_s3::error::ProvideErrorMetadata,
{
    let error = result.err().expect("the server should have refused");
    let status = error.raw_response().map(|response| response.status().as_u16()).unwrap_or_default();
    let code = error.as_service_error().and_then(|error| error.code().map(str::to_owned));
    code.unwrap_or_else(|| status.to_string())
}
