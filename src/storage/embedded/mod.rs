//! An S3 server for one machine, over a folder: `s3s` speaks the protocol, a blob file holds the bytes of a part,
//! one SQLite row says that an object is there. Bytes are synced before the row, the row before the answer.

mod backend;
mod blobs;
mod buckets;
mod checksum;
mod condition;
mod connector;
mod credentials;
mod deletes;
mod guard;
mod index;
mod listing;
mod multiparts;
mod reads;
mod refusal;
mod server;
mod sweep;
mod writes;

use std::path::Path;
use std::sync::Arc;

use aws_smithy_runtime_api::client::http::SharedHttpClient;
use s3s::auth::SimpleAuth;
use s3s::service::S3ServiceBuilder;

pub use credentials::Credentials;

use backend::Backend;
use connector::InProcess;
use guard::Guarded;

/// The bucket that is there from the start.
pub const BUCKET: &str = "policast";
/// The region requests are signed for.
pub const REGION: &str = "us-east-1";
/// What requests in process are addressed to; nothing listens there.
pub(super) const ENDPOINT: &str = "http://embedded.invalid";

/// Why the folder can't be used.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error("the folder {path} can't be used")]
    Folder {
        path: std::path::PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("the folder {path} is in use by another process")]
    Locked { path: std::path::PathBuf },
    #[error("the credentials in {path} can't be read")]
    Credentials { path: std::path::PathBuf },
    #[error("the index of the embedded object store can't be opened")]
    Index(#[source] sqlx::Error),
}

/// The server. Cheap to clone.
#[derive(Clone)]
pub struct Embedded {
    backend: Backend,
    service: Guarded,
    credentials: Arc<Credentials>,
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Embedded").field("credentials", &self.credentials).finish_non_exhaustive()
    }
}

impl Embedded {
    /// Opens the server's folder, making it where it is missing. Without `credentials`, those in the folder are
    /// used; they are made at random the first time. What a crash left behind is swept in the background.
    pub async fn open(folder: &Path, credentials: Option<Credentials>) -> Result<Self, OpenError> {
        Self::open_with_reserve(folder, credentials, blobs::RESERVE_BYTES).await
    }

    /// As `open`; refuses to write once less than `reserve_bytes` are left on the disk.
    pub async fn open_with_reserve(
        folder: &Path,
        credentials: Option<Credentials>,
        reserve_bytes: u64,
    ) -> Result<Self, OpenError> {
        let backend = Backend::open(folder, reserve_bytes).await?;
        let credentials = match credentials {
            Some(credentials) => credentials,
            None => Credentials::in_folder(folder)?,
        };
        backend.index.ensure_bucket(BUCKET, backend.clock.now()).await.map_err(OpenError::Index)?;
        backend.start_sweep();
        let service = service(backend.clone(), &credentials);
        Ok(Self { backend, service, credentials: Arc::new(credentials) })
    }

    /// What requests to this server are signed with.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// What answers on a socket, for presigned addresses and other S3 clients.
    pub fn router(&self) -> axum::Router {
        server::router(self.service.clone())
    }

    /// Waits until what a crash left behind is swept; says how many blobs that were.
    pub async fn swept(&self) -> u64 {
        self.backend.swept().await
    }

    /// Finishes what is under way and closes the index.
    pub async fn close(&self) {
        self.backend.close().await;
    }

    pub(super) fn http_client(&self) -> SharedHttpClient {
        InProcess::new(self.service.clone()).into_http_client()
    }
}

fn service(backend: Backend, credentials: &Credentials) -> Guarded {
    let mut builder = S3ServiceBuilder::new(backend);
    let secret = credentials.secret_access_key.as_str();
    builder.set_auth(SimpleAuth::from_single(credentials.access_key_id.as_str(), secret));
    Guarded::new(builder.build())
}
