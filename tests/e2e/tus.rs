//! tus by hand, one request at a time, so that a test knows what was acknowledged.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::{Client, RequestBuilder, Response};

use crate::api::Api;

fn request(api: &Api, request: RequestBuilder) -> RequestBuilder {
    request.bearer_auth(&api.key).header("Tus-Resumable", "1.0.0")
}

fn header(answer: &Response, name: &str) -> String {
    let value = answer.headers().get(name).unwrap_or_else(|| panic!("no {name} in {answer:?}"));
    value.to_str().expect("text").to_owned()
}

/// Begins an upload; its address.
pub async fn create(api: &Api, video: &str, size: usize) -> String {
    let metadata = format!("filename {},video {}", STANDARD.encode("clip.mp4"), STANDARD.encode(video));
    let post = request(api, Client::new().post(format!("{}/api/v1/uploads", api.base)));
    let answer = post
        .header("Upload-Length", size)
        .header("Upload-Metadata", metadata)
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 201, "{answer:?}");
    header(&answer, "location")
}

/// How much of it is there.
pub async fn offset(api: &Api, upload: &str) -> usize {
    let answer = request(api, Client::new().head(upload)).send().await.expect("an answer");
    header(&answer, "upload-offset").parse().expect("a number")
}

/// Sends bytes that have to be taken; the offset acknowledged.
pub async fn send(api: &Api, upload: &str, offset: usize, bytes: &[u8]) -> usize {
    let answer = try_send(api, upload, offset, bytes).await.expect("an answer");
    assert_eq!(answer.status(), 204, "{answer:?}");
    header(&answer, "upload-offset").parse().expect("a number")
}

/// Sends bytes, whatever comes of it.
pub async fn try_send(api: &Api, upload: &str, offset: usize, bytes: &[u8]) -> reqwest::Result<Response> {
    let patch = request(api, Client::new().patch(upload)).header("Upload-Offset", offset);
    patch.header("Content-Type", "application/offset+octet-stream").body(bytes.to_vec()).send().await
}
