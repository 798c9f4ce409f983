//! A look into the bucket, past the API.

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region};
use sha2::{Digest, Sha256};

use crate::server::Server;

/// The SHA-256 of the one source that lies in the bucket for this video.
pub async fn source_sha256(server: &Server, video: &str) -> String {
    let (client, bucket) = (client(server), server.setting("POLICAST_S3_BUCKET"));
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

fn client(server: &Server) -> Client {
    let setting = |name| server.setting(name).to_owned();
    let (id, secret) = (setting("POLICAST_S3_ACCESS_KEY_ID"), setting("POLICAST_S3_SECRET_ACCESS_KEY"));
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("us-east-1"))
        .endpoint_url(format!("http://{}", setting("POLICAST_S3_LISTEN")))
        .credentials_provider(Credentials::new(id, secret, None, None, "tests"))
        .force_path_style(true);
    Client::from_conf(config.build())
}
