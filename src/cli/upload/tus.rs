//! The client's side of tus 1.0: create, ask for the offset, send the rest, again and again until all is there.

use std::io::SeekFrom;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, bail};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use futures::TryStreamExt;
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Body, RequestBuilder};
use tokio::fs::File;
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio_util::io::ReaderStream;

use super::super::api::{Api, NoAnswer, is_final};
use super::super::output::story;
use super::progress::Progress;

/// Attempts without a byte of progress before it gives up; the next run goes on.
const TRIES: u32 = 8;

/// A range of the file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slice {
    pub from: u64,
    pub len: u64,
}

/// Uploads of one file.
pub(super) struct Tus<'a> {
    pub api: &'a Api,
    pub file: &'a Path,
    pub progress: &'a Progress,
}

impl Tus<'_> {
    /// Announces an upload; returns its address.
    pub(super) async fn create(
        &self,
        len: u64,
        metadata: &[(&str, String)],
        concat: Option<&str>,
    ) -> anyhow::Result<String> {
        let said: Vec<_> =
            metadata.iter().map(|(name, text)| format!("{name} {}", BASE64_STANDARD.encode(text))).collect();
        let mut request = tus(self.api.http.post(format!("{}/api/v1/uploads", self.api.server)));
        if !said.is_empty() {
            request = request.header("Upload-Metadata", said.join(","));
        }
        match concat {
            Some(concat) if concat.starts_with("final") => request = request.header("Upload-Concat", concat),
            Some(concat) => request = request.header("Upload-Concat", concat).header("Upload-Length", len),
            None => request = request.header("Upload-Length", len),
        }
        let answer = self.api.send(request).await?;
        let location = answer.headers().get(LOCATION).and_then(|location| location.to_str().ok());
        Ok(location.context("the server gave no address to upload to")?.to_owned())
    }

    /// An upload of an earlier run can be gone on with; a server that can't say now is no reason to begin again.
    pub(super) async fn is_there(&self, location: &str) -> anyhow::Result<bool> {
        let answer = tus(self.api.http.head(location)).bearer_auth(&self.api.key).send().await;
        let answer = answer.map_err(|error| NoAnswer::new(&self.api.server, &error))?;
        if answer.status().is_server_error() {
            bail!("{} can't tell now how far the upload is: {}", self.api.server, answer.status());
        }
        Ok(answer.status().is_success())
    }

    /// Sends what the server has not acknowledged yet.
    pub(super) async fn send(&self, location: &str, slice: Slice) -> anyhow::Result<()> {
        let mut counted = 0;
        let mut failures = 0;
        loop {
            let offset = match self.offset(location).await {
                Ok(offset) => offset,
                Err(error) if failures >= TRIES || is_final(&error) => return Err(error),
                Err(error) => {
                    self.progress.tell(&format!("{}; trying again", story(&error)));
                    failures += 1;
                    wait(failures).await;
                    continue;
                }
            };
            if offset > counted {
                self.progress.advance(offset - counted);
                (counted, failures) = (offset, 0);
            }
            if offset == slice.len {
                return Ok(());
            }
            if let Err(error) = self.patch(location, slice, offset).await {
                if failures >= TRIES || is_final(&error) {
                    return Err(error);
                }
                self.progress.tell(&format!("{}; trying again", story(&error)));
                failures += 1;
                wait(failures).await;
            }
        }
    }

    async fn offset(&self, location: &str) -> anyhow::Result<u64> {
        let answer = self.api.send(tus(self.api.http.head(location))).await?;
        number(answer.headers(), "Upload-Offset").context("the server gave no offset")
    }

    async fn patch(&self, location: &str, slice: Slice, offset: u64) -> anyhow::Result<()> {
        let mut file = File::open(self.file).await?;
        file.seek(SeekFrom::Start(slice.from + offset)).await?;
        let left = slice.len - offset;
        let bytes = ReaderStream::with_capacity(file.take(left), 256 << 10);
        let request = tus(self.api.http.patch(location))
            .header("Upload-Offset", offset)
            .header("Content-Type", "application/offset+octet-stream")
            .header("Content-Length", left)
            .body(Body::wrap_stream(bytes.into_stream()));
        self.api.send(request).await.map(drop)
    }

    /// The video that an upload belongs to.
    pub(super) async fn find_video(&self, location: &str) -> anyhow::Result<String> {
        let answer = self.api.send(self.api.http.get(location)).await?;
        let upload: serde_json::Value = answer.json().await?;
        Ok(upload["video"].as_str().context("the upload has no video")?.to_owned())
    }
}

fn tus(request: RequestBuilder) -> RequestBuilder {
    request.header("Tus-Resumable", "1.0.0")
}

async fn wait(failures: u32) {
    tokio::time::sleep(Duration::from_millis(250 << failures.min(7))).await;
}

fn number(headers: &HeaderMap, name: &str) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.parse().ok()
}
