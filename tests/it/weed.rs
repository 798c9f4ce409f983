//! A real S3 server for the tests: SeaweedFS on free ports over a temporary folder, one for the whole test binary.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Config, Credentials, Region, RequestChecksumCalculation};
use tokio::sync::OnceCell;

use crate::ports::Port;

pub const ACCESS_KEY_ID: &str = "tester";
pub const SECRET_ACCESS_KEY: &str = "tester-secret";

/// On a busy machine it takes a while to elect itself.
const UP_WITHIN: Duration = Duration::from_mins(2);

/// Keeps the server for as long as its standard input is open, which ends with the test process however it ends.
/// A line on it kills the server and starts it again. It makes one socket outside its folder and leaves it.
const KEEPER: &str = r#"
folder=$1; grpc=$2; shift 2
"$@" </dev/null >>"$folder/log" 2>&1 & server=$!
while read -r _; do
    kill -KILL "$server"; wait "$server"
    rm -f "/tmp/seaweedfs-s3-grpc-$grpc.sock"
    echo killed
    "$@" </dev/null >>"$folder/log" 2>&1 & server=$!
done
kill -KILL "$server"; wait "$server"
rm -rf "$folder" "/tmp/seaweedfs-s3-grpc-$grpc.sock"
"#;

static SHARED: OnceCell<Weed> = OnceCell::const_new();

/// The running server; stopped when dropped or when the process ends.
pub struct Weed {
    pub endpoint: String,
    pub keeper: Child,
    log: PathBuf,
    _ports: [Port; 8],
}

impl Weed {
    /// The server all tests of this process share; each test makes a bucket of its own in it.
    pub async fn shared() -> &'static Self {
        SHARED.get_or_init(Self::start).await
    }

    /// Starts a server of one's own and waits until it takes objects.
    pub async fn start() -> Self {
        let binary = binary();
        let folder = tempfile::Builder::new().prefix("policast-weed-").tempdir().expect("a folder").keep();
        std::fs::write(folder.join("s3.json"), config()).expect("a file");
        let ports = [(); 8].map(|()| Port::reserve());
        let numbers = ports.each_ref().map(|port| port.number);
        let weed = Self {
            endpoint: format!("http://127.0.0.1:{}", numbers[0]),
            keeper: spawn(&binary, &folder, numbers),
            log: folder.join("log"),
            _ports: ports,
        };
        weed.wait().await;
        weed
    }

    /// Waits until it takes objects.
    pub async fn wait(&self) {
        let began = Instant::now();
        let client = client(&self.endpoint, (ACCESS_KEY_ID, SECRET_ACCESS_KEY));
        while !takes_objects(&client).await {
            let log = || std::fs::read_to_string(&self.log).unwrap_or_default();
            assert!(began.elapsed() < UP_WITHIN, "SeaweedFS isn't up after {UP_WITHIN:?}:\n{}", log());
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
}

impl Drop for Weed {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// The SDK as anyone would use it.
pub fn client(endpoint: &str, (id, secret): (&str, &str)) -> Client {
    let config = Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .credentials_provider(Credentials::new(id, secret, None, None, "test"))
        .region(Region::new("us-east-1"))
        .endpoint_url(endpoint)
        .force_path_style(true)
        .request_checksum_calculation(RequestChecksumCalculation::WhenRequired);
    Client::from_conf(config.build())
}

async fn takes_objects(client: &Client) -> bool {
    let asked = async {
        let _ = client.create_bucket().bucket("is-it-up").send().await;
        client.put_object().bucket("is-it-up").key("yes").body(vec![1].into()).send().await.is_ok()
    };
    // A server that elects itself may take a request and never answer it.
    tokio::time::timeout(Duration::from_secs(10), asked).await.unwrap_or(false)
}

fn spawn(binary: &Path, folder: &Path, ports: [u16; 8]) -> Child {
    let names = ["s3.port", "s3.port.grpc", "master.port", "master.port.grpc"];
    let more = ["volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc"];
    let flags = names.into_iter().chain(more).zip(ports).map(|(name, port)| format!("-{name}={port}"));
    let mut command = Command::new("sh");
    command.args(["-c", KEEPER, "sh"]).arg(folder).arg(ports[1].to_string()).arg(binary).arg("server");
    command.arg(format!("-dir={}", folder.display())).args(["-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3"]);
    command.arg(format!("-s3.config={}", folder.join("s3.json").display())).args(flags);
    command.args(["-master.volumeSizeLimitMB=64", "-master.telemetry=false"]);
    // Each bucket grows volumes of its own: as many as the tests want, however little of the disk is free.
    command
        .args(["-volume.max=4096", "-volume.minFreeSpace=256MiB"])
        .env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1");
    command.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]).current_dir(folder).env("TMPDIR", folder);
    let sockets = ["filer", "s3"].map(|name| format!("-{name}.localSocket={}/{name}.sock", folder.display()));
    command.args(sockets);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a server")
}

fn config() -> String {
    let credentials = serde_json::json!({"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY});
    let actions = ["Admin", "Read", "Write", "List", "Tagging"];
    serde_json::json!({"identities": [{"name": "tester", "credentials": [credentials], "actions": actions}]})
        .to_string()
}

/// `POLICAST_TEST_WEED`, or the one on the path, or the one in the tests' own environment.
fn binary() -> PathBuf {
    let named = std::env::var_os("POLICAST_TEST_WEED").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join("weed"));
    let ours = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/.venv/bin/weed");
    let found = named.into_iter().chain(on_path).chain([ours]).find(|path| path.is_file());
    found.expect("SeaweedFS is not here: `make test` sets it up, or name its `weed` by POLICAST_TEST_WEED")
}

/// Settings of a bucket nobody else has, in the shared server.
pub async fn settings() -> policast::storage::S3Settings {
    policast::storage::S3Settings {
        endpoint: Some(Weed::shared().await.endpoint.clone()),
        public_endpoint: None,
        bucket: format!("test-{}", policast::domain::JobId::new()),
        region: "us-east-1".to_owned(),
        access_key_id: ACCESS_KEY_ID.to_owned(),
        secret_access_key: SECRET_ACCESS_KEY.to_owned(),
        checksums: policast::storage::Checksums::WhenRequired,
        patience: policast::storage::Patience::default(),
    }
}
