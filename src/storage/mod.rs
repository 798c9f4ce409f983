//! STUB to be replaced at merge.
use crate::domain::{Timestamp, UploadId, VideoId};
use bytes::Bytes;
use futures::Stream;
use std::ops::Range;
use std::time::Duration;
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("no object {key}")]
    NotFound { key: String },
    #[error("full")]
    Full,
    #[error("unavailable")]
    Unavailable,
}
impl Error {
    pub fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable | Self::Full)
    }
}
#[derive(Clone)]
pub struct Storage;
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Key(String);
#[derive(Debug, Clone)]
pub struct MultipartId(pub String);
#[derive(Debug, Clone)]
pub struct Part {
    pub number: u32,
    pub size_bytes: u64,
    pub etag: String,
}
#[derive(Debug, Clone)]
pub struct Head {
    pub size_bytes: u64,
    pub etag: String,
    pub modified: Timestamp,
}
#[derive(Debug, Clone)]
pub struct Object {
    pub key: Key,
    pub size_bytes: u64,
    pub modified: Timestamp,
}
#[derive(Debug, Clone)]
pub struct Multipart {
    pub key: Key,
    pub id: MultipartId,
    pub begun: Timestamp,
}
pub struct Page {
    pub items: Vec<Object>,
    pub next: Option<String>,
}
pub enum Place {
    Source { video: VideoId, upload: UploadId },
    Partial { upload: UploadId },
    Tail { upload: UploadId, offset: u64 },
    Pack { video: VideoId, revision: u32, rung: String },
    Init { video: VideoId, revision: u32 },
    Still { video: VideoId, revision: u32 },
    Elsewhere,
}
type Rev = (VideoId, u32);
impl Key {
    pub fn source(v: VideoId, u: UploadId) -> Self {
        Self(format!("sources/{v}/{u}"))
    }
    pub fn partial(u: UploadId) -> Self {
        Self(format!("arriving/{u}"))
    }
    pub fn tail(u: UploadId, offset: u64) -> Self {
        Self(format!("arriving/{u}.tail-{offset}"))
    }
    pub fn init((v, r): Rev, rung: &str) -> Self {
        Self(format!("media/{v}/{r}/{rung}/init.mp4"))
    }
    pub fn pack((v, r): Rev, rung: &str, first: u32, attempt: i64) -> Self {
        Self(format!("media/{v}/{r}/{rung}/{first}-{attempt}.m4s"))
    }
    pub fn poster((v, r): Rev) -> Self {
        Self(format!("stills/{v}/{r}/poster.jpg"))
    }
    pub fn storyboard((v, r): Rev) -> Self {
        Self(format!("stills/{v}/{r}/storyboard.jpg"))
    }
    pub fn revision_prefixes(v: VideoId, r: u32) -> [String; 2] {
        [format!("media/{v}/{r}/"), format!("stills/{v}/{r}/")]
    }
    pub fn video_prefixes(v: VideoId) -> [String; 3] {
        [format!("sources/{v}/"), format!("media/{v}/"), format!("stills/{v}/")]
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
    pub fn content_type(&self) -> &'static str {
        ""
    }
    pub fn cache_control(&self) -> &'static str {
        ""
    }
    pub fn is_pack(&self) -> bool {
        self.0.ends_with(".m4s")
    }
    pub fn upload(&self) -> Option<UploadId> {
        None
    }
    pub fn place(&self) -> Place {
        Place::Elsewhere
    }
}
impl Storage {
    pub async fn check(&self) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn put(&self, _: &Key, _: Bytes) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn get(&self, _: &Key, _: Range<u64>) -> Result<Bytes, Error> {
        unreachable!()
    }
    pub async fn get_all(&self, _: &Key) -> Result<Bytes, Error> {
        unreachable!()
    }
    pub async fn stream(
        &self,
        _: &Key,
        _: Option<Range<u64>>,
    ) -> Result<impl Stream<Item = Result<Bytes, Error>> + Send + 'static + use<>, Error> {
        if true {
            return Err(Error::Full);
        }
        Ok(futures::stream::empty())
    }
    pub async fn head(&self, _: &Key) -> Result<Option<Head>, Error> {
        unreachable!()
    }
    pub async fn delete(&self, _: &Key) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn delete_prefix(&self, _: &str) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn list(&self, _: &str, _: Option<String>) -> Result<Page, Error> {
        unreachable!()
    }
    pub async fn begin_multipart(&self, _: &Key) -> Result<MultipartId, Error> {
        unreachable!()
    }
    pub async fn upload_part(&self, _: &Key, _: &MultipartId, _: u32, _: Bytes) -> Result<String, Error> {
        unreachable!()
    }
    pub async fn list_parts(&self, _: &Key, _: &MultipartId) -> Result<Vec<Part>, Error> {
        unreachable!()
    }
    pub async fn complete_multipart(&self, _: &Key, _: &MultipartId, _: &[Part]) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn abort_multipart(&self, _: &Key, _: &MultipartId) -> Result<(), Error> {
        unreachable!()
    }
    pub async fn list_multiparts(&self, _: &str) -> Result<Vec<Multipart>, Error> {
        unreachable!()
    }
    pub async fn presign_part(&self, _: &Key, _: &MultipartId, _: u32, _: Duration) -> Result<String, Error> {
        unreachable!()
    }
    pub async fn presign_get(&self, _: &Key, _: Duration) -> Result<String, Error> {
        unreachable!()
    }
}
