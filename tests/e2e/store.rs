//! A look into the bucket, past the API.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::server::Server;

const BUCKET: &str = "policast";

/// The SHA-256 of the one source that lies in the bucket for this video.
pub async fn source_sha256(server: &Server, video: &str) -> String {
    let client = client(server);
    let prefix = format!("sources/{video}/");
    let listed = client.list_objects_v2().bucket(BUCKET).prefix(&prefix).send().await.expect("a listing");
    let keys: Vec<&str> = listed.contents().iter().filter_map(|object| object.key()).collect();
    let [key] = keys[..] else { panic!("expected one source under {prefix}, found {keys:?}") };
    let mut body = client.get_object().bucket(BUCKET).key(key).send().await.expect("the source").body;
    let mut digest = Sha256::new();
    while let Some(bytes) = body.try_next().await.expect("the whole source") {
        digest.update(&bytes);
    }
    hex::encode(digest.finalize())
}

/// With the keys that the embedded server keeps in its folder, over its own port.
fn client(server: &Server) -> Client {
    let kept = std::fs::read(server.home().join("data/objects/credentials.json")).expect("the keys");
    let kept: Value = serde_json::from_slice(&kept).expect("the keys");
    let key = |name: &str| kept[name].as_str().expect("a key").to_owned();
    let (id, secret) = (key("access_key_id"), key("secret_access_key"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", server.setting("POLICAST_S3_LISTEN")))
        .credentials_provider(Credentials::new(id, secret, None, None, "tests"))
        .force_path_style(true);
    Client::from_conf(config.build())
}
