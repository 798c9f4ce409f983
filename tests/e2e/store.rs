//! A look into the bucket, past the API.

use std::path::Path;
use std::time::Duration;

use aws_sdk_s3::Client;
use aws_sdk_s3::presigning::PresigningConfig;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::server::Server;
use crate::weed;

const BUCKET: &str = "policast";

/// The SHA-256 of the one source that lies in the bucket for this video.
pub async fn source_sha256(server: &Server, video: &str) -> String {
    let (client, bucket) = open(server);
    let bucket = bucket.as_str();
    let prefix = format!("sources/{video}/");
    let listed = client.list_objects_v2().bucket(bucket).prefix(&prefix).send().await.expect("a listing");
    let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
    let [key] = keys[..] else { panic!("expected one source under {prefix}, found {keys:?}") };
    let mut body = client.get_object().bucket(bucket).key(key).send().await.expect("the source").body;
    let mut digest = Sha256::new();
    while let Some(bytes) = body.try_next().await.expect("the whole source") {
        digest.update(&bytes);
    }
    hex::encode(digest.finalize())
}

/// A presigned address of the one source of a video in the embedded store, and its size.
pub async fn source_address(server: &Server, video: &str) -> (String, usize) {
    let (client, bucket) = open(server);
    let prefix = format!("sources/{video}/");
    let listed = client.list_objects_v2().bucket(&bucket).prefix(&prefix).send().await.expect("a listing");
    let [source] = listed.contents() else { panic!("expected one source under {prefix}") };
    let asked = client.get_object().bucket(&bucket).key(source.key().expect("a name"));
    let hour = PresigningConfig::expires_in(Duration::from_hours(1)).expect("an hour");
    let signed = asked.presigned(hour).await.expect("an address");
    let size = usize::try_from(source.size().expect("a size")).expect("a size");
    (signed.uri().to_owned(), size)
}

/// The bucket that was set, or the embedded server's, with the keys it keeps in its folder.
fn open(server: &Server) -> (Client, String) {
    let (endpoint, bucket) = (server.setting("POLICAST_S3_ENDPOINT"), server.setting("POLICAST_S3_BUCKET"));
    if !bucket.is_empty() {
        let keys = (weed::ACCESS_KEY_ID, weed::SECRET_ACCESS_KEY);
        return (weed::client(endpoint, keys), bucket.to_owned());
    }
    let kept = Path::new(server.setting("POLICAST_DATA_DIR")).join("objects/credentials.json");
    let kept: Value = serde_json::from_slice(&std::fs::read(kept).expect("the keys")).expect("the keys");
    let key = |name: &str| kept[name].as_str().expect("a key").to_owned();
    let (id, secret) = (key("access_key_id"), key("secret_access_key"));
    let endpoint = format!("http://{}", server.setting("POLICAST_S3_LISTEN"));
    (weed::client(&endpoint, (&id, &secret)), BUCKET.to_owned())
}
