//! What storage promises, kept alike by the embedded server and by a real one.

mod embedded;
mod multipart;
mod objects;
mod opaque;
mod place;
mod presigned;
mod signatures;

pub use place::Place;

/// Makes each promise a test against both servers.
macro_rules! promises {
    ($($name:ident)*) => {
        mod on_the_embedded_server {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::storage::Place::embedded().await).await;
            })*
        }

        mod on_seaweedfs {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $name() {
                super::$name(&crate::storage::Place::seaweedfs().await).await;
            })*
        }
    };
}
pub(crate) use promises;
