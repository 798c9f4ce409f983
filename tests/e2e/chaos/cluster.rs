//! A whole installation on addresses of its own: two api nodes, three workers, two live nodes, a PostgreSQL and a bucket.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use tempfile::TempDir;
use tokio::task::JoinSet;

use super::bucket::{Bucket, Counts, Mood};
use super::node::{Node, way_to_database};
use super::plan::{Blow, Step};
use crate::api::Api;
use crate::postgres::{self, Postgres};
use crate::weed::{ACCESS_KEY_ID, SECRET_ACCESS_KEY, Weed};

/// A start that takes longer is a hang.
const START: Duration = Duration::from_mins(3);
/// Roles of the nodes, and by how many milliseconds their clocks are wrong.
const NODES: [(&str, &str, i64); 7] = [
    ("api-1", "api", 0),
    ("api-2", "api", 7_000),
    ("worker-1", "worker", -9_000),
    ("worker-2", "worker", 0),
    ("worker-3", "worker", 12_000),
    ("live-1", "api,live", -4_000),
    ("live-2", "api,live", 5_000),
];
/// The one port every node has on an address of its own: nobody can take it between its choice and its use.
const PORT: u16 = 18_080;

pub struct Cluster {
    pub nodes: Vec<Node>,
    pub key: String,
    pub counts: Counts,
    bucket: Bucket,
    postgres: Postgres,
    /// Its own where it is to be restarted.
    weed: Option<Weed>,
    _running: JoinSet<()>,
    _home: TempDir,
}

/// Kills the server and waits until it takes objects again.
async fn restart(weed: &mut Weed) {
    weed.keeper.stdin.as_mut().expect("a keeper that listens").write_all(b"kill\n").expect("a keeper");
    postgres::hear(&mut weed.keeper, "killed\n");
    weed.wait().await;
}

/// The address of a node, in a loopback network of this run's own.
fn address(network: [u8; 2], node: usize) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, network[0], network[1], u8::try_from(node + 1).expect("few nodes")))
}

impl Cluster {
    /// Starts everything and waits until every node is ready.
    pub async fn start(seed: u64, own_bucket: bool) -> Self {
        let counts = Counts::default();
        let postgres = Postgres::own().await;
        let database = postgres.database().await;
        let (name, socket) = database
            .rsplit_once('/')
            .map(|_| database.trim_start_matches("postgres://policast@localhost/"))
            .and_then(|rest| rest.split_once("?host="))
            .expect("a name and a folder");
        let weed = if own_bucket { Some(Weed::start().await) } else { None };
        let endpoint = match &weed {
            Some(weed) => weed.endpoint.clone(),
            None => Weed::shared().await.endpoint.clone(),
        };
        let target = endpoint.trim_start_matches("http://").to_owned();
        let bucket = Bucket::new(target, seed, counts.clone());
        let home = tempfile::Builder::new().prefix("policast-chaos-").tempdir().expect("a folder");
        let (mut running, mut nodes) = (JoinSet::new(), Vec::new());
        let id = uuid::Uuid::new_v4().into_bytes();
        let network = [id[0] / 2 + 64, id[1]];
        let key = format!("pk_{}", uuid::Uuid::now_v7().simple().to_string().repeat(2));
        for (number, (node, roles, skew)) in NODES.into_iter().enumerate() {
            let at = |port| SocketAddr::new(address(network, number), port);
            let to_bucket = bucket.listen(at(PORT + 1), &mut running).await;
            let socket = Path::new(socket).join(".s.PGSQL.5432");
            let to_database = way_to_database(at(PORT + 2), socket, &mut running).await;
            let base = format!("http://{}", at(PORT));
            let own = [
                ("POLICAST_LISTEN", at(PORT).to_string()),
                ("POLICAST_PUBLIC_URL", base.clone()),
                ("POLICAST_NODE_URL", base.clone()),
                ("POLICAST_URL", base.clone()),
                ("POLICAST_KEY", key.clone()),
                ("POLICAST_ADMIN_KEY", key.clone()),
                ("POLICAST_ROLES", roles.to_owned()),
                (
                    "POLICAST_DATABASE_URL",
                    format!("postgres://policast@{}/{name}?sslmode=disable", at(PORT + 2)),
                ),
                ("POLICAST_S3_ENDPOINT", format!("http://{}", at(PORT + 1))),
                ("POLICAST_S3_BUCKET", format!("chaos-{seed}-{}-{}", network[0], network[1])),
                ("POLICAST_S3_ACCESS_KEY_ID", ACCESS_KEY_ID.to_owned()),
                ("POLICAST_S3_SECRET_ACCESS_KEY", SECRET_ACCESS_KEY.to_owned()),
                ("POLICAST_LEASE", format!("{}s", super::LEASE.as_secs())),
                // What a process began and nobody knows of is aborted after this.
                ("POLICAST_UPLOAD_TTL", "2m".to_owned()),
                ("POLICAST_LIVE_LEASE", "2s".to_owned()),
                ("POLICAST_WORKER_SLOTS", "1".to_owned()),
                ("POLICAST_PRESET", "ultrafast".to_owned()),
                ("POLICAST_LIVE_RUNGS", "0".to_owned()),
                ("POLICAST_BODY_IDLE_TIMEOUT", "5s".to_owned()),
                ("POLICAST_CLOCK_SKEW_MS", skew.to_string()),
            ];
            let mut own: Vec<_> = own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            if roles.contains("live") {
                own.push(("POLICAST_RTMP_LISTEN".to_owned(), at(1935).to_string()));
            }
            nodes.push(Node::new((node.to_owned(), base), own, home.path(), [to_bucket, to_database]));
        }
        let mut cluster = Self { nodes, key, counts, bucket, postgres, weed, _running: running, _home: home };
        cluster.nodes[0].start(None);
        cluster.until_ready(1).await;
        for node in &mut cluster.nodes[1..] {
            node.start(None);
        }
        cluster.until_ready(NODES.len()).await;
        cluster
    }

    /// Waits until the first of its nodes are ready; what has ended is started again.
    pub async fn until_ready(&mut self, first: usize) {
        let begun = Instant::now();
        for number in 0..first {
            // A worker answers nobody.
            if self.nodes[number].name.starts_with("worker") {
                self.nodes[number].revive();
                continue;
            }
            while !Api::new(self.nodes[number].base.clone(), self.key.clone()).is_ready().await {
                self.nodes[number].revive();
                let node = &self.nodes[number];
                assert!(begun.elapsed() < START, "{} does not get ready:\n{}", node.name, node.log());
                tokio::time::sleep(Duration::from_millis(200)).await;
            }
        }
    }

    /// Addresses of the nodes that answer the API.
    pub fn bases(&self) -> Vec<String> {
        let api = self.nodes.iter().filter(|node| node.name.starts_with("api"));
        api.map(|node| node.base.clone()).collect()
    }

    /// From now on something goes wrong now and then.
    pub fn begin(&self) {
        self.bucket.set_mood(Mood::Quiet);
    }

    /// Lets one thing go wrong, for as long as it lasts.
    pub async fn suffer(&mut self, step: &Step) {
        *self.counts.lock().expect("counts").entry(step.blow.kind()).or_default() += 1;
        match step.blow {
            Blow::Kill(node) => {
                self.nodes[node].kill();
                tokio::time::sleep(step.lasts).await;
                self.nodes[node].start(None);
            }
            Blow::DieBetween(node, changes) => {
                self.nodes[node].start(Some(&format!("any@{changes}")));
                tokio::time::sleep(step.lasts).await;
            }
            Blow::Freeze(node) => {
                self.nodes[node].freeze();
                tokio::time::sleep(step.lasts).await;
                self.nodes[node].thaw();
            }
            Blow::Partition(node) => {
                self.nodes[node].cut(true);
                tokio::time::sleep(step.lasts).await;
                self.nodes[node].cut(false);
            }
            Blow::Bucket(mood) => {
                self.bucket.set_mood(mood);
                tokio::time::sleep(step.lasts).await;
                self.bucket.set_mood(Mood::Quiet);
            }
            Blow::RestartPostgres => {
                self.postgres.stop();
                tokio::time::sleep(step.lasts).await;
                self.postgres.start().await;
            }
            Blow::HangPostgres => {
                self.postgres.hang();
                tokio::time::sleep(step.lasts).await;
                self.postgres.wake();
            }
            Blow::RestartBucket => {
                if let Some(weed) = &mut self.weed {
                    restart(weed).await;
                }
            }
        }
        for node in &mut self.nodes {
            node.revive();
        }
    }

    /// Everything is well again, and every node is started without a fault in it.
    pub async fn heal(&mut self) {
        self.bucket.set_mood(Mood::Calm);
        for node in &mut self.nodes {
            node.start(None);
        }
        self.until_ready(NODES.len()).await;
    }

    /// What went wrong, by kind.
    pub fn faults(&self) -> Vec<String> {
        let counts: &Mutex<_> = Arc::as_ref(&self.counts);
        counts.lock().expect("counts").iter().map(|(kind, count)| format!("{count:>5} {kind}")).collect()
    }
}
